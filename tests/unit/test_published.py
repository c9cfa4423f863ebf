"""What is kept of others' results fits the registry and says on which molecules it is."""

from urllib.parse import urlparse

from boomlib import registry
from boomlib.report.published import SAME, SPLITS, read_published


def test_every_entry_is_of_registered_tasks_and_names_its_source():
    datasets, _ = registry.load_datasets()
    tasks = {f"{name}/{each}" for name, entry in datasets.items() for each in entry["properties"]}
    published = read_published()
    assert published
    for each in published:
        assert each.split in SPLITS
        assert urlparse(each.source).scheme == "https"
        assert each.caveat
        assert each.rmse and set(each.rmse) <= tasks
        for errors in each.rmse.values():
            assert set(errors) == {"id", "ood"}
            assert min(errors.values()) > 0


def test_no_model_of_a_source_stands_twice_for_a_task():
    seen = [(each.model, each.source, task) for each in read_published() for task in each.rmse]
    assert len(seen) == len(set(seen))


def test_what_was_published_on_qm9_stands_beside_its_characterised_molecules_as_of_others():
    published = read_published()
    for each in published:
        if any(task.startswith("qm9_characterised/") for task in each.rmse):
            assert each.split == "another"
    both = [
        {
            (each.model, task.partition("/")[2], str(errors))
            for each in published
            for task, errors in each.rmse.items()
            if task.startswith(f"{dataset}/")
        }
        for dataset in ("qm9", "qm9_characterised")
    ]
    assert both[0] and both[0] == both[1]


def test_what_was_published_on_qm9_holds_for_the_same_molecules_from_a_table():
    datasets, _ = registry.load_datasets()
    assert {name: each["same_molecules_as"] for name, each in datasets.items() if "same_molecules_as" in each} == SAME
    on_qm9, on_table = (
        {
            (each.model, each.split, task.partition("/")[2], str(errors))
            for each in read_published()
            for task, errors in each.rmse.items()
            if task.startswith(f"{dataset}/")
        }
        for dataset in ("qm9", "qm9_smiles")
    )
    assert on_qm9 and on_qm9 == on_table
    assert "BOOM's" in {split for _, split, *_ in on_table}
