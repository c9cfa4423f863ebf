"""NL-MTP's losses, and the columns of its policy table, by hand."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from nlmtp_parts import make_network, make_tensors, worlds
from rdkit import Chem
from rdkit.Chem import Descriptors
from tiny import MODELS

from boomlib.causal.density import Mixture
from boomlib.features import context, insertions, morgan_counts
from boomlib.features.context import CONTEXT_SETS
from boomlib.harness.design import Environments
from boomlib.harness.interface import Molecules
from boomlib.models.nlmtp import losses
from boomlib.models.nlmtp.encoder import LogMargin
from boomlib.models.nlmtp.model import NLMTP
from boomlib.models.nlmtp.module import Module
from boomlib.models.nlmtp.places import GroupPath


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_policy_losses_by_hand():
    network, molecules = make_network(), make_tensors()
    hidden = network(molecules, worlds(6, 0.0, 0.5, -0.2), hidden=True)
    supported, weight = torch.tensor([True, False, True, True, False, True]), torch.rand(6)
    moved = torch.randn(6, 2)
    policy = losses.Policy(supported, weight)
    found = losses.policy_losses(
        hidden, moved, policy, molecules, pseudo_outcome="observed", spread=0.3, environments=9
    )
    kept = supported.nonzero()[:, 0]
    target = moved[kept, 0] + weight[kept] * (molecules.outcome[kept] - hidden.outcome[kept, 0])
    unit = (hidden.outcome[kept, 1] - target) ** 2
    groups = [unit[molecules.environment[kept] == each].mean() for each in molecules.environment[kept].unique()]
    assert torch.allclose(found["dr_func"], unit.mean() / 0.3**2)
    assert torch.allclose(found["dr_mean"], (hidden.outcome[kept, 1].mean() - target.mean()) ** 2 / 0.3**2)
    assert torch.allclose(found["rex"], torch.stack(groups).var(unbiased=False))
    assert torch.allclose(found["anchor"], ((hidden.outcome[kept, 1:] - moved[kept]) ** 2).mean() / 0.3**2)


def test_without_support_the_policy_teaches_nothing():
    network, molecules = make_network(), make_tensors()
    hidden = network(molecules, worlds(6, 0.0, 0.5), hidden=True)
    nobody = losses.Policy(torch.zeros(6, dtype=torch.bool), torch.ones(6))
    found = losses.policy_losses(
        hidden, torch.zeros(6, 1), nobody, molecules, pseudo_outcome="observed", spread=1.0, environments=9
    )
    assert not any(found.values())
    sum(found.values()).backward()


def test_an_infinite_error_without_support_leaves_gradients_finite():
    network, molecules = make_network(), make_tensors()
    hidden = network(molecules, worlds(6, 0.0, 0.5), hidden=True)
    policy = losses.Policy(torch.tensor([True, False, True, True, False, True]), torch.ones(6))
    moved = torch.zeros(6, 1).index_fill(0, torch.tensor([1, 4]), torch.inf)
    found = losses.policy_losses(
        hidden, moved, policy, molecules, pseudo_outcome="observed", spread=1.0, environments=9
    )
    sum(found.values()).backward()
    assert all(torch.isfinite(each.grad).all() for each in network.parameters() if each.grad is not None)


def test_a_policy_carries_no_gradient():
    network, molecules = make_network(), make_tensors()
    hidden = network(molecules, worlds(6, 0.0, 0.5), hidden=True)
    policy = losses.find_policy(network, hidden, molecules, 0.5, 0.6, 20.0)
    assert not policy.weight.requires_grad
    assert policy.weight.max() <= 20


@pytest.mark.slow
def test_one_batch_can_be_learned_by_heart():
    network, molecules = make_network(), make_tensors(n=8)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=250)
    for _ in range(250):
        own = network(molecules, worlds(8, 0.0), hidden=False)
        loss = (own.outcome[:, 0] - molecules.outcome).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    assert loss.sqrt() < 0.05 * molecules.outcome.std()


# -- by hand -----------------------------------------------------------------------------------------------


def classify(slope: float) -> SimpleNamespace:
    """A network whose classifier's logit is slope · a."""
    return SimpleNamespace(classifier=lambda cls, a: slope * a)


@pytest.mark.parametrize(
    ("slope", "supported"),
    # the support of the step from a is min(1, exp(-slope · (a + 0.5))), that of the step to it min(1, exp(-slope · a))
    [(2.0, [True, True, False, False]), (-2.0, [False, False, True, True])],
)
def test_where_the_policy_applies_and_with_which_weight(slope, supported):
    a, shift = torch.tensor([-2.0, -0.4, 0.0, 3.0]), 0.5
    normal = Mixture(torch.zeros(4, 1), torch.zeros(4, 1), torch.zeros(4, 1))
    reading, molecules = SimpleNamespace(cls=None, density=normal), SimpleNamespace(treatment=a)
    found = losses.find_policy(classify(slope), reading, molecules, shift, 0.6, 3.0)
    assert found.supported.tolist() == supported
    # of a standard normal g: log g(a - δ)/g(a) = a·δ - δ²/2
    assert torch.allclose(found.weight, (a * shift - shift**2 / 2).exp().clamp(max=3.0))


def test_both_steps_have_to_be_supported():
    # towards a = 0 the support grows, beyond it falls: the step from -0.25 to 0.25 is fine, that from 0 to 0.5 is not
    network = SimpleNamespace(classifier=lambda cls, a: 4 * a.abs() - 1)
    normal = Mixture(*torch.zeros(3, 3, 1))
    reading = SimpleNamespace(cls=None, density=normal)
    molecules = SimpleNamespace(treatment=torch.tensor([-0.25, 0.0, -0.5]))
    found = losses.find_policy(network, reading, molecules, 0.5, 0.6, 9)
    assert found.supported.tolist() == [True, False, False]


def test_the_gate_learns_to_tell_shifted_from_natural():
    a = torch.tensor([-1.0, 0.0, 2.0])
    found = losses.support_loss(classify(3.0), None, a, 0.5)
    natural, shifted = 1 / (1 + torch.exp(-3 * a)), 1 / (1 + torch.exp(-3 * (a + 0.5)))
    assert torch.allclose(found, -0.5 * ((1 - natural).log().mean() + shifted.log().mean()))


def test_losses_of_a_place_by_hand():
    """The classifier's optimum is the ratio of what known insertions make, to all natural molecules."""
    natural, made = torch.tensor([-1.0, 0.5, 2.0, 0.0]), torch.tensor([0.3, -0.2, 1.0, -4.0])
    network = SimpleNamespace(spread=(1.0, 1.0, 2.0), ratio_of_groups=lambda molecules, cls: molecules.ratio)
    grouped = SimpleNamespace(outcome=torch.tensor([[1.0, 2], [3, 4], [5, 6], [7, 8]]), cls=None)
    moved = SimpleNamespace(outcome=torch.tensor([[2.5], [4], [9], [0]]), cls=None)
    molecules = SimpleNamespace(outcome=torch.tensor([1.0, 1, 5, 7]), ratio=natural)
    placed = torch.tensor([True, False, True, False])
    found = losses.place_loss(network, grouped, moved, molecules, SimpleNamespace(ratio=made), placed)
    assert found["site_observed"] == pytest.approx((2 / 2) ** 2 / 4)
    assert found["site_anchor"] == pytest.approx(((-0.5 / 2) ** 2 + (-3 / 2) ** 2) / 2)
    chance = [1 / (1 + np.exp(-each)) for each in (natural.numpy(), made.numpy())]
    expected = -np.log(1 - chance[0]).sum() / 4 - (np.log(chance[1]) * placed.numpy()).sum() / 4
    assert found["site_support"] == pytest.approx(expected / 2)


def test_the_gate_of_places_ends_at_the_ratio_of_densities():
    # half of the insertions are into groups that train does not have: they make points half as often
    natural, made = torch.zeros(1, requires_grad=True), torch.zeros(4)
    placed = torch.tensor([True, True, False, False])
    network = SimpleNamespace(
        spread=(1.0,) * 3, ratio_of_groups=lambda molecules, cls: natural.expand(4) + 0 * molecules.ratio
    )
    outcome = SimpleNamespace(outcome=torch.zeros(4, 2), cls=None)
    molecules = SimpleNamespace(outcome=torch.zeros(4), ratio=made)
    optimiser = torch.optim.LBFGS([natural], max_iter=50)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = losses.place_loss(network, outcome, outcome, molecules, molecules, placed)["site_support"]
        loss.backward()
        return loss

    optimiser.step(closure)
    assert natural.detach().exp().item() == pytest.approx(0.5, rel=1e-3)


def test_matched_pairs_teach_where_there_is_one():
    pair, target = torch.arange(12.0).reshape(3, 2, 2), torch.zeros(3, 2)
    known = torch.tensor([True, False, True])
    found = losses.pair_loss(SimpleNamespace(pair=pair), 1, target + 1, known)
    assert found == pytest.approx((((2 - 1) ** 2 + (3 - 1) ** 2) / 2 + ((10 - 1) ** 2 + (11 - 1) ** 2) / 2) / 2)
    assert losses.pair_loss(SimpleNamespace(pair=pair), 1, target, torch.zeros(3, dtype=torch.bool)) == 0


def test_fast_weights_cost_what_they_change():
    network = make_network()
    norms = [layer.fast.norms() for layer in network.backbone.layers if layer.fast is not None]
    alpha = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    assert len(norms) == 3 and min(norms) > 0
    found = losses.fast_weight_loss(network, alpha)
    assert torch.allclose(found, torch.tensor(1.5 / 6) + sum(norms) / 3)


def test_the_observed_world_is_asked_at_the_shifted_treatment():
    network, molecules = make_network(), make_tensors()
    module = Module(
        network, lambda each: {}, LogMargin(1.0), weights={}, shift=0.7, threshold=0.6, clip=20.0,
        pseudo_outcome="observed", pair_epochs=0,
    )  # fmt: skip
    shifted = replace(molecules, treatment=molecules.treatment + 0.7)
    # the linear path is told of the treatment in `treatment`, and of nothing else
    there = network(shifted, worlds(6, 0.0), hidden=True).outcome
    assert torch.allclose(module.moved(molecules, [torch.full((6,), 0.7)]), there, atol=1e-5)
    assert not torch.allclose(network(molecules, worlds(6, 0.0), hidden=True).outcome, there, atol=1e-2)


def test_columns_of_the_policy_table():
    """Each column is what it is said to be, in native units."""
    parameters = MODELS["nlmtp_small"]["parameters"]
    model = NLMTP(kind="extensive", observable=None, seed=0, threads=1, **parameters)
    model.network, model.encoder.mass_scale = make_network(), 20.0
    native = model.encoder.outcome.fit(np.array([-50.0, 10, 80])).inverse
    molecules, shift = make_tensors(), parameters["shift"] / 20.0
    with torch.no_grad():
        found = model.policy_columns(molecules)
        here = model.network(molecules, worlds(6, 0.0, shift), hidden=True)
        shifted = replace(molecules, treatment=molecules.treatment + shift)
        there = model.network(shifted, worlds(6, 0.0), hidden=True).outcome[:, 0]
        a, classifier = molecules.treatment, model.network.classifier
        expected = {
            "m_observed": native(here.outcome[:, 0]),
            "m_policy": native(here.outcome[:, 1]),
            "m_moved": native(there),
            "log_ratio_density": here.density.log_prob(a - shift) - here.density.log_prob(a),
            "log_ratio_classifier": classifier(here.cls, a),
            "support": (-classifier(here.cls, a + shift)).exp().clamp(max=1),
            "support_before": (-classifier(here.cls, a)).exp().clamp(max=1),
            "alpha": here.alpha[:, 1].mean(-1),
        }
    for name, values in expected.items():
        assert found[name] == pytest.approx(np.asarray(values), rel=1e-4, abs=1e-4), name
    assert found["sweep"].shape == (6, 9)
    assert found["sweep"][:, 4] == pytest.approx(found["m_observed"], rel=1e-4)


def test_an_insertion_changes_the_linear_path_as_its_product_does():
    smiles = ["CCOC", "CCOCC", "CC(C)O", "CC(C)N", "CC(=O)O", "CCC(=O)O"]
    smiles += [n * "C" + end for end in "ON" for n in range(2, 8)]

    def describe(texts: list[str]) -> Molecules:
        features = {
            name: pa.table(module.compute(texts))
            for name, module in (("morgan_counts", morgan_counts), ("context", context), ("insertions", insertions))
        }
        n = len(texts)
        return Molecules(np.arange(n), np.array(texts, dtype=object), np.zeros(n), features)

    def standardised(molecules: Molecules) -> tuple[np.ndarray, np.ndarray]:
        columns = molecules.features["context"].select(CONTEXT_SETS["homologous"])
        x = np.column_stack([each.to_numpy().astype(float) for each in columns.columns])
        mass = np.array([Descriptors.ExactMolWt(Chem.MolFromSmiles(each)) for each in molecules.smiles])
        return (x - 0.5) / 2, (mass - 60) / 20

    train = describe(smiles)
    z = np.random.default_rng(0).normal(size=len(smiles))
    path = GroupPath()
    path.fit(train, train, z, z, standardised)
    columns = np.arange(len(CONTEXT_SETS["homologous"]))
    found = path.find_insertions(train.features["insertions"], columns, np.full(len(columns), 2.0), 14.01565 / 20)
    products = train.features["insertions"]["product"].to_pylist()
    made = describe([each for row in products for each in row])
    rise = path.level(made, *standardised(made)) - path.level(train, *standardised(train))[found.molecule.numpy()]
    assert len(found) == len(made)
    assert found.line.numpy() == pytest.approx(rise, abs=1e-5)
    assert np.ptp(rise) > 0.1
    # known: all groups that there are more of are in at least three molecules of train
    before, after, known = list_groups(train), list_groups(made), set(path.environments.vocabulary)
    more = [set(after[place] - before[index]) for place, index in enumerate(found.molecule.tolist())]
    assert found.known.tolist() == [not each - known for each in more]
    assert 0 < found.known.sum() < len(found)


def list_groups(molecules: Molecules) -> list[Counter]:
    """Counts of each molecule's environments up to radius 1."""
    found: list[Counter] = [Counter() for _ in molecules.smiles]
    for index, identifier, count in zip(*Environments(1, 1).entries(molecules), strict=True):
        found[index][identifier] = int(count)
    return found
