"""Which runs a publication that grows takes, keeps and lets go."""

import pytest
import yaml

from boomlib.declared import order_features
from boomlib.files import ContractError, read_json, write_json, write_text
from boomlib.provenance import hash_training
from boomlib.report import merging
from boomlib.report.merging import Union, add_notes, add_runs, check_size, list_files, prune
from boomlib.runs import Run
from boomlib.unmade import mark_unmade

EARLIER, LATER = "2026-11-27T03:00:00+00:00", "2026-11-27T03:00:01+00:00"
RUN = Run("csd10k", "hof", "kde", "ridge", 0)
DROPPED = Run("csd10k", "hof", "kde", "mlp", 0)


@pytest.fixture
def union(tmp_path, monkeypatch) -> Union:
    """An empty publication of ridge on csd10k/hof, in the present folder, where results lie too."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"tasks": ["csd10k/hof"], "models": ["ridge"], "seeds": [0]}))
    monkeypatch.setattr(merging, "find_configuration", lambda folder: path)
    monkeypatch.setattr(merging, "pack_predictions", lambda task, predictions, out: write_text(out, "packed"))
    monkeypatch.chdir(tmp_path)
    return Union(tmp_path / "made", tmp_path / "published")


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def today(union: Union) -> str:
    model = union.models["ridge"]
    return hash_training(model["class"], model["parameters"], order_features(model["features"]))


def finish(folder, run=RUN, **record) -> None:
    """What a finished run leaves."""
    for file in [f"predictions/{run.stem}.parquet", *list_files(run, answers_policy=False)]:
        write_json(folder / file, record if file.endswith("run.json") else {})


def read(union: Union) -> dict:
    return read_json(union.tree / f"predictions/{RUN.stem}/run.json")


def test_a_finished_run_is_added_once(union, results):
    assert add_runs(union, results) == []
    finish(results, finished=EARLIER)
    finish(results, DROPPED)
    assert add_runs(union, results) == [RUN]
    assert add_runs(union, results) == []
    assert union.list_done() == [RUN]


def test_what_today_makes_comes_first_and_then_the_newer(union, results):
    def merge(**record):
        finish(results, **record)
        return add_runs(union, results)

    assert merge(code="old", finished=EARLIER)
    assert merge(code="old", finished=LATER), "the newer"
    assert not merge(code="old", finished=EARLIER)
    assert merge(code=today(union), finished=EARLIER), "what today makes, though it is older"
    assert not merge(code="old", finished=LATER), "what it does not make, though it is newer"
    assert merge(code=today(union), finished=LATER)
    assert read(union) == {"code": today(union), "finished": LATER}


@pytest.mark.parametrize("file", [f"predictions/{RUN.stem}.parquet", *list_files(RUN, answers_policy=False)])
def test_a_run_of_which_something_is_to_be_made_again_is_not_added(union, results, file):
    finish(results)
    mark_unmade([f"results/{file}"], "logs/x.log")
    assert add_runs(union, results) == []
    (results / file).unlink()
    assert add_runs(union, results) == []


def test_new_scores_of_a_run_that_is_there_are_copied(union, results):
    finish(results)
    add_runs(union, results)
    scores = f"metrics/{RUN.stem}.json"
    write_json(results / scores, {"version": "the next"})
    assert add_runs(union, results) == []
    assert read_json(union.tree / scores) == {"version": "the next"}


def test_intervals_may_come_later_than_their_run_but_not_of_another(union, results):
    finish(results, finished=EARLIER)
    add_runs(union, results)
    intervals = "uncertainty/csd10k/hof/kde/ridge.json"
    write_json(results / intervals, {"coverage": 0.9})
    add_notes(union, results)
    assert read_json(union.tree / intervals) == {"coverage": 0.9}
    finish(results, code="older", finished="2026-11-27T02:00:00+00:00")
    write_json(results / intervals, {"coverage": 0.1})
    add_notes(union, results)
    assert read_json(union.tree / intervals) == {"coverage": 0.9}


def test_what_is_no_longer_asked_for_goes(union):
    kept = [*list_files(RUN, answers_policy=False), f"predictions/{RUN.stem}.parquet", "data/csd10k/rejects.csv"]
    kept += ["uncertainty/csd10k/hof/kde/ridge.json", "hardest/csd10k/hof/kde.json"]
    gone = [*list_files(DROPPED, answers_policy=True), f"predictions/{DROPPED.stem}.parquet"]
    gone += ["uncertainty/csd10k/hof/kde/mlp.json", "hardest/csd10k/hof/scaffold.json", "data/qm9/rejects.csv"]
    figures = {
        "parity/csd10k/hof/kde": True,
        "heatmap/kde": True,
        "parity/qm9/mu/kde": False,
        "heatmap/scaffold": False,
    }
    for file in [*kept, *gone]:
        write_text(union.tree / file, "")
    for figure in figures:
        write_text(union.folder / f"plots/{figure}.png", "")
    assert prune(union) == {("csd10k", "hof", "kde")}
    assert sorted(str(path.relative_to(union.tree)) for path in union.tree.rglob("*") if path.is_file()) == sorted(
        kept
    )
    assert {figure: (union.folder / f"plots/{figure}.png").is_file() for figure in figures} == figures
    assert prune(union) == set()


def test_predictions_of_another_task_name_the_publication_and_the_remedy(union, tmp_path):
    def refuse(task, packed, out):
        raise ContractError(f"{packed}: of another task; delete it")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "unpack_predictions", refuse)
        with pytest.raises(ContractError) as refused:
            union.unpack(RUN, tmp_path / "task.parquet", tmp_path / "out.parquet")
    named = tmp_path / f"published/runs/predictions/{RUN.stem}.parquet"
    assert str(refused.value) == f"{named}: of another task; delete it"


def test_a_publication_that_is_too_large_is_refused(tmp_path):
    for name, size in (("runs/large", 81_000_000), ("site/larger", 90_000_000)):
        (tmp_path / name).parent.mkdir()
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(size)
    with pytest.raises(ContractError, match=r"docs: would have 81 MB beside its site, more than 80; leave models out"):
        check_size(tmp_path, "docs")
    (tmp_path / "runs/large").unlink()
    check_size(tmp_path, "docs")
