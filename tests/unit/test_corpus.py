import numpy as np
import pyarrow as pa
import pytest

from boomlib import contracts
from boomlib.files import ContractError
from boomlib.text.corpus import make_corpus


@pytest.fixture
def dataset(tmp_path):
    """Write a dataset and the splits of its properties, given as the fold of each molecule."""

    def write(name, smiles, *splits):
        molecules = tmp_path / f"{name}.parquet"
        contracts.write_molecules(molecules, smiles, {"p": np.zeros(len(smiles))}, {"p": "1"})
        paths = []
        for number, folds in enumerate(splits):
            n = len(folds.split())
            table = {
                "molecule_id": np.arange(n),
                "fold": contracts.fold_array(folds.replace("none", contracts.NO_FOLD).split(" ")),
                "density": np.ones(n),
            }
            paths.append(tmp_path / f"{name}{number}.parquet")
            contracts.write_table(pa.table(table), paths[-1], contracts.SPLIT)
        return molecules, paths

    return write


def corpus(out, **datasets):
    molecules, splits = ({name: each[i] for name, each in datasets.items()} for i in (0, 1))
    make_corpus(molecules, splits, out)
    return [(row["smiles"], row["dataset"]) for row in contracts.read_table(out, contracts.CORPUS).to_pylist()]


def test_a_molecule_must_be_in_train_of_every_property(dataset, tmp_path, capsys):
    found = corpus(
        tmp_path / "c",
        a=dataset("a", ["CC", "CO", "CN", "CF", "CS"], "train train valid train ood", "train id train train train"),
    )
    assert found == [("CC", "a"), ("CF", "a")]
    assert capsys.readouterr().out.splitlines() == [
        "a: 2 of 5 molecules; 2 are held out by none of its properties",
        "2 molecules in all",
    ]


def test_a_molecule_may_lack_a_property(dataset, tmp_path):
    found = corpus(
        tmp_path / "c", a=dataset("a", ["CC", "CO", "CN", "CF"], "train none ood train", "none train none id")
    )
    assert found == [("CC", "a"), ("CO", "a")]


@pytest.mark.parametrize("fold", ["valid", "id", "ood"])
def test_a_molecule_that_another_dataset_tests_is_left_out(dataset, tmp_path, fold, capsys):
    found = corpus(
        tmp_path / "c",
        a=dataset("a", ["OCC", "CN"], "train train"),
        b=dataset("b", ["CF", "CCO"], f"train {fold}"),
    )
    assert found == [("CN", "a"), ("CF", "b")]
    assert capsys.readouterr().out.splitlines() == [
        "a: 1 of 2 molecules; 2 are held out by none of its properties",
        "b: 1 of 2 molecules; 1 are held out by none of its properties",
        "2 molecules in all",
    ]


def test_smiles_are_canonical_and_keep_stereochemistry_and_repeats_go(dataset, tmp_path):
    first = dataset("a", ["OC", "C[C@H](F)Cl", "C[C@@H](F)Cl", "CO"], "train train train train")
    second = dataset("b", ["CO", "NC"], "train train")
    assert corpus(tmp_path / "c", a=first, b=second) == [
        ("CO", "a"),
        ("C[C@H](F)Cl", "a"),
        ("C[C@@H](F)Cl", "a"),
        ("CN", "b"),
    ]
    assert corpus(tmp_path / "c", b=second, a=first) == [
        ("CO", "b"),
        ("CN", "b"),
        ("C[C@H](F)Cl", "a"),
        ("C[C@@H](F)Cl", "a"),
    ]


@pytest.mark.parametrize("spelling", ["[CH3:1][CH2:2][OH:3]", "C([H])([H])([H])CO", "[CH3:4]CO"])
def test_a_molecule_that_another_dataset_tests_in_another_spelling_is_left_out(dataset, tmp_path, spelling):
    found = corpus(
        tmp_path / "c", a=dataset("a", [spelling, "CN"], "train train"), b=dataset("b", ["CF", "CCO"], "train ood")
    )
    assert found == [("CN", "a"), ("CF", "b")]


def test_atom_maps_do_not_get_into_the_corpus(dataset, tmp_path):
    texts = ["[CH3:1][C@H](O)[CH3:2]", "CC(C)O", "[CH3:1][Cl:2]"]
    assert corpus(tmp_path / "c", a=dataset("a", texts, "train train train")) == [("CC(C)O", "a"), ("CCl", "a")]


def test_the_same_datasets_make_the_same_bytes(dataset, tmp_path):
    datasets = {"a": dataset("a", ["CC", "CO"], "train train"), "b": dataset("b", ["CN", "CC"], "train train")}
    for name in ("one", "two"):
        corpus(tmp_path / name, **datasets)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_empty_corpus_is_an_error_with_a_remedy(dataset, tmp_path):
    with pytest.raises(ContractError) as error:
        corpus(tmp_path / "c", a=dataset("a", ["CC", "CO"], "train valid", "ood train"))
    for part in ("every molecule of a is held out by a property", "add datasets to `corpus:`", "split.ood_size"):
        assert part in str(error.value)
    assert not (tmp_path / "c").exists()


def test_a_split_of_another_dataset_is_refused_by_name(dataset, tmp_path):
    with pytest.raises(ContractError, match=r"a1.parquet: 3 molecules, but the dataset has 2; delete the file"):
        corpus(tmp_path / "c", a=dataset("a", ["CC", "CO"], "train train", "train train train"))


def test_a_molecule_that_cannot_be_parsed_is_refused_by_its_table(dataset, tmp_path):
    with pytest.raises(ContractError, match=r"a\.parquet: c1cc: SMILES 'c1cc': RDKit cannot parse it; .* and rerun"):
        corpus(tmp_path / "c", a=dataset("a", ["CC", "c1cc"], "train train"))
