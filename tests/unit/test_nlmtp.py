"""NL-MTP: what its parts may see, that worlds share one past, and that it learns."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from nlmtp_parts import DEPTH, make_network, make_tensors, worlds

from benchmarks.shared_prefix import make_inputs, naive, naive_worlds, shared
from boomlib.files import ContractError
from boomlib.models.nlmtp.backbone import Backbone
from boomlib.models.nlmtp.encoder import LogMargin, Tensors
from boomlib.models.nlmtp.module import Pairs
from boomlib.models.nlmtp.network import Question
from boomlib.models.nlmtp.places import Insertions


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def backbone():
    return Backbone(width=32, heads=4, shared_alpha=False, probe_sees_do=False, **DEPTH)


# -- worlds and their past ---------------------------------------------------------------------------------


def test_shared_past_equals_running_everything_for_each_world(backbone):
    inputs = make_inputs(backbone, n=5, length=14, worlds=3)
    ours, theirs = shared(backbone, *inputs), naive_worlds(backbone, *inputs)
    assert (ours - theirs).abs().max() < 1e-5


def test_gradients_through_the_shared_past_equal_the_naive_ones(backbone):
    *inputs, world, active = make_inputs(backbone, n=5, length=14, worlds=3)
    inputs[0].requires_grad_()
    wanted = [inputs[0], *backbone.parameters()]
    weight = torch.randn(5, 3, 2, 32)
    ours, theirs = (
        torch.autograd.grad((way(backbone, *inputs, world, active) * weight).mean(), wanted)
        for way in (shared, naive_worlds)
    )
    assert max((a - b).abs().max() for a, b in zip(ours, theirs, strict=True)) < 1e-5
    assert all(torch.count_nonzero(each) for each in ours)


def test_what_follows_leaves_the_past_as_it_is(backbone):
    past, position, mask, world, active = make_inputs(backbone, n=5, length=14, worlds=2)
    alone, _ = backbone.past(past, position, mask)
    for follows in (world[:, 1], world[:, 1] * 100):
        together = naive(backbone, past, position, mask, follows, active[:, 1])
        assert torch.allclose(together[:, :14], alone, atol=1e-5)


def test_worlds_do_not_see_each_other(backbone):
    past, position, mask, world, active = make_inputs(backbone, n=5, length=14, worlds=3)
    before = shared(backbone, past, position, mask, world, active)
    world = world.clone()
    world[:, 2] = world[:, 2].flip(-1)
    after = shared(backbone, past, position, mask, world, active)
    assert torch.allclose(before[:, :2], after[:, :2], atol=1e-6)
    assert not torch.allclose(before[:, 2], after[:, 2], atol=1e-2)


def test_fast_weights_move_the_policy_world_and_nothing_else(backbone):
    past, position, mask, world, active = make_inputs(backbone, n=5, length=14, worlds=2)
    states, _ = backbone.past(past, position, mask)
    before = shared(backbone, past, position, mask, world, active)
    for layer in (3, 7, 11):
        for factor in backbone.layers[layer].fast.up.values():
            torch.nn.init.normal_(factor)
    after = shared(backbone, past, position, mask, world, active)
    assert torch.equal(backbone.past(past, position, mask)[0], states)
    assert torch.equal(before[:, 0], after[:, 0])
    assert (before[:, 1] - after[:, 1]).abs().max() > 0.1


def test_a_shift_reaches_the_outcome_through_the_fast_weights_alone():
    molecules = make_tensors()
    outcomes = {}
    for sees in (False, True):
        network = make_network(probe_sees_do=sees)
        for layer in network.backbone.layers:
            if layer.fast is not None:
                for factor in layer.fast.up.values():
                    torch.nn.init.zeros_(factor)
        outcomes[sees] = network(molecules, worlds(6, 0.0, 0.5, 2.0), hidden=True).outcome
    assert torch.allclose(outcomes[False], outcomes[False][:, :1].expand(-1, 3), atol=1e-6)
    assert (outcomes[True][:, 0] - outcomes[True][:, 1:].T).abs().min() > 1e-4


def test_fast_weights_stand_at_the_layers_of_the_recipe(backbone):
    assert [index for index, layer in enumerate(backbone.layers) if layer.fast is not None] == [3, 7, 11]
    assert {tuple(factor.shape) for factor in backbone.layers[3].fast.up.values()} == {(8, 32)}


# -- who may see whom --------------------------------------------------------------------------------------


def test_the_propensity_is_blind_to_treatment_and_smiles():
    network, molecules = make_network(), make_tensors()
    treatment = molecules.treatment.clone().requires_grad_()
    context = molecules.context.clone().requires_grad_()
    reading = network(replace(molecules, treatment=treatment, context=context), worlds(6, 0.0, 0.5), hidden=False)
    mixture = reading.density
    total = sum(
        (each * torch.randn_like(each)).sum() for each in (mixture.log_weight, mixture.mean, mixture.log_scale)
    )
    seen = torch.autograd.grad(
        total, [treatment, network.token.weight, context, network.environment.weight], allow_unused=True
    )
    assert [each is None or not torch.count_nonzero(each) for each in seen] == [True, True, False, False]


def test_without_smiles_the_outcome_does_not_depend_on_them():
    network, molecules = make_network(), make_tensors()
    other = replace(molecules, tokens=molecules.tokens.flip(0), additive=molecules.additive + 1)
    ours, theirs = (network(each, worlds(6, 0.0, 0.5), hidden=True).outcome for each in (molecules, other))
    assert torch.equal(ours, theirs)
    own, changed = (network(each, worlds(6, 0.0), hidden=False).outcome for each in (molecules, other))
    assert not torch.allclose(own, changed)


def test_the_observed_world_does_not_know_the_shift_of_another():
    network, molecules = make_network(), make_tensors()
    ours, theirs = (network(molecules, worlds(6, 0.0, shift), hidden=True) for shift in (0.3, 2.0))
    assert torch.allclose(ours.outcome[:, 0], theirs.outcome[:, 0], atol=1e-6)
    assert (ours.outcome[:, 1] - theirs.outcome[:, 1]).abs().min() > 1e-4
    assert torch.equal(ours.cls, theirs.cls)
    assert not ours.alpha[:, 0].any()


def test_alpha_differs_between_molecules_and_learns_from_the_outcome():
    network, molecules = make_network(), make_tensors()
    reading = network(molecules, worlds(6, 0.0, 0.5), hidden=True)
    assert reading.alpha.shape == (6, 2, 3)
    assert reading.alpha[:, 1].std(0).min() > 1e-4
    assert 0 < reading.alpha[:, 1].min() < reading.alpha.max() < 1
    gradient = torch.autograd.grad(reading.outcome[:, 1].sum(), network.backbone.layers[11].fast.amplitude.weight)[0]
    assert gradient.abs().max() > 0


def test_shared_alpha_is_one_number():
    network, molecules = make_network(shared_alpha=True), make_tensors()
    assert network(molecules, worlds(6, 0.0, 0.5), hidden=True).alpha[:, 1].std(0).max() == 0


def test_padding_and_company_change_nothing():
    network, molecules = make_network(), make_tensors()
    together = network(molecules, worlds(6, 0.0, 0.5), hidden=False).outcome
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.allclose(
        network(molecules.take(order), worlds(6, 0.0, 0.5), hidden=False).outcome, together[order], atol=1e-5
    )
    for row in range(6):
        alone = molecules.take(torch.tensor([row]))
        assert alone.tokens.shape[1] == int((molecules.tokens[row] > 0).sum())
        assert torch.allclose(network(alone, worlds(1, 0.0, 0.5), hidden=False).outcome[0], together[row], atol=1e-5)


def test_questions_asked_together_are_answered_as_alone():
    network, molecules = make_network(), make_tensors()
    moved = torch.linspace(-1, 1, 6)
    asked = [
        Question(worlds(6, 0.0, 0.5), hidden=True),
        Question(worlds(6, 0.0, 0.3, -0.2), hidden=False),
        Question(worlds(6, 0.0), hidden=True, moved=moved),
    ]
    there = replace(molecules, treatment=molecules.treatment + moved)
    alone = [
        network(each, one.shift, hidden=one.hidden)
        for each, one in zip([molecules, molecules, there], asked, strict=True)
    ]
    for ours, theirs in zip(network.answer(molecules, asked), alone, strict=True):
        assert torch.allclose(ours.outcome, theirs.outcome, atol=1e-5)
        assert torch.allclose(ours.alpha, theirs.alpha, atol=1e-6)
        assert torch.allclose(ours.pair, theirs.pair, atol=1e-5)
        assert torch.allclose(ours.cls, theirs.cls, atol=1e-6)


def test_within_contexts_the_observed_world_says_of_the_treatment_what_the_line_says():
    network, molecules = make_network(within=True), make_tensors()
    for head in (network.level, network.effect):
        torch.nn.init.normal_(head.weight)
    moved, shifts = torch.linspace(-1, 1, 6), worlds(6, 0.0, 0.5)
    with torch.no_grad():
        here, there = network.answer(molecules, [Question(shifts, True), Question(shifts[:, :1], True, moved=moved)])
        level, slope, curvature = molecules.line.unbind(1)
        line = [level + a * (slope + curvature * a) for a in (molecules.treatment, molecules.treatment + moved)]
        assert torch.allclose(there.outcome[:, 0] - here.outcome[:, 0], line[1] - line[0], atol=1e-5)
        # a shift moves along the line, and the fast weights learn what that leaves
        learned = here.outcome[:, 1] - network(molecules, shifts[:, 1:], hidden=True).outcome[:, 0]
        assert learned.abs().max() < 1e-5
        torch.nn.init.zeros_(network.effect.weight)
        a = molecules.treatment + 0.5
        after = network(molecules, shifts, hidden=True).outcome
        assert torch.allclose(after[:, 1] - after[:, 0], level + a * (slope + curvature * a) - line[0], atol=1e-5)
        assert (here.outcome[:, 1] - after[:, 1]).abs().min() > 1e-3


def test_a_place_reaches_the_policy_world_alone():
    network, molecules = make_network(groups=12, spread=(1.0, 1.0, 1.0)), make_tensors()
    nothing, some = torch.zeros(6), torch.ones(6, 1)
    places = [
        Insertions(torch.arange(6), some.long() * group, some, torch.zeros(6, 5), nothing, nothing == 0)
        for group in (3, 4)
    ]
    asked = [Question(worlds(6, 0.0, 0.5), hidden=True, grouped=True, place=each) for each in places]
    ours, theirs = (network.answer(molecules, [each])[0].outcome for each in asked)
    assert torch.allclose(ours[:, 0], theirs[:, 0], atol=1e-6)
    assert (ours[:, 1] - theirs[:, 1]).abs().min() > 1e-4
    made = molecules.insert(places[0], 0.5)
    assert torch.equal(made.group[:, -1], torch.full((6,), 3))
    assert torch.allclose(made.treatment, molecules.treatment + 0.5)


@pytest.mark.parametrize("read_out", ["sum", "mean", "probe"])
def test_read_out_over_tokens(read_out):
    network, molecules = make_network(read_out=read_out), make_tensors()
    states = torch.randn(6, 15, 32)
    share = network.share(states[:, 5:])[..., 0] * (molecules.tokens > 0)
    count = (molecules.tokens > 0).sum(1)
    expected = {"sum": share.sum(1) / 9.0, "mean": share.sum(1) / count, "probe": torch.zeros(6)}[read_out]
    assert torch.allclose(network.over_tokens(states, molecules.tokens), expected)


# -- data --------------------------------------------------------------------------------------------------


def test_log_margin_there_and_back_beyond_the_range():
    y = np.array([-300.0, -100.0, 0.0, 110.0])
    scale = LogMargin(1000.0).fit(y)
    assert scale.offset == -300 - 1000 * 410
    far = np.array([-990.0, 387.0, np.nan])
    assert np.allclose(scale.inverse(scale.transform(far)), far, equal_nan=True)
    line = (far[:2] - y.mean()) / y.std()
    assert np.allclose(scale.transform(far[:2]), line, rtol=0.01)
    with pytest.raises(ContractError, match="below the offset"):
        scale.transform(np.array([scale.offset - 1]))


def test_pairs_are_drawn_from_a_molecules_own():
    pairs = Pairs(np.array([1, 1, 4]), np.array([2, 3, 0]), np.array([0.1, 0.2, 0.3]), n=5)
    drawn = {tuple(map(tuple, pairs.draw(np.array([4, 1, 0]), np.random.default_rng(seed)))) for seed in range(20)}
    assert drawn == {((0, 2, -1), (0.3, 0.1, 0.0)), ((0, 3, -1), (0.3, 0.2, 0.0))}
    nothing = Pairs(np.array([], int), np.array([], int), np.array([]), n=5)
    assert (nothing.draw(np.array([1, 2]), np.random.default_rng(0))[0] == -1).all()


def test_no_molecules_are_answered_as_well():
    nobody = make_tensors().take(torch.arange(0))
    assert len(nobody) == 0
    reading = make_network()(nobody, worlds(0, 0.0, 0.5), hidden=True)
    assert reading.outcome.shape == (0, 2)


def test_taking_rows_cuts_padding_and_keeps_fields():
    molecules = make_tensors()
    rows = torch.tensor([2, 1])
    taken = molecules.take(rows)
    for field in fields(Tensors):
        ours, theirs = getattr(taken, field.name), getattr(molecules, field.name)[rows]
        assert torch.equal(ours, theirs[:, : ours.shape[1]] if field.name == "tokens" else theirs)
    assert taken.tokens.any(0).all()
