"""What reading the workflow leaves alone, what a failed command leaves, and what the same command takes up again."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
import yaml
from test_reruns import HARDEST, OF_PREDICTIONS, REPORT, jobs_of, run_of

LEADERBOARD, PARTIAL = "results/leaderboard.md", "results/leaderboard.partial.md"
SPLIT = "Split tiny/size by kde"


def snapshot(project):
    """Time and bytes of every file below results, by its path."""
    files = (path for path in (project.folder / "results").rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def lose_predictions(project, model="ridge"):
    (project.folder / f"results/predictions/tiny/size/kde/{model}/seed0.parquet").unlink()


def list_failures(page):
    """Run, status, reason and log of each run without a result, of a leaderboard."""
    table = page.split("\n## Failures\n")[1].splitlines()
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in table if line.startswith("| `")]


@pytest.mark.slow
@pytest.mark.parametrize("command", [["--dry-run"], ["--list-rules"], ["--summary"], ["--lint"]], ids=" ".join)
def test_reading_the_workflow_changes_no_result(finished, tmp_path, command):
    project = finished.copy(tmp_path / "p")
    lose_predictions(project)
    before = snapshot(project)
    project.snakemake(*command, check=False)
    assert snapshot(project) == before


@pytest.mark.slow
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
        ("hardest/tiny/size/kde.json", HARDEST | {"Write the leaderboard"}),
        ("leaderboard.csv", REPORT - OF_PREDICTIONS),
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


@pytest.mark.slow
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
    assert not list((project.folder / "results").rglob("*.unmade"))
    assert project.planned() == set()


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_feature_that_could_not_be_made_again_is_taken_up_by_the_same_command(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    feature = "boomlib/features/elements.py"
    works = "def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:\n"
    text = (project.folder / feature).read_text()
    project.edit(feature, works, works + "    if len(smiles):\n        raise MemoryError\n")
    for _ in range(2):
        assert project.snakemake(LEADERBOARD, check=False).returncode != 0
    (project.folder / feature).write_text(text)
    assert "Compute elements of tiny" in project.planned()


@pytest.fixture
def failed(finished, tmp_path):
    """A copy in which a new split of the default configuration has just failed."""
    project = finished.copy(tmp_path / "p")
    project.edit("config/datasets.yaml", "ood_size: 20", "ood_size: 200")
    assert project.snakemake(LEADERBOARD, check=False).returncode != 0
    return project


@pytest.mark.slow
def test_old_scores_are_not_those_of_a_run_whose_split_has_failed(failed):
    text = (failed.folder / PARTIAL).read_text()
    assert "**Not finished: 4 of 4 runs have no result" in text
    reasons = list_failures(text)
    assert len(reasons) == 4
    for _, status, reason, log in reasons:
        assert (status, log) == ("missing", "logs/make_split/tiny/size/kde.log")
        assert reason.startswith("make_split: ")
        assert "lower `split.ood_size`".replace("`", "'") in reason


def edited(path, old, new):
    """A mistake in a file."""
    return lambda project: project.edit(path, old, new)


def table_of(text, **config):
    """Another table."""

    def spoil(project):
        (project.folder / "tiny.csv").write_text(text)
        project.write_config(**config)

    return spoil


def lose_source(project):
    """The table is to be downloaded, and nobody answers."""
    path = project.folder / "config/datasets.yaml"
    registry = yaml.safe_load(path.read_text())
    registry["sources"]["gone.csv"] = {"url": "http://127.0.0.1:9/gone.csv", "sha256": "0" * 64}
    del registry["datasets"]["tiny"]["file"]
    registry["datasets"]["tiny"]["sources"] = ["gone.csv"]
    path.write_text(yaml.safe_dump(registry, sort_keys=False))


def fail_to_pretrain(project):
    """One of two models starts from a pretraining that crashes."""
    parameters = {"pretrained": "mlm", "pretraining": {"epochs": 1}, "training": {"epochs": 1}}
    variants = {"language": {"of": "chemberta_small", "label": "Language", "parameters": parameters}}
    project.write_config(models=["train_mean", "language"], variants=variants)
    works = "    language_model.pretrain("
    project.edit("boomlib/harness/pretraining.py", works, f'    raise OSError("no luck")\n{works}')


ACYCLIC = "smiles,size,polarity\n" + "".join(f"{'C' * i}O,{i},{1 / i}\n" for i in range(1, 61))
KILLED = "ended without a reason, so it was killed (for its memory or its time?) or crashed; its log "
ALL = {"mlp", "oracle", "ridge", "train_mean"}
MISTAKES = {  # what spoils a project, which models wait for what then fails, its log and its reason
    "another table": (
        edited("tiny.csv", "smiles,", "molecule,"),
        ALL,
        "prepare_molecules/tiny",
        "tiny.csv: no column 'smiles' (it has: molecule, size, polarity)",
    ),
    "semicolons": (
        table_of("smiles;size;polarity\nC;1,500;1,250\nCC;-3;2\n"),
        ALL,
        "prepare_molecules/tiny",
        "which mark is the decimal one is not plain: line 2 has '1,500', and each comma may be one of thousands",
    ),
    "three rows": (
        table_of("smiles,size,polarity\nC,1,2\nCC,3,4\nCCC,5,6\n"),
        ALL,
        "make_split/tiny/size/kde",
        "3 molecules are too few for an OOD fold of 20",
    ),
    "acyclic molecules": (
        table_of(ACYCLIC, schemes=["scaffold"]),
        ALL,
        "make_split/tiny/size/scaffold",
        "this scheme cannot split this data: all 60 molecules are acyclic",
    ),
    "a split too large": (
        edited("config/datasets.yaml", "ood_size: 20", "ood_size: 200"),
        ALL,
        "make_split/tiny/size/kde",
        "160 molecules are too few for an OOD fold of 200",
    ),
    "a job that is killed": (
        edited(
            "workflow_scripts/make_split.py",
            "        counts = ",
            "        __import__('os').kill(__import__('os').getpid(), 9)\n        counts = ",
        ),
        ALL,
        "make_split/tiny/size/kde",
        KILLED,
    ),
    "a feature that crashes": (
        edited(
            "boomlib/features/descriptors.py",
            "\ndef compute(smiles: Sequence[str]) -> dict[str, pa.Array]:\n",
            "\ndef compute(smiles: Sequence[str]) -> dict[str, pa.Array]:\n    raise KeyError('gone')\n",
        ),
        {"mlp", "ridge"},
        "featurize/tiny/descriptors",
        "no molecules: KeyError('gone')",
    ),
    "a download that fails": (
        lose_source,
        ALL,
        "download_source/gone.csv",
        "cannot download http://127.0.0.1:9/gone.csv",
    ),
    "a pretraining that crashes": (fail_to_pretrain, {"language"}, "pretrain/kde/language", "OSError: no luck"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("spoil", "waiting", "log", "reason"), MISTAKES.values(), ids=MISTAKES)
def test_each_run_that_waits_for_a_stage_tells_why_that_has_failed(project, spoil, waiting, log, reason):
    spoil(project)
    assert project.snakemake(LEADERBOARD, check=False).returncode != 0
    failures = list_failures((project.folder / PARTIAL).read_text())
    assert {run.split("/")[3] for run, *_ in failures} == waiting
    for _, status, told, place in failures:
        assert (status, place) == ("missing", f"logs/{log}.log")
        assert told.startswith(f"{log.split('/')[0]}: ")
        assert reason in told
    assert (project.folder / f"logs/{log}.log").exists()


@pytest.mark.slow
def test_another_configuration_that_succeeds_does_not_hide_a_failure(failed):
    other = {"tasks": ["tiny/polarity"], "schemes": ["kde"], "seeds": [0], "models": ["train_mean"]}
    (failed.folder / "other.yaml").write_text(yaml.safe_dump(other))
    failed.edit("config/datasets.yaml", "ood_size: 200", "ood_size: 20")
    failed.snakemake(LEADERBOARD, "--configfile", "other.yaml")
    assert not (failed.folder / PARTIAL).exists()
    assert {SPLIT} | jobs_of("ridge") <= failed.planned()


@pytest.mark.slow
def test_a_single_target_that_succeeds_removes_the_partial_page_and_forgets_no_failure(failed):
    failed.snakemake("results/features/tiny/maccs.parquet")
    assert not (failed.folder / PARTIAL).exists()
    assert SPLIT in failed.planned()


@pytest.mark.slow
def test_a_failure_makes_nothing_again_that_was_deleted(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    shutil.rmtree(project.folder / "results/features")
    works, fails = "network.partial_fit(x, y)", 'raise RuntimeError("no luck")'
    project.edit("boomlib/models/tabular/mlp.py", works, fails)
    for _ in range(2):
        assert project.snakemake(LEADERBOARD, check=False).returncode != 0
        assert not project.planned() & run_of("ridge")


@pytest.mark.slow
def test_a_killed_snakemake_forgets_nothing(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("config/datasets.yaml", "ood_size: 20", "ood_size: 30")
    project.edit("boomlib/split.py", "def make_split(", "import time\n\ntime.sleep(600)\n\n\ndef make_split(")
    task = project.folder / "results/tasks/tiny/size/kde.parquet"
    command = [sys.executable, "-m", "snakemake", "--cores", "2", LEADERBOARD]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=project.folder, start_new_session=True, **silent) as process:
        deadline = time.monotonic() + 120
        while task.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)  # and its job, which sleeps, if it has begun
    # what else Snakemake itself remembers
    shutil.rmtree(project.folder / ".snakemake/incomplete", ignore_errors=True)
    assert {SPLIT} | jobs_of("ridge") <= project.planned("--nolock")


@pytest.mark.slow
def test_a_page_that_cannot_be_written_is_named_and_no_old_one_is_left(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    (project.folder / PARTIAL).write_text("old")
    (project.folder / "results/metrics/tiny/size/kde/ridge/seed0.json").write_text('{"folds": ')
    project.edit("boomlib/models/tabular/mlp.py", "network.partial_fit(x, y)", 'raise RuntimeError("no luck")')
    done = project.snakemake(LEADERBOARD, check=False)
    assert done.returncode != 0
    assert re.search(r"No partial leaderboard: .*ridge/seed0\.json", done.stdout)
    assert not (project.folder / PARTIAL).exists()


def test_a_folder_below_results_that_is_somebody_elses_is_named_before_anything_runs(project):
    """As a run with sudo leaves it. Here it is one's own, and root may write everywhere: the check is made to fail."""
    (project.folder / "results/data").mkdir(parents=True)
    project.edit("boomlib/files.py", "if not os.access(there, os.W_OK | os.X_OK)", 'if there.name == "data"')
    done = project.snakemake("results/data/tiny/molecules.parquet", check=False)
    assert done.returncode != 0
    assert f"{project.folder}/results/data: no permission to write there; it is yours" in done.stdout
    assert "Traceback" not in done.stdout
    assert not list((project.folder / "logs").rglob("*")), "no job has begun"


@pytest.mark.slow
@pytest.mark.parametrize(("command", "kept"), [("--dry-run", True), ("--quiet", False)])
def test_dead_locks_are_released_but_not_by_a_dry_run(project, command, kept):
    folder = project.folder / ".snakemake"
    (folder / "locks").mkdir(parents=True)
    (folder / "running").write_text(socket.gethostname())
    lock = folder / "locks/0.output.lock"
    lock.write_text("results/data/tiny/molecules.parquet\n")
    project.snakemake("results/data/tiny/molecules.parquet", command)
    assert lock.exists() == kept
