"""Single-cut fragmentations of each molecule, the raw material of matched pairs (Hussain & Rea 2010).

Every acyclic single bond between heavy atoms is cut in turn (J. Chem. Inf. Model. 50, 339, 10.1021/ci900450m, with one
cut; RDKit's ``rdMMPA.FragmentMol`` finds the same cuts). A hydrogen counts as a substituent too, once for each
symmetry class of atoms that bear one, so that H -> CH3 is a pair like any other. Stereochemistry does not count:
a new substituent may make or end a stereocentre of the core.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from rdkit import Chem

from boomlib.contracts import TableContract, list_of

FRAGMENTATIONS = TableContract(
    "fragmentations",
    {"molecule_id": pa.int64(), "core": list_of(pa.string()), "substituent": list_of(pa.string())},
)
MAX_SUBSTITUENT = 8
HYDROGEN = "*[H]"
# the bond of a nitro group or N-oxide between opposite charges stands for a double bond
CUT = Chem.MolFromSmarts("[!#1;!$([-]-[+])]!@-[!#1;!$([-]-[+])]")


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """For each molecule two aligned lists, sorted: ``core`` and ``substituent``, canonical SMILES with one ``*`` each.

    A substituent has at most ``MAX_SUBSTITUENT`` heavy atoms and at most one more than its core. With that margin a
    CH2 that is inserted next to the middle of a molecule still leaves the core in place. Further components, such as
    counter-ions, belong to the core.
    """
    found = [sorted(fragmentations_of(Chem.MolFromSmiles(text))) for text in smiles]
    return {
        "core": pa.array([[core for core, _ in rows] for rows in found], list_of(pa.string())),
        "substituent": pa.array([[substituent for _, substituent in rows] for rows in found], list_of(pa.string())),
    }


def fragmentations_of(mol: Chem.Mol) -> set[tuple[str, str]]:
    """All (core, substituent) of one molecule."""
    Chem.RemoveStereochemistry(mol)
    ranks = Chem.CanonicalRankAtoms(mol, breakTies=False)
    return {*cut_bonds(mol, ranks), *replace_hydrogens(mol, ranks)}


def cut_bonds(mol: Chem.Mol, ranks: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Cut one bond of each symmetry class."""
    distinct = {
        frozenset((ranks[begin], ranks[end])): mol.GetBondBetweenAtoms(begin, end).GetIdx()
        for begin, end in mol.GetSubstructMatches(CUT, maxMatches=mol.GetNumBonds())
    }
    for bond in distinct.values():
        cut = Chem.FragmentOnBonds(mol, [bond], dummyLabels=[(0, 0)])
        parts = Chem.GetMolFrags(cut, asMols=True, sanitizeFrags=False)
        named = [(Chem.MolToSmiles(part), part.GetNumHeavyAtoms()) for part in parts]
        *others, one, two = sorted(named, key=lambda each: "*" in each[0])
        for (core, core_size), (substituent, size) in ((one, two), (two, one)):
            if size <= min(MAX_SUBSTITUENT, core_size + 1):
                yield join([core, *(other for other, _ in others)]), substituent


def replace_hydrogens(mol: Chem.Mol, ranks: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Put the attachment point in the place of one hydrogen of each symmetry class."""
    core = Chem.RWMol(mol)
    attachment = core.AddAtom(Chem.Atom(0))
    for index in dict(zip(ranks, range(mol.GetNumAtoms()), strict=True)).values():
        atom = core.GetAtomWithIdx(index)
        if atom.GetAtomicNum() == 1 or not atom.GetTotalNumHs():
            continue
        written = atom.GetNumExplicitHs()
        core.AddBond(attachment, index, Chem.BondType.SINGLE)
        atom.SetNumExplicitHs(max(written - 1, 0))
        atom.UpdatePropertyCache(strict=False)
        yield join(Chem.MolToSmiles(core).split(".")), HYDROGEN
        core.RemoveBond(attachment, index)
        atom.SetNumExplicitHs(written)
        atom.UpdatePropertyCache(strict=False)


def join(components: Iterable[str]) -> str:
    """One SMILES of several components, the same in whatever order they come."""
    return ".".join(sorted(components))
