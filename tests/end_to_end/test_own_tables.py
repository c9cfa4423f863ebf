"""What a leaderboard says of one's own tables that are tiny, have nothing to learn, or another kind than declared."""

import re

import pytest
import yaml
from conftest import make_molecules, make_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("own tables")]

MODELS = ["oracle", "train_mean", "ridge", "random_forest"]
TASKS = ["three/size", "five/size", "twelve/size", "labels/flat", "labels/size", "labels/polarity"]


def describe(name, **kinds):
    """The entry of a dataset, with the kinds of its properties."""
    properties = {each: {"unit": "u", "kind": kind} for each, kind in kinds.items()}
    return {"reader": "table", "label": name, "file": f"{name}.csv", "properties": properties}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose leaderboard is of several tables, one of which cannot be split."""
    project = make_project(tmp_path_factory.mktemp("own") / "project")
    molecules = make_molecules(160).assign(flat=-12.5)
    for name, rows in {"three": 3, "five": 5, "twelve": 12, "labels": 160}.items():
        molecules[:: 160 // rows][:rows].to_csv(project.folder / f"{name}.csv", index=False)
    own = {name: describe(name, size="extensive") for name in ("three", "five", "twelve")}
    own["labels"] = describe("labels", flat="extensive", size="intensive", polarity="intensive")
    config = {"tasks": TASKS, "models": MODELS, "datasets": own}
    (project.folder / "own.yaml").write_text(yaml.safe_dump(config))
    arguments = ("results/leaderboard.md", "--configfile", "own.yaml", "--keep-going")
    assert project.snakemake(*arguments, check=False).returncode != 0
    return project


@pytest.fixture
def page(project):
    return (project.folder / "results/leaderboard.partial.md").read_text()


def find_row(page, heading, first):
    """The cells of a table's row."""
    table = page.split(heading)[1]
    (row, *_) = [line for line in table.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize(
    ("task", "counted", "tested"),
    [
        ("five/size", "There is 1 molecule in ID and 1 molecule in OOD: ", 1),
        ("twelve/size", "There are 2 molecules in ID and 2 molecules in OOD: ", 2),
    ],
)
def test_tiny_tables_run_and_their_few_molecules_are_counted(page, task, counted, tested):
    assert f"\n**{task}**: {counted}on fewer than 6 every difference between models may be chance" in page
    interval = re.search(rf"^\| {task} \(u\) +\| Ridge +\|[^|]*\| +(.*?) +\|", page, re.M)[1]
    assert interval == f"— (n = {tested})"
    assert find_row(page, "## Splits", task)[8:10] == [str(tested), str(tested)]


@pytest.mark.parametrize("heading", ["### OOD RMSE ↓", "### ID RMSE ↓"])
def test_bold_are_models_where_molecules_tell_them_apart(page, heading):
    """Not on a few molecules, nor on a constant, which both models predict exactly."""
    cells = {
        model: dict(zip(TASKS, find_row(page, heading, model)[1:], strict=True))
        for model in ("Ridge", "Random forest")
    }
    assert {model: row["labels/flat"] for model, row in cells.items()} == {"Ridge": "0", "Random forest": "0"}
    bold = {task for row in cells.values() for task, cell in row.items() if "**" in cell}
    assert "labels/size" in bold
    assert bold <= {"labels/size", "labels/polarity"}


def test_a_constant_has_nothing_to_learn(page):
    assert re.search(r"^\*\*labels/flat\*\*: There is nothing to learn: .* labels in train are -12\.5 u\.", page, re.M)


def test_a_wrong_kind_is_told_on_the_page_and_in_the_log_and_a_right_one_is_not(project, page):
    assert re.findall(r"^\*\*(.*)\*\*: (`kind: \w+` is doubtful)", page, re.M) == [
        ("labels/size", "`kind: intensive` is doubtful")
    ]
    log = (project.folder / "logs/inspect_task/labels/size/kde.log").read_text()
    assert "read out as a mean over atoms, composition leaves an RMSE of" in log
    assert "If the property is extensive, correct its `kind`" in log


def test_a_table_that_cannot_be_split_is_a_failure_of_all_models_with_reason_and_log(page):
    table = page.split("\n## Failures\n")[1].splitlines()
    rows = [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in table if line.startswith("| `")]
    assert [row[0] for row in rows] == [f"three/size/kde/{model}/seed0" for model in MODELS]
    for _, status, reason, log in rows:
        assert (status, log) == ("missing", "logs/make_split/three/size/kde.log")
        assert re.match(r"make_split: .*three.*property 'size', scheme 'kde': .* 3 molecules, too few", reason)
