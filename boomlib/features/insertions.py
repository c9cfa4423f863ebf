"""Where a CH2 can go: each molecule that one more CH2 makes, and what it changes of the groups and of the context.

A CH2 is put into every acyclic single bond in turn, also one to hydrogen, once for each symmetry class of bonds, as in
the matched pairs of :mod:`boomlib.matched_pairs`. A place is known by what the insertion changes: counts of Morgan
atom environments up to radius 1 (an atom with its neighbours, Benson's group) as in
:mod:`boomlib.features.morgan_counts`, and counts of the homologous context, most of which it leaves alone
(:mod:`boomlib.features.context`). Stereochemistry does not count.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from rdkit import Chem, rdBase
from rdkit.Chem import rdFingerprintGenerator

from boomlib.contracts import list_of
from boomlib.features.context import COUNTS, HOMOLOGOUS, count
from boomlib.features.fragmentations import CUT

KEPT = [COUNTS.index(name.removeprefix("homologous_")) for name in HOMOLOGOUS]
GROUPS = rdFingerprintGenerator.GetMorganGenerator(radius=1)


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """For each molecule lists, sorted by the canonical SMILES of what an insertion makes (``product``).

    ``environments`` and ``columns`` say how many entries each product has in the lists behind them: ``environment``
    with ``change``, identifiers and change of their counts; ``column`` with ``step``, places in ``HOMOLOGOUS`` and
    change.
    """
    found = [list_insertions(Chem.MolFromSmiles(text)) for text in smiles]
    lists: dict[str, list[list]] = {name: [] for name in TYPES}
    for rows in found:
        lists["product"].append([product for product, _, _ in rows])
        for size, key, value, at in (("environments", "environment", "change", 1), ("columns", "column", "step", 2)):
            lists[size].append([len(row[at]) for row in rows])
            lists[key].append([name for row in rows for name, _ in row[at]])
            lists[value].append([by for row in rows for _, by in row[at]])
    return {name: pa.array(lists[name], list_of(dtype)) for name, dtype in TYPES.items()}


TYPES = {
    "product": pa.string(),
    "environments": pa.uint16(),
    "environment": pa.uint32(),
    "change": pa.int16(),
    "columns": pa.uint16(),
    "column": pa.uint16(),
    "step": pa.int16(),
}
Insertion = tuple[str, list[tuple[int, int]], list[tuple[int, int]]]


def list_insertions(mol: Chem.Mol) -> list[Insertion]:
    """Product, changed environments and changed columns of the context of each insertion."""
    flat = Chem.MolToSmiles(mol, isomericSmiles=False)
    with rdBase.BlockLogs():
        parent = describe(flat)
        products = {Chem.MolToSmiles(each) for each in insert(Chem.MolFromSmiles(flat))}
        return [(product, *differ(parent, describe(product))) for product in sorted(products)]


def describe(smiles: str) -> tuple[Counter[int], np.ndarray]:
    """Counts of environments up to radius 1 and the homologous context of a SMILES."""
    mol = Chem.MolFromSmiles(smiles)
    groups = Counter(GROUPS.GetSparseCountFingerprint(mol).GetNonzeroElements())
    return groups, np.rint(np.array(count(mol))[KEPT]).astype(int)


def differ(
    parent: tuple[Counter[int], np.ndarray], product: tuple[Counter[int], np.ndarray]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """What changes of the environments and of the context, without zeros."""
    change = Counter(product[0])
    change.subtract(parent[0])
    step = product[1] - parent[1]
    return (
        sorted((name, by) for name, by in change.items() if by),
        [(int(column), int(step[column])) for column in np.flatnonzero(step)],
    )


def insert(mol: Chem.Mol) -> Iterator[Chem.Mol]:
    """Molecules with one more CH2, one for each symmetry class of acyclic single bonds."""
    ranks = list(Chem.CanonicalRankAtoms(mol, breakTies=False))
    bonds = mol.GetSubstructMatches(CUT, maxMatches=mol.GetNumBonds())
    for begin, end in {frozenset((ranks[i], ranks[j])): (i, j) for i, j in bonds}.values():
        edited = Chem.RWMol(mol)
        edited.RemoveBond(begin, end)
        yield attach(edited, (begin, end))
    for index in dict(zip(ranks, range(mol.GetNumAtoms()), strict=True)).values():
        atom = mol.GetAtomWithIdx(index)
        if atom.GetAtomicNum() != 1 and atom.GetTotalNumHs():
            edited = Chem.RWMol(mol)
            edited.GetAtomWithIdx(index).SetNumExplicitHs(max(atom.GetNumExplicitHs() - 1, 0))
            yield attach(edited, (index,))


def attach(edited: Chem.RWMol, ends: Sequence[int]) -> Chem.Mol:
    """The molecule with a carbon bound to the atoms ``ends``."""
    carbon = edited.AddAtom(Chem.Atom("C"))
    for end in ends:
        edited.AddBond(end, carbon, Chem.BondType.SINGLE)
    Chem.SanitizeMol(edited)
    return edited.GetMol()
