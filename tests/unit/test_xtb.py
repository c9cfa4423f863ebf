"""Single points by GFN2-xTB."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.transform import Rotation
from tblite.interface import Calculator
from threadpoolctl import threadpool_limits

from boomlib.features import conformers, xtb

WATER = np.array([[0.0, 0.0, 0.1173], [0.0, 0.7572, -0.4692], [0.0, -0.7572, -0.4692]])  # Å


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def as_table(*molecules) -> pa.Table:
    """Conformers of molecules: atomic numbers [n] and positions, Å [n, 3], or None."""
    numbers, positions = zip(*molecules, strict=True)
    flat = [None if each is None else np.ravel(each).tolist() for each in positions]
    return pa.table(
        {
            "atomic_numbers": pa.array([list(each) for each in numbers], pa.list_(pa.uint8())),
            "positions": pa.array(flat, pa.list_(pa.float32())),
        }
    )


def first(smiles, numbers, positions) -> dict[str, float]:
    """The columns of one molecule."""
    return {name: each[0].as_py() for name, each in xtb.compute([smiles], as_table((numbers, positions))).items()}


def singlepoint(numbers, positions, **settings):
    calculator = Calculator("GFN2-xTB", np.array(numbers), np.array(positions) / xtb.BOHR, **settings)
    calculator.set("verbosity", 0)
    return calculator.singlepoint()


def energy(numbers, positions, **settings) -> float:
    return float(singlepoint(numbers, positions, **settings).get("energy"))


def test_water_is_near_to_experiment_and_has_the_geometry_that_was_given():
    water = first("O", [8, 1, 1], WATER)
    assert water["note"] is None
    assert water["dipole"] == pytest.approx(1.85, abs=0.45), "experiment, D"
    solved = singlepoint([8, 1, 1], WATER)
    # 1 a.u. is 8.4783536e-30 C m, 1 D is 1e-21/c C m (CODATA 2018)
    assert water["dipole"] == pytest.approx(
        np.linalg.norm(solved.get("dipole")) * 8.4783536e-30 * 299792458e21, rel=1e-5
    )
    assert water["atomisation_energy"] == pytest.approx(-0.37, abs=0.2), "experiment, 232 kcal/mol"
    # about the axis of symmetry etc., from the positions by hand: A 820, B 437, C 285 GHz
    assert [water[f"rotation_{axis}"] for axis in "abc"] == pytest.approx([820, 437, 285], rel=0.03)
    assert water["length"] == pytest.approx(1.5144, abs=1e-4)
    centre = 0.8 * WATER[0] + 0.1 * WATER[1] + 0.1 * WATER[2]
    by_hand = np.array([8, 1, 1]) @ (((WATER - centre) / xtb.BOHR) ** 2).sum(axis=1)
    assert water["nuclear_extent"] == pytest.approx(by_hand, rel=1e-5)
    # electrons move to the oxygen, nearer to the centre
    assert water["electronic_extent"] < water["nuclear_extent"]
    assert water["gap"] == pytest.approx(water["lumo"] - water["homo"], abs=1e-6)
    assert water["homo_minus_1"] < water["homo"] < water["lumo"] < water["lumo_plus_1"]


def test_an_atomisation_energy_is_the_methods_own():
    methane = pa.table(conformers.compute(["C"]))
    found = xtb.compute(["C"], methane)["atomisation_energy"][0].as_py()
    positions = np.reshape(methane["positions"][0].as_py(), (-1, 3))
    atoms = energy([6], [[0, 0, 0]]) + 4 * energy([1], [[0, 0, 0]], uhf=1)
    assert found == pytest.approx(energy([6, 1, 1, 1, 1], positions) - atoms, abs=1e-6)
    assert found * 627.5 == pytest.approx(-420, abs=100), "experiment at 0 K, kcal/mol"


def test_nothing_depends_on_where_a_molecule_is_how_it_turns_or_the_order_of_its_atoms():
    table = pa.table(conformers.compute(["C[N+](=O)[O-]", "CC(=O)[O-]"]))
    for row, smiles in enumerate(["C[N+](=O)[O-]", "CC(=O)[O-]"]):
        numbers = np.array(table["atomic_numbers"][row].as_py())
        positions = np.reshape(table["positions"][row].as_py(), (-1, 3))
        still = first(smiles, numbers, positions)
        order = np.random.default_rng(0).permutation(len(numbers))
        turned = Rotation.random(rng=0).apply(positions) + np.array([3.0, -2.0, 1.0])
        moved = first(smiles, numbers[order], turned[order])
        for name in xtb.COLUMNS:
            assert moved[name] == pytest.approx(still[name], rel=1e-3, abs=1e-4), name


def test_ions_and_radicals_have_their_charge_and_spin():
    table = pa.table(conformers.compute(["[NH4+]", "[CH3]"]))
    found = xtb.compute(["[NH4+]", "[CH3]"], table)
    cation, radical = (np.reshape(table["positions"][row].as_py(), (-1, 3)) for row in range(2))
    atoms = [energy([number], [[0, 0, 0]], uhf=number % 2) for number in (7, 6, 1)]
    expected = [
        energy([7, 1, 1, 1, 1], cation, charge=1) - atoms[0] - 4 * atoms[2],
        energy([6, 1, 1, 1], radical, uhf=1) - atoms[1] - 3 * atoms[2],
    ]
    assert found["atomisation_energy"].to_pylist() == pytest.approx(expected, abs=1e-6)


def test_single_atoms_and_linear_molecules_turn_about_fewer_axes():
    atom = first("[Ne]", [10], [[1.0, 2.0, 3.0]])
    assert [atom[name] for name in ("rotation_a", "rotation_c", "length", "asphericity", "bond_order_mean")] == [0] * 5
    assert atom["atomisation_energy"] == pytest.approx(0, abs=1e-6)
    line = first("N#N", [7, 7], [[0, 0, 0], [0, 0, 1.098]])
    assert (line["rotation_a"], line["asphericity"]) == (0, pytest.approx(1, abs=1e-5))
    assert line["rotation_b"] == line["rotation_c"] == pytest.approx(59.9, rel=0.01), "experiment, GHz"


def test_what_has_no_positions_or_no_solution_is_noted(monkeypatch):
    molecules = as_table(([8, 1, 1], None), ([8, 1, 1], WATER))
    found = xtb.compute(["O", "O"], molecules)
    assert found["note"].to_pylist() == ["no positions", None]
    unknown = np.array([np.isnan(found[name].to_numpy()) for name in xtb.COLUMNS])
    assert unknown[:, 0].all() and not unknown[:, 1].any()
    monkeypatch.setattr(xtb, "ATTEMPTS", (("usual", {"max-iter": 1}), ("longer", {"max-iter": 100})))
    assert first("O", [8, 1, 1], WATER)["note"] == "GFN2-xTB: longer; GFN1-xTB: longer"
    monkeypatch.setattr(xtb, "ATTEMPTS", (("usual", {"max-iter": 1}),))
    water = first("O", [8, 1, 1], WATER)
    assert water["note"].count("no single point: ") == 2
    assert np.isnan(water["gap"]) and np.isnan(water["gfn1_gap"])
    assert water["length"] == pytest.approx(1.5144, abs=1e-4), "the shape needs no electrons"


def test_one_method_that_fails_leaves_what_the_other_has_found(monkeypatch):
    usual, real = first("O", [8, 1, 1], WATER), xtb.Calculator

    def fail(method, *arguments, **settings):
        if method == "GFN1-xTB":
            raise xtb.TBLiteRuntimeError("on purpose")
        return real(method, *arguments, **settings)

    monkeypatch.setattr(xtb, "Calculator", fail)
    found = first("O", [8, 1, 1], WATER)
    assert found["note"] == "GFN1-xTB: no single point: on purpose"
    for name in xtb.COLUMNS:
        assert np.isnan(found[name]) if name.startswith("gfn1_") else found[name] == usual[name], name


@pytest.mark.parametrize("method", ["GFN2-xTB", "GFN1-xTB"])
def test_frontier_orbitals_are_told_by_the_number_of_electrons_also_where_the_gap_is_small(method):
    """Two hydrogens far apart: electrons smear over both levels."""
    far = np.array([[0, 0, 0], [0, 0, 3.0]])
    calculator = Calculator(method, np.array([1, 1]), far / xtb.BOHR)
    calculator.set("verbosity", 0)
    result = calculator.singlepoint()
    levels = np.sort(result.get("orbital-energies"))
    assert np.sort(result.get("orbital-occupations"))[-2] > 1e-6, "smeared"
    found, prefix = first("[H][H]", [1, 1], far), xtb.METHODS[method]
    assert [found[f"{prefix}{name}"] for name in ("homo", "lumo")] == pytest.approx(levels[:2], abs=1e-6)
    assert found[f"{prefix}gap"] == pytest.approx(levels[1] - levels[0], abs=1e-6)


def test_a_geometry_that_holds_no_molecule_is_noted():
    note = first("O", [8, 1, 1], 0.25 * WATER)["note"]
    assert note and "GFN2-xTB: higher than free atoms, so that the geometry is to be doubted" in note
    assert first("[H+]", [1], [[0, 0, 0]])["note"] is None or "higher" not in first("[H+]", [1], [[0, 0, 0]])["note"]


def test_hot_electrons_change_little(monkeypatch):
    table = pa.table(conformers.compute(["C=O"]))
    usual = xtb.compute(["C=O"], table)
    monkeypatch.setattr(xtb, "ATTEMPTS", xtb.ATTEMPTS[-1:])
    hot = xtb.compute(["C=O"], table)
    for name in ("homo", "lumo", "gap", "gfn1_homo", "gfn1_lumo", "homo_oxygen", "lumo_carbon", "atomisation_energy"):
        assert hot[name][0].as_py() == pytest.approx(usual[name][0].as_py(), abs=0.01), name


def test_shares_of_frontier_orbitals_add_up():
    for smiles in ("C=O", "CF", "[CH3]", "CS"):
        found = {
            name: each[0].as_py()
            for name, each in xtb.compute([smiles], pa.table(conformers.compute([smiles]))).items()
        }
        for frontier in ("homo", "lumo"):
            elements = sum(
                found[f"{frontier}_{name}"] for name in ("hydrogen", "carbon", "nitrogen", "oxygen", "halogen")
            )
            assert elements == pytest.approx(1, abs=1e-5) or (smiles == "CS" and elements < 1)
            assert 0 < found[f"{frontier}_atom"] <= 1.2
    carbonyl = xtb.compute(["C=O"], pa.table(conformers.compute(["C=O"])))
    assert carbonyl["homo_oxygen"][0].as_py() > 0.5, "a lone pair"
    assert carbonyl["lumo_carbon"][0].as_py() > 0.5, "π*"


@pytest.mark.parametrize("smiles", ["[H][H]", "[H]", "[H+]", "[Na+]", "[He]", "[Og]", "O=O", "[Cl-]"])
def test_the_smallest_molecules_have_rows_that_a_job_reads(smiles):
    found = xtb.compute([smiles], pa.table(conformers.compute([smiles])))
    assert [name for name in xtb.COLUMNS if found[name].null_count] == []


def test_no_molecules_have_the_same_columns():
    empty, full = xtb.compute([], None), xtb.compute(["O"], as_table(([8, 1, 1], WATER)))
    assert {name: each.type for name, each in empty.items()} == {name: each.type for name, each in full.items()}
