import re

import numpy as np
import pyarrow as pa
import pytest
from conftest import make_molecules

from boomlib.contracts import NO_FOLD, fold_array, write_molecules, write_table
from boomlib.evaluation.notes import (
    compare_kinds,
    find_shared,
    inspect_task,
    note_few,
    note_kind,
    note_ties,
    note_wild,
)
from boomlib.features.elements import compute
from boomlib.featurize import compute_feature
from boomlib.files import read_json

MOLECULES = make_molecules(160)
COUNTS = np.column_stack([column.to_numpy() for column in compute(MOLECULES["smiles"]).values()]).astype(float)
MASS = COUNTS @ np.arange(1, 119)
SHARE = COUNTS[:, 7] / COUNTS.sum(axis=1)  # of oxygen
NOISE = np.random.default_rng(0).normal(size=160)


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        pytest.param(MOLECULES["size"].to_numpy(), "extensive", id="heat of formation"),
        pytest.param(MASS + NOISE, "extensive", id="mass"),
        pytest.param(1e5 * (MASS + NOISE), "extensive", id="another unit"),
        pytest.param(1.2 + SHARE + 0.01 * NOISE, "intensive", id="density"),
        pytest.param(300 + 40 * SHARE + NOISE, "intensive", id="temperature"),
    ],
)
def test_a_wrong_kind_is_doubtful_and_a_right_one_is_not(y, kind):
    wrong = {"extensive": "intensive", "intensive": "extensive"}[kind]
    assert list(note_kind(COUNTS, y, kind, "u")) == []
    (note,) = note_kind(COUNTS, y, wrong, "u")
    left = compare_kinds(COUNTS, y)
    read_out = {"extensive": "a sum", "intensive": "a mean"}
    assert note.startswith(
        f"`kind: {wrong}` is doubtful: read out as {read_out[wrong]} over atoms, composition leaves"
    )
    assert f"{left[wrong]:.3g} u in train, as {read_out[kind]} {left[kind]:.3g} u. If the property is {kind}" in note


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
@pytest.mark.parametrize(
    "y",
    [
        pytest.param(NOISE, id="noise"),
        pytest.param(5 + 0.1 * NOISE[:19], id="too few molecules"),
        pytest.param(np.full(160, 2.0), id="constant"),
    ],
)
def test_what_composition_does_not_explain_is_not_doubted(y, kind):
    assert list(note_kind(COUNTS[: len(y)], y, kind, "u")) == []


@pytest.mark.parametrize(
    ("id_", "ood", "note"),
    [
        (6, 6, None),
        (1, 1, "There is 1 molecule in ID and 1 molecule in OOD: on fewer than 6 .* nobody is ranked or best."),
        (30, 5, "There are 5 molecules in OOD: .* nobody is ranked or best."),
        (0, 9, "There are 0 molecules in ID: .* nobody is best there."),
    ],
)
def test_few_molecules_are_counted(id_, ood, note):
    notes = list(note_few(np.repeat(["train", "valid", "id", "ood"], [9, 1, id_, ood])))
    assert len(notes) == (note is not None)
    assert all(re.fullmatch(note, each) for each in notes)


def test_labels_far_outside_of_all_others_are_named():
    rng = np.random.default_rng(0)
    y, fold = rng.normal(size=200), np.repeat(["train", "id", "ood", NO_FOLD], 50)
    assert list(note_wild("line {}".format, fold, y, "eV")) == []
    y[[3, 120]], y[199] = (1e9, -100), 1e9
    (note,) = note_wild("line {}".format, fold, y, "eV")
    assert ": 1e+09 eV (line 3, in train), -100 eV (line 120, in ood). " in note, "and none that is in no fold"
    y[:6] = 1e6
    (note,) = note_wild("line {}".format, fold, y, "eV")
    assert (
        ": 1e+06 eV (line 0, in train), 1e+06 eV (line 1, in train), 1e+06 eV (line 2, in train) and 4 more. " in note
    )
    (note,) = note_wild("line {}".format, np.repeat("train", 9), np.array([1.0, 1.1, 0.9, 1, 1, 1, 1, 1e9, 1.2]), "eV")
    assert "1e+09 eV (line 7, in train). " in note, "one of nine"
    assert list(note_wild("line {}".format, fold, np.zeros(200), "eV")) == []
    assert list(note_wild("line {}".format, np.repeat(NO_FOLD, 200), y, "eV")) == []


def test_a_long_tail_is_no_mistake_but_a_wrong_power_of_ten_is():
    doses = np.random.default_rng(0).lognormal(sigma=2.5, size=10_000)
    fold = np.repeat("train", len(doses))
    assert list(note_wild("line {}".format, fold, doses, "nM")) == []
    density = np.random.default_rng(0).normal(1.3, 0.1, size=10_000)
    density[77] *= 1000
    assert "(line 77, in train). " in next(iter(note_wild("line {}".format, fold, density, "g/cm³")))


def test_molecules_that_are_equally_rare_are_counted():
    fold = np.array(["ood", "ood", "train", "id", "train"])
    assert list(note_ties(fold, np.array([0.1, 0.2, 0.3, 0.4, 0.4]))) == []
    (note,) = note_ties(fold, np.array([0.1, 0.2, 0.2 * (1 + 5e-16), 0.4, 0.2]))
    assert note == (
        "OOD ends among 3 molecules that are equally rare: 1 of the 2 in it are the first of these in the file."
    )
    # a scheme whose rarest have the highest numbers, and one that never cuts
    assert "among 2 molecules" in next(iter(note_ties(fold, np.array([9.0, 8, 8, 3, 2]))))
    assert list(note_ties(fold, np.array([3.0, 2, 0, 0, 1]))) == []


def test_numbers_are_shared_but_for_rounding():
    assert find_shared(np.array([1.0, 2.0, 0.0]), np.array([2 * (1 + 1e-15), 0.0])).tolist() == [False, True, True]
    assert find_shared(np.array([1.0]), np.array([])).tolist() == [False]


@pytest.mark.parametrize("label", [0.0, 7.25])
def test_a_task_is_inspected_from_its_files(tmp_path, label):
    y = np.full(160, label)
    fold = np.repeat(["train", "valid", "id", "ood"], [120, 10, 20, 10])
    write_molecules(tmp_path / "m.parquet", MOLECULES["smiles"].tolist(), {"x": y}, {"x": "eV"})
    compute_feature("elements", tmp_path / "m.parquet", tmp_path / "e.parquet")
    ids = np.arange(160)
    table = pa.table({"molecule_id": ids, "fold": fold_array(fold), "density": np.arange(160.0)})
    write_table(table, tmp_path / "s.parquet")
    paths = [tmp_path / f"{name}.parquet" for name in "mse"]
    notes = inspect_task(*paths, tmp_path / "n.json", property_name="x", kind="extensive", unit="eV")
    assert read_json(tmp_path / "n.json") == {"notes": notes}
    assert notes == [
        f"There is nothing to learn: all or nearly all of the 120 labels in train are {label:g} eV. "
        "Nobody is ranked or best."
    ]
