import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import Crippen
from test_gnn import MOTIONS, ROTATION, SMALL, SMILES, as_molecules, make_store, move, shuffle_atoms, take_all

from boomlib.harness.ragged import Ragged
from boomlib.models.graph import near
from boomlib.models.graph.gotennet import GotenNet, Network
from boomlib.models.graph.graphs import GraphStore, find_elements
from boomlib.models.graph.near import NearStore
from boomlib.models.graph.steerable import ExpNormalBasis, attend, compute_harmonics, fade

ELEMENTS = np.array([1, 6, 7, 8, 9, 17])
CUTOFF = 5.0
ATOM = len(SMILES)  # the molecule of a single atom
DEGREES = [1, 2]
MATRICES = {
    "translation": torch.eye(3).double(),
    "rotation": torch.as_tensor(ROTATION),
    "reflection": torch.diag(torch.tensor([1.0, 1.0, -1.0])).double(),
}


def random_network(kind="extensive", degrees=2, cutoff=CUTOFF, depth=3) -> Network:
    """A small network in double precision whose every part matters to its answer."""
    torch.manual_seed(0)
    sizes = {"width": 16, "depth": depth, "heads": 4, "degrees": degrees, "basis": 8}
    network = Network(len(ELEMENTS) + 1, kind=kind, cutoff=cutoff, dropout=0.1, **sizes)
    for name, weights in network.named_parameters():
        if name.endswith("bias") or not weights.any():
            torch.nn.init.normal_(weights, std=0.5)
    return network.double().eval()


@torch.no_grad()
def answers(store, cutoff=CUTOFF, **arguments) -> np.ndarray:
    """Of all molecules of a store."""
    near_store = NearStore.within(store, cutoff)
    return random_network(cutoff=cutoff, **arguments).read(take_all(near_store)).numpy()


@torch.no_grad()
def represent(store, **arguments) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Features and steerable features of all atoms of a store."""
    return random_network(**arguments).represent(take_all(NearStore.within(store, CUTOFF)))


@pytest.fixture(scope="module")
def graphs() -> GraphStore:
    """Small molecules, and one of a single atom, in double precision."""
    return make_store(as_molecules([*SMILES, "[Cl-]"]), ELEMENTS)


def bare(*molecules) -> GraphStore:
    """Molecules of atomic numbers and positions alone, Å [atoms, 3]."""
    numbers = np.concatenate([z for z, _ in molecules]).astype(np.uint8)
    return GraphStore(
        Ragged.of(torch.from_numpy(numbers), [len(z) for z, _ in molecules]),
        torch.zeros(len(numbers)),
        Ragged.of(torch.empty(0, 3, dtype=torch.int32), np.zeros(len(molecules))),
        torch.as_tensor(np.concatenate([positions for _, positions in molecules]), dtype=torch.float64),
        torch.as_tensor(ELEMENTS),
    )


# -- pairs within the cutoff -----------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [[0], [3, 1, 8, 8, 2], [8], range(9)], ids=str)
@pytest.mark.parametrize("at_once", [2, 1024])
def test_a_batch_has_the_pairs_within_the_cutoff(graphs, monkeypatch, rows, at_once):
    monkeypatch.setattr(near, "AT_ONCE", at_once)
    rows = np.array(rows)
    every, some = graphs.take(rows), NearStore.within(graphs, 2.5).take(rows)
    distance = torch.linalg.vector_norm(every.pos[every.pairs[0]] - every.pos[every.pairs[1]], dim=1)
    assert some.pairs.tolist() == every.pairs[:, distance < 2.5].tolist()
    assert 0 < some.pairs.shape[1] < every.pairs.shape[1] or set(rows) == {8}
    for field in ("x", "z", "pos", "molecule", "size"):
        assert torch.equal(getattr(some, field), getattr(every, field))
    assert len(some.bonded) == len(some.order) == 0


def test_parts_of_a_batch_have_the_pairs_of_the_whole(graphs):
    store, rows = NearStore.within(graphs, 2.5), np.array([5, 2, 0, 7, 1, 3])
    parts = store.take_in_parts(rows)
    network = random_network(cutoff=2.5)
    with torch.no_grad():
        np.testing.assert_allclose(network(parts), network.read(store.take(rows)), rtol=1e-9)


# -- what it is made of ----------------------------------------------------------------------------------


DIRECTIONS = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double())


def represent_motion(matrix, degree) -> torch.Tensor:
    """D of Y(Rv) = D Y(v) for the harmonics of one degree, [2l + 1, 2l + 1]."""
    before, after = (compute_harmonics(each, 2)[degree - 1] for each in (DIRECTIONS, DIRECTIONS @ matrix.T))
    found = torch.linalg.lstsq(before, after).solution.T
    torch.testing.assert_close(before @ found.T, after)
    return found


@pytest.mark.parametrize("degree", DEGREES)
@pytest.mark.parametrize("motion", MATRICES)
def test_harmonics_of_a_degree_turn_among_themselves_and_have_norm_1(motion, degree):
    turn, size = represent_motion(MATRICES[motion], degree), 2 * degree + 1
    torch.testing.assert_close(turn @ turn.T, torch.eye(size).double())
    each = compute_harmonics(DIRECTIONS, 2)[degree - 1]
    torch.testing.assert_close(torch.linalg.vector_norm(each, dim=1), torch.ones(50).double())
    assert torch.linalg.matrix_rank(each) == size
    parity = represent_motion(-torch.eye(3).double(), degree)
    torch.testing.assert_close(parity, (-1) ** degree * torch.eye(size).double())


def test_an_atom_with_itself_has_no_direction():
    for degree in DEGREES:
        assert len(compute_harmonics(torch.zeros(1, 3), degree)) == degree
        assert not any(each.any() for each in compute_harmonics(torch.zeros(1, 3), degree))


def test_the_cutoff_and_the_basis_fade_to_0_without_a_step_or_a_kink():
    distance = torch.tensor([0.0, 2.5, 5.0, 5.1]).double()
    torch.testing.assert_close(fade(distance, 5.0), torch.tensor([1.0, 0.5, 0.0, 0.0]).double())
    close = torch.tensor([4.999, 5.001]).double()
    assert fade(close, 5.0).max() < 1e-6
    basis = ExpNormalBasis(16, 5.0).double()
    assert basis(close).max() < 1e-6
    values = basis(torch.linspace(0.5, 4.0, 36).double())
    assert (values.max(dim=1).values > 0.05).all()
    assert values.max() <= 1


def test_attention_of_an_atom_adds_up_to_1_and_large_logits_do_not_overflow():
    target = torch.tensor([0, 1, 0, 2, 0])
    logits = torch.tensor([[1.0, 900.0], [-900.0, 0.0], [2.0, 901.0], [5.0, -5.0], [-torch.inf, 0.0]]).double()
    found = attend(logits, target, 3)
    expected = torch.stack([torch.softmax(logits[[0, 2, 4]], dim=0)[0], torch.softmax(logits[[0, 2, 4]], dim=0)[1]])
    torch.testing.assert_close(found[[0, 2]], expected)
    torch.testing.assert_close(found[[1, 3]], torch.ones(2, 2).double())
    assert found[4, 0] == 0


# -- symmetries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("degrees", DEGREES)
def test_answers_do_not_change_when_a_molecule_moves(graphs, motion, kind, degrees):
    before = answers(graphs, kind=kind, degrees=degrees)
    after = answers(move(graphs, MOTIONS[motion]), kind=kind, degrees=degrees)
    np.testing.assert_allclose(after, before, rtol=1e-8, atol=1e-10)


def test_answers_change_when_a_molecule_is_stretched(graphs):
    before = answers(graphs)[:-1]
    after = answers(move(graphs, lambda positions: positions * 1.1))[:-1]
    assert (np.abs(after / before - 1) > 1e-4).all()


@pytest.mark.parametrize("motion", MATRICES)
def test_steerable_features_turn_with_the_molecule_and_the_others_stay(graphs, motion):
    features, steerable = represent(graphs)
    moved, turned = represent(move(graphs, MOTIONS[motion]))
    torch.testing.assert_close(moved, features, rtol=1e-8, atol=1e-10)
    for degree, (before, after) in enumerate(zip(steerable, turned, strict=True), start=1):
        turn = represent_motion(MATRICES[motion], degree)
        torch.testing.assert_close(after, torch.einsum("mn,anc->amc", turn, before), rtol=1e-8, atol=1e-10)
        assert before[:-1].norm(dim=(1, 2)).min() > 1e-2
        assert not before[-1].any()  # an atom alone has no direction


def test_each_degree_matters_to_the_answer(graphs):
    batch, network = take_all(NearStore.within(graphs, CUTOFF)), random_network()
    with torch.no_grad():
        before = network.read(batch)
        for degree in DEGREES:
            changed = random_network()
            changed.join = lambda *arguments, degree=degree: without(network.join(*arguments), degree)
            assert ((changed.read(batch) / before - 1).abs()[:-1] > 1e-6).all(), degree


def without(edges, degree):
    """Edges whose harmonics of one degree are 0."""
    kept = [each * (number != degree) for number, each in enumerate(edges.harmonics, start=1)]
    return edges._replace(harmonics=kept)


def test_angles_reach_the_answer_by_steerable_features_alone():
    """Two atoms that do not see each other about a third: distances within the cutoff are the same at any angle."""

    def bend(angle):
        radians = np.deg2rad(angle)
        return [8, 6, 8], 2.0 * np.array([[1.0, 0, 0], [0, 0, 0], [np.cos(radians), np.sin(radians), 0]])

    bent = bare(bend(180), bend(120))
    found = answers(bent, cutoff=2.5)
    assert abs(found[1] / found[0] - 1) > 1e-4
    network = random_network(cutoff=2.5)
    network.join, join = lambda *arguments: without(without(join(*arguments), 1), 2), network.join
    with torch.no_grad():
        blind = network.read(take_all(NearStore.within(bent, 2.5)))
    torch.testing.assert_close(blind[0], blind[1], rtol=1e-12, atol=0)


def test_refinement_of_edges_matters_to_the_answer(graphs):
    network, batch = random_network(), take_all(NearStore.within(graphs, CUTOFF))
    with torch.no_grad():
        before = network.read(batch)
        for layer in network.layers[:-1]:
            layer.refinement.query.weight.zero_()
        assert ((network.read(batch) / before - 1).abs()[:-1] > 1e-6).all()
    assert network.layers[-1].refinement is None


def test_refinement_leaves_out_what_is_along_the_edge(graphs):
    """As by the rejection of both factors that the paper writes out."""
    network, batch = random_network(), take_all(NearStore.within(graphs, CUTOFF))
    refinement, known = network.layers[0].refinement, {}
    refinement.register_forward_hook(lambda _, inputs, output: known.update(inputs=inputs, output=output))
    with torch.no_grad():
        network.read(batch)
        t, steerable, edges = known["inputs"]
        expected = torch.zeros_like(t)
        for features, key, harmonics in zip(steerable, refinement.keys, edges.harmonics, strict=True):
            both = torch.stack([refinement.query(features)[edges.target], key(features)[edges.source]])
            both -= (both * harmonics).sum(2, keepdim=True) * harmonics
            expected += both.prod(0).sum(1)
        torch.testing.assert_close(known["output"], t + refinement.gate(t) * expected)


# -- independence ----------------------------------------------------------------------------------------


def test_answers_do_not_depend_on_the_order_of_atoms_or_the_rest_of_the_batch(graphs):
    expected = answers(graphs)
    rng = np.random.default_rng(0)
    for row, size in enumerate(graphs.numbers.length):
        one = shuffle_atoms(graphs, row, rng.permutation(size))
        np.testing.assert_allclose(answers(one), expected[[row]], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kind", "factor"), [("extensive", 2), ("intensive", 1)])
def test_two_copies_beyond_the_cutoff_double_what_is_extensive(graphs, kind, factor):
    one = graphs.take(np.array([2]))
    numbers, positions = one.z.numpy(), one.pos.numpy()
    single = bare((numbers, positions))
    double = bare((np.tile(numbers, 2), np.concatenate([positions, positions + 60.0])))
    np.testing.assert_allclose(answers(double, kind=kind), factor * answers(single, kind=kind), rtol=1e-9)


def test_an_atom_that_leaves_the_cutoff_leaves_no_step(graphs):
    one = graphs.take(np.array([SMILES.index("O")]))
    centre = one.pos.numpy()

    def beside(distance):
        """Water, and a chlorine atom so far from its oxygen, on the side without hydrogens."""
        away = centre[0] - centre[1:].mean(axis=0)
        chlorine = centre[0] + distance * away / np.linalg.norm(away)
        return np.append(one.z.numpy(), 17), np.vstack([centre, chlorine])

    seen, close, closer, outside, far = answers(bare(*map(beside, (3.5, CUTOFF - 1e-3, CUTOFF - 1e-4, 5.0001, 9.0))))
    assert abs(seen - far) > 1e-2
    assert outside == pytest.approx(far, rel=1e-12)
    # as the square of the way that is left
    assert abs(close - far) < 0.01 * abs(seen - far)
    assert (close - far) / (closer - far) == pytest.approx(100, rel=0.1)


def test_a_molecule_of_one_atom_has_an_answer_and_gradients(graphs):
    store = NearStore.within(graphs, CUTOFF)
    for batch in (store.take(np.array([ATOM])), take_all(store)):
        network = random_network()
        network.read(batch).square().sum().backward()
        assert all(weights.grad is None or weights.grad.isfinite().all() for weights in network.parameters())
    assert np.isfinite(answers(graphs)[ATOM])
    assert answers(graphs)[ATOM] != 0


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_weight_is_trained(graphs, depth):
    network = random_network(depth=depth)
    network.read(take_all(NearStore.within(graphs, CUTOFF))).square().sum().backward()
    unused = [name for name, weights in network.named_parameters() if weights.grad is None or not weights.grad.any()]
    assert not unused


# -- the model -------------------------------------------------------------------------------------------


def small_model(**training) -> GotenNet:
    settings = {"batch": 8, "epochs": 2, "learning_rate": 0.005, "weight_decay": 0.0, "clip": 5.0} | training
    sizes = {"width": 16, "depth": 2, "heads": 4, "degrees": 2, "basis": 8, "cutoff": CUTOFF, "dropout": 0.0}
    return GotenNet(kind="extensive", seed=0, reference="elements", training=settings, **sizes)


@pytest.fixture(scope="module")
def eight():
    """Molecules with Crippen's log P."""
    chosen = SMALL[6:14]
    return as_molecules(chosen, np.array([Crippen.MolLogP(Chem.MolFromSmiles(text)) for text in chosen]))


@pytest.mark.slow
def test_it_can_learn_8_molecules_by_heart(eight, tmp_path):
    model = small_model(epochs=120)
    model.fit(eight, eight, tmp_path)
    rmse = np.sqrt(np.mean((model.predict(eight).mean - eight.y) ** 2))
    unexplained = eight.y - model.references.inverse(eight, np.zeros(8))
    assert rmse < 0.05 * unexplained.std()


def test_without_a_step_it_predicts_the_references(eight, tmp_path):
    model = small_model(learning_rate=0.0)
    model.fit(eight, eight, tmp_path)
    assert model.predict(eight).mean == pytest.approx(model.references.inverse(eight, np.zeros(8)))


def test_it_sees_pairs_within_its_cutoff_alone():
    model, chain = small_model(), as_molecules(["C" * 8])
    model.elements = find_elements(chain)
    graphs = take_all(model.encode(chain))
    distance = torch.linalg.vector_norm(graphs.pos[graphs.pairs[0]] - graphs.pos[graphs.pairs[1]], dim=1)
    assert 4.5 < distance.max() < CUTOFF
    assert len(distance) < len(graphs.z) * (len(graphs.z) - 1) // 2
