"""The notebooks are their scripts, executed: on a tiny dataset here, and to the numbers kept where the data are."""

import re
import shutil

import execute_notebooks
import nbformat
import numpy as np
import pytest
from conftest import ROOT, make_project, read_block

FOLDER = ROOT / "docs/notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
on_one_worker = pytest.mark.xdist_group("notebooks")  # which then makes what they share once
LARGEST_IMAGE = 60_000  # bytes


def read_notebook(name):
    return nbformat.read(str(FOLDER / f"{name}.ipynb"), as_version=4)


def list_outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def read_numbers(notebook):
    """All numbers in the text that a notebook shows."""
    shown = [output.get("text") or output["data"].get("text/plain", "") for output in list_outputs(notebook)]
    text = re.sub(r"<IPython\S* object>", "", "\n".join(shown))
    return [float(each.replace(",", "")) for each in re.findall(r"-?\d[\d,]*\.?\d*(?:e-?\d+)?", text)]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_that_is_kept_is_its_script_executed_whole(name):
    kept = read_notebook(name)
    nbformat.validate(kept)
    made = execute_notebooks.make_notebook((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [
        (cell.cell_type, cell.source) for cell in made.cells
    ], f"python tests/execute_notebooks.py {name}"
    counts = [cell.execution_count for cell in kept.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    outputs = list_outputs(kept)
    assert {output.output_type for output in outputs} <= {"display_data", "stream", "execute_result"}
    images = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", ())]
    assert all(len(image) * 3 / 4 <= LARGEST_IMAGE for image in images)
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)


def test_the_model_of_the_notebook_is_that_of_the_page():
    script = (FOLDER / "own_model.py").read_text(encoding="utf-8")
    code = read_block("docs/own_model.md", "own model")
    assert code[code.index("class Nearest") :].strip() in script
    assert all(line in script for line in code[: code.index("class Nearest")].splitlines() if "import" in line)
    descriptor = read_block("docs/own_model.md", "own descriptor")
    assert descriptor.replace("\n", "\n# ").rstrip("# \n") in script


@pytest.fixture(scope="module")
def tiny(finished, tmp_path_factory):
    """A project with results of the tiny dataset, which are a publication as well."""
    project = finished.copy(tmp_path_factory.mktemp("tiny") / "project")
    page = project.folder / "docs/benchmarks/csd10k"
    page.mkdir(parents=True)
    shutil.copy(project.folder / "results/leaderboard.csv", page)
    return project


@on_one_worker
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_from_a_clean_kernel(tiny, tmp_path, monkeypatch, name):
    monkeypatch.setenv("PYTHONPATH", str(tiny.folder))  # its code, and so its checkout
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8").replace("csd10k/hof", "tiny/size")
    script = tmp_path / f"{name}.py"
    script.write_text(text, encoding="utf-8")
    notebook = execute_notebooks.execute(script, tmp_path)
    shown, kept = (
        [(output.output_type, sorted(output.get("data", ()))) for output in list_outputs(each)]
        for each in (notebook, read_notebook(name))
    )
    assert shown == kept


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A checkout without results, with the published pages."""
    project = make_project(tmp_path_factory.mktemp("clean") / "project")
    shutil.copytree(ROOT / "docs/benchmarks", project.folder / "docs/benchmarks")
    return project


@on_one_worker
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "nlmtp"])
def test_a_notebook_shows_the_numbers_that_are_kept(mirror, clean, tmp_path, monkeypatch, name):
    """Of the public data. Not of NL-MTP, whose training takes minutes and ends elsewhere on another processor."""
    monkeypatch.setenv("BOOM_MIRROR", str(mirror))
    monkeypatch.setenv("PYTHONPATH", str(clean.folder))
    made = execute_notebooks.execute(FOLDER / f"{name}.py", tmp_path)
    np.testing.assert_allclose(read_numbers(made), read_numbers(read_notebook(name)), rtol=1e-3, atol=1e-3)
