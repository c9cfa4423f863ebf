"""NL-MTP with its options: what is trained is what a kept model says of the same molecules, and of each spelling."""

import itertools
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import pytest
import tiny
import torch
from tiny import TrainingJob, small_descriptor, write_benchmark

from boomlib import contracts
from boomlib.files import ContractError
from boomlib.harness.interface import Molecules
from boomlib.harness.job import read_task
from boomlib.harness.keeping import describe_run
from boomlib.harness.kept import read_kept
from boomlib.models.nlmtp.encoder import Encoder, LogMargin
from boomlib.models.nlmtp.model import NLMTP

SPELLINGS = 3
FURTHER = ["xtb"]
OPTIONS = {
    "within": {"encoder": {"line": "within"}},
    "two phases": {"training": {"epochs": 2, "policy_epochs": 1}},
    "physics": {"encoder": {"additive": "physics"}, "training": {"epochs": 1}},
    "enumeration": {"encoder": {"enumeration": SPELLINGS}, "training": {"epochs": 2}},
}


def descriptor_with(changes: dict) -> dict:
    small = small_descriptor("nlmtp_small")
    given, features = small["parameters"], [*small["features"], *FURTHER]
    return small | {
        "features": features,
        "parameters": given | {name: given[name] | change for name, change in changes.items()},
    }


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "FOLDS", [fold for fold in tiny.FOLDS for _ in range(10)])  # contexts that are shared
        write_benchmark(folder, descriptor_with({})["features"])
    return folder


@pytest.fixture(scope="module", params=OPTIONS)
def trained(request, benchmark, tmp_path_factory):
    job = TrainingJob(descriptor_with(OPTIONS[request.param]), benchmark, tmp_path_factory.mktemp("trained"))
    # a variant, as a configuration would have it: its features need not be those of the model that it is of
    variant = {"of": "nlmtp_small", "label": "It"} | {key: job.descriptor[key] for key in ("features", "parameters")}
    run = {"dataset": "tiny", "property": tiny.PROPERTY, "scheme": "kde", "model": "it"}
    keep = describe_run(tiny.CONFIG | {"models": ["it"], "variants": {"it": variant}}, run)
    job(policy=job.folder / "policy.parquet", keep=keep)
    return job


def test_a_kept_model_says_the_same(trained, benchmark):
    smiles = contracts.read_table(benchmark / "molecules.parquet")["smiles"].to_numpy()
    predicted = contracts.read_table(trained.predictions)
    asked = smiles[predicted["molecule_id"].to_numpy()].tolist()
    assert read_kept(trained.folder).predict(asked).mean.tobytes() == predicted["y_pred"].to_numpy().tobytes()


def fit(benchmark, folder, changes: dict, without: Sequence[str] = ()) -> tuple[NLMTP, Molecules]:
    """A model that is fitted here, to molecules ``without`` some features, and the molecules of the test folds."""
    descriptor = descriptor_with(changes)
    descriptor["features"] = [name for name in descriptor["features"] if name not in without]
    molecules, fold = read_task(benchmark / "task.parquet", tiny.feature_files(descriptor, benchmark))
    model = NLMTP(**descriptor["parameters"], kind="extensive", seed=0)
    model.fit(molecules.take(fold == "train"), molecules.take(fold == "valid"), folder)
    return model, molecules.take(np.isin(fold, contracts.PREDICTED_FOLDS))


def test_spellings_are_averaged_and_do_not_depend_on_the_company(benchmark, tmp_path):
    model, molecules = fit(benchmark, tmp_path, OPTIONS["enumeration"])
    predicted = model.predict(molecules).mean
    spelled = model.spell(molecules)
    assert len(spelled) == SPELLINGS
    each = np.stack([model.own_outcome([tensors]) for tensors in spelled])
    assert (np.ptp(each, axis=0) > 0).any(), "spellings are read alike"
    z = model.encoder.outcome.transform(each).mean(axis=0)
    np.testing.assert_allclose(predicted, model.encoder.outcome.inverse(z), rtol=1e-9)
    some = model.predict(molecules.take(np.arange(5)))
    np.testing.assert_allclose(some.mean, predicted[:5], rtol=1e-5)
    plain = model.encoder.transform(molecules)
    for tensors, name in itertools.product(spelled, (field.name for field in fields(plain))):
        ours, theirs = getattr(tensors, name), getattr(plain, name)
        assert name == "tokens" or torch.equal(ours.nan_to_num(), theirs.nan_to_num()), name


def test_each_epoch_reads_another_spelling(benchmark, tmp_path, monkeypatch):
    read = []
    respell = Encoder.respell

    def record(encoder, molecules, spellings, seed):
        drawn = respell(encoder, molecules, spellings, seed)
        if spellings == 1:
            read.append(drawn[0])
        return drawn

    monkeypatch.setattr(Encoder, "respell", record)
    model, _ = fit(benchmark, tmp_path, OPTIONS["enumeration"])
    assert len(read) == 2
    assert any(ours.tolist() != theirs.tolist() for ours, theirs in zip(*read, strict=True))
    unknown = model.encoder.tokenizer.encode(["[Xe]"])[0]
    assert not any(np.isin(tokens.numpy(), unknown).any() for tokens in read), "a token of a spelling is unknown"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"network": {"depth": 6, "fast_layers": [3, 7]}},
            r"has \[7\], but the network's layers are 0 to 5",
        ),
        ({"network": {"fast_layers": []}}, "nothing reads the shift"),
        ({"network": {"width": 48, "heads": 16}}, "a multiple of twice the heads, not 48 for 16 heads"),
        (
            {"network": {"probe_sees_do": True}, "training": {"policy_epochs": 1}},
            "with `probe_sees_do` the observed world reads what `policy_epochs` trains",
        ),
        ({"training": {"threshold": 60.0}}, "`threshold` is a support, at most 1, not 60"),
        ({"training": {"clip": -1.0}}, "`clip` has to be at least 1, not -1"),
        ({"training": {"epochs": 0}}, "`epochs` has to be at least 1, not 0"),
        ({"encoder": {"environments": 0}}, "`environments` has to be at least 1, not 0"),
        ({"encoder": {"margin": -0.5}}, "`margin` has to be at least 0, not -0.5"),
        ({"encoder": {"margin": 0.0}}, "`margin` has to be above 0"),
        ({"losses": {"anchor": -1.0}}, "`anchor` has to be at least 0, not -1"),
        ({"network": {"components": 0}}, "`components` has to be at least 1, not 0"),
        ({"training": {"warm_up": -5}}, "`warm_up` has to be at least 0, not -5"),
        ({"encoder": {"enumeration": -2}}, "`enumeration` has to be at least 0, not -2"),
    ],
)
def test_options_that_cannot_work_are_refused(changes, said):
    with pytest.raises(ContractError, match=said):
        NLMTP(**descriptor_with(changes)["parameters"], kind="extensive", seed=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"fast_layers": []}, "encoder": {"line": "within"}},  # the line itself reads the shift
        {"network": {"fast_layers": [], "probe_sees_do": True}},
    ],
)
def test_a_shift_may_be_read_without_fast_weights(changes):
    NLMTP(**descriptor_with(changes)["parameters"], kind="extensive", seed=0)


def test_a_policy_that_changes_nothing_is_refused():
    with pytest.raises(ContractError, match="`shift` is 0: the policy would change nothing"):
        NLMTP(**descriptor_with({})["parameters"] | {"shift": 0.0}, kind="extensive", seed=0)


def test_features_that_nothing_reads_may_lack(benchmark, tmp_path):
    changes = {"encoder": {"additive": "none"}, "training": {"epochs": 1}}
    fit(benchmark, tmp_path, changes, without=("elements", "morgan_counts"))
    with pytest.raises(ContractError, match=r"these options read elements, morgan_counts; add to"):
        fit(benchmark, tmp_path, {}, without=("elements", "morgan_counts"))


@pytest.mark.parametrize(("epochs", "warm_up"), [(1, 2), (4, 8), (100, 100)])
def test_a_short_policy_phase_warms_up_for_half_of_it(epochs, warm_up, monkeypatch):
    model = NLMTP(**descriptor_with({"training": {"warm_up": 100}})["parameters"], kind="extensive", seed=0)
    asked = []
    monkeypatch.setattr("boomlib.models.nlmtp.model.make_adamw", lambda learning, rates, steps: asked.append(rates))
    monkeypatch.setattr(
        "boomlib.models.nlmtp.model.Module", lambda network, optimise, *given, **named: optimise(network)
    )
    model.network, model.encoder.mass_scale = None, 1.0
    model.make_module("policy", [], 4 * epochs)
    model.make_module("both", [], 4 * epochs)
    assert [rates["warm_up"] for rates in asked] == [warm_up, 100]


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        ({"encoder": {"site": True}}, "insertions"),
        ({"encoder": {"additive": "physics_embedded"}}, "xtb_embedded"),
        ({"encoder": {"context": "full"}}, "maccs"),
    ],
)
def test_a_feature_that_is_not_listed_is_named(benchmark, tmp_path, changes, lacking):
    with pytest.raises(ContractError, match=f"these options read {lacking}; add to the descriptor's `features:`"):
        fit(benchmark, tmp_path, changes)


def test_masses_that_are_all_the_same_are_refused(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr(Encoder, "mass", lambda self, molecules: np.full(len(molecules), 74.0732))
    with pytest.raises(ContractError, match=r"all of train weigh 74[.]07320 Da: NL-MTP asks about"):
        fit(benchmark, tmp_path, {})


def test_labels_that_are_all_the_same_are_refused():
    with pytest.raises(ContractError, match=r"all 3 labels of train are 2[.]5: there is nothing to learn"):
        LogMargin(1.0).fit(np.full(3, 2.5))
