"""RDKit's molecular descriptors (rdkit.Chem.Descriptors), one float64 column each, named as in RDKit.

The values are those of ``Descriptors.CalcMolDescriptors``, bit for bit, in a fraction of its time. RDKit computes each
descriptor on its own; here descriptors with common intermediates are one *group* (``GROUPS``), computed together from
what a ``Shared`` molecule keeps: its atoms and bonds, distances, E-state indices, paths, atom contributions. Patterns
(fragments, QED's alerts) are only searched in molecules that have the kinds of bonds they need.

Nothing depends on a group: whatever has none is RDKit's own function, and so is everything that a group cannot compute
for a molecule, or in which it differs from RDKit on a few test molecules, as after a change in RDKit.
A value that RDKit cannot compute is NaN; models decide what to do with it.
"""

import bisect
import functools
import math
import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
from rdkit import Chem
from rdkit.Chem import (
    QED,
    Descriptors,
    Fragments,
    GraphDescriptors,
    MolSurf,
    rdFingerprintGenerator,
    rdMolDescriptors,
    rdmolops,
    rdPartialCharges,
)
from rdkit.Chem.EState import EState, EState_VSA
from rdkit.ML.InfoTheory import entropy

FUNCTIONS = dict(Descriptors.descList)
NAMES = tuple(FUNCTIONS)

TABLE = Chem.GetPeriodicTable()
OUTER = [TABLE.GetNOuterElecs(number) for number in range(119)]
SINGLE, DOUBLE, AROMATIC = (int(bond) for bond in (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.AROMATIC))
NO_PROPERTIES = int(Chem.PropertyPickleOptions.NoProps)
MORGAN = [rdFingerprintGenerator.GetMorganGenerator(radius) for radius in (1, 2, 3)]
TEST_MOLECULES = (
    "CC(=O)Nc1ccc(O)cc1C(N)=O",
    "C[C@H](F)/C=C/c1ccc2c(c1)CC2C1CC1S(=O)(=O)N(C)C#N",
    "O=C([O-])c1cc([N+](=O)[O-])ccc1OCCN1CCCCC1.[Na+]",
    "NNC1=NC2CC2N1C(=S)OC(Cl)Br",
)
HYBRIDISATION = {Chem.HybridizationType.SP: 1, Chem.HybridizationType.SP2: 2, Chem.HybridizationType.SP3: 3}


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """All descriptors of molecules given by their SMILES."""
    groups = agreeing_groups()
    values = np.empty((len(smiles), len(NAMES)))
    with np.errstate(all="ignore"):
        for row, text in enumerate(smiles):
            values[row] = describe(Chem.MolFromSmiles(text), groups)
    return {name: pa.array(values[:, column]) for column, name in enumerate(NAMES)}


def describe(mol: Chem.Mol, groups: dict[tuple[str, ...], Callable]) -> list[float]:
    """Descriptors of a molecule, those of ``groups`` together and the rest by RDKit's functions."""
    shared = Shared(mol)
    found = {}
    for names, function in groups.items():
        try:
            found.update(zip(names, function(shared), strict=True))
        except Exception:  # RDKit's functions decide which of these have a value
            continue
    return [found[name] if name in found else by_rdkit(name, mol) for name in NAMES]


def by_rdkit(name: str, mol: Chem.Mol) -> float:
    """One descriptor by RDKit's own function, NaN where that fails."""
    try:
        return FUNCTIONS[name](mol)
    except Exception:
        return np.nan


@functools.cache
def agreeing_groups() -> dict[tuple[str, ...], Callable]:
    """Groups of descriptors that this RDKit has and that equal its own functions on a few molecules."""
    groups = {names: function for names, function in GROUPS.items() if FUNCTIONS.keys() >= set(names)}
    for smiles in TEST_MOLECULES:
        mol = Chem.MolFromSmiles(smiles)
        expected = {name: by_rdkit(name, mol) for name in NAMES}
        found = dict(zip(NAMES, describe(Chem.MolFromSmiles(smiles), groups), strict=True))
        groups = {
            names: function
            for names, function in groups.items()
            if np.array_equal([found[name] for name in names], [expected[name] for name in names], equal_nan=True)
        }
    return groups


class Shared:
    """A molecule and what several descriptors need of it, each computed when first asked for."""

    def __init__(self, mol: Chem.Mol):
        self.mol = mol

    @functools.cached_property
    def atoms(self) -> list[Chem.Atom]:
        """The atoms, in order."""
        return list(self.mol.GetAtoms())

    @functools.cached_property
    def numbers(self) -> list[int]:
        """Atomic numbers."""
        return [atom.GetAtomicNum() for atom in self.atoms]

    @functools.cached_property
    def hydrogens(self) -> list[int]:
        """Hydrogens of each atom that are no atoms of the molecule."""
        return [atom.GetTotalNumHs() for atom in self.atoms]

    @functools.cached_property
    def degrees(self) -> list[int]:
        """Neighbours of each atom."""
        return [atom.GetDegree() for atom in self.atoms]

    @functools.cached_property
    def aromatic(self) -> list[bool]:
        """Whether each atom is aromatic."""
        return [atom.GetIsAromatic() for atom in self.atoms]

    @functools.cached_property
    def in_ring(self) -> list[bool]:
        """Whether each atom is in a ring."""
        return [atom.IsInRing() for atom in self.atoms]

    @functools.cached_property
    def bonds(self) -> list[tuple[int, int, int, bool]]:
        """Atoms and type of each bond, and whether it is aromatic, which a triple bond may be as well."""
        return [
            (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondType()), bond.GetIsAromatic())
            for bond in self.mol.GetBonds()
        ]

    @functools.cached_property
    def distances(self) -> np.ndarray:
        """Bonds between each two atoms."""
        return Chem.GetDistanceMatrix(self.mol)

    @functools.cached_property
    def balaban(self) -> np.ndarray:
        """Distances in which a bond counts one over its order."""
        return Chem.GetDistanceMatrix(self.mol, useBO=1, useAtomWts=0, force=0, prefix="Balaban")

    @functools.cached_property
    def charges(self) -> list[float]:
        """Gasteiger charges, an error where an element has no parameters."""
        rdPartialCharges.ComputeGasteigerCharges(self.mol, 12, True)
        return [atom.GetDoubleProp("_GasteigerCharge") for atom in self.atoms]

    @functools.cached_property
    def unchanged(self) -> bool:
        """Whether removing hydrogens, which sanitizes again, leaves the molecule as it is."""
        return 1 not in self.numbers and Chem.RemoveHs(self.mol).ToBinary(NO_PROPERTIES) == self.mol.ToBinary(
            NO_PROPERTIES
        )

    @functools.cached_property
    def crippen(self) -> tuple[float, float]:
        """LogP and molar refractivity."""
        return rdMolDescriptors.CalcCrippenDescriptors(self.mol)

    @functools.cached_property
    def rotatable(self) -> int:
        """Rotatable bonds."""
        return rdMolDescriptors.CalcNumRotatableBonds(self.mol, rdMolDescriptors.NumRotatableBondsOptions.Strict)

    @functools.cached_property
    def unmet(self) -> int:
        """The needs of patterns that the molecule does not meet, as bits; none with hydrogens as atoms."""
        if 1 in self.numbers:
            return 0
        kinds = [
            (*known, atom.GetFormalCharge(), atom.GetIsotope())
            for *known, atom in zip(
                self.numbers, self.aromatic, self.hydrogens, self.degrees, self.in_ring, self.atoms, strict=True
            )
        ]
        met = needs_met_by_rings(len(self.bonds) - len(kinds) + len(Chem.GetMolFrags(self.mol)))
        for kind in set(kinds):
            met |= needs_met_by_atom(kind)
        for begin, end, order in {(kinds[begin], kinds[end], order) for begin, end, order, _ in self.bonds}:
            met |= needs_met_by_bond(begin, end, order)
        return ~met

    @functools.cached_property
    def paths(self) -> tuple[int, int, tuple[float, ...]]:
        """See ``sum_over_paths``."""
        return sum_over_paths(self)


# ---- patterns ----------------------------------------------------------------------------------------------------


# What patterns need, each with its bit: queries of atoms, of bonds (bits of both atoms and the bond's query), rings.
# Patterns are made when the module is loaded: what a kind meets is remembered, and would not know a later one's needs.
ATOM_NEEDS: dict[tuple, int] = {}
BOND_NEEDS: dict[tuple[int, int, tuple], int] = {}
RING_NEEDS: dict[int, int] = {}


class Pattern:
    """A SMARTS pattern that knows cheaply that it cannot be in a molecule.

    Each of its atoms and bonds needs one of a kind (element, aromaticity, charge, bond type, ...) that could match it,
    its rings need as many, and its recursive parts need theirs. What a kind does not tell counts as met, so that no
    match is lost.
    """

    def __init__(self, mol: Chem.Mol):
        self.mol = mol
        self.needed, self.choices = needs_of(mol)

    def possible(self, unmet: int) -> bool:
        """Whether it might be in a molecule with these unmet needs."""
        return not self.needed & unmet and all(any(part.possible(unmet) for part in choice) for choice in self.choices)


def count_matches(patterns: Iterable[Pattern], shared: Shared) -> list[int]:
    """Number of matches of each pattern."""
    mol, unmet = shared.mol, shared.unmet
    return [
        0 if pattern.needed & unmet or not pattern.possible(unmet) else len(mol.GetSubstructMatches(pattern.mol))
        for pattern in patterns
    ]


def count_found(patterns: Iterable[Pattern], shared: Shared) -> int:
    """Number of patterns with a match."""
    mol, unmet = shared.mol, shared.unmet
    return sum(
        mol.HasSubstructMatch(pattern.mol)
        for pattern in patterns
        if not pattern.needed & unmet and pattern.possible(unmet)
    )


def needs_of(mol: Chem.Mol) -> tuple[int, list[list[Pattern]]]:
    """Needs of a pattern as bits, and its choices of recursive parts: of each, one must be possible."""
    rings = mol.GetNumBonds() - mol.GetNumAtoms() + len(Chem.GetMolFrags(mol))
    needed, choices, atoms = bit_of(RING_NEEDS, rings), [], []
    for atom in mol.GetAtoms():
        tree = query_tree(atom.DescribeQuery())
        atoms.append(bit_of(ATOM_NEEDS, tree))
        needed |= atoms[-1]
        for choice in recursive_choices(tree, recursive_parts(atom.GetSmarts())):
            parts = [Pattern(Chem.MolFromSmarts(smarts)) for smarts in choice]
            needed |= functools.reduce(int.__and__, (part.needed for part in parts))
            choices += [parts] if len(parts) > 1 else parts[0].choices
    for bond in mol.GetBonds():
        key = (atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()], query_tree(bond.DescribeQuery()))
        needed |= bit_of(BOND_NEEDS, key)
    return needed, choices


def bit_of(needs: dict, key: object) -> int:
    """The bit of a need, a new one if no pattern had it before."""
    return needs.setdefault(key, 1 << (len(ATOM_NEEDS) + len(BOND_NEEDS) + len(RING_NEEDS)))


@functools.cache
def needs_met_by_atom(kind: tuple[int, bool, int, int, bool, int, int]) -> int:
    """The bits of the atom queries that an atom of a kind could match."""
    number, aromatic, hydrogens, degree, in_ring, charge, isotope = kind
    known = {
        "AtomType": number + 1000 * aromatic,
        "AtomAtomicNum": number,
        "AtomIsAromatic": aromatic,
        "AtomIsAliphatic": not aromatic,
        "AtomHCount": hydrogens,
        "AtomExplicitDegree": degree,
        "AtomTotalDegree": degree + hydrogens,
        "AtomInNRings": -1 if in_ring else 0,
        "AtomFormalCharge": charge,
        "AtomIsotope": isotope,
    }
    return sum(bit for tree, bit in ATOM_NEEDS.items() if fits(tree, known) is not False)


@functools.cache
def needs_met_by_bond(begin: tuple, end: tuple, order: int) -> int:
    """The bits of the bond queries that a bond between atoms of two kinds could match."""
    first, second = needs_met_by_atom(begin), needs_met_by_atom(end)
    trees = fitting_bonds(order)
    return sum(
        bit
        for (one, other, tree), bit in BOND_NEEDS.items()
        if tree in trees and ((one & first and other & second) or (one & second and other & first))
    )


@functools.cache
def fitting_bonds(order: int) -> set[tuple]:
    """The queries of bonds, whatever their atoms, that a bond of a type could match."""
    known = {"BondOrder": order, "SingleOrAromaticBond": order in (SINGLE, AROMATIC)}
    return {tree for _, _, tree in BOND_NEEDS if fits(tree, known) is not False}


@functools.cache
def needs_met_by_rings(rings: int) -> int:
    """The bits of numbers of rings up to that of a molecule."""
    return sum(bit for count, bit in RING_NEEDS.items() if count <= rings)


def query_tree(description: str) -> tuple:
    """RDKit's indented description of a query as nested tuples (line, subtree, subtree, ...)."""
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in description.splitlines() if line.strip()]

    def subtree(at: int) -> tuple[tuple, int]:
        depth, text = lines[at]
        children = []
        at += 1
        while at < len(lines) and lines[at][0] > depth:
            child, at = subtree(at)
            children.append(child)
        return (text, *children), at

    return subtree(0)[0] if lines else ("",)


def fits(tree: tuple, known: dict[str, int]) -> bool | None:
    """Whether something fits a query by its known properties: yes, no or, where they do not tell, None."""
    text, *children = tree
    if text in ("AtomAnd", "BondAnd", "AtomOr", "BondOr"):
        answers = {fits(child, known) for child in children}
        decisive = text.endswith("Or")
        return decisive if decisive in answers else None if None in answers else not decisive
    match = re.fullmatch(r"(\w+) (-?\d+) (!?=) val", text)
    if not match or match[1] not in known:
        return None
    own, value = known[match[1]], int(match[2])
    if match[1] == "AtomInNRings" and own == -1 and value > 0:  # in rings (-1), but in how many is not known
        return None
    return (own == value) == (match[3] == "=")


def recursive_parts(smarts: str) -> list[str]:
    """The SMARTS inside each outermost ``$(...)`` of an atom."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(smarts):
        if character == "(":
            depth += 1
            start = at + 1 if depth == 1 else start
        elif character == ")":
            depth -= 1
            if depth == 0:
                parts.append(smarts[start:at])
    return parts


def recursive_choices(tree: tuple, parts: list[str]) -> list[list[str]]:
    """Lists of recursive parts of which an atom needs at least one, from its query and its parts in their order."""
    remaining = iter(parts)

    def visit(node: tuple) -> list[list[str]]:
        text, *children = node
        if text.startswith("RecursiveStructure"):
            part = next(remaining)
            return [[part]] if text == "RecursiveStructure val in ()" else []
        found = [visit(child) for child in children]
        if text == "AtomAnd":
            return [choice for choices in found for choice in choices]
        if text == "AtomOr" and all(found):  # one of each side's first choices: weaker, but still needed
            return [[part for choices in found for part in choices[0]]]
        return []

    return visit(tree)


# ---- groups: each takes a Shared molecule and returns the values of its names ------------------------------------


FRAGMENTS = {name: Pattern(function.__defaults__[1]) for name, function in Fragments.fns if name in FUNCTIONS}
ALERTS = [Pattern(mol) for mol in QED.StructuralAlerts]
ACCEPTORS = [Pattern(mol) for mol in QED.Acceptors]


def fragments(shared: Shared) -> list[int]:
    """Numbers of functional groups."""
    return count_matches(FRAGMENTS.values(), shared)


def qed(shared: Shared) -> tuple[float]:
    """Drug-likeness from properties that other descriptors have too."""
    mol = shared.mol
    if not shared.unchanged:  # QED is that of the molecule without hydrogens
        raise ValueError
    properties = QED.QEDproperties(
        MW=rdMolDescriptors._CalcMolWt(mol),
        ALOGP=shared.crippen[0],
        HBA=sum(count_matches(ACCEPTORS, shared)),
        HBD=rdMolDescriptors.CalcNumHBD(mol),
        PSA=rdMolDescriptors.CalcTPSA(mol),
        ROTB=shared.rotatable,
        AROM=rings_without_aliphatic(shared),
        ALERTS=count_found(ALERTS, shared),
    )
    return (QED.qed(mol, qedProperties=properties),)


def rings_without_aliphatic(shared: Shared) -> int:
    """QED's count of rings left once aliphatic ring atoms are deleted: none without aromatic atoms."""
    if True not in shared.aromatic:
        return 0
    mol = Chem.Mol(shared.mol)  # finding rings replaces those that the molecule knows
    if any(ring and not flag for ring, flag in zip(shared.in_ring, shared.aromatic, strict=True)):
        mol = Chem.DeleteSubstructs(mol, QED.AliphaticRings)
    return len(Chem.GetSSSR(mol))


def e_state(shared: Shared) -> list[float]:
    """Extrema of the E-state indices, surface by bins of index and indices by bins of surface."""
    indices = e_state_indices(shared)
    surfaces = MolSurf._LabuteHelper(shared.mol)[1:]
    surface_by_index = [0.0] * (len(EState_VSA.estateBins) + 1)
    index_by_surface = [0.0] * (len(EState_VSA.vsaBins) + 1)
    for index, surface in zip(indices, surfaces, strict=True):
        surface_by_index[bisect.bisect_right(EState_VSA.estateBins, index)] += surface
        index_by_surface[bisect.bisect_right(EState_VSA.vsaBins, surface)] += index
    sizes = [abs(index) for index in indices]
    return [max(sizes), max(indices), min(sizes), min(indices), *surface_by_index, *index_by_surface]


def e_state_indices(shared: Shared) -> list[float]:
    """E-state index of each atom: its own value and its differences to others over squared distance."""
    intrinsic = np.zeros(len(shared.numbers))
    for atom, (number, degree, hydrogens) in enumerate(
        zip(shared.numbers, shared.degrees, shared.hydrogens, strict=True)
    ):
        if degree:
            period = EState.GetPrincipleQuantumNumber(number)
            intrinsic[atom] = (4.0 / (period * period) * (OUTER[number] - hydrogens) + 1) / degree
    distances = shared.distances + 1
    terms = (intrinsic - intrinsic[:, None]) / (distances * distances)
    terms[distances >= 1e6] = 0  # another fragment
    return (sum_rows(terms) + intrinsic).tolist()


def sum_rows(values: np.ndarray) -> np.ndarray:
    """Sum of the rows, one after the other as a loop adds; NumPy's own sum may pair terms."""
    return np.add.accumulate(values)[-1]


def add_up(values: Iterable[float]) -> float:
    """Sum of numbers one after the other; Python's own sum compensates rounding errors from 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total


def information_content(shared: Shared) -> tuple[float, float]:
    """AvgIpc and Ipc, from one characteristic polynomial."""
    polynomial = abs(characteristic_polynomial(np.equal(shared.distances, 1).astype(float)))
    average = entropy.InfoEntropy(polynomial)
    return average, sum(polynomial) * average


def characteristic_polynomial(matrix: np.ndarray) -> np.ndarray:
    """RDKit's ``Graphs.CharacteristicPolynomial`` with one array for the matrices in between."""
    size = len(matrix)
    identity, below, power = np.identity(size), np.empty((size, size)), matrix
    coefficients = np.zeros(size + 1)
    coefficients[0] = 1.0
    for order in range(1, size + 1):
        coefficients[order] = 1.0 / order * power.trace()
        np.multiply(identity, coefficients[order], out=below)
        np.subtract(power, below, out=below)
        power = matrix.dot(below)
    coefficients[1:] *= -1
    return coefficients


def balaban_j(shared: Shared) -> tuple[float]:
    """Balaban's J from sums of distances."""
    rows = sum_rows(shared.balaban).tolist()
    edges = sorted((begin, end) if begin < end else (end, begin) for begin, end, *_ in shared.bonds)
    total = add_up(1.0 / math.sqrt(rows[begin] * rows[end]) for begin, end in edges)
    rings = len(edges) - len(rows) + 1
    return (float(len(edges)) / float(rings + 1) * total if rings + 1 else 0,)


def bertz_ct(shared: Shared) -> tuple[float]:
    """Complexity of the bonding (pairs of bonds at an atom, by symmetry class) and of the elements."""
    size = len(shared.numbers)
    if size < 2:
        return (0,)
    # distances are sums of thirds, halves, ...: to four decimals as integers they are equal where RDKit's texts are
    ordered = np.rint(np.sort(shared.balaban, axis=1)[:, :100] * 1e4)
    seen: dict[bytes, int] = {}
    classes = [seen.setdefault(row.tobytes(), len(seen) + 1) for row in ordered]
    neighbours: list[list[tuple[int, float]]] = [[] for _ in range(size)]
    for begin, end, kind, aromatic in shared.bonds:
        order = 1.5 if aromatic or kind == AROMATIC else float(kind)
        neighbours[begin].append((end, order))
        neighbours[end].append((begin, order))
    connections: dict[tuple, float] = {}
    elements: dict[int, int] = {}
    for atom, around in enumerate(neighbours):
        around.sort()
        own = classes[atom]
        elements[shared.numbers[atom]] = elements.get(shared.numbers[atom], 0) + 1
        for at, (other, order) in enumerate(around):
            kind = classes[other]
            if order > 1 and other > atom:
                key = (own, kind) if own < kind else (kind, own)
                connections[key] = connections.get(key, 0) + order * (order - 1) / 2
            for third, third_order in around[at + 1 :]:
                third_kind = classes[third]
                key = (kind, own, third_kind) if kind < third_kind else (third_kind, own, kind)
                connections[key] = connections.get(key, 0) + order * third_order
    return (GraphDescriptors._CalculateEntropies(connections or {"a": 1}, elements, size),)


def chi_0_1(shared: Shared) -> tuple[float, float]:
    """Chi0 and Chi1 from degrees."""
    degrees = shared.degrees
    products = [degrees[begin] * degrees[end] for begin, end, *_ in shared.bonds]
    return tuple(add_up(math.sqrt(1.0 / value) for value in values if value) for values in (degrees, products))


def chi_paths(shared: Shared) -> tuple[float, ...]:
    """Chi2v, Chi2n, Chi3v, Chi3n, Chi4v, Chi4n."""
    return shared.paths[2]


def kappa(shared: Shared) -> tuple[float, float, float]:
    """Kappa2, Kappa3 and Phi."""
    two, three, _ = shared.paths
    mol = shared.mol
    alpha = rdMolDescriptors.CalcHallKierAlpha(mol)
    heavy = mol.GetNumHeavyAtoms()
    kappas = []
    for paths, less in ((two, (1, 2)), (three, (1, 3) if heavy % 2 else (2, 3))):
        below = (paths + alpha) * (paths + alpha)
        first, second = (heavy + alpha - one for one in less)
        kappas.append(first * second * second / below if below else 0.0)
    phi = rdMolDescriptors.CalcKappa1(mol) * kappas[0] / heavy if heavy else 0.0
    return *kappas, phi


def sum_over_paths(shared: Shared) -> tuple[int, int, tuple[float, ...]]:  # noqa: PLR0912 (a loop an atom)
    """Paths of 2 and 3 bonds counted, and for 2, 3 and 4 bonds their products of chi-v and chi-n terms added up.

    All in RDKit's order, which the last digit of a sum depends on: paths grow atom by atom, neighbours by index. The
    last atom may be one that the path went through. Of paths with the same bonds only the first counts; RDKit compares
    the bonds of all paths, here each case has its rule: a path and its reverse, rings of three or four and their
    turns, and a ring of three with an atom before it, both ways round.
    """
    around: list[list[int]] = [[] for _ in shared.numbers]
    for begin, end, *_ in shared.bonds:
        if shared.numbers[begin] != 1 and shared.numbers[end] != 1:
            around[begin].append(end)
            around[end].append(begin)
    for neighbours in around:
        neighbours.sort()
    v, n = chi_terms(shared)
    two = three = 0
    v2 = n2 = v3 = n3 = v4 = n4 = 0.0
    for a, after_a in enumerate(around):
        for b in after_a:
            v_ab, n_ab = v[a] * v[b], n[a] * n[b]
            for c in around[b]:
                if c == a:
                    continue
                v_abc, n_abc = v_ab * v[c], n_ab * n[c]
                if a < c:
                    two += 1
                    v2 += v_abc
                    n2 += n_abc
                for d in around[c]:
                    if d == b:
                        continue
                    if d == a:  # a ring of three: its last atom is not multiplied again
                        if a < b < c:
                            three += 1
                            v3 += v_abc
                            n3 += n_abc
                        continue
                    v_abcd, n_abcd = v_abc * v[d], n_abc * n[d]
                    if a < d:
                        three += 1
                        v3 += v_abcd
                        n3 += n_abcd
                    for e in around[d]:
                        if e == a:  # a ring of four
                            if a < b < d and a < c:
                                v4 += v_abcd
                                n4 += n_abcd
                        elif (c < d if e == b else a < e) and e != c:
                            v4 += v_abcd * v[e]
                            n4 += n_abcd * n[e]
    return two, three, (v2, n2, v3, n3, v4, n4)


def chi_terms(shared: Shared) -> tuple[list[float], list[float]]:
    """Chi-v and chi-n term of each atom."""
    chi_v, chi_n = [], []
    for number, hydrogens in zip(shared.numbers, shared.hydrogens, strict=True):
        valence = OUTER[number] - hydrogens
        delta = 0 if number < 2 else valence if number <= 10 else valence / (number - OUTER[number] - 1)
        chi_v.append(1.0 / math.sqrt(delta) if delta else 0.0)
        chi_n.append(1.0 / math.sqrt(valence) if valence else 0.0)
    return chi_v, chi_n


def bcut(shared: Shared) -> list[float]:
    """Extreme eigenvalues of four Burden matrices, their diagonals computed once for the molecule."""
    mol = shared.mol
    if not shared.unchanged:  # BCUTs are those of the molecule without hydrogens
        raise ValueError
    logp, mr = zip(*rdMolDescriptors._CalcCrippenContribs(mol), strict=True)
    diagonals = (
        [atom.GetMass() for atom in shared.atoms],
        shared.charges,
        list(logp),
        list(mr),
    )
    return [value for diagonal in diagonals for value in rdMolDescriptors.BCUT2D(mol, diagonal)]


def spacial_score(shared: Shared) -> tuple[float]:
    """SPS: hybridisation, stereo, ring and neighbours of each atom multiplied, the mean over heavy atoms."""
    mol = Chem.Mol(shared.mol)
    rdmolops.FindPotentialStereoBonds(mol)
    stereo = {
        element.centeredOn
        for element in Chem.FindPotentialStereo(mol)
        if element.type == Chem.StereoType.Atom_Tetrahedral
    }
    for index, (begin, end, order, _) in enumerate(shared.bonds):
        if order == DOUBLE and mol.GetBondWithIdx(index).GetStereo() != Chem.BondStereo.STEREONONE:
            stereo |= {begin, end}
    score = 0
    for index, atom in enumerate(shared.atoms):
        ring = 2 if shared.in_ring[index] and not shared.aromatic[index] else 1
        hybridisation = HYBRIDISATION.get(atom.GetHybridization(), 4)
        score += hybridisation * (2 if index in stereo else 1) * ring * shared.degrees[index] ** 2
    return (score / mol.GetNumHeavyAtoms(),)


def morgan_density(shared: Shared) -> list[float]:
    """Number of distinct environments up to each radius over heavy atoms."""
    heavy = shared.mol.GetNumHeavyAtoms()
    return [float(m.GetSparseFingerprint(shared.mol).GetNumOnBits()) / heavy if heavy else 0.0 for m in MORGAN]


def partial_charges(shared: Shared) -> tuple[float, float, float, float]:
    """MaxPartialCharge, MinPartialCharge, MaxAbsPartialCharge, MinAbsPartialCharge."""
    lowest, highest = min(shared.charges), max(shared.charges)
    return highest, lowest, max(abs(lowest), abs(highest)), min(abs(lowest), abs(highest))


def electrons(shared: Shared) -> tuple[int, int]:
    """NumValenceElectrons and NumRadicalElectrons."""
    charges = sum(atom.GetFormalCharge() for atom in shared.atoms)
    valence = sum(OUTER[number] for number in shared.numbers) - charges + sum(shared.hydrogens)
    return valence, sum(atom.GetNumRadicalElectrons() for atom in shared.atoms)


def numbered(prefix: str, count: int) -> list[str]:
    """Names that end with 1 to ``count``."""
    return [f"{prefix}{number}" for number in range(1, count + 1)]


def binned(function: Callable) -> Callable:
    """All bins of a surface descriptor by one call."""
    return lambda shared: list(function(shared.mol, force=0))


GROUPS: dict[tuple[str, ...], Callable[[Shared], Sequence[float]]] = {
    tuple(FRAGMENTS): fragments,
    ("qed",): qed,
    (
        *("MaxAbsEStateIndex", "MaxEStateIndex", "MinAbsEStateIndex", "MinEStateIndex"),
        *numbered("EState_VSA", 11),
        *numbered("VSA_EState", 10),
    ): e_state,
    ("AvgIpc", "Ipc"): information_content,
    ("BalabanJ",): balaban_j,
    ("BertzCT",): bertz_ct,
    ("Chi0", "Chi1"): chi_0_1,
    ("Chi2v", "Chi2n", "Chi3v", "Chi3n", "Chi4v", "Chi4n"): chi_paths,
    ("Kappa2", "Kappa3", "Phi"): kappa,
    tuple(
        f"BCUT2D_{what}" for what in ["MWHI", "MWLOW", "CHGHI", "CHGLO", "LOGPHI", "LOGPLOW", "MRHI", "MRLOW"]
    ): bcut,
    ("MaxPartialCharge", "MinPartialCharge", "MaxAbsPartialCharge", "MinAbsPartialCharge"): partial_charges,
    ("SPS",): spacial_score,
    ("FpDensityMorgan1", "FpDensityMorgan2", "FpDensityMorgan3"): morgan_density,
    ("MolLogP", "MolMR"): lambda shared: shared.crippen,
    ("NumRotatableBonds",): lambda shared: (shared.rotatable,),
    ("NumValenceElectrons", "NumRadicalElectrons"): electrons,
    tuple(numbered("PEOE_VSA", 14)): binned(rdMolDescriptors.PEOE_VSA_),
    tuple(numbered("SMR_VSA", 10)): binned(rdMolDescriptors.SMR_VSA_),
    tuple(numbered("SlogP_VSA", 12)): binned(rdMolDescriptors.SlogP_VSA_),
}
