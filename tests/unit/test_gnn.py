import dataclasses
import itertools
import shutil
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import Crippen
from scipy.spatial.transform import Rotation

from boomlib.features import conformers, elements, graph
from boomlib.files import ContractError
from boomlib.harness.interface import Molecules
from boomlib.harness.network import compile_network
from boomlib.harness.ragged import Ragged
from boomlib.harness.references import CompositionReferences
from boomlib.models.graph import graphs
from boomlib.models.graph.gnn import GNN, Convolution, Geometry, Network
from boomlib.models.graph.graphs import Graphs, GraphStore, find_elements
from boomlib.models.graph.layers import read_out

SMILES = ["OC", "C[N+](C)(C)C", "[O-][N+](=O)c1ccccc1", "CC#N", "C=O", "FC(Cl)CO", "C1CC1CO", "O"]
GEOMETRIES = get_args(Geometry)
GEOMETRIC = [geometry for geometry in GEOMETRIES if geometry != "none"]


def as_molecules(smiles, y=None) -> Molecules:
    modules = {"elements": elements, "graph": graph, "conformers": conformers}
    features = {name: pa.table(module.compute(smiles)) for name, module in modules.items()}
    values = np.zeros(len(smiles)) if y is None else y
    return Molecules(np.arange(len(smiles)), np.array(smiles, dtype=object), values, features)


@pytest.fixture(scope="module")
def molecules() -> Molecules:
    return as_molecules(SMILES)


def random_network(geometry, atom_features, kind="extensive") -> Network:
    """A small network in double precision whose every part matters to its answer."""
    torch.manual_seed(0)
    network = Network(atom_features, kind=kind, geometry=geometry, width=12, depth=3, basis=8, reach=5.0)
    for name, weights in network.named_parameters():
        if "contribution" in name or "push" in name:
            torch.nn.init.normal_(weights, std=0.5)
    return network.double()


def make_store(molecules, elements, geometry=True) -> GraphStore:
    """The molecules, with positions in double precision."""
    store = GraphStore.read(molecules, elements, "conformers" if geometry else None)
    return dataclasses.replace(store, positions=store.positions.double()) if geometry else store


def move(store, motion) -> GraphStore:
    """The same with other positions, [atoms, 3] -> [atoms, 3]."""
    return dataclasses.replace(store, positions=torch.as_tensor(motion(store.positions.numpy())))


def take_all(store) -> Graphs:
    """A batch of all molecules."""
    return store.take(np.arange(len(store)))


def shuffle_atoms(store, row, order) -> GraphStore:
    """One of the molecules with its atoms in another order, int [atoms]."""
    atoms, bonds = (ragged.find(np.array([row]))[0] for ragged in (store.numbers, store.bonds))
    ends, order = store.bonds.values[bonds], torch.as_tensor(order)
    ends[:, :2] = order.argsort()[ends[:, :2].long()].sort(dim=1).values.int()
    return GraphStore(
        Ragged.of(store.numbers.values[atoms][order], [len(atoms)]),
        store.charges[atoms][order],
        Ragged.of(ends, [len(ends)]),
        None if store.positions is None else store.positions[atoms][order],
        store.elements,
    )


def make_batch(molecules, geometry, motion=lambda positions: positions) -> Graphs:
    store = make_store(molecules, find_elements(molecules), geometry != "none")
    return take_all(store if geometry == "none" else move(store, motion))


@torch.no_grad()
def answers(geometry, batch, **arguments) -> np.ndarray:
    return random_network(geometry, batch.x.shape[1], **arguments).read(batch).numpy()


# -- data ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smiles", [*SMILES, "[Na+].[Cl-]", "[He]", "[NH3]->[Fe]"])
def test_the_graph_is_rdkits_with_hydrogens_and_in_the_order_of_the_conformer(smiles):
    row = {name: column[0].as_py() for name, column in graph.compute([smiles]).items()}
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert row["atomic_numbers"] == [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    assert row["formal_charges"] == [atom.GetFormalCharge() for atom in mol.GetAtoms()]
    pairs = np.reshape(row["bonds"], (-1, 2)).tolist()
    assert pairs == [[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()] for bond in mol.GetBonds()]
    orders = {"SINGLE": 1, "DOUBLE": 2, "TRIPLE": 3, "AROMATIC": 4, "DATIVE": 5}
    assert row["bond_orders"] == [orders[str(bond.GetBondType())] for bond in mol.GetBonds()]
    if smiles != "[NH3]->[Fe]":
        assert row["atomic_numbers"] == conformers.compute([smiles])["atomic_numbers"][0].as_py()


ORDERS = {"SINGLE": 1, "DOUBLE": 2, "TRIPLE": 3, "AROMATIC": 4, "DATIVE": 5}


@pytest.mark.parametrize("rows", [[0], [3, 1, 8, 8, 2], [8], range(10)], ids=str)
@pytest.mark.parametrize("geometry", [False, True])
def test_pairs_are_bonds_or_all_and_a_batch_is_its_molecules_side_by_side(rows, geometry):
    smiles = [*SMILES, "[Cl-]", "[NH3]->[Fe]"]
    molecules = as_molecules(smiles) if not geometry else as_molecules([*SMILES, "[Cl-]", "[Na+].[Cl-]"])
    batch = make_store(molecules, find_elements(molecules), geometry).take(np.array(rows))
    mols = [Chem.AddHs(Chem.MolFromSmiles(molecules.smiles[row])) for row in rows]
    first, pairs, orders = 0, [], {}
    for mol in mols:
        n = mol.GetNumAtoms()
        bonds = {
            tuple(sorted((b.GetBeginAtomIdx() + first, b.GetEndAtomIdx() + first))): ORDERS[str(b.GetBondType())]
            for b in mol.GetBonds()
        }
        orders |= bonds
        pairs += itertools.combinations(range(first, first + n), 2) if geometry else sorted(bonds)
        first += n
    found = list(map(tuple, batch.pairs.T.tolist()))
    assert found == pairs
    assert {found[pair]: order for pair, order in zip(batch.bonded, batch.order.tolist(), strict=True)} == orders
    assert batch.size.tolist() == [mol.GetNumAtoms() for mol in mols]
    assert batch.molecule.tolist() == [row for row, mol in enumerate(mols) for _ in mol.GetAtoms()]
    assert batch.z.tolist() == [atom.GetAtomicNum() for mol in mols for atom in mol.GetAtoms()]
    assert batch.padded.tolist() == [
        row * batch.longest + atom for row, mol in enumerate(mols) for atom in range(mol.GetNumAtoms())
    ]
    if geometry:
        positions = molecules.features["conformers"]["positions"].to_pylist()
        np.testing.assert_allclose(batch.pos, np.reshape(np.concatenate([positions[r] for r in rows]), (-1, 3)), 1e-6)
    else:
        assert batch.pos is None


def test_atoms_are_one_hot_with_their_charge_and_an_unknown_element_is_none(molecules):
    x = take_all(make_store(molecules.take(np.array([1, 5])), np.array([1, 6, 7, 8]), geometry=False)).x
    carbon, nitrogen, chlorine = x[0], x[1], x[Chem.AddHs(Chem.MolFromSmiles(SMILES[1])).GetNumAtoms() + 2]
    assert carbon.tolist() == [0, 1, 0, 0, 0]
    assert nitrogen.tolist() == [0, 0, 1, 0, 1]
    assert chlorine.tolist() == [0, 0, 0, 0, 0]


def test_a_conformer_in_another_order_of_atoms_is_refused(molecules):
    shuffled = molecules.features["conformers"].to_pylist()
    shuffled[0]["atomic_numbers"] = shuffled[0]["atomic_numbers"][::-1]
    table = pa.Table.from_pylist(shuffled, schema=molecules.features["conformers"].schema)
    spoiled = dataclasses.replace(molecules, features=molecules.features | {"conformers": table})
    with pytest.raises(ContractError, match="the atoms of its conformer are not those of its graph") as error:
        make_store(spoiled, find_elements(molecules))
    assert error.value.smiles == [molecules.smiles[0]]


# -- references ------------------------------------------------------------------------------------------


def test_references_find_what_the_elements_contribute_and_extrapolate_it():
    contribution = {"C": -30.0, "H": 4.0, "O": -75.0}
    smiles = ["C" * length + tail for length in range(1, 5) for tail in ("", "O", "C(=O)O")]

    def value(text):
        return sum(contribution[atom.GetSymbol()] for atom in Chem.AddHs(Chem.MolFromSmiles(text)).GetAtoms())

    train, larger = as_molecules(smiles, np.array([value(text) for text in smiles])), as_molecules(["C" * 9 + "O"])
    exact = CompositionReferences("elements", "extensive").fit(train)
    assert exact.contributions[[0, 5, 7]] == pytest.approx([4.0, -30.0, -75.0])
    assert np.count_nonzero(np.abs(exact.contributions) > 1e-9) == 3
    assert exact.inverse(larger, np.zeros(1)) == pytest.approx([value("C" * 9 + "O")])
    noisy = dataclasses.replace(train, y=np.random.default_rng(0).normal(size=len(smiles)))
    references = CompositionReferences("elements", "extensive").fit(noisy)
    z = references.transform(noisy)
    assert np.std(z) == pytest.approx(1)
    assert references.inverse(noisy, z) == pytest.approx(noisy.y)


def test_references_come_back_from_json_with_every_digit(molecules, tmp_path):
    fitted = CompositionReferences("elements", "extensive").fit(dataclasses.replace(molecules, y=np.arange(8) / 3))
    restored = CompositionReferences("elements", "extensive")
    fitted.save(tmp_path)
    restored.load(tmp_path)
    z = np.linspace(-1, 1, 8)
    assert restored.inverse(molecules, z).tobytes() == fitted.inverse(molecules, z).tobytes()


def test_references_of_an_intensive_property_average_and_mean_is_the_mean(molecules):
    batch = make_batch(molecules, "none")
    y = read_out(batch.x[:, :-1] @ torch.arange(6.0), batch, "intensive").numpy()
    molecules, nothing = dataclasses.replace(molecules, y=y), np.zeros(len(y))
    assert CompositionReferences("elements", "intensive").fit(molecules).inverse(molecules, nothing) == pytest.approx(
        y
    )
    mean = CompositionReferences("mean", "intensive").fit(molecules)
    assert mean.inverse(molecules, nothing) == pytest.approx(y.mean())
    assert np.std(mean.transform(molecules)) == pytest.approx(1)


# -- symmetries ------------------------------------------------------------------------------------------

ROTATION = Rotation.from_euler("xyz", [40, 100, -20], degrees=True).as_matrix()
MOTIONS = {
    "rotation": lambda positions: positions @ ROTATION.T,
    "translation": lambda positions: positions + np.array([7.0, -30.0, 2.0]),
    "reflection": lambda positions: positions * np.array([1, 1, -1]),
}


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("geometry", GEOMETRIC)
def test_answers_do_not_change_when_a_molecule_moves(molecules, geometry, motion, kind):
    before = answers(geometry, make_batch(molecules, geometry), kind=kind)
    after = answers(geometry, make_batch(molecules, geometry, MOTIONS[motion]), kind=kind)
    np.testing.assert_allclose(after, before, rtol=1e-8)


@pytest.mark.parametrize("geometry", GEOMETRIC)
def test_answers_change_when_a_molecule_is_stretched(molecules, geometry):
    before = answers(geometry, make_batch(molecules, geometry))
    after = answers(geometry, make_batch(molecules, geometry, lambda positions: positions * 1.1))
    assert (np.abs(after / before - 1) > 1e-4).all()


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_answers_do_not_depend_on_the_order_of_atoms_or_the_rest_of_the_batch(molecules, geometry):
    store = make_store(molecules, find_elements(molecules), geometry != "none")
    expected = answers(geometry, take_all(store))
    rng = np.random.default_rng(0)
    for row, size in enumerate(store.numbers.length):
        one = shuffle_atoms(store, row, rng.permutation(size))
        np.testing.assert_allclose(answers(geometry, take_all(one)), expected[[row]], rtol=1e-9)


@pytest.mark.parametrize("motion", MOTIONS)
def test_coordinates_move_with_the_molecule_and_features_stay(molecules, motion):
    """φ(Qx + t) = Q φ(x) + t, Satorras et al., section 3.1."""
    torch.manual_seed(0)
    layer = Convolution(12, basis=8, moves=True)
    torch.nn.init.normal_(layer.push[-1].weight)
    layer, network = layer.double(), random_network("coordinates", 7)

    @torch.no_grad()
    def step(batch):
        features = torch.randn(len(batch.z), 12, generator=torch.Generator().manual_seed(1)).double()
        return layer(features, batch.pos, batch, network.measure(batch.pos, batch))

    there, moved = make_batch(molecules, "coordinates"), make_batch(molecules, "coordinates", MOTIONS[motion])
    (features, positions), (moved_features, moved_positions) = step(there), step(moved)
    np.testing.assert_allclose(moved_features, features, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(moved_positions, MOTIONS[motion](positions.numpy()), rtol=1e-8, atol=1e-10)
    assert torch.linalg.vector_norm(positions - there.pos, dim=1).min() > 1e-3


def test_moving_coordinates_matters_to_the_answer(molecules):
    batch = make_batch(molecules, "coordinates")
    network = random_network("coordinates", batch.x.shape[1])
    with torch.no_grad():
        before = network.read(batch)
        for layer in network.layers[:-1]:
            layer.push[-1].weight.zero_()
        assert ((network.read(batch) / before - 1).abs()[:-1] > 1e-6).all()
    assert network.layers[-1].push is None


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_two_molecules_far_apart_are_the_sum_of_both(molecules, geometry):
    """Messages fade: what is extensive adds up, and an atom does not feel the size of its molecule."""
    one, two = (molecules.take(np.array([row])) for row in (2, 6))
    alone = answers(geometry, make_batch(molecules, geometry))[[2, 6]].sum()
    pair = as_molecules([f"{SMILES[2]}.{SMILES[6]}"])
    elements = find_elements(molecules)
    joint = make_store(pair, elements, geometry != "none")
    if geometry != "none":
        parts = [make_store(each, elements).positions for each in (one, two)]
        numbers = pair.features["conformers"]["atomic_numbers"][0].as_py()
        heavy = [sum(n > 1 for n in each.features["graph"]["atomic_numbers"][0].as_py()) for each in (one, two)]
        # RDKit appends the hydrogens of both behind the heavy atoms of both
        far = parts[1] + 60.0
        joint = move(
            joint, lambda _: torch.cat([parts[0][: heavy[0]], far[: heavy[1]], parts[0][heavy[0] :], far[heavy[1] :]])
        )
        assert len(joint.positions) == len(numbers)
    found = answers(geometry, take_all(joint))
    np.testing.assert_allclose(found, [alone], rtol=1e-6)


# -- the models ------------------------------------------------------------------------------------------


def small_model(geometry, epochs=2, reference="elements", **training) -> GNN:
    settings = {"batch": 16, "epochs": epochs, "learning_rate": 0.01, "weight_decay": 0.0, "clip": 1.0} | training
    return GNN(
        kind="extensive",
        seed=0,
        geometry=geometry,
        width=32,
        depth=2,
        basis=12,
        reach=6.0,
        reference=reference,
        training=settings,
    )


SMALL = [
    "C",
    "N",
    "O",
    "CC",
    "C=C",
    "C#C",
    "CO",
    "CN",
    "CF",
    "C=O",
    "C#N",
    "CCC",
    "CC=C",
    "CC#C",
    "CCO",
    "CCN",
    "COC",
    "CNC",
    "CC=O",
    "CC#N",
    "NC=O",
    "OC=O",
    "OCO",
    "FCF",
    "C1CC1",
    "C1CO1",
    "C1CN1",
    "CC(C)C",
    "CC(C)=O",
    "CC(N)=O",
    "CC(=O)O",
    "COC=O",
]


@pytest.fixture(scope="module")
def labelled() -> Molecules:
    """Small molecules with Crippen's log P: a sum over atoms, by their neighbours rather than by their elements."""
    return as_molecules(SMALL, np.array([Crippen.MolLogP(Chem.MolFromSmiles(text)) for text in SMALL]))


@pytest.mark.slow
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_network_can_learn_32_molecules_by_heart(labelled, tmp_path, geometry):
    model = small_model(geometry, epochs=300, batch=32, clip=10.0)
    model.fit(labelled, labelled, tmp_path)
    rmse = np.sqrt(np.mean((model.predict(labelled).mean - labelled.y) ** 2))
    assert rmse < 0.05 * labelled.y.std()


def test_without_a_step_a_network_predicts_the_references(labelled, tmp_path):
    model = small_model("distances", epochs=1, learning_rate=0.0)
    model.fit(labelled, labelled, tmp_path)
    assert model.predict(labelled).mean == pytest.approx(model.references.inverse(labelled, np.zeros(32)))


def test_bonds_alone_need_no_positions_and_positions_are_seen_by_the_others(labelled, tmp_path):
    flat = dataclasses.replace(labelled, features={name: labelled.features[name] for name in ("elements", "graph")})
    small_model("none", epochs=1).fit(flat, flat, tmp_path)
    for geometry in GEOMETRIC:
        with pytest.raises(KeyError, match="conformers"):
            small_model(geometry, epochs=1).fit(flat, flat, tmp_path / geometry)


def test_a_batch_that_does_not_fit_is_read_in_halves(labelled):
    model = small_model("none", batch=32)
    network, sizes = model.start(labelled), []
    torch.nn.init.normal_(network.contribution[-1].weight)
    store = model.encode(labelled)
    expected = model.read(network, store)

    def hold_at_most(number):
        def check(module, inputs):
            sizes.append(len(inputs[0].place))
            if sizes[-1] > number:
                raise torch.OutOfMemoryError

        return network.register_forward_pre_hook(check)

    with hold_at_most(8):
        np.testing.assert_allclose(model.read(network, store), expected, rtol=1e-5, atol=1e-6)
    assert [size for size in sizes if size <= 8] == [8] * 4
    with hold_at_most(0), pytest.raises(torch.OutOfMemoryError):
        model.read(network, store)


@pytest.mark.parametrize("pairs", [1, 30, 60, 10_000])
def test_a_batch_comes_in_equal_parts_and_answers_in_its_order(molecules, monkeypatch, pairs):
    monkeypatch.setattr(graphs, "PAIRS", pairs)
    store, rows = make_store(molecules, find_elements(molecules)), np.array([5, 2, 0, 7, 1, 3])
    batch, whole = store.take_in_parts(rows), store.take(rows)
    sizes = [part.pairs.shape[1] for part in batch.parts]
    assert sum(sizes) == whole.pairs.shape[1]
    assert len(sizes) <= max(1, round(sum(sizes) / pairs))
    largest = max(store.numbers.length) ** 2 // 2
    assert max(sizes) <= max(pairs * 1.5, pairs + largest)
    assert torch.cat([part.size for part in batch.parts])[batch.place].tolist() == whole.size.tolist()


def test_without_a_compiler_the_remedy_is_named(molecules, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", str(tmp_path / "none"))
    labelled = dataclasses.replace(molecules, y=np.arange(len(molecules), dtype=float))
    with pytest.raises(ContractError, match=r"needs a C\+\+ compiler .*; install it, or leave `compile` out"):
        small_model("none", compile=True).fit(labelled, labelled, tmp_path)


def test_molecules_without_any_pair_are_one_part():
    molecules = as_molecules(["[Ne]", "[Ar]", "[Xe]"])
    batch = GraphStore.read(molecules, find_elements(molecules), None).take_in_parts(np.arange(3))
    assert [len(part) for part in batch.parts] == [3]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_has_the_same_answers_and_gradients_and_trains(molecules, tmp_path):
    store = GraphStore.read(molecules, find_elements(molecules), None)
    batch, network = store.take_whole(np.arange(8)), random_network("none", len(find_elements(molecules)) + 1)
    found = []
    for each in (network, compile_network(network)):
        network.zero_grad()
        answer = each(batch)
        answer.square().sum().backward()
        found.append([answer.detach(), *(weights.grad.clone() for weights in network.parameters())])
    for compiled, plain in zip(*found[::-1], strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-9, atol=1e-9)
    labelled = dataclasses.replace(molecules, y=np.arange(len(molecules), dtype=float))
    model = small_model("none", compile=True)
    model.fit(labelled, labelled, tmp_path)
    assert np.ptp(model.predict(labelled).mean) > 0
