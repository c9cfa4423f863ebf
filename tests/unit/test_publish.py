import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, write_resamples

from boomlib import registry, schemas
from boomlib.evaluation.records import list_recorded, read_runs
from boomlib.evaluation.score import score
from boomlib.evaluation.summary import write_summary
from boomlib.files import ContractError, write_json, write_text
from boomlib.provenance import hash_training
from boomlib.report import making, pages
from boomlib.report.build import write_markdown
from boomlib.report.merging import RUNS, SITE
from boomlib.report.publish import LATER, publish, update_readme
from boomlib.runs import list_runs
from boomlib.version import VERSION
from boomlib.workflow import Plan

CONFIG = {"tasks": ["data/hof"], "schemes": ["kde"], "models": ["ridge", "net", "oracle"], "seeds": [0]}
TRAINED = {"class": "tabular.ridge.Ridge", "features": ["elements"], "parameters": {"alpha": 1.0}}
MODELS = {
    "ridge": {"label": "Ridge | own", "family": "tabular", "source": "Ours."} | TRAINED,
    "net": {"label": "Net", "family": "net", "source": "A ![figure](plots/none.png).", "answers_policy": True}
    | TRAINED,
    "oracle": {"label": "Oracle", "family": "control", "source": "Ours."} | TRAINED,
}
SPLIT, CODE = "5917a0", hash_training(TRAINED["class"], TRAINED["parameters"], TRAINED["features"])
DATASETS = {
    "data": {
        "label": "Data",
        "reader": "table",
        "licence": "CC0",
        "doi": "10.1/x",
        "properties": {"hof": {"unit": "eV", "kind": "extensive"}},
    }
}
FIGURES = {"plots/heatmap/kde.png", "plots/policy/data/hof/kde/net/seed0.png"}
DISTRIBUTION = "plots/distribution/data/hof/kde.png"
ASSET = f"assets/distribution/data/hof/kde-{SPLIT}.png"
TABLES = {"leaderboard.md", "leaderboard.csv", "runs.csv"}
DATA = "site/data/board.js"
INDEX = "site/index.html"
SCRIPT = "BOOM = {};\n"
SHARED = f"assets/site/core-{hashlib.sha256(SCRIPT.encode()).hexdigest()[:12]}.js"
PAGE = '<html data-name="" data-predictions="../predictions/"><script src="assets/core.js"></script>'


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A finished leaderboard of three models; the test stands in the folder that has it as ``results``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "load_models", lambda: MODELS)
    monkeypatch.setattr(schemas, "CONFIG", tmp_path / "home/config")
    for name in ("docs", "new", "mine"):
        write_text(tmp_path / f"home/config/{name}.yaml", yaml.safe_dump(CONFIG))
    (tmp_path / "home/config/schemas").symlink_to(ROOT / "config/schemas")
    folder, runs = tmp_path / "results", list_runs(CONFIG)
    y, fold = np.arange(12.0), np.repeat(["train", "valid", "id", "ood"], [4, 2, 3, 3])
    for run in runs:
        error = {"ridge": 2, "net": 3, "oracle": 0}[run.model]
        described = {"unit": "eV", "version": VERSION, "split": SPLIT}
        write_json(folder / f"metrics/{run.stem}.json", described | score(y, fold, y + error, resamples=5))
        write_resamples(folder, run, id=error, ood=error)
        write_text(folder / f"predictions/{run.stem}.parquet", "")
        facts = {
            "molecules": {"train": 4},
            "versions": {"python": "3.11.2"},
            "device": "CPU",
            "code": CODE,
            "commit": "c0ffee",
        }
        write_json(folder / f"predictions/{run.stem}/run.json", facts)
        write_json(folder / f"policy/{run.stem}.json", {})
    for path in (*FIGURES, DISTRIBUTION, "plots/parity/other/task/kde.png"):
        write_text(folder / path, path)
    settings = {"variants": {}, "feature_jobs": 2, "keep_models": True, "corpus": [], "datasets": {}, "sources": {}}
    write_text(folder / "config.yaml", yaml.safe_dump(CONFIG | settings))
    write(folder)
    return folder


def write(folder):
    """What the rules summarise and leaderboard write."""
    tables = folder / "leaderboard.csv", folder / "runs.csv"
    write_summary(folder, list_runs(CONFIG), *tables, controls={"oracle"})
    described = {"config": CONFIG, "datasets": DATASETS, "models": MODELS}
    write_markdown(*tables, folder / "leaderboard.md", **described)
    for name, text in ((DATA, "BOOM.give();"), ("site/assets/core.js", SCRIPT), (INDEX, PAGE)):
        write_text(folder / name, text)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_published(results, tmp_path):
    publish(results, tmp_path / "docs/new")
    found = files_of(tmp_path / "docs")
    assert set(found) == {f"new/{path}" for path in TABLES | FIGURES | {DATA, INDEX}} | {ASSET, SHARED}
    for path in (TABLES | FIGURES | {DATA}) - {"leaderboard.md"}:
        assert found[f"new/{path}"] == (results / path).read_bytes()
    page = (results / "leaderboard.md").read_text()
    assert found["new/leaderboard.md"].decode() == page.replace(f"]({DISTRIBUTION})", f"](../{ASSET})") != page


def test_sites_say_whose_they_are_share_their_scripts_and_link_to_no_predictions(results, tmp_path):
    for name in ("new", "mine"):
        publish(results, tmp_path / f"docs/{name}")
        page = (tmp_path / f"docs/{name}" / INDEX).read_text()
        assert page == f'<html data-name="{name}" data-predictions=""><script src="../../{SHARED}"></script>'
    assert [path.name for path in (tmp_path / "docs/assets/site").iterdir()] == [Path(SHARED).name]
    assert (tmp_path / "docs" / SHARED).read_text() == SCRIPT


def test_a_site_that_is_lacking_or_older_than_the_tables_is_refused(results):
    os.utime(results / INDEX, (1, 1))
    refused(results, Path("docs"), r"site/index\.html: older than leaderboard\.csv; run snakemake")
    (results / INDEX).unlink()
    refused(results, Path("docs"), r"site/index\.html: no such file; run snakemake")


def test_a_publication_shows_the_figures_that_the_page_shows(results, tmp_path):
    publish(results, tmp_path / "docs/new")
    page = tmp_path / "docs/new/leaderboard.md"
    shown = {(page.parent / path).resolve() for path in re.findall(r"^!\[.*\]\((.*)\)$", page.read_text(), re.M)}
    assert shown == set((tmp_path / "docs").rglob("*.png"))
    assert len(shown) == len(FIGURES) + 1


def test_a_figure_of_a_split_lies_there_once_for_all_pages(results, tmp_path):
    for name in ("new", "mine"):
        publish(results, tmp_path / f"docs/{name}")
    assert [path.name for path in (tmp_path / "docs/assets").rglob("*.png")] == [f"kde-{SPLIT}.png"]


def test_what_people_wrote_of_a_publication_stays(results, tmp_path):
    publish(results, Path("docs"))
    write_text(tmp_path / "docs/README.md", "findings")
    write_text(tmp_path / "docs/more.md", "more findings")
    publish(results, Path("docs"))
    assert (tmp_path / "docs/README.md").read_text() == "findings"
    assert (tmp_path / "docs/more.md").read_text() == "more findings"


def test_a_publication_has_the_name_of_its_configuration(results, tmp_path):
    refused(
        results,
        Path("other"),
        r"other: a publication has the name of its configuration, and there is no .*other\.yaml",
    )
    for key, value in (("seeds", [0, 1]), ("models", ["ridge"]), ("variants", {"x": {"of": "ridge", "label": "X"}})):
        write_text(tmp_path / "home/config/docs.yaml", yaml.safe_dump(CONFIG | {key: value}))
        refused(
            results, Path("docs"), rf"config\.yaml: another configuration than .*docs\.yaml made .*\(`{key}` differs\)"
        )


def test_a_publication_is_replaced(results, tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()  # an empty folder is no loss
    publish(results, folder)
    write_text(folder / "plots/stale.png", "")
    publish(results, Path("docs"))
    assert not (folder / "plots/stale.png").exists()
    assert names(tmp_path) == {"docs", "results", "home", "assets"}


def names(folder):
    return {path.name for path in folder.iterdir()}


def refused(results, folder, message):
    before = files_of(results.parent)
    with pytest.raises(ContractError, match=message):
        publish(results, folder)
    assert files_of(results.parent) == before


def test_other_folders_are_refused(results, tmp_path):
    write_text(tmp_path / "mine/notes.txt", "all I know")
    refused(results, Path("mine"), r"^mine: has files, but is no publication \(it lacks leaderboard\.md, ")
    publish(results, Path("docs"))
    write_text(tmp_path / "docs/.git/HEAD", "ref")
    refused(results, Path("docs"), r"^docs: also holds \.git, which would be lost; ")
    shutil.rmtree(tmp_path / "docs/.git")
    write_text(tmp_path / "docs/notes.txt", "mine")
    refused(results, Path("docs"), r"^docs: also holds notes\.txt")


def test_what_holds_the_results_or_the_checkout_is_refused(results, tmp_path):
    for folder in (Path(), Path("results"), tmp_path.parent, Path("/")):
        refused(results, folder, r"would be replaced, and .*results with it")
    refused(results, ROOT, "would be replaced, and .* with it")


def test_links_and_files_are_refused(results, tmp_path):
    publish(results, Path("docs"))
    (tmp_path / "link").symlink_to("docs")
    refused(results, Path("link"), "^link: is no folder")
    write_text(tmp_path / "file", "")
    refused(results, Path("file"), "^file: is no folder")


def test_a_failure_leaves_the_old_publication(results, tmp_path, monkeypatch):
    folder = tmp_path / "docs"
    publish(results, folder)
    before = files_of(tmp_path)
    write_text(results / "leaderboard.md", "new")
    write_text(results / DISTRIBUTION, "drawn otherwise")
    before |= {f"results/{path}": content for path, content in files_of(results).items()}

    def fail(source, target):
        if "plots/policy" in str(source):
            raise OSError("no space left on device")
        return copy(source, target)

    copy = shutil.copyfile
    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(OSError, match="no space left"):
        publish(results, folder)
    assert files_of(tmp_path) == before
    assert names(tmp_path) == {"docs", "results", "home", "assets"}


def test_a_rename_that_fails_leaves_the_old_publication(results, tmp_path, monkeypatch):
    folder = tmp_path / "docs"
    publish(results, folder)
    before = files_of(folder)
    rename = Path.rename

    def fail(self, target):
        if self.parent.name == ".docs.scratch":
            raise OSError("stale file handle")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="stale"):
        publish(results, folder)
    assert files_of(folder) == before


def test_a_publication_that_a_kill_left_without_name_gets_it_again(results, tmp_path):
    folder = tmp_path / "docs"
    publish(results, folder)
    before = files_of(folder)
    folder.rename(tmp_path / ".docs.old")
    (results / "leaderboard.md").unlink()
    with pytest.raises(ContractError, match=r"leaderboard\.md: no such file; run snakemake"):
        publish(results, folder)
    assert files_of(folder) == before


def test_results_of_a_version_that_named_no_splits_are_refused(results):
    path = results / "runs.csv"
    pd.read_csv(path, dtype=str).drop(columns=["version", "split", "code"]).to_csv(path, index=False)
    refused(results, Path("docs"), r"runs\.csv: made by version 0\.1\.0 of the benchmark, .* give the command again")


def test_runs_without_a_result_are_not_published(results, tmp_path):
    stem = "data/hof/kde/net/seed0"
    write_json(results / f"predictions/{stem}/failure.json", {"error": "E", "message": "no", "log": "a.log"})
    write(results)
    text = (results / "leaderboard.md").read_text()
    write_text(results / "leaderboard.md", text + "\nEvery run finished.\n")  # prose counts for nothing
    refused(results, Path("docs"), rf"runs\.csv: 1 of 3 runs have no result, the first of them {stem} \(E: no\)")


def test_the_table_of_the_readme_is_made_from_the_csv(results, tmp_path):
    publish(results, Path("docs"))
    write_text(tmp_path / "docs/leaderboard.md", "prose")
    readme = "# A\n\n<!-- leaderboard: docs/leaderboard.md -->\n\n| old |\n\n<!-- end -->\n\nB\n"
    write_text(tmp_path / "README.md", readme)
    update_readme(Path("README.md"), Path("docs"))
    lines = [" ".join(line.split()) for line in (tmp_path / "README.md").read_text().splitlines()]
    assert [line.replace("-", "") for line in lines[4:9]] == [
        "| Model | data/hof (eV) |",
        "|:|:|",
        r"| Ridge \| own | **2.00** |",
        "| Net | 3.00 |",
        "| *Oracle* | 0 |",
    ]
    assert lines[:4] + lines[9:] == readme.replace("| old |\n", "").splitlines()
    write_text(tmp_path / "other.md", "# A\n")
    with pytest.raises(ContractError, match=r"other\.md: no marker"):
        update_readme(Path("other.md"), Path("docs"))


def call(folder, *arguments):
    command = [sys.executable, "-m", "boomlib.report.publish", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_command_says_how_it_is_used(tmp_path):
    done = call(tmp_path)
    assert done.returncode == 2
    assert "usage: python -m boomlib.report.publish [--merge | --restore] FOLDER" in done.stderr
    done = call(tmp_path, "docs")
    assert (done.returncode, done.stderr) == (
        1,
        "error: results/leaderboard.md: no such file; run snakemake to a finished leaderboard first\n",
    )
    write_text(tmp_path / "kept.txt", "")
    assert call(tmp_path, ".").stderr.startswith("error: .: would be replaced, and ")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_what_an_earlier_command_left_is_not_published_after_a_failure(results, tmp_path):
    (results / "leaderboard.partial.md").touch()
    with pytest.raises(ContractError, match=r"the last command failed, so that leaderboard\.md is of an earlier one"):
        publish(results, tmp_path / "new")
    assert not (tmp_path / "new").exists()


MADE = f"Version {VERSION} of the benchmark, made by commit c0ffee."


def made_by(page):
    return re.search(r"<!-- made by -->\n(.*)\n<!-- end -->", page.read_text())[1]


def test_a_page_says_by_what_it_was_made(results, tmp_path):
    assert made_by(results / "leaderboard.md") == MADE
    publish(results, Path("docs"))
    assert pages.update_page(Path("docs")) == []
    assert made_by(tmp_path / "docs/leaderboard.md") == MADE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"net": MODELS["net"] | {"parameters": {"alpha": 2.0}}}, "what trains Net."),
        ({"net": MODELS["net"] | {"features": ["maccs"]}}, "what trains Net."),
        ({"net": MODELS["net"] | {"class": "tabular.mlp.Mlp"}}, "what trains Net."),
        ({"net": MODELS["net"] | {"source": "Another text."}}, None),
    ],
)
def test_a_page_says_what_has_changed_since(results, tmp_path, monkeypatch, change, said):
    publish(results, Path("docs"))
    write_text(tmp_path / "docs/README.md", "# Findings\n\n<!-- made by -->\n\n<!-- end -->\n\nAll is well.\n")
    monkeypatch.setattr(registry, "load_models", lambda: MODELS | change)
    pages.update_page(Path("docs"))
    expected = f"{MADE} **Changed since**: {said}" if said else MADE
    assert made_by(tmp_path / "docs/leaderboard.md") == made_by(tmp_path / "docs/README.md") == expected
    assert pages.update_page(Path("docs")) == []


def test_a_model_that_has_gone_has_changed(results, monkeypatch):
    publish(results, Path("docs"))
    monkeypatch.setattr(registry, "load_models", lambda: {name: MODELS[name] for name in ("ridge", "oracle")})
    pages.update_page(Path("docs"))
    assert made_by(Path("docs/leaderboard.md")).endswith("**Changed since**: what trains net.")


def test_a_page_of_another_version_says_so(results, monkeypatch):
    publish(results, Path("docs"))
    monkeypatch.setattr(making, "VERSION", "9.0.0")
    pages.update_page(Path("docs"))
    assert made_by(Path("docs/leaderboard.md")).startswith(
        f"{MADE} **Changed since**: the benchmark, whose version 9.0.0 "
    )


OUR_PAGES = sorted(path.parent for path in pages.PUBLISHED.glob("*/runs.csv"))


@pytest.mark.parametrize("folder", OUR_PAGES, ids=lambda folder: folder.name)
def test_our_own_publications(folder):
    """The runs of the configuration of its name; pages that say by what they were made; no file that none shows."""
    plan = Plan(registry.read_yaml(pages.find_configuration(folder)))
    recorded = set(list_recorded(read_runs(folder / "runs.csv")))
    grows = (folder / RUNS).is_dir()  # by whole models
    models = {run.model for run in recorded} if grows else {run.model for run in plan.runs}
    assert recorded == {run for run in plan.runs if run.model in models}
    written = {page: page.read_text() for page in folder.glob("*.md")}
    assert folder / "leaderboard.md" in written
    assert [page.name for page, text in written.items() if not pages.MARKED.search(text)] == []
    shown = {
        (page.parent / path).resolve() for page, text in written.items() for path in re.findall(r"\]\((.*?)\)", text)
    }
    files = {path for path in folder.rglob("*") if path.is_file()}
    apart = {path for path in files if path.is_relative_to(folder / RUNS) or path.is_relative_to(folder / SITE)}
    assert not (folder / SITE).exists() or folder / SITE / "index.html" in apart
    files -= apart
    tables = {folder / "leaderboard.csv", folder / "runs.csv"}
    assert tables <= files - shown - set(written) <= {*tables, *(folder / name for name in LATER)}


def test_our_shared_figures_are_shown():
    pages_of = itertools.chain(*(pages.PUBLISHED.rglob(f"*.{kind}") for kind in ("md", "html")))
    named = {found for page in pages_of for found in re.findall(r"assets/[^)\"\s]+(?=[)\"])", page.read_text())}
    shared = {str(path.relative_to(pages.PUBLISHED)) for path in (pages.PUBLISHED / "assets").rglob("*.*")}
    assert shared - named == set()


def test_our_sites_have_the_sizes_that_are_stated():
    rows = re.findall(r"^\| \[(\w+)\].*\| ([\d.]*) ?\|$", (pages.PUBLISHED / "README.md").read_text(), re.MULTILINE)
    stated = {name: float(size) for name, size in rows if size}
    sites = {path.parent for path in pages.PUBLISHED.glob("*/site/index.html")}
    sizes = {site.parent.name: sum(path.stat().st_size for path in site.rglob("*.*")) / 1e6 for site in sites}
    assert stated == pytest.approx(sizes, abs=0.06)
