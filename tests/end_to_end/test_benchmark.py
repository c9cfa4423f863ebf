"""The whole pipeline on a tiny table of molecules, as users run it."""

import csv
import re
import shutil
import zipfile

import pandas as pd
import pytest
import yaml
from conftest import make_molecules, make_project, read_block

from boomlib.registry import CONFIG, read_yaml


def read_summary(project):
    """OOD RMSE by model, kde split."""
    table = pd.read_csv(project.folder / "results/leaderboard.csv")
    chosen = (table.metric == "rmse") & (table.fold == "ood") & (table.scheme == "kde")
    return table[chosen].set_index("model")["mean"]


def test_the_leaderboard_is_filled_and_bounded_by_its_controls(finished):
    rmse = read_summary(finished)
    assert rmse["oracle"] == 0
    assert 0 < rmse["ridge"] < rmse["train_mean"]
    text = (finished.folder / "results/leaderboard.md").read_text()
    assert "Every run finished." in text
    figures = re.findall(r"!\[.+?\]\((.+?)\)", text)
    assert len(figures) == 5
    for figure in figures:
        assert (finished.folder / "results" / figure).read_bytes().startswith(b"\x89PNG")


def test_the_page_says_when_not_to_believe_a_prediction(finished):
    results = finished.folder / "results"
    section = (
        (results / "leaderboard.md").read_text().split("### When not to believe a prediction\n")[1].split("###")[0]
    )
    assert re.search(r"Intervals that promise 90 % of the labels hold .* on ID and .* on OOD; in the mean ", section)
    table = pd.read_csv(results / "uncertainty.csv")
    assert set(table["model"]) == {"ridge", "mlp"}  # controls have no intervals
    coverage = table[(table["measure"] == "coverage") & (table["fold"] == "id")]["value"]
    assert len(coverage) and coverage.between(0.3, 1).all()
    domain = pd.read_parquet(results / "domain/tiny/size/kde.parquet")
    split = pd.read_parquet(results / "splits/tiny/size/kde.parquet")
    assert domain["molecule_id"].tolist() == split.index[split["fold"] != "train"].tolist()
    assert (results / "domain/tiny/size/kde/domain.parquet").is_file()


def test_the_merged_configuration_lies_beside_the_results(finished):
    config = yaml.safe_load((finished.folder / "results/config.yaml").read_text())
    assert config["tasks"] == ["tiny/size"]
    assert config["keep_models"] is False


def test_training_jobs_never_see_the_labels_of_the_test_folds(finished):
    task = pd.read_parquet(finished.folder / "results/tasks/tiny/size/kde.parquet")
    assert set(task.columns) == {"molecule_id", "source line", "smiles", "fold", "y"}
    assert task.y.isna().equals(task.fold.isin(["id", "ood"]))


def test_snakemake_report(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    project.snakemake("--report", "report.zip", "results/leaderboard.md")
    with zipfile.ZipFile(project.folder / "report.zip") as report:
        names = " ".join(report.namelist())
    assert "report.html" in names
    assert "leaderboard.md" in names
    assert names.count(".png") >= 4


def check_terminal(text):
    """What jobs have to say stands on lines of its own that name their log: no progress bars, no warnings."""
    told = [line for line in text.splitlines() if line.startswith("logs/")]
    assert [line for line in told if re.search(r"^logs/train/.*/egnn_brief/seed0\.log: epoch \d+ of \d+: ", line)]
    others = set(text.splitlines()) - set(told)
    assert [line for line in others if re.search(r"/s\]|%\||Warning|epoch", line)] == []


@pytest.mark.slow
def test_every_model_runs_and_a_second_time_predicts_the_same_bytes(tmp_path):
    """Those of the default configuration; twice one of each kind, as the contract tests train every one."""
    given = read_yaml(CONFIG / "config.yaml")
    twice = [f"results/predictions/tiny/polarity/kde/{name}/seed0.parquet" for name in ("mlp", *given["variants"])]
    bytes_of = []
    for name, targets in (("one", ["results/leaderboard.md"]), ("two", twice)):
        project = make_project(tmp_path / name)
        project.write_config(models=given["models"], variants=given["variants"], tasks=["tiny/polarity"])
        check_terminal(project.snakemake(*targets).stdout)
        bytes_of.append([(project.folder / path).read_bytes() for path in twice])
    assert bytes_of[0] == bytes_of[1]


@pytest.mark.slow
def test_a_users_csv_becomes_a_leaderboard_with_the_readmes_config_alone(project):
    molecules = make_molecules(160).rename(columns={"smiles": "SMILES", "size": "measured logS (mol/L)"})
    (project.folder / "data").mkdir()
    molecules.to_csv(project.folder / "data/solubility.csv", index=False)
    (project.folder / "config/solubility.yaml").write_text(read_block("README.md", "own dataset"))
    project.snakemake("results/leaderboard.md", "--configfile", "config/solubility.yaml")
    text = (project.folder / "results/leaderboard.md").read_text()
    assert "solubility/logS (log mol/L)" in text
    assert read_summary(project)["ridge"] < read_summary(project)["train_mean"]


@pytest.mark.slow
def test_a_new_model_is_one_python_file_and_one_yaml(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    (project.folder / "boomlib/models/tabular/nearest.py").write_text(read_block("docs/own_model.md", "own model"))
    (project.folder / "config/models/nearest.yaml").write_text(read_block("docs/own_model.md", "own descriptor"))
    project.write_config(models=["oracle", "train_mean", "ridge", "mlp", "nearest"])
    planned = project.planned()
    assert not [job for job in planned if re.search("Train (?!nearest)", job)]
    project.snakemake("results/leaderboard.md")
    assert "Nearest neighbours" in (project.folder / "results/leaderboard.md").read_text()
    assert read_summary(project)["nearest"] > 0


@pytest.mark.slow
def test_a_failed_model_is_shown_with_its_reason_and_the_others_finish(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    works, fails = "network.partial_fit(x, y)", 'raise RuntimeError("no | luck")'
    project.edit("boomlib/models/tabular/mlp.py", works, fails)
    project.edit("config/models/ridge.yaml", "margin: 1.0", "margin: 2.0")
    good = (project.folder / "results/leaderboard.md").read_text()
    done = project.snakemake("results/leaderboard.md", check=False)
    assert done.returncode != 0
    assert (project.folder / "results/leaderboard.md").read_text() == good
    text = (project.folder / "results/leaderboard.partial.md").read_text()
    assert "**Not finished: 1 of 4 runs have no result" in text
    assert re.search(r"tiny/size/kde/mlp/seed0.*failed.*RuntimeError: no \\\| luck", text)
    assert "logs/train/tiny/size/kde/mlp/seed0.log" in text
    assert "0 of 1" in text

    project.edit("boomlib/models/tabular/mlp.py", fails, works)
    assert not [job for job in project.planned() if "ridge" in job]
    project.snakemake("results/leaderboard.md")
    assert "Every run finished." in (project.folder / "results/leaderboard.md").read_text()
    assert not (project.folder / "results/leaderboard.partial.md").exists()


@pytest.mark.slow
def test_what_fails_in_a_first_run_is_taken_up_by_the_same_command(project):
    works, fails = "network.partial_fit(x, y)", 'raise RuntimeError("no luck")'
    project.write_config(models=["train_mean", "mlp"])
    project.edit("boomlib/models/tabular/mlp.py", works, fails)
    project.snakemake("results/leaderboard.md", check=False)
    assert "RuntimeError: no luck" in (project.folder / "results/leaderboard.partial.md").read_text()
    assert not (project.folder / "results/leaderboard.md").exists()

    done = project.snakemake("results/leaderboard.md", check=False)  # and not "Nothing to be done"
    assert done.returncode != 0
    assert "RuntimeError: no luck" in done.stdout
    project.edit("boomlib/models/tabular/mlp.py", fails, works)
    assert not [job for job in project.planned() if "train_mean" in job]
    project.snakemake("results/leaderboard.md")
    assert "Every run finished." in (project.folder / "results/leaderboard.md").read_text()
    assert project.planned() == set()


@pytest.mark.slow
def test_a_first_run_that_fails_at_once_is_taken_up_by_the_same_command(project):
    project.write_config(models=["train_mean"])
    project.edit("tiny.csv", "smiles,", "structure,")
    project.snakemake("results/leaderboard.md", check=False)
    project.edit("tiny.csv", "structure,", "smiles,")
    project.snakemake("results/leaderboard.md")
    assert "Every run finished." in (project.folder / "results/leaderboard.md").read_text()


@pytest.mark.slow
def test_rejected_rows_are_listed_with_reasons_and_counted(project):
    path = project.folder / "tiny.csv"
    n = len(path.read_text().splitlines())
    with path.open("a") as stream:
        stream.write("C1CC,1.0,0.1\nCCCCCCCCCCCCO,nan,\nCCCCCCCCCCCCN,,high\n,1.0,0.1\n")
        stream.write("CCCCCCCCCCCCF,1.0,\nFCCCCCCCCCCCC,2.0,\n")
        stream.write("CCCCCCCCCCCCBr,1.0,\nCCCCCCCCCCCCCl,,0.1\nBrCCCCCCCCCCCC,,0.1\n")
    project.write_config(models=["oracle", "train_mean"])
    project.snakemake("results/leaderboard.md")
    with (project.folder / "results/data/tiny/rejects.csv").open() as stream:
        rejects = [(int(row["line"]), row["reason"]) for row in csv.DictReader(stream)]
    assert rejects == [
        (n + 1, "RDKit cannot parse the SMILES"),
        (n + 2, "no label (size, polarity)"),
        (n + 3, "polarity is not a finite number: 'high'"),
        (n + 4, "no SMILES"),
        (n + 5, f"the same molecule, but size differs in lines {n + 5}, {n + 6}"),
        (n + 6, f"the same molecule, but size differs in lines {n + 5}, {n + 6}"),
        (n + 9, f"merged into line {n + 7}"),
    ]
    page = (project.folder / "results/leaderboard.md").read_text()
    assert re.search(r"^\| tiny +\|.*\| +6 \| +1 \| +0 \|$", page, re.M)
    assert "1 of the dataset's 162 molecules has no label of this property and is in no fold." in page


def test_a_missing_smiles_column_is_explained_in_the_log(project):
    project.edit("tiny.csv", "smiles,", "structure,")
    done = project.snakemake("results/leaderboard.md", check=False)
    assert done.returncode != 0
    message = "tiny.csv: no column 'smiles' (it has: structure, size, polarity); set `smiles_column`"
    assert message in done.stdout
    assert message in (project.folder / "logs/prepare_molecules/tiny.log").read_text()


@pytest.mark.slow
def test_too_few_molecules_for_the_ood_fold_is_explained(project):
    project.edit("config/datasets.yaml", "ood_size: 20", "ood_size: 200")
    done = project.snakemake("results/leaderboard.md", check=False)
    assert "160 molecules are too few for an OOD fold of 200; lower `split.ood_size`" in done.stdout


@pytest.mark.slow
def test_a_broken_prediction_file_is_refused_by_name(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    path = project.folder / "results/predictions/tiny/size/kde/ridge/seed0.parquet"
    frame = pd.read_parquet(path)
    frame.iloc[:-1].to_parquet(path)
    done = project.snakemake("results/leaderboard.md", check=False)
    assert done.returncode != 0
    assert "ridge/seed0.parquet" in done.stdout


@pytest.mark.slow
def test_single_targets_and_kept_models(project):
    project.write_config(keep_models=True)
    project.snakemake("results/predictions/tiny/size/scaffold/ridge/seed7.parquet")
    made = {path.name for path in (project.folder / "results/predictions").rglob("*") if path.is_file()}
    assert made == {"seed7.parquet", "run.json", "history.csv", "model.skops", "kept.json"}
    project.write_config()
    assert project.planned("results/predictions/tiny/size/scaffold/ridge/seed7.parquet") == set()


@pytest.mark.slow
@pytest.mark.parametrize("feature_jobs", [3, 5])
def test_features_computed_in_parts_are_those_of_one_job(finished, tmp_path, feature_jobs):
    """160 molecules are one chunk of most features and three of conformers: some jobs, or most, have no molecules."""
    project = finished.copy(tmp_path / "p")
    whole = (project.folder / "results/features/tiny/descriptors.parquet").read_bytes()
    shutil.rmtree(project.folder / "results/features")
    project.write_config(feature_jobs=feature_jobs)
    features = ("descriptors", "conformers", "context", "fragmentations", "graph")
    targets = [f"results/features/tiny/{feature}.parquet" for feature in features]
    project.snakemake(*targets)
    assert (project.folder / targets[0]).read_bytes() == whole
    for target in targets:
        assert pd.read_parquet(project.folder / target).molecule_id.tolist() == list(range(160))
    assert set(pd.read_parquet(project.folder / targets[1]).source) == {"etkdg"}
