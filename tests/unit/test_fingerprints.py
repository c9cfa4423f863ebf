"""What decides a run, and what does not."""

from collections.abc import Callable

import pytest
import yaml
from conftest import ROOT

from boomlib import fingerprints
from boomlib.files import write_text
from boomlib.runs import Run
from boomlib.workflow import Plan

RUN = Run("mine", "y", "kde", "net", 0)
CORPUS = {"parameters": {"pretrained": "mlm"}}
STAGES = {"prepare_molecules", "make_split", "featurize", "train_predict"}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with a table and a kept prediction of one's own."""
    write_text(tmp_path / "mine.csv", "smiles,y\nC,1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(of="egnn_small", **variant) -> dict:
    return {
        "datasets": {
            "mine": {
                "reader": "table",
                "label": "Mine",
                "file": "mine.csv",
                "properties": {"y": {"unit": "1", "kind": "extensive"}, "x": {"unit": "1", "kind": "intensive"}},
            }
        },
        "tasks": ["mine/y"],
        "models": ["net"],
        "seeds": [0],
        "variants": {"net": {"of": of, "label": "Net"} | variant},
    }


def read(config: dict, run: Run = RUN) -> str:
    return Plan(config).fingerprint(run)


def edit(change: Callable[[dict], object], **variant) -> tuple[str, str]:
    """The fingerprints before and after a change of the configuration."""
    before, after = configure(**variant), configure(**variant)
    change(after)
    return read(before), read(after)


DECIDE = {
    "a hyper-parameter": lambda config: config["variants"]["net"].update(parameters={"width": 8}),
    "its class": lambda config: config["variants"]["net"].update(of="chemprop_small"),
    "the kind": lambda config: config["datasets"]["mine"]["properties"]["y"].update(kind="intensive"),
    "the order of properties": lambda config: config["datasets"]["mine"].update(
        properties=dict(reversed(config["datasets"]["mine"]["properties"].items()))
    ),
    "the split": lambda config: config["datasets"]["mine"].update(split={"ood_size": 3}),
    "how a feature is computed": lambda config: config["datasets"]["mine"].update(max_embedding_attempts=7),
    "a column": lambda config: config["datasets"]["mine"].update(smiles_column="structure"),
}


@pytest.mark.parametrize("what", DECIDE)
def test_what_decides_predictions_changes_the_fingerprint(checkout, what):
    before, after = edit(DECIDE[what])
    assert before != after


NEUTRAL = {
    "a label": lambda config: config["variants"]["net"].update(label="Other"),
    "a label of data": lambda config: config["datasets"]["mine"].update(label="Other"),
    "other runs": lambda config: config.update(models=["net", "ridge"], seeds=[0, 1], tasks=["mine/x", "mine/y"]),
    "the mirror": lambda config: config.update(mirror="somewhere"),
    "parts": lambda config: config.update(feature_jobs=3),
}


@pytest.mark.parametrize("what", NEUTRAL)
def test_what_decides_nothing_does_not(checkout, what):
    before, after = edit(NEUTRAL[what])
    assert before == after


def test_a_table_counts_by_what_it_holds_wherever_it_lies(checkout):
    write_text("other/mine.csv", (checkout / "mine.csv").read_text())
    before, moved = edit(lambda config: config["datasets"]["mine"].update(file="other/mine.csv"))
    assert before == moved
    write_text("mine.csv", "smiles,y\nC,2\n")
    assert read(configure()) != before


def test_a_seed_decides(checkout):
    plan = Plan(configure() | {"seeds": [0, 1]})
    assert plan.fingerprint(RUN) != plan.fingerprint(Run("mine", "y", "kde", "net", 1))


def test_a_committee_is_what_its_members_are(checkout):
    run = Run("mine", "y", "kde", "committee", 0)
    plan = Plan(configure() | {"models": ["committee"], "variants": {}})
    before, member = plan.describe(run), plan.list_member_runs(run)[0]
    plan.fingerprints[member] = "of other settings"
    after = plan.describe(run)
    assert {key for key in before if before[key] != after[key]} == {"members"}


@pytest.mark.parametrize(
    ("variant", "more"), [({}, set()), (CORPUS | {"of": "chemberta_small"}, {"make_corpus", "pretrain"})]
)
def test_the_code_of_every_stage_up_to_the_predictions_counts(checkout, monkeypatch, variant, more):
    hashed = set()

    def note(*modules: str, files: tuple[str, ...] = ()) -> str:
        hashed.update(modules)
        return ""

    monkeypatch.setattr(fingerprints, "code_hash", note)
    read(configure(**variant) | {"corpus": ["mine"]})
    adapters = {name.removeprefix("workflow_scripts.") for name in hashed if name.startswith("workflow_scripts.")}
    assert adapters == STAGES | more
    assert {"boomlib.datasets.table", "boomlib.splits.kde", "boomlib.features.elements"} <= hashed
    assert any(name.startswith("boomlib.models.") for name in hashed)


def test_a_checkpoint_counts_by_what_it_holds(checkout):
    """Of the descriptor's path nothing counts."""
    parameters = {"pretrained": {"directory": "here"}, "width": 3}
    assert fingerprints.drop_paths(parameters) == {"pretrained": "given", "width": 3}
    for start in (None, "mlm", {"hub": "a/b", "revision": "0" * 40}):
        assert fingerprints.drop_paths({"pretrained": start}) == {"pretrained": start}


def test_every_shipped_run_has_one_of_its_own():
    plan = Plan(yaml.safe_load((ROOT / "config/all.yaml").read_text()))
    assert len({plan.fingerprint(run) for run in plan.runs}) == len(plan.runs)
