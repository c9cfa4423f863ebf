"""Screens as a configuration asks for them: what is refused, whose runs they are, and what is kept."""

import json
from pathlib import Path

import pytest

from boomlib import registry
from boomlib.files import ContractError
from boomlib.report.publish import SETTINGS
from boomlib.screens import KEPT
from boomlib.workflow import Plan


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a file of molecules, where commands are given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("smiles\nC\n")
    return tmp_path


def make_plan(screen, **changes) -> Plan:
    config = {"tasks": ["csd10k/hof"], "models": ["oracle", "ridge"]} | changes
    return Plan(config | {"screens": {"mine": {"file": "mine.csv"} | screen}})


def test_what_a_screen_leaves_out_is_the_configurations():
    runs = make_plan({}, seeds=[0, 1], schemes=["scaffold", "kde"]).screens.named["mine"].runs
    assert [run.stem for run in runs] == [f"csd10k/hof/scaffold/ridge/seed{seed}" for seed in (0, 1)]


def test_runs_of_a_screen_need_not_be_the_leaderboards():
    plan = make_plan({"tasks": ["qm9_sample/gap"], "models": ["mlp"], "seeds": [3]})
    assert plan.screens.get_predictions({"screen": "mine"}) == [
        "results/predictions/qm9_sample/gap/kde/mlp/seed3.parquet"
    ]
    assert [run.model for run in plan.runs] == ["oracle", "ridge"]
    assert "mlp" not in plan.trained_models


@pytest.mark.parametrize(
    ("screen", "message"),
    [
        ({"modles": ["ridge"]}, "unknown key 'modles' at screens.mine; did you mean 'models'"),
        ({"models": ["rigde"]}, "screens.mine: models: unknown model 'rigde'; did you mean 'ridge'"),
        ({"models": ["oracle"]}, "'oracle' is a control, which bounds models and predicts nothing"),
        ({"models": ["train_mean"]}, "'train_mean' is a control"),
        ({"tasks": ["csd10k/hofs"]}, "screens.mine: tasks: dataset 'csd10k' has no property 'hofs'; did you mean"),
        ({"scheme": "kdes"}, "screens.mine.scheme"),
        ({"file": "results/a.csv"}, r"screens.mine.file: results/a\.csv is where results are made; copy it elsewhere"),
        (
            {"tasks": ["qm9/gap"], "models": ["physics_ridge"]},
            "'physics_ridge' reads the geometries of qm9's source.*name 'physics_ridge_embedded'",
        ),
        ({"tasks": ["qm9/gap"], "models": ["egnn"]}, "'egnn' reads the geometries .*conformers: embedded"),
        ({"tasks": ["qm9/gap"], "models": ["committee"]}, "'committee' reads the geom.*name 'committee_embedded'"),
    ],
)
def test_what_cannot_be_screened_is_refused_by_name(screen, message):
    with pytest.raises(ContractError, match=message):
        make_plan(screen)


def test_an_external_model_is_refused(monkeypatch):
    models = registry.load_models()
    models["theirs"] = models["ridge"] | {"family": "external", "label": "Theirs"}
    monkeypatch.setattr(registry, "load_models", lambda: models)
    with pytest.raises(ContractError, match="'theirs' is external: of others' predictions"):
        make_plan({"models": ["theirs"]})


def test_a_pretrained_model_is_refused_where_its_corpus_would_hold_molecules_of_the_test():
    pretrained = {"of": "molformer_small", "label": "M", "parameters": {"pretrained": "mlm"}}
    screen = {"tasks": ["qm9_sample/gap"], "models": ["m"]}
    with pytest.raises(ContractError, match="add 'qm9_sample' to `corpus`"):
        make_plan(screen, variants={"m": pretrained})
    make_plan(screen, variants={"m": pretrained}, corpus=["qm9_sample"])
    both = {"of": "committee", "label": "B", "parameters": {"members": ["ridge", "m"]}}
    with pytest.raises(ContractError, match="'both' is pretrained on"):
        make_plan(screen | {"models": ["both"]}, variants={"m": pretrained, "both": both})


def test_models_are_kept_that_a_screen_asks_members_of_committees_included():
    plan = make_plan({"models": ["committee"]})
    asked = {"dataset": "csd10k", "property": "hof", "scheme": "kde", "seed": "0"}
    members = plan.models["committee"]["parameters"]["members"]
    kept = {name: plan.screens.must_keep(asked | {"model": name}) for name in ("committee", *members, "mlp")}
    assert kept == dict.fromkeys(("committee", *members), True) | {"mlp": False}
    assert not plan.screens.must_keep(asked | {"model": "committee", "seed": "1"})


def test_what_was_kept_stays_kept_and_a_lost_file_is_made_again(folder):
    place = folder / "results/predictions/csd10k/hof/kde/ridge/seed0"
    place.mkdir(parents=True)
    asked = {"dataset": "csd10k", "property": "hof", "scheme": "kde", "model": "ridge", "seed": "0"}
    job = {"output": ["results/predictions/csd10k/hof/kde/ridge/seed0.parquet"]}
    without = Plan({"tasks": ["csd10k/hof"], "models": ["ridge"]})
    (place / KEPT).write_text(json.dumps({"files": {"model.skops": "…"}}))
    assert without.screens.must_keep(asked)
    assert not without.screens.has_lost_model(job)
    plan = make_plan({})
    assert plan.screens.has_lost_model(job)
    (place / "model.skops").touch()
    assert not plan.screens.has_lost_model(job)
    (place / KEPT).write_text("{")
    assert plan.screens.has_lost_model(job)
    assert plan.screens.must_keep(asked)
    (place / KEPT).unlink()
    assert without.screens.must_keep(asked), "the same as long as a process runs"


def test_a_screen_is_no_part_of_what_makes_a_leaderboard():
    assert "screens" in SETTINGS & registry.UNSHOWN
    with_screen, without = make_plan({}), Plan({"tasks": ["csd10k/hof"], "models": ["oracle", "ridge"]})
    assert with_screen.list_beside_runs() == without.list_beside_runs()
    assert with_screen.list_prepared() == without.list_prepared()


def test_the_content_of_the_file_counts(folder):
    before = make_plan({}).screens.get_given({"screen": "mine"})
    (folder / "mine.csv").write_text("smiles\nCC\n")
    assert make_plan({}).screens.get_given({"screen": "mine"}) != before


def test_a_file_that_is_missing_stops_no_other_command(folder):
    (folder / "mine.csv").unlink()
    assert make_plan({}).screens.get_given({"screen": "mine"}) == {"mine.csv": "missing"}
