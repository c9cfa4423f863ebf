"""Matched molecular pairs: two molecules that differ in one substituent of the same core (Hussain & Rea 2010).

A pair needs no comparison of molecules with each other. Fragmentations are sorted by core and mass of the
substituent, and the partners of each are then a stretch of its neighbours, found by bisection (J. Chem. Inf. Model.
50, 339, 10.1021/ci900450m, with the window of masses added). Time and memory grow as n log n in the number of
fragmentations, plus the number of pairs; the window keeps the latter in bounds where many molecules share a core.
All 133,885 molecules of QM9 make 8.0 million pairs up to 50 Da apart, within seconds and 2 GB.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rdkit import Chem, rdBase
from rdkit.Chem import Descriptors

from boomlib.contracts import listed
from boomlib.features.fragmentations import FRAGMENTATIONS
from boomlib.files import ContractError

MAX_DELTA = 50.0
CH2_MASS = 14.01565
TOLERANCE = 1e-4
# masses are compared as whole numbers of this many a Da, so that isomers are equal in spite of rounding
RESOLUTION = 10**6


def find_pairs(
    table: pa.Table,
    molecules: Sequence[int] | None = None,
    min_delta: float = 0.0,
    max_delta: float = MAX_DELTA,
    described: bool = True,
) -> pa.Table:
    """Pairs of molecules with a common core whose masses differ by more than ``min_delta`` and at most ``max_delta``.

    Args:
        table: the ``fragmentations`` table.
        molecules: the molecule_id among which to look, such as those of train; all if None.
        min_delta: lower bound of the mass difference, Da, exclusive; at least 0, so that isomers are no pair.
        max_delta: upper bound, Da, inclusive.
        described: whether to write the column ``transformation``, which takes half of the memory.

    Returns:
        One row a pair, sorted by ``left`` and ``right`` (molecule_id, int64): ``delta_mass`` (float64, right minus
        left, Da, of the exact masses) and ``transformation`` (the substituent of left ``>>`` that of right, with
        ``[*:1]`` for the core). Of several transformations between the same two molecules it is the one with
        the lightest left substituent, that is with the largest core.

    Raises:
        ContractError: the table is no ``fragmentations`` table, or does not have a molecule that is asked for.
    """
    FRAGMENTATIONS.check(table, "find_pairs")
    if molecules is not None:
        table = restrict(table, molecules)
    molecule, core, substituent, names = flatten(table)
    mass = exact_masses(names)[substituent]
    low, high = (round(delta * RESOLUTION) for delta in (min_delta, max_delta))
    stride = mass.max(initial=0) + high + 1
    left, right = neighbours(core * stride + mass, low + 1, high)

    lightest = np.lexsort((substituent[right], substituent[left], mass[left], molecule[right], molecule[left]))
    left, right = left[lightest], right[lightest]
    first = np.ones(len(left), dtype=bool)
    first[1:] = (np.diff(molecule[left]) != 0) | (np.diff(molecule[right]) != 0)
    left, right = left[first], right[first]
    columns = {"left": molecule[left], "right": molecule[right], "delta_mass": (mass[right] - mass[left]) / RESOLUTION}
    pairs = pa.table({name: pa.array(values) for name, values in columns.items()})
    if not described:
        return pairs
    return pairs.append_column("transformation", transformations(names, substituent[left], substituent[right]))


def ch2_pairs(table: pa.Table, molecules: Sequence[int] | None = None) -> pa.Table:
    """The pairs whose right molecule is the left one with a CH2 put into an acyclic single bond, also one to hydrogen.

    The mass alone would take rearrangements as well, such as ``CC=O>>C1CC1O`` (half of the pairs on QM9).

    Args, columns and errors are those of :func:`find_pairs`.
    """
    pairs = find_pairs(table, molecules, CH2_MASS - TOLERANCE, CH2_MASS + TOLERANCE)
    distinct = pairs["transformation"].combine_chunks().dictionary_encode()
    sides = [text.replace("[*:1]", "*").split(">>") for text in distinct.dictionary.to_pylist()]
    grown = {before: homologues(before) for before, _ in sides}
    is_insertion = np.array([after in grown[before] for before, after in sides], dtype=bool)
    return pairs.filter(pa.array(is_insertion[distinct.indices.to_numpy()]))


def homologues(substituent: str) -> set[str]:
    """Canonical SMILES of a substituent with a CH2 put into each acyclic single bond in turn."""
    made = set()
    with rdBase.BlockLogs():
        whole = Chem.AddHs(Chem.MolFromSmiles(substituent))
        for bond in whole.GetBonds():
            if bond.GetBondType() == Chem.BondType.SINGLE and not bond.IsInRing():
                edited, ends = Chem.RWMol(whole), (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
                edited.RemoveBond(*ends)
                carbon = edited.AddAtom(Chem.Atom("C"))
                for end in ends:
                    edited.AddBond(end, carbon, Chem.BondType.SINGLE)
                Chem.SanitizeMol(edited)
                made.add(Chem.MolToSmiles(Chem.RemoveHs(edited)))
    return made


def restrict(table: pa.Table, molecules: Sequence[int]) -> pa.Table:
    """The rows of some molecules."""
    wanted = np.unique(np.asarray(molecules, dtype=np.int64))
    missing = np.setdiff1d(wanted, table["molecule_id"].to_numpy())
    if len(missing):
        raise ContractError(
            f"find_pairs: the fragmentations table lacks {len(missing)} molecules (molecule_id "
            f"{listed(missing.tolist())}); pass the table of the dataset that they are from"
        )
    return table.filter(pc.is_in(table["molecule_id"], pa.array(wanted)))


def flatten(table: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Molecule, code of the core and code of the substituent of each fragmentation, int64 each.

    The code of a substituent is its place in the sorted list of all, which is returned as well.
    """
    cores, substituents = (table[name].combine_chunks() for name in ("core", "substituent"))
    molecule = np.repeat(table["molecule_id"].to_numpy(), pc.list_value_length(cores).to_numpy())
    core, substituent = (each.flatten().dictionary_encode() for each in (cores, substituents))
    place = pc.rank(substituent.dictionary).to_numpy().astype(np.int64) - 1
    return (
        molecule,
        core.indices.to_numpy().astype(np.int64),
        place[substituent.indices.to_numpy()],
        sorted(substituent.dictionary.to_pylist()),
    )


def exact_masses(substituents: Sequence[str]) -> np.ndarray:
    """Exact masses in units of 1 / ``RESOLUTION`` Da, int64; the attachment point weighs nothing."""
    with rdBase.BlockLogs():  # RDKit warns that the hydrogen of ``*[H]`` stays an atom
        masses = [Descriptors.ExactMolWt(Chem.MolFromSmiles(text)) for text in substituents]
    return np.rint(np.array(masses) * RESOLUTION).astype(np.int64)


def neighbours(keys: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of all lesser and greater keys that are ``low`` to ``high`` apart, both inclusive."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    start = np.searchsorted(keys, keys + low, side="left")
    count = np.searchsorted(keys, keys + high, side="right") - start
    lesser = np.repeat(np.arange(len(keys)), count)
    greater = np.arange(len(lesser)) + np.repeat(start - np.cumsum(count) + count, count)
    return order[lesser], order[greater]


def transformations(names: Sequence[str], before: np.ndarray, after: np.ndarray) -> pa.Array:
    """Texts ``before>>after`` of substituents given by their codes; each is written once and then looked up."""
    distinct, row = np.unique(before * len(names) + after, return_inverse=True)
    attached = [name.replace("*", "[*:1]") for name in names]
    texts = [f"{attached[code // len(names)]}>>{attached[code % len(names)]}" for code in distinct.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(row))
