"""Screens, whole: trained and kept what is missing, predicted, a page; and what that leaves alone."""

import re

import pandas as pd
import pytest
from conftest import make_molecules, read_block

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("screens")]  # on one worker, which makes what they share once

SCREEN = "results/screens/mine.md"
WRITTEN = {
    "Check the file of screen mine",
    "Screen mine",
    "Plot what ridge predicts of tiny/size, kde split, in screen mine",
    "Write the page of screen mine",
}
BROKEN = "RDKit cannot parse the SMILES"


def write_file(project, smiles):
    lines = [f'{row},{text},"a, {row}"' for row, text in enumerate(smiles)]
    (project.folder / "mine.csv").write_text("\n".join(["number,SMILES,remark", *lines]) + "\n")


@pytest.fixture(scope="module")
def screened(finished, tmp_path_factory):
    """The finished project with a screen of its ridge regression, which nobody had kept."""
    project = finished.copy(tmp_path_factory.mktemp("screened") / "project")
    smiles = make_molecules(60)["smiles"].tolist()
    write_file(project, [*smiles[:30], "C1CC", *smiles[30:], smiles[0], "[Na+].[Cl-]"])
    project.write_config(screens={"mine": {"file": "mine.csv", "models": ["ridge"]}})
    planned = project.planned(SCREEN)
    assert {"Train ridge (seed 0) on tiny/size, kde split", *WRITTEN} <= planned
    assert not [each for each in planned if "mlp" in each or "oracle" in each]
    project.snakemake(SCREEN)
    return project


def test_a_screen_keeps_the_models_that_it_asks_and_no_others(screened):
    folder = screened.folder / "results/predictions/tiny/size/kde"
    assert [path.parent.parent.name for path in folder.glob("*/seed0/kept.json")] == ["ridge"]
    assert screened.planned(SCREEN) == set()


def test_a_screen_brings_a_table_and_a_page(screened):
    said = pd.read_csv(screened.folder / "results/screens/mine.csv")
    assert said["number"].tolist() == list(range(63))
    assert list(said.columns)[:3] == ["number", "SMILES", "remark"]
    assert said["y_pred"].isna().sum() == 1 and said["note"][30] == BROKEN
    inside = said["y_pred_low"].lt(said["y_pred"]) & said["y_pred"].lt(said["y_pred_high"])
    assert inside.sum() == 62
    assert "element" in said["y_pred_flags"][62]
    rejects = (screened.folder / "results/screens/mine/rejects.csv").read_text()
    assert rejects == f"line,smiles,reason\n32,C1CC,{BROKEN}\n"
    page = (screened.folder / SCREEN).read_text()
    assert "63 rows, of which 1 lack a prediction" in page
    assert re.search(r"\| highest 10 +\| `", page)
    assert "Ridge" in page and BROKEN in page
    for figure in re.findall(r"\]\((.*?\.png)\)", page):
        assert (screened.folder / "results/screens" / figure).is_file()
    assert page.count(".png)") == 2


def test_more_molecules_train_nothing(screened, tmp_path):
    project = screened.copy(tmp_path / "p")
    with (project.folder / "mine.csv").open("a") as stream:
        stream.write("63,CCCCCCCCN,new\n")
    assert project.planned(SCREEN) == WRITTEN
    done = project.snakemake(SCREEN)
    assert "mine.csv: 64 rows, 1 molecules asked that had no answer yet" in done.stdout


def test_a_screen_that_is_taken_away_trains_nothing_and_a_lost_model_is_trained(screened, tmp_path):
    project = screened.copy(tmp_path / "p")
    (project.folder / "results/predictions/tiny/size/kde/ridge/seed0/kept.json").unlink()
    assert "Train ridge (seed 0) on tiny/size, kde split" in project.planned(SCREEN)
    project = screened.copy(tmp_path / "q")
    project.write_config()
    assert not [each for each in project.planned("results/leaderboard.md") if each.startswith("Train")]


def test_a_committee_over_two_seeds_and_two_tasks(finished, tmp_path):
    project = finished.copy(tmp_path / "p")
    both = {"of": "committee", "label": "Both", "parameters": {"members": ["ridge", "group_contribution"]}}
    screen = {"file": "mine.csv", "tasks": ["tiny/size", "tiny/polarity"], "models": ["both", "mlp"], "seeds": [0, 1]}
    write_file(project, make_molecules(20)["smiles"])
    project.write_config(variants={"both": both}, screens={"mine": screen})
    project.snakemake(SCREEN)
    said = pd.read_parquet(project.folder / "results/screens/mine.parquet")
    names = [f"{name}_{model}" for name in ("size", "polarity") for model in ("both", "mlp")]
    assert {f"{name}{end}" for name in names for end in ("", "_low", "_high", "_spread", "_flags")} <= set(said)
    assert said[names].notna().all().all()
    assert (said["size_mlp_spread"] > 0).all()
    assert (project.folder / SCREEN).read_text().count("\n## ") == 2 + len(names)


def test_the_pages_configuration_has_a_plan(project):
    (project.folder / "data").mkdir()
    (project.folder / "data/mine.csv").write_text("SMILES\nCCO\n")
    (project.folder / "screen.yaml").write_text(read_block("docs/usage.md", "screen"))
    planned = project.planned("results/screens/candidates.md", "--configfile", "screen.yaml")
    assert {"Screen candidates", "Train ridge (seed 0) on csd10k/hof, kde split"} <= planned
    assert not [each for each in planned if "csd10k/density" in each]
