"""What reading the workflow leaves alone, what a failed command leaves, and what the same command takes up again."""

import socket

import pytest
from test_reruns import REPORT, jobs_of

LEADERBOARD, PARTIAL = "results/leaderboard.md", "results/leaderboard.partial.md"
SPLIT = "Split tiny/size by kde"


def snapshot(project):
    """Time and bytes of every file below results, by its path."""
    files = (path for path in (project.folder / "results").rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def lose_predictions(project, model="ridge"):
    (project.folder / f"results/predictions/tiny/size/kde/{model}/seed0.parquet").unlink()


@pytest.mark.parametrize("command", [["--dry-run"], ["--list-rules"], ["--summary"], ["--lint"]], ids=" ".join)
def test_reading_the_workflow_changes_no_result(finished, tmp_path, command):
    project = finished.copy(tmp_path / "p")
    lose_predictions(project)
    before = snapshot(project)
    project.snakemake(*command, check=False)
    assert snapshot(project) == before


def test_a_score_without_its_predictions_is_made_again_once(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    lose_predictions(project)
    assert project.planned() == jobs_of("ridge") | REPORT
    project.snakemake(LEADERBOARD)
    before = snapshot(project)
    assert "Nothing to be done" in project.snakemake(LEADERBOARD).stdout
    assert snapshot(project) == before


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("metrics/tiny/size/kde/ridge/seed0.json", {"Score ridge (seed 0) on tiny/size, kde split"}),
        ("predictions/tiny/size/kde/ridge/seed0/run.json", jobs_of("ridge")),
        ("plots/parity/tiny/size/kde.png", {"Plot predictions of tiny/size, kde split", "Write the leaderboard"}),
        ("leaderboard.csv", REPORT - {"Plot predictions of tiny/size, kde split"}),
    ],
)
def test_what_a_leaderboard_stands_on_is_made_again(finished, tmp_path, path, made):
    project = finished.copy(tmp_path / "p")
    (project.folder / "results" / path).unlink()
    planned = project.planned()
    assert made <= planned <= made | REPORT


def test_tables_that_are_no_evidence_may_be_deleted(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    for path in (project.folder / "results/features").rglob("*.parquet"):
        path.unlink()
    assert project.planned() == set()


def test_a_failure_leaves_the_good_leaderboard_and_a_success_removes_the_partial_one(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    good = {path: entry for path, entry in snapshot(project).items() if path.name.startswith("leaderboard")}
    assert good
    works, fails = "network.partial_fit(x, y)", 'raise RuntimeError("no luck")'
    project.edit("boomlib/models/tabular/mlp.py", works, fails)
    for _ in range(2):  # and not "Nothing to be done"
        assert project.snakemake(LEADERBOARD, check=False).returncode != 0
        assert good.items() <= snapshot(project).items()
        assert "RuntimeError: no luck" in (project.folder / PARTIAL).read_text()
    project.edit("boomlib/models/tabular/mlp.py", fails, works)
    project.snakemake(LEADERBOARD)
    assert not (project.folder / PARTIAL).exists()
    assert "Every run finished." in (project.folder / LEADERBOARD).read_text()
    assert project.planned() == set()


def test_a_table_that_could_not_be_made_again_is_taken_up_by_the_same_command(finished, tmp_path):
    """Old scores must not pass for those of the new settings once the new split has failed."""
    project = finished.copy(tmp_path / "p")
    project.edit("config/datasets.yaml", "ood_size: 20", "ood_size: 200")
    for _ in range(2):
        done = project.snakemake(LEADERBOARD, check=False)
        assert done.returncode != 0
        assert "lower `split.ood_size`" in done.stdout
    assert SPLIT in project.planned()
    project.edit("config/datasets.yaml", "ood_size: 200", "ood_size: 30")
    planned = project.planned()
    assert {SPLIT} | jobs_of("ridge") <= planned
    project.snakemake(LEADERBOARD)
    assert project.planned() == set()


def test_a_feature_that_could_not_be_made_again_is_taken_up_by_the_same_command(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    works = 'return {"scaffold": '
    feature = "boomlib/features/elements.py"
    works = "def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:\n"
    text = (project.folder / feature).read_text()
    project.edit(feature, works, works + "    if len(smiles):\n        raise MemoryError\n")
    for _ in range(2):
        assert project.snakemake(LEADERBOARD, check=False).returncode != 0
    (project.folder / feature).write_text(text)
    assert "Compute elements of tiny" in project.planned()


@pytest.mark.parametrize(("command", "kept"), [("--dry-run", True), ("--quiet", False)])
def test_dead_locks_are_released_but_not_by_a_dry_run(project, command, kept):
    folder = project.folder / ".snakemake"
    (folder / "locks").mkdir(parents=True)
    (folder / "running").write_text(socket.gethostname())
    lock = folder / "locks/0.output.lock"
    lock.write_text("results/data/tiny/molecules.parquet\n")
    project.snakemake("results/data/tiny/molecules.parquet", command)
    assert lock.exists() == kept
