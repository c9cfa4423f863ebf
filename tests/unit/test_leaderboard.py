import math
import re
import shutil

import numpy as np
import pyarrow as pa
import pytest
from conftest import write_resamples

from boomlib.contracts import SPLIT, fold_array, write_table
from boomlib.evaluation.score import score
from boomlib.evaluation.summary import write_summary
from boomlib.files import read_json, write_json, write_text
from boomlib.report import leaderboard
from boomlib.report.build import write_markdown, write_partial
from boomlib.report.numbers import format_interval, format_metric, format_number
from boomlib.report.published import Published
from boomlib.report.roles import assign_roles
from boomlib.report.tables.markdown import format_table
from boomlib.runs import Run
from boomlib.unmade import mark_unmade
from boomlib.version import VERSION

Y = np.arange(12, dtype=float)
FOLD = np.array(["train"] * 4 + ["valid"] * 2 + ["id"] * 3 + ["ood"] * 3)
# what run.json says of the weights that training started from, by seed; half has no such choice
PRETRAINED = {"good": ["MLM on 9 molecules of data"] * 2, "same": [None, "org/name@c0ffee"]}
LABELS = {"good": "Good | model", "same": "Same", "half": "Half", "oracle": "Oracle"}
DATASETS = {
    "data": {
        "label": "Our data",
        "reader": "table",
        "licence": "CC0",
        "doi": "10.1/x",
        "note": "Half of\nthe molecules.",
        "properties": {
            "x": {"label": "Width", "unit": "eV", "kind": "intensive"},
            "y": {"unit": "D", "kind": "extensive"},
        },
    }
}


def make_results(folder):
    """OOD errors 2 on x and 4 on y for good and same; half has one seed of x; the oracle is perfect."""
    runs = []
    for model in ("oracle", "half", "good", "same"):
        for task, error in (("x", 2.0), ("y", 4.0)):
            for seed in (0, 1):
                run = Run("data", task, "kde", model, seed)
                runs.append(run)
                if model == "half" and (task, seed) != ("x", 0):
                    record = {
                        "error": "ValueError",
                        "message": f"a|b\n`c` {'z' * 600}",
                        "log": "logs/half.log",
                    }
                    if seed:
                        write_json(folder / "predictions" / run.stem / "failure.json", record)
                    continue
                error_here = 0 if model == "oracle" else error + (seed - 0.5)
                y_pred = Y + np.where(FOLD == "ood", error_here, error_here / 2)
                content = {"run": vars(run), "unit": "eV", "version": VERSION, "split": "5917a0"} | score(
                    Y, FOLD, y_pred, resamples=5
                )
                write_json(folder / "metrics" / f"{run.stem}.json", content)
                write_resamples(folder, run, id=error_here / 2, ood=error_here)
                write_text(folder / "predictions" / f"{run.stem}.parquet", "")
                facts = {"device": "CPU" if seed else "A GPU", "molecules": {"train": 4}}
                facts["versions"] = {"python": "3.11.2", "numpy": "2.4.1"}
                if model == "good":
                    facts["versions"] |= {"numpy": "2.4.2", "torch": "2.9.0"}
                facts |= {"pretrained": PRETRAINED[model][seed]} if model in PRETRAINED else {}
                write_json(folder / "predictions" / run.stem / "run.json", facts)
    for seed, errors in enumerate(([3.0, 1.0, 2.0], [3.0, 2.0, 1.5, 1.75])):
        history = "".join(f"{epoch},{error}\n" for epoch, error in enumerate(errors, start=1))
        write_text(folder / f"predictions/data/x/kde/good/seed{seed}/history.csv", "epoch,valid_rmse\n" + history)
    write_text(folder / "predictions/data/x/kde/same/seed0/history.csv", "penalty,valid_rmse\n0.1,2.0\n")
    write_text(folder / "data/data/rejects.csv", "row,reason\n" + "7,none\n" * 1234)
    return runs


CONFIG = {"tasks": ["data/x", "data/y"], "schemes": ["kde"], "models": ["oracle", "half", "good", "same"]}
MODELS = {
    name: {"label": label, "family": "tabular", "features": ["elements"], "parameters": {}, "source": "Ours."}
    for name, label in LABELS.items()
}
MODELS["oracle"]["family"] = "control"
MODELS["good"] |= {
    "source": "From the\npaper.",
    "size": "small",
    "parameters": {"training": {"molecules_seen": 600_000}},
}


def write(folder, runs, page="leaderboard.partial.md", **changed):
    """The page of what a command has finished, as text; ``changed`` are the models'."""
    models = {name: MODELS[name] | changed.get(name, {}) for name in dict.fromkeys(run.model for run in runs)}
    config = CONFIG | {"models": list(models)}
    write_partial(folder, dict.fromkeys(runs, ()), config=config, datasets=DATASETS, models=models)
    return (folder / page).read_text(encoding="utf-8")


def write_whole(folder, runs, **changed):
    """The page that the rules summarise and leaderboard write, as text."""
    tables = folder / "leaderboard.csv", folder / "runs.csv"
    models = {name: MODELS[name] | changed.get(name, {}) for name in dict.fromkeys(run.model for run in runs)}
    write_summary(folder, runs, *tables, controls=assign_roles(models).controls)
    config = CONFIG | {"models": list(models)}
    write_markdown(*tables, folder / "leaderboard.md", config=config, datasets=DATASETS, models=models)
    return (folder / "leaderboard.md").read_text(encoding="utf-8")


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    runs = make_results(folder)
    return folder, runs, write(folder, runs)


def rows(text, heading):
    """The table below a heading, as lists of cells."""
    section = text.split(f"{heading}\n", 1)[1]
    table = re.search(r"(^\|.*\n)+", section, re.MULTILINE).group(0)
    split = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
    return [[cell.strip() for cell in line] for line in split[:1] + split[2:]]


def test_molecules_that_are_tested_and_trained_on_in_two_spellings_are_counted(results):
    folder, runs, text = results
    assert "goes by the text" not in text
    table = {"molecule_id": np.arange(12), "fold": fold_array(FOLD), "density": np.ones(12)}
    for name in ("x", "y"):
        write_table(pa.table(table), folder / f"splits/data/{name}/kde.parquet", SPLIT)
    doubles = folder / "data/data/doubles.csv"
    write_text(doubles, "molecule_id,same_as\n9,7\n1,0\n")  # both tested, both trained on
    assert "goes by the text" not in write(folder, runs)
    write_text(doubles, "molecule_id,same_as\n6,0\n9,7\n10,4\n11,0\n")
    text = write(folder, runs)
    assert (
        "so that they are in train or valid as well:\n\n- Our data, Width, `kde`: 3 of 6 molecules in ID and" in text
    )
    assert "\n- Our data, y, `kde`: 3 of 6 molecules in ID and OOD\n\n|" in text


def test_overall(results):
    _, _, text = results
    table = rows(text, "### Overall")
    assert [row[0] for row in table[1:]] == ["Good \\| model", "Same", "Half", "*Oracle*"]
    assert [row[2] for row in table[1:]] == ["1.50", "1.50", "—", "—"]
    assert [row[4] for row in table[1:]] == ["2.00", "2.00", "—", "—"]
    assert [row[5:] for row in table[1:]] == [
        ["2 of 2", "4 of 4"],
        ["2 of 2", "4 of 4"],
        ["1 of 2", "1 of 4"],
        ["2 of 2", "4 of 4"],
    ]


def test_what_models_need(results):
    folder, runs, text = results
    assert [row[1] for row in rows(text, "### Overall")] == ["Needs", "SMILES", "SMILES", "SMILES", "—"]
    text = write(folder, runs, good={"features": ["xtb"]}, oracle={"features": ["conformers"]})
    assert [row[1] for row in rows(text, "### Overall")[1:]] == ["embedded geometry", "SMILES", "SMILES", "—"]


def test_the_best_of_each_task_by_what_it_needs(results):
    folder, runs, text = results
    assert rows(text, "### Best of each task") == [
        ["Task", "Fold", "By SMILES"],
        ["data/x (eV)", "ID", "0.750 Half"],
        ["data/x (eV)", "OOD", "1.50 Half"],
        ["data/y (D)", "ID", "2.00 Good \\| model"],  # of equals the first
        ["data/y (D)", "OOD", "4.00 Good \\| model"],
    ]
    assert "ublished" not in text
    text = write(folder, runs, good={"features": ["xtb"]}, oracle={"features": ["conformers"]})
    assert rows(text, "### Best of each task")[:3] == [
        ["Task", "Fold", "By SMILES", "By embedded geometry"],
        ["data/x (eV)", "ID", "0.750 Half", "1.00 Good \\| model"],
        ["data/x (eV)", "OOD", "1.50 Half", "2.00 Good \\| model"],
    ]


def test_nobody_is_best_where_no_models_are_told_apart(results):
    folder, runs, _ = results
    for run in runs:
        if run.property == "x" and (folder / f"resamples/{run.stem}.parquet").is_file():
            write_resamples(folder, run, id=1.0)
    table = rows(write(folder, runs), "### Best of each task")
    assert [row[2] for row in table[1:3]] == ["0.750 Half", "—"]


PUBLISHED = (
    Published("Net", "https://host/lab/code", "BOOM's", "one seed", {"data/x": {"id": 0.5, "ood": 9.0}}),
    Published("Tree", "https://host/lab/code", "BOOM's", "", {"data/x": {"id": 0.6, "ood": 8.0}, "other/z": {}}),
    Published("Net", "https://host/else/code", "another", "", {"data/y": {"id": 1.0, "ood": 2.0}}),
    Published("Absent", "https://host/lab/code", "BOOM's", "", {"other/z": {"id": 0.0, "ood": 0.0}}),
)


def test_what_others_published_stands_beside_the_best_and_is_not_ranked(results, monkeypatch):
    folder, runs, text = results
    monkeypatch.setattr(leaderboard, "read_published", lambda: PUBLISHED)
    beside = write(folder, runs)
    assert rows(beside, "### Best of each task") == [
        ["Task", "Fold", "By SMILES", "Published, these molecules", "Published, other molecules"],
        ["data/x (eV)", "ID", "0.750 Half", "0.500 Net", "—"],
        ["data/x (eV)", "OOD", "1.50 Half", "8.00 Tree", "—"],
        ["data/y (D)", "ID", "2.00 Good \\| model", "—", "1.00 Net"],
        ["data/y (D)", "OOD", "4.00 Good \\| model", "—", "2.00 Net"],
    ]
    assert rows(beside, "on these tasks: RMSE on ID / OOD</summary>") == [
        ["Model", "Source", "Tested on", "Caveat", "data/x (eV)", "data/y (D)"],
        ["Net", "[lab/code](https://host/lab/code)", "these molecules", "one seed", "0.500 / 9.00", "—"],
        ["Tree", "[lab/code](https://host/lab/code)", "these molecules", "", "0.600 / 8.00", "—"],
        ["Net", "[else/code](https://host/else/code)", "other molecules", "", "—", "1.00 / 2.00"],
    ]
    for heading in ("### Overall", "### OOD RMSE ↓", "### ID RMSE ↓"):
        assert rows(beside, heading) == rows(text, heading)


def test_another_split_than_booms_has_nothing_published(results, monkeypatch):
    folder, runs, _ = results
    monkeypatch.setattr(leaderboard, "read_published", lambda: PUBLISHED)
    monkeypatch.setattr("boomlib.report.tables.best.SCHEME", "scaffold")
    assert "ublished" not in write(folder, runs)


def test_how_models_were_trained(results):
    _, _, text = results
    assert rows(text, "## Training") == [
        ["Model", "Size", "Device", "Pretrained", "Epochs", "Molecules seen", "Epoch kept"],
        ["Half", "—", "A GPU", "—", "—", "—", "—"],
        [
            "Good \\| model",
            "small, 600,000 molecules seen",
            "A GPU, CPU",
            "MLM on 9 molecules of data",
            "3–4",
            "12–16",
            "2–3",
        ],
        ["Same", "—", "A GPU, CPU", "org/name@c0ffee; scratch", "—", "—", "—"],
    ]


def test_what_pretraining_saw_is_counted_of_ours_and_unknown_of_others(results):
    folder, runs, _ = results
    counts = {
        "id": {"molecules": 1234, "exposed": 0, "exposed_flat": 56},
        "ood": {"molecules": 3, "exposed": 1, "exposed_flat": 2},
    }
    write_json(folder / "exposure/data/x/kde.json", counts)
    changed = {
        "good": {"parameters": {"pretrained": "mlm"}},
        "same": {"parameters": {"pretrained": {"hub": "org/name"}}},
    }
    assert rows(write(folder, runs, **changed), "was made elsewhere held is unknown.\n") == [
        ["Pretrained", "Task", "Scheme", "ID", "OOD", "ID, flat", "OOD, flat"],
        ["MLM on 9 molecules of data", "data/x", "kde", "0 of 1,234", "1 of 3", "56 of 1,234", "2 of 3"],
        ["MLM on 9 molecules of data", "data/y", "kde", "—", "—", "—", "—"],
        ["org/name@c0ffee", "data/x", "kde", *["unknown"] * 4],
        ["org/name@c0ffee", "data/y", "kde", *["unknown"] * 4],
    ]
    assert "What pretraining saw" not in write(folder, [run for run in runs if run.model == "half"])


def test_rmse_tables(results):
    _, _, text = results
    assert rows(text, "### OOD RMSE ↓") == [
        ["Model", "data/x (eV)", "data/y (D)"],
        ["Good \\| model", "2.00 ± 0.71", "4.00 ± 0.71"],
        ["Same", "2.00 ± 0.71", "4.00 ± 0.71"],
        ["Half", "**1.50** (1 of 2 seeds)", "—"],
        ["*Oracle*", "0 ± 0", "0 ± 0"],
    ]
    assert rows(text, "### ID RMSE ↓")[1][1:] == ["1.00 ± 0.35", "2.00 ± 0.35"]
    assert rows(text, "### ID RMSE ↓")[3][1:] == ["**0.750** (1 of 2 seeds)", "—"]
    # all labels of OOD lie beyond those of train and valid
    assert rows(text, "### OOD inside and outside the training range")[1][1] == "2.00 / —"


def test_a_control_is_never_bold(results):
    folder, runs, _ = results
    table = rows(write(folder, runs, half={"family": "control"}), "### OOD RMSE ↓")
    assert [row[0] for row in table[1:]] == ["Good \\| model", "Same", "*Oracle*", "*Half*"]
    assert [row[1] for row in table[1:]] == ["2.00 ± 0.71", "2.00 ± 0.71", "0 ± 0", "1.50 (1 of 2 seeds)"]


def test_equal_models_are_all_best_where_another_is_behind(results):
    folder, runs, _ = results
    described = {"unit": "eV", "version": VERSION, "split": "5917a0"}
    half = Run("data", "y", "kde", "half", 0)
    write_text(folder / f"predictions/{half.stem}.parquet", "")
    write_json(folder / "predictions" / half.stem / "run.json", {"molecules": {"train": 4}, "versions": {}})
    write_resamples(folder, half, ood=5)
    write_json(folder / f"metrics/{half.stem}.json", described | score(Y, FOLD, Y + 5, resamples=5))
    for run in runs:
        if (run.model, run.property) == ("same", "y"):
            write_resamples(folder, run, ood=[4, 5] * 10)
            write_json(folder / f"metrics/{run.stem}.json", described | score(Y, FOLD, Y + 4.5, resamples=5))
    table = rows(write(folder, runs), "### OOD RMSE ↓")
    assert {row[0]: row[2] for row in table[1:4]} == {
        "Good \\| model": "**4.00 ± 0.71**",
        "Same": "**4.50 ± 0.00**",
        "Half": "5.00 (1 of 2 seeds)",
    }


def test_nobody_is_ranked_or_best_where_there_is_nothing_to_learn(results):
    folder, runs, _ = results
    for run in runs:
        if (folder / f"resamples/{run.stem}.parquet").is_file():
            write_resamples(folder, run)
    note = "There is nothing to learn: …"
    write_json(folder / "notes/data/x/kde.json", {"notes": [note, "Another."]})
    write_json(folder / "notes/data/x/scaffold.json", {"notes": ["Of another scheme."]})
    text = write(folder, runs)
    assert [row[2] for row in rows(text, "### Overall")[1:]] == ["—"] * 4
    assert not any("**" in cell for row in rows(text, "### OOD RMSE ↓") + rows(text, "### ID RMSE ↓") for cell in row)
    assert f"\n\n**data/x**: {note}\n\n**data/x**: Another.\n\n### Overall\n" in text
    assert "Of another scheme" not in text


def test_details_have_arrows_and_intervals(results):
    _, _, text = results
    table = rows(text, "RMSE over molecules</summary>")
    assert table[0][2:9] == ["RMSE ↓", "95 % interval", "MAE ↓", "R² ↑", "Pearson ↑", "Spearman ↑", "Bias →0"]
    assert table[0][9:] == ["R² binned ↑", "Median AE ↓", "RMSE without worst 1 % ↓", "Worst five"]
    assert table[1][2:4] == ["2.00", "— (n = 3)"], "three molecules have no interval"
    assert table[1][6:] == ["1.000", "1.000", "2.00", "—", "2.00", "2.00", "1.000"]
    assert len(table) == 1 + 2 * 4


HARD = {
    "name": "molecule 7",
    "smiles": "C|" + "C" * 100,
    "fold": "ood",
    "label": 329.0,
    "median": 28.8,
    "low": 26.7,
    "high": 31.0,
    "scaled_error": 17.4,
    "doubted": True,
}


def test_the_hardest_molecules_of_each_task(results):
    folder, runs, text = results
    assert "Hardest" not in text
    easier = HARD | {"name": "line 9", "smiles": "CC.O", "fold": "id", "doubted": False}
    write_json(folder / "hardest/data/x/kde.json", {"molecules": [HARD, easier]})
    write_json(folder / "hardest/data/y/kde.json", {"molecules": [easier]})
    write_json(folder / "hardest/data/y/scaffold.json", {"molecules": [HARD]})  # of another scheme
    write_text(folder / "plots/hardest/data/x/kde.png", "")
    text = write(folder, runs)
    assert rows(text, "<summary>data/x (eV): 1 of these suspect</summary>")[1:] == [
        ["1", "molecule 7", f"`C\\|{'C' * 77}…`", "**suspect label**", "OOD", "329", "28.8", "[26.7, 31.0]", "17.4"],
        ["2", "line 9", "`CC.O`", "", "ID", "329", "28.8", "[26.7, 31.0]", "17.4"],
    ]
    assert len(rows(text, "<summary>data/y (D)</summary>")) == 2
    assert text.count("### Hardest molecules") == 1
    shown = "\n\n![Hardest molecules of data/x, kde split](plots/hardest/data/x/kde.png)\n\n</details>\n"
    assert text.count("plots/hardest") == text.count(shown) == 1


def test_six_molecules_have_an_interval(results):
    folder, runs, _ = results
    path = folder / f"metrics/{runs[-1].stem}.json"
    content = read_json(path)
    content["folds"]["ood"]["n"] = 6
    write_json(path, content)
    table = rows(write(folder, runs[-1:]), "RMSE over molecules</summary>")
    assert table[1][2:4] == ["4.50", "[4.50, 4.50]"]


def test_splits_and_sources(results):
    _, _, text = results
    table = rows(text, "## Splits")
    assert table[0][5:] == ["train", "valid", "ID", "OOD", "OOD tail", "OOD interior", "Hash"]
    assert table[1] == ["data/x", "Width", "kde", "eV", "intensive", "4", "2", "3", "3", "3", "0", "5917a0"]
    assert table[2][1:5] == ["y", "kde", "D", "extensive"]
    assert re.search(r"\| data +\| Our data +\| CC0 +\| 10.1/x +\| +1,234 \|", text)
    assert "Seeds: 0, 1." in text
    assert "- **Good | model**: From the paper.\n" in text


def test_the_footer_names_the_versions_of_what_trained(results):
    _, _, text = results
    assert re.search(
        r"^Configuration `[0-9a-f]{12}`; python 3.11.2, numpy 2.4.1 and 2.4.2, torch 2.9.0\.$", text, re.M
    )


def test_a_dataset_says_what_its_numbers_stand_on(results):
    _, _, text = results
    assert "\n\n**Our data**: Half of the molecules.\n\n## Notes" in text
    assert "The same seed gives the same bytes on one machine; on another processor" in text


def test_failures_are_listed_with_their_reason(results):
    _, _, text = results
    table = rows(text, "## Failures")
    assert [row[:2] for row in table[1:]] == [
        ["`data/x/kde/half/seed1`", "failed"],
        ["`data/y/kde/half/seed0`", "missing"],
        ["`data/y/kde/half/seed1`", "failed"],
    ]
    reason = table[1][2].strip("`")
    assert reason.startswith("ValueError: a\\|b 'c' zzz")
    assert len(reason.replace("\\|", "|")) == 500
    assert reason.endswith("…")
    assert table[1][3] == "`logs/half.log`"
    assert table[2][2:] == ["`prepare_molecules has not run`", ""]


def test_a_page_with_failures_says_so_at_its_top(results):
    _, _, text = results
    assert text.splitlines()[2].startswith("**Not finished: 3 of 16 runs have no result")


@pytest.mark.parametrize(
    ("file", "log"),
    [
        ("plots/parity/data/x/kde.png", "logs/plot_parity/data/x/kde.log"),
        ("policy/data/x/kde/good/seed0.json", "logs/evaluate_policy/data/x/kde/good/seed0.log"),
        ("leaderboard.csv", "logs/summarise.log"),
    ],
)
def test_what_fails_behind_the_runs_is_told_as_well(tmp_path, file, log):
    folder = tmp_path / "results"
    runs = [run for run in make_results(folder) if run.model != "half"]
    files = [str(folder / each) for each in ("plots/ratio/kde.png", file, "leaderboard.md")]
    write_text(folder / "leaderboard.md", "old")
    mark_unmade(files[1:2], log)
    mark_unmade(files[2:], "logs/leaderboard.log")  # waits
    write_text(tmp_path / log, "error: MemoryError\n")
    write_partial(
        folder,
        dict.fromkeys(runs, ()),
        files,
        config=CONFIG | {"models": list(MODELS)},
        datasets=DATASETS,
        models=MODELS,
    )
    text = (folder / "leaderboard.partial.md").read_text()
    rule = log.split("/")[1].removesuffix(".log")
    assert rows(text, "## Failures")[1:] == [[f"`{files[1]}`", "missing", f"`{rule}: MemoryError`", f"`{log}`"]]
    assert text.splitlines()[2].startswith("**Not finished: a table or a figure is lacking")


def test_every_run_finished(tmp_path):
    runs = [run for run in make_results(tmp_path) if run.model != "half"]
    text = write_whole(tmp_path, runs)
    assert "## Failures\n\nEvery run finished.\n" in text
    assert "Not finished" not in text


def test_a_failed_command_leaves_the_finished_leaderboard_as_it_is(results):
    folder, runs, _ = results
    write_whole(folder, [run for run in runs if run.model != "half"])
    assert not (folder / "leaderboard.partial.md").exists()  # that of the fixture is stale
    kept = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
    assert "Not finished" in write(folder, runs)
    made = {path for path in folder.rglob("*") if path.is_file()} - set(kept)
    assert made == {folder / "leaderboard.partial.md"}
    assert all((path.read_bytes(), path.stat().st_mtime_ns) == was for path, was in kept.items())
    assert (folder / "leaderboard.partial.md").stat().st_mtime > 1e9


def test_the_page_is_made_from_the_tables_alone(tmp_path):
    runs = [run for run in make_results(tmp_path) if run.model != "half"]
    text = write_whole(tmp_path, runs)
    for folder in ("metrics", "predictions"):
        shutil.rmtree(tmp_path / folder)
    models, config = {name: MODELS[name] for name in ("oracle", "good", "same")}, CONFIG
    page, tables = tmp_path / "leaderboard.md", (tmp_path / "leaderboard.csv", tmp_path / "runs.csv")
    config = config | {"models": list(models)}
    write_markdown(*tables, page, config=config, datasets=DATASETS, models=models)
    assert page.read_text(encoding="utf-8") == text


def test_a_partial_page_is_that_of_the_tables(tmp_path):
    runs = [run for run in make_results(tmp_path) if run.model != "half"]
    assert write(tmp_path, runs) == write_whole(tmp_path, runs)


FIGURES = ("plots/heatmap/kde.png", "plots/parity/data/x/kde.png", "plots/parity/data/x/scaffold.png")


@pytest.mark.parametrize(("lost", "shown"), [("", FIGURES[:2]), ("half", FIGURES[1:2])])
def test_figures_that_exist_are_shown(tmp_path, lost, shown):
    runs = [run for run in make_results(tmp_path) if run.model in ("good", "oracle", lost)]
    assert "![" not in write(tmp_path, runs)
    for path in FIGURES:
        write_text(tmp_path / path, "")
    # an overview is drawn from a finished leaderboard: with failures the one that exists is an earlier one's
    assert re.findall(r"!\[[^]]+\]\((.*)\)", write(tmp_path, runs)) == list(shown)


def test_same_bytes_again_and_no_other_file(results):
    folder, runs, text = results
    before = sorted(folder.rglob("*"))
    assert write(folder, runs) == text
    assert sorted(folder.rglob("*")) == before


def test_policies_stand_between_the_schemes_and_the_training(results):
    folder, runs, text = results
    assert "## Policy" not in text
    text = write(folder, runs, half={"answers_policy": True})
    headings = re.findall(r"^## .*", text, re.MULTILINE)
    assert headings[headings.index("## Policy") + 1] == "## Training"
    assert headings.index("## Policy") > headings.index("## Split by property density (`kde`)")
    # of the four runs of half one is done
    assert [row[:4] for row in rows(text, "### Effect and overlap")[1:]] == [["data/x", "kde", "Half", "0"]]


def test_what_committees_are_made_of(results):
    folder, runs, text = results
    assert "## Committees" not in text
    history = "member,weight,valid_rmse\ngood,0.75,1.0\nhalf,0.25,2.0\n"
    write_text(folder / "predictions/data/y/kde/same/seed1/history.csv", history)
    (folder / "predictions/data/x/kde/same/seed0/history.csv").unlink()
    text = write(folder, runs, same={"parameters": {"members": ["good", "half"]}})
    assert rows(text, "## Committees")[0] == ["Task", "Scheme", "Committee", "Seed", "Good \\| model", "Half"]
    assert rows(text, "## Committees")[1:] == [["data/y", "kde", "Same", "1", "75.0 %", "25.0 %"]]


def test_no_result_at_all(tmp_path):
    text = write(tmp_path, [Run("data", "x", "kde", "good", 0)])
    assert rows(text, "### OOD RMSE ↓")[1] == ["Good \\| model", "—"]
    assert rows(text, "## Splits")[1][5:] == ["—"] * 7


@pytest.mark.parametrize(
    ("value", "std", "text"),
    [
        (16.349, 0.26, "16.3 ± 0.3"),
        (9.996, math.nan, "10.0"),
        (0.0123456, 0.0004, "0.0123 ± 0.0004"),
        (260.8, 0.0, "261 ± 0"),
        (123456.0, 78.9, "123456 ± 79"),
        (1.234e-7, 5e-9, "(1.23 ± 0.05)e-7"),
        (3.5e8, math.nan, "3.50e8"),
        (-0.5, math.nan, "-0.500"),
        (0.0, math.nan, "0"),
        (math.nan, math.nan, "—"),
    ],
)
def test_three_significant_digits(value, std, text):
    assert format_number(value, std) == text


def test_intervals():
    assert format_interval(-5.123, 12.3) == "[-5.12, 12.3]"
    assert format_interval(math.nan, math.nan) == "—"


def test_metrics_without_unit_have_three_decimals():
    assert format_metric("r2", -0.00001) == "0.000"
    assert format_metric("r2", math.nan) == "—"
    assert format_metric("bias", -0.00123) == "-0.00123"


def test_markdown_table_is_aligned_and_escaped():
    assert format_table(["Name", "n"], [["a|b\nc", "1"], ["long name", "10"]]).splitlines() == [
        "| Name      |   n |",
        "|:----------|----:|",
        "| a\\|b c    |   1 |",
        "| long name |  10 |",
    ]


def test_an_external_model_is_marked_wherever_it_stands_with_its_licence_and_link(tmp_path):
    runs = make_results(tmp_path / "results")
    theirs = {"family": "external", "licence": "MIT", "citation": "https://example.org"}
    page = re.sub(" +", " ", write(tmp_path / "results", runs, same=theirs))
    assert "| Same (external) | external |" in page
    assert "- **Same (external)**: Ours. Licence: MIT. https://example.org" in page
    assert "*External* are models that others have made" in page
    assert "| By SMILES | External |" in page
    assert "Same |" not in page
    assert "xternal" not in write(tmp_path / "results", runs)
