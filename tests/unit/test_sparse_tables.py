"""A task of a table whose molecules lack some labels is the task of the molecules that have one."""

import collections

import numpy as np
import pyarrow as pa
import pytest
from conftest import make_molecules, write_feature
from tiny import TrainingJob, small_descriptor

from boomlib import contracts
from boomlib.evaluation.notes import inspect_task
from boomlib.evaluation.score import score_run
from boomlib.files import ContractError, read_json
from boomlib.report.figures.distribution import plot_distribution
from boomlib.split import make_split

MOLECULES = make_molecules(120)
LABELLED = np.random.default_rng(2).permutation(np.repeat([True, False], [80, 40]))
SETTINGS = {
    "ood_size": 0.1,
    "id_fraction": 0.1,
    "valid_fraction": 0.1,
    "seed": 42,
    "shared_generator": False,
    "bandwidth": "scaled",
}
FEATURES = ("elements", "descriptors", "morgan_counts", "scaffolds")


def write_task(folder, frame, scheme, **changes):
    """Prepare the task ``size`` of some molecules; returns the counts of the split."""
    folder.mkdir()
    properties = {name: frame[name].to_numpy() for name in ("size", "polarity")}
    contracts.write_molecules(
        folder / "molecules.parquet", frame["smiles"].tolist(), properties, dict.fromkeys(properties, "eV")
    )
    for feature in FEATURES:
        write_feature(feature, folder / "molecules.parquet", folder / f"{feature}.parquet")
    return make_split(
        folder / "molecules.parquet",
        {"scaffolds": folder / "scaffolds.parquet"} if scheme == "scaffold" else {},
        folder / "split.parquet",
        folder / "task.parquet",
        properties=list(properties),
        name="size",
        scheme=scheme,
        settings=SETTINGS | changes,
    )


@pytest.fixture(params=["kde", "scaffold"])
def tasks(request, tmp_path):
    """Folders and counts of two tasks: of a sparse table, and of the table of those of its rows that have a label."""
    sparse = MOLECULES.assign(size=MOLECULES["size"].where(LABELLED))
    made = {"sparse": sparse, "dense": MOLECULES[LABELLED].reset_index(drop=True)}
    return {name: (tmp_path / name, write_task(tmp_path / name, frame, request.param)) for name, frame in made.items()}


def train(folder, model):
    """Train a model on a task; returns the SMILES that it predicts, and the predictions."""
    job = TrainingJob(small_descriptor(model), folder, folder / model)
    job()
    table = contracts.read_table(job.predictions, contracts.PREDICTIONS)
    smiles = contracts.read_molecules(folder / "molecules.parquet")["smiles"].take(table["molecule_id"])
    return smiles.to_pylist(), table["y_pred"].to_pylist()


def test_only_molecules_with_a_label_are_in_a_fold(tasks):
    (sparse, counts), (dense, dense_counts) = tasks["sparse"], tasks["dense"]
    assert counts == dense_counts | {"without_label": 40}
    fold, density = contracts.read_split(sparse / "split.parquet")
    expected = contracts.read_split(dense / "split.parquet")
    assert (fold == contracts.NO_FOLD).tolist() == np.isnan(density).tolist() == (~LABELLED).tolist()
    assert fold[LABELLED].tolist() == expected[0].tolist()
    assert density[LABELLED].tolist() == expected[1].tolist()
    task = contracts.read_table(sparse / "task.parquet", contracts.TASK)
    assert task["molecule_id"].to_pylist() == np.flatnonzero(LABELLED).tolist()
    same = task.drop_columns("molecule_id")
    assert same.equals(contracts.read_table(dense / "task.parquet").drop_columns("molecule_id"))
    assert collections.Counter(same["fold"].to_pylist()) == {each: counts[each] for each in contracts.FOLDS}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["oracle", "shuffled", "ridge"])
def test_models_learn_and_predict_the_same_as_without_the_other_rows(tasks, model):
    found = {name: train(folder, model) for name, (folder, _) in tasks.items()}
    assert found["sparse"] == found["dense"]
    scores = {}
    for name, (folder, _) in tasks.items():
        score_run(
            *(folder / f"{each}.parquet" for each in ("molecules", "split")),
            folder / model / "seed3.parquet",
            folder / "scores.json",
            folder / "resampled.parquet",
            property_name="size",
            run={},
            unit="eV",
            resamples=20,
        )
        scores[name] = read_json(folder / "scores.json")
    assert scores["sparse"].pop("split") != scores["dense"].pop("split")
    assert scores["sparse"] == scores["dense"]


def test_how_many_are_in_no_fold_is_noted(tasks):
    notes = {}
    for name, (folder, _) in tasks.items():
        paths = [folder / f"{each}.parquet" for each in ("molecules", "split", "elements")]
        notes[name] = inspect_task(
            *paths, folder / "notes.json", property_name="size", kind="extensive", unit="kcal/mol"
        )
    assert notes["sparse"] == [
        "40 of the dataset's 120 molecules have no label of this property and are in no fold.",
        *notes["dense"],
    ]


def test_the_distribution_is_drawn_of_molecules_with_a_label(tasks, drawn):
    for folder, _ in tasks.values():
        plot_distribution(
            folder / "molecules.parquet",
            folder / "split.parquet",
            folder / "x.png",
            property_name="size",
            label="Size",
            unit="eV",
            scheme="kde",
        )
    sparse, dense = ([patch.get_data().values.tolist() for patch in fig.axes[0].patches] for fig in drawn)
    assert sparse == dense
    assert sparse


def test_a_feature_that_lacks_a_molecule_without_a_label_stops_nobody(tasks):
    folder, _ = tasks["sparse"]
    path = folder / "descriptors.parquet"
    table = contracts.read_table(path)
    column = table.column_names[1]
    gaps = pa.array(table[column].to_numpy(), mask=~LABELLED)
    contracts.write_table(table.set_column(1, column, gaps), path)
    assert train(folder, "ridge") == train(tasks["dense"][0], "ridge")


@pytest.mark.parametrize("labels", [0, 2])
def test_too_few_labels_are_counted(tmp_path, labels):
    frame = MOLECULES.assign(size=MOLECULES["size"].where(np.arange(120) < labels))
    message = (
        rf"property 'size', which {labels} of 120 molecules have, scheme 'kde': {labels} molecules cannot be split"
    )
    with pytest.raises(ContractError, match=message):
        write_task(tmp_path / "x", frame, "kde")


def test_one_generator_for_all_properties_needs_all_labels(tmp_path):
    frame = MOLECULES.assign(polarity=MOLECULES["polarity"].where(LABELLED))
    with pytest.raises(ContractError, match=r"lack a label of another .* leave out `split.shared_generator`"):
        write_task(tmp_path / "x", frame, "kde", shared_generator=True)
