import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import selfies
import tokenizers
from rdkit import Chem

from boomlib import registry
from boomlib.files import ContractError
from boomlib.mirror import find_in_mirror
from boomlib.text.tokens import Tokenizer, find_unwritable, to_selfies, tokenise

NITRO = "CC(C)OC(=O)c1ccc(cc1)N(=O)=O"  # as csd10k writes nitro groups


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


# -- SELFIES ---------------------------------------------------------------------------------------------


@pytest.fixture
def any_valence():
    """SELFIES reads back whatever is written; the constraints of the process return afterwards."""
    before = selfies.get_semantic_constraints()
    selfies.set_semantic_constraints({"?": 100})
    yield
    selfies.set_semantic_constraints(before)


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCO", "[C][C][O]"),
        ("c1ccccc1", "[C][=C][C][=C][C][=C][Ring1][=Branch1]"),
        ("CN(=O)=O", "[C][N][=Branch1][C][=O][=O]"),
        ("[NH4+].[Cl-]", "[NH4+1].[Cl-1]"),
    ],
)
def test_selfies_by_hand(smiles, expected):
    assert to_selfies(smiles) == expected


@pytest.mark.parametrize(
    "smiles",
    [
        NITRO,
        "F/C=C\\F",
        "C/1=C/CCCCCC1",
        "N[C@]1(C)CCO1",
        "OC[C@@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
        "[13CH3][N+](=O)[O-].[Na+]",
        "[2H]C([2H])Cl",
        "FS(F)(F)(F)(F)F",
        "F[P-](F)(F)(F)(F)F",
        "CP(=O)(O)OC",
        "O=Cl(=O)(=O)O",
        "OB(O)c1cc[se]c1",
        "C[B-](F)(F)F",
        "O=I(=O)c1ccccc1",
        "C1CC12CC2",
        "[CH3]",
    ],
)
def test_selfies_keep_the_molecule(smiles, any_valence):
    assert Chem.CanonSmiles(selfies.decoder(to_selfies(smiles))) == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("N->[Pt]", "unrecognized symbol '>'"),
        ("*C", r"unrecognized symbol '\*'"),
        ("C$C", r"unrecognized symbol '\$'"),
        ("[CH3:1]C", "an atom's map number"),
        ("C[C@TH1](N)(O)F", "invalid atom symbol"),
        ("C%(123)CC%(123)", "invalid ring number"),
        ("C1.C1", "ring"),
        ("C11", "a ring closure"),
        ("C(", "bracket"),
        ("", "empty SMILES"),
    ],
)
def test_what_selfies_cannot_write_is_refused_by_name(smiles, reason):
    with pytest.raises(ContractError, match=rf"cannot be written as SELFIES \(.*{reason}.*remove the row") as error:
        to_selfies(smiles)
    assert repr(smiles) in str(error.value)


@pytest.mark.parametrize(
    ("notation", "expected"),
    [
        (
            "selfies",
            {
                1: "SMILES 'N->[Pt]' cannot be written as SELFIES (unrecognized symbol '>')",
                2: "SMILES 'CCé' cannot be written as SELFIES (invalid atom symbol 'é')",
                3: "SMILES '[Og]' cannot be written as SELFIES (invalid atom symbol '[Og]')",
                4: "SMILES 'C~[Na]' cannot be written as SELFIES (unrecognized symbol '~')",
            },
        ),
        ("smiles", {2: "SMILES 'CCé': no token at position 3 ('é')"}),
    ],
)
def test_molecules_that_a_notation_cannot_write_are_told_with_their_reasons(notation, expected):
    assert find_unwritable(["CCO", "N->[Pt]", "CCé", "[Og]", "C~[Na]"], notation) == expected


def test_writing_selfies_changes_no_constraint_of_the_process():
    before = selfies.get_semantic_constraints()
    to_selfies(NITRO)
    assert selfies.get_semantic_constraints() == before


# -- tokenizers ------------------------------------------------------------------------------------------


def test_the_module_loads_neither_tokenizers_nor_selfies():
    code = "import boomlib.text.tokens, sys; assert not {'tokenizers', 'selfies', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_fitted_tokenizer_by_hand():
    tokenizer = Tokenizer.fit(["OCC", "CCl", "[O-]C"], "smiles")
    assert (tokenizer.notation, tokenizer.size) == ("smiles", 9)
    assert (tokenizer.pad, tokenizer.id_of("unk_token"), tokenizer.mask) == (0, 1, 4)
    encoded = tokenizer.encode(["CClO", "NC", "", "C[O-]"])
    assert [each.tolist() for each in encoded] == [[2, 5, 6, 7, 3], [2, 1, 5, 3], [2, 3], [2, 5, 8, 3]]
    assert {each.dtype for each in encoded} == {np.dtype(np.int64)}


def test_a_bare_tokenizer_by_hand():
    tokenizer = Tokenizer.fit(["OCC", "CCl", "[O-]C"], "smiles", bare=True)
    assert (tokenizer.size, tokenizer.pad, tokenizer.id_of("unk_token"), tokenizer.specials) == (6, 0, 1, [0, 1])
    encoded = tokenizer.encode(["CClO", "NC", "", "C[O-]"])
    assert [each.tolist() for each in encoded] == [[2, 3, 4], [1, 2], [], [2, 5]]
    assert {each.dtype for each in encoded} == {np.dtype(np.int64)}
    with pytest.raises(ContractError, match="no mask_token"):
        assert tokenizer.mask


@pytest.mark.parametrize("bare", [False, True])
def test_the_order_of_molecules_does_not_matter_and_a_copy_encodes_alike(tmp_path, bare):
    texts = ["[13CH3][C@@H](Cl)/C=C\\Br", "C%12CC%12", "C%(123)CC%(123)", "N->[Pt]"]
    tokenizer = Tokenizer.fit(texts, "smiles", bare=bare)
    others = [Tokenizer.fit(texts[::-1], "smiles", bare=bare), pickle.loads(pickle.dumps(tokenizer))]
    tokenizer.save(tmp_path)
    for other in (*others, Tokenizer.load(tmp_path)):
        assert (other.notation, other.size, other.names) == (tokenizer.notation, tokenizer.size, tokenizer.names)
        assert [each.tolist() for each in other.encode(texts)] == [each.tolist() for each in tokenizer.encode(texts)]


def test_atoms_of_two_letters_and_brackets_are_one_token():
    texts = ["[13CH3][C@@H](Cl)/C=C\\Br", "C%12CC%12", "C%(123)CC%(123)", "N->[Pt]"]
    bare, framed = (Tokenizer.fit(texts, "smiles", bare=bare) for bare in (True, False))
    tokens = sorted({token for text in texts for token in tokenise(text)})
    for text, one, other in zip(texts, bare.encode(texts), framed.encode(texts), strict=True):
        assert [tokens[number - 2] for number in one] == tokenise(text)
        assert [tokens[number - 5] for number in other[1:-1]] == tokenise(text)


def test_a_tokenizer_of_selfies_takes_smiles():
    tokenizer = Tokenizer.fit([to_selfies(NITRO), to_selfies("C.C")], "selfies")
    assert tokenizer.notation == "selfies"
    assert len(tokenizer.encode([NITRO])[0]) == len(list(selfies.split_selfies(to_selfies(NITRO)))) + 2
    assert tokenizer.id_of("unk_token") not in np.concatenate(tokenizer.encode([NITRO, "C.C"]))
    assert tokenizer.encode(["CS"])[0].tolist()[-2] == tokenizer.id_of("unk_token")


def test_texts_in_another_notation_are_refused():
    with pytest.raises(ContractError, match=r"'CCO' is no SELFIES; translate SMILES with to_selfies"):
        Tokenizer.fit(["CCO"], "selfies")
    with pytest.raises(ContractError, match="no token at position 3"):
        Tokenizer.fit(["CCX"], "smiles")
    with pytest.raises(ContractError, match="no token at position 3"):
        Tokenizer.fit(["CCO"], "smiles").encode(["CCX"])


@pytest.mark.parametrize("notation", ["smiles", "selfies"])
def test_a_tokenizer_comes_back_from_its_folder_and_transformers_reads_it_too(tmp_path, notation):
    from transformers import PreTrainedTokenizerFast

    texts = [NITRO, "C[C@H](N)O"]
    tokenizer = Tokenizer.fit(map(to_selfies, texts) if notation == "selfies" else texts, notation)
    tokenizer.save(tmp_path)
    back = Tokenizer.load(tmp_path)
    assert (back.notation, back.size, back.mask) == (notation, tokenizer.size, 4)
    for one, other in zip(back.encode(texts), tokenizer.encode(texts), strict=True):
        assert one.tolist() == other.tolist()
    theirs = PreTrainedTokenizerFast.from_pretrained(str(tmp_path))
    assert (
        theirs(to_selfies(NITRO) if notation == "selfies" else NITRO)["input_ids"] == back.encode([NITRO])[0].tolist()
    )
    assert (theirs.pad_token_id, theirs.mask_token_id) == (0, 4)


def test_one_vocabulary_makes_one_file(tmp_path):
    for name, texts in (("one", ["OCC", "CCl"]), ("other", ["CCl", "OCC", "C"])):
        Tokenizer.fit(texts, "smiles").save(tmp_path / name)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


@pytest.fixture
def bpe(tmp_path):
    """A byte-level BPE as ChemBERTa's checkpoints bring it: vocab.json and merges.txt, nothing else."""
    trained = tokenizers.ByteLevelBPETokenizer()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator([NITRO, "CC(=O)Oc1ccccc1"] * 5, vocab_size=290, special_tokens=specials)
    trained.save_model(str(tmp_path))
    return tmp_path


def test_a_byte_level_bpe_reads_as_transformers_reads_it(bpe):
    from transformers import RobertaTokenizer

    tokenizer, theirs = Tokenizer.load(bpe), RobertaTokenizer.from_pretrained(str(bpe))
    texts = [NITRO, "C[C@@H](N)/C=C\\Br", "[13CH3]"]
    assert [each.tolist() for each in tokenizer.encode(texts)] == theirs(texts)["input_ids"]
    assert (tokenizer.notation, tokenizer.size) == ("smiles", len(theirs))
    assert (tokenizer.pad, tokenizer.id_of("unk_token"), tokenizer.mask) == (1, 3, 4)
    assert len(tokenizer.encode([NITRO])[0]) < len(tokenise(NITRO))
    assert [theirs.decode(each[1:-1]) for each in tokenizer.encode(texts)] == texts


def test_a_bpe_drops_nothing_that_it_does_not_know(bpe):
    (bpe / "vocab.json").write_text(json.dumps({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "C": 4, "CC": 5}))
    (bpe / "merges.txt").write_text("#version: 0.2\nC C\n")
    tokenizer = Tokenizer.load(bpe)
    assert tokenizer.encode(["CCNC"])[0].tolist() == [0, 5, 3, 4, 2]
    with pytest.raises(ContractError, match="no mask_token"):
        assert tokenizer.mask


def test_special_tokens_are_named_by_either_file_and_cutting_off_is_switched_off(tmp_path):
    fitted = Tokenizer.fit(["CCO"], "smiles").backend
    fitted.enable_truncation(4)
    fitted.enable_padding(length=9)
    fitted.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"pad_token": {"content": "[PAD]"}}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"mask_token": "[MASK]", "unk_token": None}))
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.pad, tokenizer.mask) == (0, 4)
    assert [len(each) for each in tokenizer.encode(["CCOCCO", "C"])] == [8, 3]
    with pytest.raises(ContractError, match="no unk_token"):
        assert tokenizer.id_of("unk_token")


def test_a_foreign_vocabulary_of_selfies_is_recognised(tmp_path):
    fitted = Tokenizer.fit([to_selfies(NITRO)], "selfies")
    fitted.backend.save(str(tmp_path / "tokenizer.json"))
    assert Tokenizer.load(tmp_path).notation == "selfies"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "neither tokenizer.json nor vocab.json and merges.txt"),
        ({"vocab.json": "{}"}, "neither tokenizer.json nor"),
        ({"tokenizer.json": '{"version": '}, "tokenizer.json: not readable as a tokenizer"),
        ({"vocab.json": '{"C": 0', "merges.txt": ""}, "vocab.json: not readable as a tokenizer"),
        ({"vocab.json": '{"C": 0}', "merges.txt": ""}, "vocab.json: no special token '</s>'"),
        ({"tokenizer_config.json": "{"}, "tokenizer_config.json: not readable as JSON"),
    ],
)
def test_a_broken_tokenizer_is_refused_by_name(tmp_path, files, reason):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ContractError, match=reason) as error:
        Tokenizer.load(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_an_unknown_notation_is_refused(tmp_path):
    Tokenizer.fit(["C"], "smiles").save(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"notation": "inchi"}))
    with pytest.raises(ContractError, match="one of smiles, selfies, not 'inchi'"):
        Tokenizer.load(tmp_path)


# -- published molecules ---------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("file", "step"), [("10k_dft_density_data.csv", 5), ("qm9_properties.parquet", 60)])
def test_published_molecules_come_back_from_selfies_without_unknown_tokens(mirror, any_valence, file, step):
    path = find_in_mirror(file, str(mirror))
    if path is None:
        pytest.skip(f"the mirror has no {file}")
    table = pd.read_parquet(path, columns=["smiles"]) if path.suffix == ".parquet" else pd.read_csv(path)
    molecules = table["smiles"].tolist()[::step]
    written = [to_selfies(smiles) for smiles in molecules]
    assert all(
        Chem.CanonSmiles(selfies.decoder(text)) == Chem.CanonSmiles(smiles)
        for text, smiles in zip(written, molecules, strict=True)
    )
    for notation, texts in (("smiles", molecules), ("selfies", written)):
        tokenizer = Tokenizer.fit(texts, notation)
        assert tokenizer.id_of("unk_token") not in np.concatenate(tokenizer.encode(molecules))
