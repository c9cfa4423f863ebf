"""Electronic structure of each molecule by GFN2-xTB, a semi-empirical method, at its conformer as it stands.

Bannwarth, Ehlert & Grimme, J. Chem. Theory Comput. 2019, 15, 1652 (the method); Grimme, Bannwarth & Shushkov, ibid.
2017, 13, 1989 (GFN1-xTB, as a second opinion on energies, dipole and orbitals); tblite (the program). Single points
for each molecule of the feature ``conformers``, about 15 ms for one of QM9.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from rdkit import Chem
from tblite.interface import Calculator, Result, TBLiteRuntimeError

from boomlib.features import orbitals

CHUNK = 64

METHOD = "GFN2-xTB"
METHODS = {METHOD: "", "GFN1-xTB": "gfn1_"}
"""The methods, and what stands before the names of their columns."""
BOHR = 0.529177210903  # Å (CODATA 2018)
DEBYE = 2.541746473  # of one e·bohr
GIGAHERTZ = 505.379008  # rotational constant times moment of inertia, GHz·Da·Å²
LEAST_INERTIA = 1e-3  # Da·Å²; below, a molecule does not turn about that axis
UNBOUND = 0.1  # Ha over free atoms; a single atom is above them by rounding
BONDED = 0.3  # Wiberg bond order from which two atoms count as bonded
TABLE = Chem.GetPeriodicTable()

BOTH: dict[str, str] = {
    "atomisation_energy": "total energy minus the method's own free atoms, Ha",
    "dipole": "norm of the dipole moment, D; of an ion about the centre of nuclear charge",
    **orbitals.COLUMNS,
}
COLUMNS: dict[str, str] = {
    **BOTH,
    "quadrupole": "of the partial charges: norm of the traceless moment about the centre of nuclear charge, e·bohr²",
    "charge_least": "least partial charge of an atom, e",
    "charge_largest": "largest partial charge, e",
    "charge_size": "mean of the partial charges' absolute values, e",
    "charge_deviation": "their standard deviation, e",
    "bond_order_sum": "sum of the Wiberg bond orders of all pairs",
    "bond_order_mean": "mean over the pairs of 0.3 and more",
    "bond_order_least": "least of these",
    "bond_order_largest": "largest of these",
    "nuclear_extent": "Σ Z r², r from the centre of nuclear charge, bohr²",
    "electronic_extent": "Σ (Z - q) r² with partial charges q, all electrons at their atoms, bohr²",
    "rotation_a": "largest rotational constant, GHz; 0 where the molecule does not turn about that axis",
    "rotation_b": "middle one, GHz",
    "rotation_c": "least one, GHz",
    "gyration_radius": "root of the mean squared distance from the centre of mass, by mass, Å",
    "asphericity": "of the gyration tensor, by mass: 0 a sphere, 1 a line",
    "length": "largest distance of two atoms, Å",
    **{f"gfn1_{name}": f"{text}, by GFN1-xTB" for name, text in BOTH.items()},
}
"""What each column is, and its unit; all float32, NaN where there are no positions, no solution or no such orbital."""

# What is set where all before it found no self-consistent charges: name, settings of tblite
ATTEMPTS: tuple[tuple[str, Mapping[str, float]], ...] = (
    ("usual", {}),
    ("damped", {"mixer-damping": 0.2, "max-iter": 500}),
    ("damped, electrons at 3000 K", {"mixer-damping": 0.1, "max-iter": 1000, "temperature": 0.0095}),
)


def compute(smiles: Sequence[str], conformers: pa.Table | None = None) -> dict[str, pa.Array]:
    """Single points of molecules.

    Args:
        smiles: the molecules, whose formal charges and unpaired electrons count.
        conformers: their rows of the feature ``conformers``.

    Returns:
        :data:`COLUMNS`, float32, and ``note``: which settings it took, or why there is nothing; null where all went
        well.
    """
    rows, notes = [], []
    for text, numbers, positions in read_conformers(smiles, conformers):
        values, note = solve(text, numbers, positions)
        rows.append([values.get(name, np.nan) for name in COLUMNS])
        notes.append(note)
    columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
    arrays = {name: pa.array(list(each), pa.float32()) for name, each in zip(COLUMNS, columns, strict=True)}
    return arrays | {"note": pa.array(notes, pa.string())}


def read_conformers(
    smiles: Sequence[str], conformers: pa.Table | None
) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """Each molecule with its atomic numbers, int [n], and positions, Å [n, 3], or None."""
    if conformers is None:
        yield from ((text, np.zeros(0, dtype=int), None) for text in smiles)
        return
    columns = (conformers[name].to_pylist() for name in ("atomic_numbers", "positions"))
    for text, numbers, flat in zip(smiles, *columns, strict=True):
        yield text, np.array(numbers), None if flat is None else np.array(flat, dtype=float).reshape(-1, 3)


def solve(smiles: str, numbers: np.ndarray, positions: np.ndarray | None) -> tuple[dict[str, float], str | None]:
    """The columns of one molecule, as far as there is a solution, and its note."""
    if positions is None:
        return {}, "no positions"
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    unpaired = sum(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())
    weight = numbers / numbers.sum()
    centred = positions - weight @ positions
    state = State(numbers, centred, Chem.GetFormalCharge(molecule), unpaired)
    found, notes = describe_shape(numbers, centred), []
    for method, prefix in METHODS.items():
        calculator, result, note = run(method, state)
        notes += [f"{method}: {note}"] if note else []
        if result is not None:
            described = describe_both(method, calculator, result, state)
            found |= {f"{prefix}{name}": value for name, value in described.items()}
            if described["atomisation_energy"] > UNBOUND and not state.charge:
                notes.append(f"{method}: higher than free atoms, so that the geometry is to be doubted")
            if method == METHOD:
                found |= describe_charges(result, numbers, centred / BOHR)
    return found, "; ".join(notes) or None


@dataclass(frozen=True)
class State:
    """What a single point is of.

    Attributes:
        numbers: atomic numbers, int [n].
        positions: from the centre of nuclear charge, Å [n, 3].
        charge: formal charge, e.
        unpaired: electrons that are alone in their orbital.
    """

    numbers: np.ndarray
    positions: np.ndarray
    charge: int
    unpaired: int


def run(method: str, state: State) -> tuple[Calculator | None, Result | None, str | None]:
    """A single point with integrals, and which settings it took, None for the usual ones; or why there is none."""
    reason = ""
    for name, settings in ATTEMPTS:
        try:
            calculator = Calculator(
                method, state.numbers, state.positions / BOHR, charge=state.charge, uhf=state.unpaired
            )
            for key, value in {"verbosity": 0, "save-integrals": 1, **settings}.items():
                calculator.set(key, value)
            result = calculator.singlepoint()
        except TBLiteRuntimeError as error:
            reason = str(error)
            continue
        return calculator, result, None if name == "usual" else name
    return None, None, f"no single point: {reason}"


def describe_both(method: str, calculator: Calculator, result: Result, state: State) -> dict[str, float]:
    """What is read of both methods."""
    return {
        "atomisation_energy": float(result.get("energy"))
        - sum(free_atom(method, each) for each in state.numbers.tolist()),
        "dipole": DEBYE * float(np.linalg.norm(result.get("dipole"))),
        **orbitals.describe_orbitals(calculator, result, state.numbers, state.unpaired),
    }


def describe_charges(result: Result, numbers: np.ndarray, positions: np.ndarray) -> dict[str, float]:
    """What charges and bond orders tell.

    Args:
        result: tblite's.
        numbers: atomic numbers, int [n].
        positions: from the centre of nuclear charge, bohr [n, 3].
    """
    charges, orders = result.get("charges"), np.atleast_3d(result.get("bond-orders")).sum(axis=2)
    pairs = orders[np.triu_indices(len(numbers), 1)]
    bonds = pairs[pairs >= BONDED]
    squares = (positions**2).sum(axis=1)
    # tblite 0.8 tells a quadrupole of the density too, but one whose norm changes when the molecule is turned
    moment = 1.5 * (charges[:, None] * positions).T @ positions - 0.5 * charges @ squares * np.eye(3)
    return {
        "quadrupole": np.linalg.norm(moment),
        "charge_least": charges.min(),
        "charge_largest": charges.max(),
        "charge_size": np.abs(charges).mean(),
        "charge_deviation": charges.std(),
        "bond_order_sum": pairs.sum(),
        **dict(
            zip(BOND_STATISTICS, (bonds.mean(), bonds.min(), bonds.max()) if len(bonds) else (0, 0, 0), strict=True)
        ),
        "nuclear_extent": numbers @ squares,
        "electronic_extent": (numbers - charges) @ squares,
    }


BOND_STATISTICS = ("bond_order_mean", "bond_order_least", "bond_order_largest")


@functools.cache
def free_atom(method: str, number: int) -> float:
    """Energy of a free atom with as few unpaired electrons as it can have, Ha.

    The method has no exchange between spins; which state it is hardly matters, and is the same for every molecule.
    """
    calculator = Calculator(method, np.array([number]), np.zeros((1, 3)), uhf=number % 2)
    calculator.set("verbosity", 0)
    return float(calculator.singlepoint().get("energy"))


def describe_shape(numbers: np.ndarray, positions: np.ndarray) -> dict[str, float]:
    """Rotational constants and what else tells the shape, by mass; positions in Å [n, 3]."""
    masses = np.array([TABLE.GetAtomicWeight(number) for number in numbers.tolist()])
    centred = positions - masses @ positions / masses.sum()
    gyration = np.linalg.eigvalsh((masses[:, None] * centred).T @ centred / masses.sum()).clip(min=0)
    # about each principal axis the mass lies off along the other two
    inertia = masses.sum() * np.sort(gyration.sum() - gyration)
    constants = [GIGAHERTZ / each if each > LEAST_INERTIA else 0.0 for each in inertia]
    total = gyration.sum()
    spread = 1.5 * (gyration**2).sum() / total**2 - 0.5 if total > 0 else 0.0
    distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
    return {
        **dict(zip(("rotation_a", "rotation_b", "rotation_c"), constants, strict=True)),
        "gyration_radius": float(np.sqrt(total)),
        "asphericity": spread,
        "length": distances.max(),
    }
