import dataclasses

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem, Crippen
from test_gnn import MOTIONS, SMALL, SMILES, as_molecules, make_store, move, shuffle_atoms, take_all
from torchmdnet.models.utils import OptimizedDistance
from torchmdnet.utils import atomic_masses

from boomlib.contracts import Origin, locating, write_molecules
from boomlib.files import ContractError
from boomlib.harness.job import check_readable
from boomlib.harness.references import CompositionReferences
from boomlib.models.graph import equivariant_transformer, graphormer
from boomlib.models.graph.equivariant_transformer import OBSERVABLES, EquivariantTransformer, Neighbours
from boomlib.models.graph.graphormer import Graphormer
from boomlib.models.graph.graphs import Graphs, GraphStore, pair_all

ELEMENTS = np.array([1, 6, 7, 8, 9, 17])
# a read-out each: Graphormer has one, the Equivariant Transformer one by observable
READ_OUTS = ["graphormer", "scalar", *OBSERVABLES]


def random_network(read_out, kind="extensive") -> torch.nn.Module:
    """A small network in double precision whose every part matters to its answer."""
    torch.manual_seed(0)
    sizes = {"kind": kind, "width": 16, "depth": 3, "heads": 4, "basis": 8}
    if read_out == "graphormer":
        network = graphormer.Network(len(ELEMENTS) + 1, reach=5.0, **sizes)
    else:
        network = equivariant_transformer.Network(observable=read_out, cutoff=5.0, **sizes)
    for name, weights in network.named_parameters():
        if name.endswith("bias") or not weights.any():
            torch.nn.init.normal_(weights, std=0.5)
    return network.double()


def bare(*molecules: tuple[list[int], torch.Tensor]) -> Graphs:
    """A batch of atomic numbers and positions alone, without bonds."""
    size = torch.tensor([len(numbers) for numbers, _ in molecules])
    molecule = torch.arange(len(size)).repeat_interleave(size)
    pairs, _ = pair_all(molecule, size, size.cumsum(0) - size, int((size * (size - 1) // 2).sum()))
    z = torch.tensor([number for numbers, _ in molecules for number in numbers])
    x = torch.nn.functional.pad((z[:, None] == torch.as_tensor(ELEMENTS)).float(), (0, 1))
    nothing = torch.empty(0, dtype=torch.long)
    positions = torch.cat([positions for _, positions in molecules])
    return Graphs(x, z, positions, molecule, size, pairs, nothing, nothing, int(size.max()))


@torch.no_grad()
def answers(read_out, graphs, **arguments) -> np.ndarray:
    """Of all molecules of a store, or of a batch."""
    batch = take_all(graphs) if isinstance(graphs, GraphStore) else graphs
    return random_network(read_out, **arguments).read(batch).numpy()


@pytest.fixture(scope="module")
def graphs() -> GraphStore:
    """Small molecules, and one of a single atom, in double precision."""
    return make_store(as_molecules([*SMILES, "[Cl-]"]), ELEMENTS)


SEVERAL = np.arange(len(SMILES))  # those of more than one atom


# -- symmetries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["extensive", "intensive"])
@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("read_out", READ_OUTS)
def test_answers_do_not_change_when_a_molecule_moves(graphs, read_out, motion, kind):
    before, after = answers(read_out, graphs, kind=kind), answers(read_out, move(graphs, MOTIONS[motion]), kind=kind)
    np.testing.assert_allclose(after, before, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("read_out", READ_OUTS)
def test_answers_change_when_a_molecule_is_stretched(graphs, read_out):
    before = answers(read_out, graphs)[:-1]
    after = answers(read_out, move(graphs, lambda positions: positions * 1.1))[:-1]
    assert (np.abs(after / before - 1) > 1e-4).all()


@pytest.mark.parametrize("read_out", READ_OUTS)
def test_answers_do_not_depend_on_the_order_of_atoms_or_the_rest_of_the_batch(graphs, read_out):
    expected = answers(read_out, graphs)
    rng = np.random.default_rng(0)
    for row, size in enumerate(graphs.numbers.length):
        one = shuffle_atoms(graphs, row, rng.permutation(size))
        np.testing.assert_allclose(answers(read_out, one), expected[[row]], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("read_out", READ_OUTS)
def test_a_molecule_of_one_atom_has_an_answer_and_gradients(graphs, read_out):
    for batch in (graphs.take(np.array([len(SMILES)])), take_all(graphs)):
        network = random_network(read_out)
        network.read(batch).square().sum().backward()
        assert all(weights.grad is None or weights.grad.isfinite().all() for weights in network.parameters())
    alone = answers(read_out, graphs.take(np.array([len(SMILES)])))
    assert alone == 0 if read_out in OBSERVABLES else alone != 0


def test_every_weight_is_trained(graphs):
    for read_out in READ_OUTS:
        network = random_network(read_out)
        network.read(take_all(graphs)).square().sum().backward()
        unused = [name for name, weights in network.named_parameters() if weights.grad is None]
        assert not unused, read_out


@pytest.mark.parametrize(("kind", "factor"), [("extensive", 2), ("intensive", 1)])
def test_two_copies_beyond_the_cutoff_double_what_is_extensive(graphs, kind, factor):
    one = graphs.take(np.array([2]))
    far = bare((one.z.tolist() * 2, torch.cat([one.pos, one.pos + 60.0])))
    np.testing.assert_allclose(
        answers("scalar", far, kind=kind), factor * answers("scalar", one, kind=kind), rtol=1e-9
    )


# -- elements --------------------------------------------------------------------------------------------


def new_transformer(observable=None) -> EquivariantTransformer:
    training = {"batch": 8, "epochs": 2, "clip": 1.0, "lr": 0.001, "weight_decay": 0.0, "warmup": 0.1}
    sizes = {"width": 16, "depth": 2, "heads": 4, "basis": 8, "cutoff": 5.0, "reference": "elements"}
    return EquivariantTransformer(kind="extensive", seed=0, observable=observable, training=training, **sizes)


@pytest.mark.parametrize("observable", [None, *OBSERVABLES])
def test_elements_that_torchmd_net_has_no_row_for_are_named_and_all_others_have_an_answer(observable):
    smiles = ["CO", "[Og]", "[Es+3]", "[Fm]", "O.[No+2].[Md]", "[U+4]", "F[Xe]F"]
    reasons = new_transformer(observable).find_unreadable(as_molecules(smiles))
    assert reasons == {
        1: "torchmd-net has no Og, only H to Es",
        3: "torchmd-net has no Fm, only H to Es",
        4: "torchmd-net has no Md, No, only H to Es",
    }
    others = [text for row, text in enumerate(smiles) if row not in reasons]
    graphs = make_store(as_molecules(others), ELEMENTS)
    assert np.isfinite(answers("scalar" if observable is None else observable, graphs)).all()


@pytest.mark.parametrize(
    ("strange", "named", "why"),
    [
        (["[Og]"], "line 4 ([Og])", "torchmd-net has no Og, only H to Es"),
        (
            ["C[Fm+3]", "[Og]"],
            "line 4 (C[Fm+3]), line 5 ([Og])",
            "torchmd-net has no Fm, only H to Es; torchmd-net has no Og",
        ),
        (["[Lr].[Rf]"], "line 4 ([Lr].[Rf])", "torchmd-net has no Lr, Rf, only H to Es"),
    ],
)
def test_elements_that_it_has_no_row_for_are_named_with_the_lines_of_the_file(tmp_path, strange, named, why):
    smiles = ["CO", "CCO", *strange]
    origin = Origin("data/x.csv", "line", np.arange(len(smiles)) + 2)
    write_molecules(tmp_path / "m", smiles, {}, {}, origin)
    molecules = as_molecules(smiles)
    with pytest.raises(ContractError) as error, locating(tmp_path / "m"):
        check_readable(molecules, new_transformer().find_unreadable(molecules))
    assert str(error.value).startswith(
        f"data/x.csv, {named}: the model cannot read {len(strange)} of {len(smiles)} molecules ({why}"
    )
    assert "remove their rows in the source, or leave the model out of `models:`" in str(error.value)


# -- Graphormer ------------------------------------------------------------------------------------------


def test_all_atoms_attend_to_one_another_however_many_and_however_far(graphs):
    chain = take_all(make_store(as_molecules(["C" * 30]), ELEMENTS))
    chain.pos.requires_grad_()
    network, contributions = random_network("graphormer"), []
    network.contribution.register_forward_hook(lambda module, inputs, output: contributions.append(output))
    network.read(chain)
    contributions[0][0].sum().backward()
    assert (chain.pos.grad.norm(dim=1) > 0).all()


def test_distances_and_bonds_both_matter_to_attention(graphs):
    batch = graphs.take(SEVERAL)
    changed = dataclasses.replace(batch, order=torch.where(batch.order == 1, 2, batch.order))
    assert (np.abs(answers("graphormer", changed) / answers("graphormer", batch) - 1) > 1e-6).all()


# -- the Equivariant Transformer -------------------------------------------------------------------------


def test_neighbours_are_those_of_torchmd_net(graphs):
    batch = take_all(graphs)
    distances = OptimizedDistance(0.0, 2.5, max_num_pairs=-50, return_vecs=True, loop=True)
    ours, theirs = (
        np.column_stack([edges.T, lengths, vectors])[np.lexsort(edges.numpy())]
        for edges, lengths, vectors in (
            Neighbours(2.5)(batch.pos, batch.molecule, batch.pairs),
            distances(batch.pos, batch.molecule),
        )
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_neighbours_have_no_limit():
    crowd = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    edges, _, _ = Neighbours(5.0)(crowd, torch.zeros(200, dtype=torch.long), torch.combinations(torch.arange(200)).T)
    assert edges.shape == (2, 200 * 200)


def with_charge(read_out, charge) -> torch.nn.Module:
    """A network that gives every atom one charge and no dipole of its own."""
    network = random_network(read_out)
    last = [layer for layer in network.head.modules() if isinstance(layer, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([charge, 0.0])[: len(last.bias)])
    return network


@pytest.mark.parametrize("stretch", [1.0, 2.0])
def test_read_outs_are_moments_about_the_centre_of_mass(graphs, stretch):
    charge = -0.7
    several = move(graphs, lambda positions: stretch * positions)
    moments = []
    for row in range(len(several)):
        graph = several.take(np.array([row]))
        mass = atomic_masses[graph.z.numpy()][:, None]
        arm = graph.pos.numpy() - (mass * graph.pos.numpy()).sum(0) / mass.sum()
        moments.append([np.linalg.norm(charge * arm.sum(0)), charge * np.square(arm).sum()])
    for read_out, expected in zip(OBSERVABLES, np.transpose(moments), strict=True):
        with torch.no_grad():
            found = with_charge(read_out, charge).read(take_all(several))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_a_molecule_with_a_centre_of_symmetry_has_no_dipole_moment(graphs):
    water = graphs.take(np.array([SMILES.index("O")]))
    dioxide = torch.tensor([[-1.16, 0.0, 0.0], [0.0, 0.0, 0.0], [1.16, 0.0, 0.0]]).double()
    octahedron = 1.56 * torch.cat([torch.zeros(1, 3), torch.eye(3), -torch.eye(3)]).double()
    several = bare((water.z.tolist(), water.pos), ([8, 6, 8], dioxide), ([16, *[9] * 6], octahedron))
    dipoles = answers("dipole_moment", several)
    assert dipoles[0] > 1e-2
    assert (dipoles[1:] < 1e-10).all()


def model(read_out, **changes):
    training = {"batch": 32, "epochs": 2, "learning_rate": 0.01, "weight_decay": 0.0, "clip": 10.0} | changes
    common = {"kind": "extensive", "seed": 0, "width": 32, "depth": 1, "heads": 4, "basis": 12}
    common |= {"reference": "elements", "training": training}
    if read_out == "graphormer":
        return Graphormer(reach=6.0, **common)
    return EquivariantTransformer(cutoff=5.0, observable=read_out if read_out in OBSERVABLES else None, **common)


def logp(mol) -> float:
    return Crippen.MolLogP(mol)


def arms(mol) -> tuple[np.ndarray, np.ndarray]:
    """Gasteiger charges, and positions from the centre of mass, Å."""
    AllChem.ComputeGasteigerCharges(mol)
    charges = np.array([atom.GetDoubleProp("_GasteigerCharge") for atom in mol.GetAtoms()])
    mass = np.array([[atom.GetMass()] for atom in mol.GetAtoms()])
    positions = mol.GetConformer().GetPositions()
    return charges, positions - (mass * positions).sum(0) / mass.sum()


@pytest.fixture(scope="module")
def small():
    """Molecules with conformers, and the same as RDKit's molecules."""
    molecules = as_molecules(SMALL)
    mols = []
    for smiles, flat in zip(SMALL, molecules.features["conformers"]["positions"].to_pylist(), strict=True):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        mol.AddConformer(Chem.Conformer(mol.GetNumAtoms()))
        mol.GetConformer().SetPositions(np.reshape(flat, (-1, 3)).astype(np.float64))
        mols.append(mol)
    return molecules, mols


LABELS = {
    "graphormer": logp,
    "scalar": logp,
    "dipole_moment": lambda mol: np.linalg.norm(arms(mol)[0] @ arms(mol)[1]),
    "electronic_spatial_extent": lambda mol: sum(
        atom.GetAtomicNum() * np.square(arm).sum() for atom, arm in zip(mol.GetAtoms(), arms(mol)[1], strict=True)
    ),
}


def labelled(small, read_out):
    molecules, mols = small
    y = np.array([LABELS[read_out](mol) for mol in mols])
    return type(molecules)(molecules.molecule_id, molecules.smiles, y, molecules.features)


@pytest.mark.slow
@pytest.mark.parametrize("read_out", READ_OUTS)
def test_a_network_can_learn_32_molecules_by_heart(small, tmp_path, read_out):
    molecules = labelled(small, read_out)
    fitted = model(read_out, epochs=120)
    fitted.fit(molecules, molecules, tmp_path)
    rmse = np.sqrt(np.mean((fitted.predict(molecules).mean - molecules.y) ** 2))
    assert rmse < 0.05 * molecules.y.std()


@pytest.mark.parametrize("read_out", ["graphormer", "scalar"])
def test_without_a_step_a_network_predicts_the_references(small, tmp_path, read_out):
    molecules = labelled(small, read_out)
    fitted = model(read_out, learning_rate=0.0)
    fitted.fit(molecules, molecules, tmp_path)
    expected = fitted.references.inverse(molecules, np.zeros(32))
    assert fitted.predict(molecules).mean == pytest.approx(expected)


@pytest.mark.parametrize("read_out", OBSERVABLES)
def test_no_constant_shifts_an_observable(small, tmp_path, read_out):
    molecules = labelled(small, read_out)
    fitted = model(read_out)
    fitted.fit(molecules, molecules, tmp_path)
    assert fitted.predict(as_molecules(["[He]"])).mean == 0
    assert fitted.references.transform(molecules) == pytest.approx(molecules.y / molecules.y.std())


def test_references_of_nothing_scale_alone():
    molecules = as_molecules(["C", "O", "N"], np.array([10.0, 12.0, 17.0]))
    references, y = CompositionReferences("none", "extensive").fit(molecules), molecules.y
    assert references.transform(molecules) == pytest.approx(y / y.std())
    assert references.inverse(molecules, np.array([0.0, 1.0, -2.0])) == pytest.approx(np.array([0, 1, -2]) * y.std())
