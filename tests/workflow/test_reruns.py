"""A stage runs again when, and only when, something that it depends on has changed."""

import os
import shutil

import pandas as pd
import pytest
import yaml

HARDEST = {
    "Find the hardest molecules of tiny/size, kde split",
    "Draw the hardest molecules of tiny/size, kde split",
}
INTERVALS = {"Collect the intervals of all models"}
OF_PREDICTIONS = {"Plot predictions of tiny/size, kde split"} | HARDEST | INTERVALS  # and not of scores
REPORT = OF_PREDICTIONS | {
    "Collect the metrics of all runs",
    "Plot the overview heatmap of the kde split",
    "Plot the overview ratio of the kde split",
    "Write the leaderboard",
}


def run_of(model, seed=0):
    return {
        f"Train {model} (seed {seed}) on tiny/size, kde split",
        f"Score {model} (seed {seed}) on tiny/size, kde split",
    }


def judge(*models):
    """What judges intervals, of which controls have none."""
    judged = set(models) - {"oracle", "train_mean"}
    return {f"Judge the intervals of {model} on tiny/size, kde split" for model in judged}


def jobs_of(model, seed=0):
    return run_of(model, seed) | judge(model)


def test_a_second_run_does_nothing(finished):
    assert finished.planned() == set()
    assert "Nothing to be done" in finished.snakemake("results/leaderboard.md").stdout


def test_a_hyperparameter_reruns_its_model_and_what_reads_it(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("config/models/mlp.yaml", "learning_rate: 0.001", "learning_rate: 0.002")
    assert project.planned() == jobs_of("mlp") | REPORT


def test_code_of_a_model_reruns_its_model_and_what_reads_it(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("boomlib/models/tabular/mlp.py", "np.inf, 0)", "np.inf, 1)")
    assert project.planned() == jobs_of("mlp") | REPORT


@pytest.mark.slow
def test_a_new_version_of_the_benchmark_scores_again_without_training(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("boomlib/version.py", 'VERSION = "', 'VERSION = "9')
    scored = {f"Score {model} (seed 0) on tiny/size, kde split" for model in ("oracle", "train_mean", "ridge", "mlp")}
    assert project.planned() == scored | judge("ridge", "mlp") | REPORT - OF_PREDICTIONS | INTERVALS
    project.snakemake("results/leaderboard.md")
    page = (project.folder / "results/leaderboard.md").read_text()
    assert "\nVersion 9" in page
    assert project.planned() == set()


def test_a_comment_reruns_nothing(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit(
        "boomlib/models/tabular/mlp.py", "best, self.network = (", "# a remark\n                best, self.network = ("
    )
    project.edit("config/models/mlp.yaml", "hidden:", "# a remark\n  hidden:")
    assert project.planned() == set()


def test_edits_that_cannot_change_a_number_rerun_nothing(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("boomlib/contracts.py", "no such file; rerun", "there is no such file: rerun")  # an error text
    project.edit("boomlib/harness/training.py", "training on {", "this run trains on {")  # a log message
    project.edit("boomlib/processes.py", "GRACE = 30.0", "GRACE = 40.0")  # how jobs end and lock
    project.edit("workflow_scripts/make_split.py", 'print(", "', 'print("; "')
    project.edit("envs/boomlib.yaml", "channels:", "# a remark\nchannels:")
    for script in project.folder.glob("workflow_scripts/*.py"):
        script.touch()
    assert project.planned() == set()


def test_an_edit_of_the_report_reruns_the_report_alone(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("boomlib/report/leaderboard.py", "\n\n\ndef ", "\n\nMORE = 1\n\n\ndef ")
    assert project.planned() == {"Write the leaderboard"}


@pytest.mark.slow
def test_what_an_adapter_does_reruns_its_stage_and_what_reads_it(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("workflow_scripts/train_predict.py", "int(run.seed)", "1 + int(run.seed)")
    assert project.planned() == set().union(*(jobs_of(m) for m in ("oracle", "train_mean", "ridge", "mlp"))) | REPORT


@pytest.mark.slow
def test_code_that_models_share_reruns_those_that_use_it(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("boomlib/harness/design.py", "> 1e-12", "> 1e-13")
    assert project.planned() == jobs_of("mlp") | jobs_of("ridge") | REPORT


def test_a_deleted_prediction_is_made_again_alone(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    (project.folder / "results/predictions/tiny/size/kde/ridge/seed0.parquet").unlink()
    assert project.planned() == jobs_of("ridge") | REPORT


def test_a_new_model_in_the_list_runs_that_model_and_the_leaderboard(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.write_config(models=["oracle", "train_mean", "ridge", "mlp", "group_contribution"])
    assert project.planned() == jobs_of("group_contribution") | REPORT


def test_a_new_seed_runs_that_seed_and_the_leaderboard(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.write_config(seeds=[0, 1])
    new = set().union(*(jobs_of(model, 1) for model in ("oracle", "train_mean", "ridge", "mlp")))
    assert project.planned() == new | REPORT


def test_a_label_changes_the_report_alone(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("config/models/mlp.yaml", "label: MLP", "label: Perceptron")
    assert project.planned() == REPORT - {"Collect the metrics of all runs"} - HARDEST - INTERVALS


def test_a_metric_scores_again_without_training(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.edit("boomlib/evaluation/score.py", "masks = {", "masks = {} | {")
    scores = set().union(*(jobs_of(m) for m in ("oracle", "train_mean", "ridge", "mlp")))
    made = {job for job in scores if not job.startswith("Train")} | INTERVALS
    assert project.planned() == made | REPORT - OF_PREDICTIONS


def test_another_dataset_in_the_registry_reruns_nothing(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    path = project.folder / "config/datasets.yaml"
    registry = yaml.safe_load(path.read_text())
    registry["datasets"]["other"] = registry["datasets"]["tiny"] | {"label": "Other"}
    path.write_text(yaml.safe_dump(registry, sort_keys=False))
    assert project.planned() == set()


@pytest.mark.slow
def test_an_edited_csv_reruns_all_that_reads_it(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    with (project.folder / "tiny.csv").open("a") as stream:
        stream.write("CCCCCCCCCCCCO,-1.0,0.1\n")
    planned = project.planned()
    assert "Read and check the molecules of tiny" in planned
    assert jobs_of("ridge") | REPORT <= planned


@pytest.mark.slow
def test_a_committee_runs_again_for_its_members_and_itself_alone(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    both = {"of": "committee", "label": "Both", "parameters": {"members": ["ridge", "group_contribution"]}}
    project.write_config(models=["oracle", "mlp", "both"], variants={"both": both})
    member = "Train group_contribution (seed 0) on tiny/size, kde split"  # not listed, and so not scored
    assert project.planned() == jobs_of("both") | {member} | REPORT
    scored = "results/metrics/tiny/size/kde/both/seed0.json"
    project.snakemake(scored)
    assert project.planned(scored) == set()
    weights = pd.read_csv(project.folder / "results/predictions/tiny/size/kde/both/seed0/history.csv")
    assert weights["member"].tolist() == ["ridge", "group_contribution"]
    project.edit("config/models/mlp.yaml", "learning_rate: 0.001", "learning_rate: 0.002")
    assert project.planned(scored) == set()
    project.edit("boomlib/models/committee.py", "or 1.0  #", "or 2.0  #")
    assert project.planned(scored) == run_of("both")
    project.edit("boomlib/models/committee.py", "or 2.0  #", "or 1.0  #")
    project.edit("config/models/group_contribution.yaml", "min_molecules: 3", "min_molecules: 4")
    assert project.planned(scored) == run_of("both") | {member}


OLD, FUTURE = 1e9, 3e9  # 2001 and 2065


def date(path, seconds):
    os.utime(path, (seconds, seconds))


@pytest.mark.slow
def test_a_table_from_a_backup_reruns_all_that_reads_it(finished, tmp_path):
    """``cp -p``, ``rsync -a`` and unzip give it an older date than what was made of the one before."""
    project = finished.copy(tmp_path / "p")
    with (project.folder / "tiny.csv").open("a") as stream:
        stream.write("CCCCCCCCCCCCO,-1.0,0.1\n")
    date(project.folder / "tiny.csv", OLD)
    planned = project.planned()
    assert {"Read and check the molecules of tiny", "Split tiny/size by kde"} | jobs_of("ridge") | REPORT <= planned


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [OLD, FUTURE])
def test_the_date_of_a_table_reruns_nothing(finished, tmp_path, seconds):
    project = finished.copy(tmp_path / "p")
    table = project.folder / "tiny.csv"
    shutil.copyfile(table, tmp_path / "copy.csv")
    shutil.move(tmp_path / "copy.csv", table)
    date(table, seconds)
    assert project.planned() == set()


@pytest.mark.slow
def test_a_table_that_is_dated_in_the_future_is_read(project):
    """As from an archive that was made in another time zone."""
    date(project.folder / "tiny.csv", FUTURE)
    project.snakemake("results/splits/tiny/size/kde.parquet")
    assert "Nothing to be done" in project.snakemake("results/splits/tiny/size/kde.parquet").stdout


@pytest.mark.slow
def test_a_setting_counts_whatever_the_date_of_its_file(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    for path in (project.folder / "config").rglob("*.yaml"):
        date(path, FUTURE)
    assert project.planned() == set()
    project.edit("config/models/mlp.yaml", "learning_rate: 0.001", "learning_rate: 0.002")
    date(project.folder / "config/models/mlp.yaml", OLD)
    assert project.planned() == jobs_of("mlp") | REPORT
    project.edit("config/datasets.yaml", "ood_size: 20", "ood_size: 30")
    date(project.folder / "config/datasets.yaml", OLD)
    assert "Split tiny/size by kde" in project.planned()


STARTING = """
from boomlib.models.control.train_mean import TrainMean


class Starting(TrainMean):
    def __init__(self, *, pretrained, **common):
        super().__init__(**common)

    def fit(self, train, valid, folder):
        self.mean = float((self.checkpoint / "model.safetensors").read_text())
"""


@pytest.mark.slow
def test_every_file_of_a_checkpoint_in_a_folder_counts_and_its_date_does_not(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    weights = project.folder / "weights"
    weights.mkdir()
    for name, content in {"model.safetensors": "3", "config.json": "{}", "tokenizer.json": "{}"}.items():
        (weights / name).write_text(content)
    (project.folder / "boomlib/models/tabular/starting.py").write_text(STARTING)
    own = {
        "label": "Starting",
        "family": "tabular",
        "class": "tabular.starting.Starting",
        "source": "none",
        "parameters": {"pretrained": {"directory": "weights"}},
    }
    (project.folder / "config/models/starting.yaml").write_text(yaml.safe_dump(own))
    project.write_config(models=["train_mean", "starting"])
    predictions = "results/predictions/tiny/size/kde/starting/seed0.parquet"
    training = {"Train starting (seed 0) on tiny/size, kde split"}
    project.snakemake(predictions)
    assert set(pd.read_parquet(project.folder / predictions)["y_pred"]) == {3}
    for name in ("model.safetensors", "config.json"):
        shutil.copyfile(weights / name, tmp_path / name)
        shutil.move(tmp_path / name, weights / name)
        date(weights / name, FUTURE)
    assert project.planned(predictions) == set()
    (weights / "tokenizer.json").write_text("[]")
    date(weights / "tokenizer.json", OLD)
    assert project.planned(predictions) == training
    (weights / "model.safetensors").write_text("4")
    date(weights / "model.safetensors", OLD)
    project.snakemake(predictions)
    assert set(pd.read_parquet(project.folder / predictions)["y_pred"]) == {4}
    assert project.planned(predictions) == set()
