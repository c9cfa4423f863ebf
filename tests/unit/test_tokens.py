import json

import numpy as np
import pandas as pd
import pytest

from boomlib import registry
from boomlib.contracts import ContractError
from boomlib.datasets.fetch import find_in_mirror
from boomlib.features.tokens import SPECIALS, Vocabulary, tokenise


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCO", "C C O"),
        ("ClCBr", "Cl C Br"),
        ("c1ccccc1B(O)I", "c 1 c c c c c 1 B ( O ) I"),
        ("F/C=C\\F", "F / C = C \\ F"),
        ("N#Cc1sccp1", "N # C c 1 s c c p 1"),
        ("C[C@@H](N)[C@H2+:1]", "C [C@@H] ( N ) [C@H2+:1]"),
        ("[13CH3][N+](=O)[O-].[Na+]", "[13CH3] [N+] ( = O ) [O-] . [Na+]"),
        ("C%12CC%12", "C %12 C C %12"),
        ("C%(123)CC%(123)", "C %(123) C C %(123)"),
        ("C12CC1C2", "C 1 2 C C 1 C 2"),
        ("*C~C$C:C-C", "* C ~ C $ C : C - C"),
        ("N->[Pt]<-N", "N -> [Pt] <- N"),
        ("[se]1cccc1", "[se] 1 c c c c 1"),
        ("", ""),
    ],
)
def test_tokens_by_hand(smiles, expected):
    assert tokenise(smiles) == expected.split()
    assert "".join(tokenise(smiles)) == smiles


@pytest.mark.parametrize(
    ("smiles", "position"),
    [("CCX", 3), ("CC O", 3), ("C[NH", 2), ("C[]C", 2), ("[[C]]", 1), ("C%1", 2), ("CC>O", 3), ("C\n", 2), ("C٣", 2)],
)
def test_what_is_no_smiles_is_refused_with_its_position(smiles, position):
    with pytest.raises(ContractError, match=rf"no token at position {position} ") as error:
        tokenise(smiles)
    assert repr(smiles) in str(error.value)


def test_a_vocabulary_has_the_special_tokens_and_then_trains_in_order():
    vocabulary = Vocabulary.fit(["OCC", "CCl", "[O-]C"])
    assert vocabulary.tokens == ("[PAD]", "[UNK]", "C", "Cl", "O", "[O-]")
    assert len(vocabulary) == 6
    assert vocabulary == Vocabulary.fit(["[O-]C", "CCl", "OCC"]), "the order of molecules does not matter"


def test_encoded_molecules_by_hand():
    encoded = Vocabulary.fit(["OCC", "CCl"]).encode(["CClO", "NC", ""])
    assert [each.tolist() for each in encoded] == [[2, 3, 4], [1, 2], []]
    assert {each.dtype for each in encoded} == {np.dtype(np.int64)}


def test_a_vocabulary_comes_back_from_its_file(tmp_path):
    vocabulary = Vocabulary.fit(["C/C=C\\[C@H](N)O"])
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"tokens": ["[PAD]", ', "not readable as JSON"),
        ("[]", "no vocabulary"),
        ("{}", "no vocabulary"),
        (json.dumps({"tokens": ["[UNK]", "[PAD]", "C"]}), r"starts with \[PAD\], \[UNK\]"),
        (json.dumps({"tokens": [*SPECIALS, "C", "C"]}), "each token once"),
    ],
)
def test_a_broken_vocabulary_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "vocabulary.json"
    path.write_text(content)
    with pytest.raises(ContractError, match=reason) as error:
        Vocabulary.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("file", "count"),
    [
        *((name, 10206) for name in registry.load_datasets()[0]["csd10k"]["sources"]),
        ("qm9_properties.parquet", 133885),
    ],
)
def test_no_published_molecule_loses_anything(mirror, file, count):
    path = find_in_mirror(file, str(mirror))
    if path is None:
        pytest.skip(f"the mirror has no {file}")
    table = pd.read_parquet(path, columns=["smiles"]) if path.suffix == ".parquet" else pd.read_csv(path)
    assert len(table) == count
    assert all("".join(tokenise(smiles)) == smiles for smiles in table["smiles"])
