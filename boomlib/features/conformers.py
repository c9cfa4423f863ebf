"""One conformer a molecule, its atoms in the order of ``Chem.AddHs(Chem.MolFromSmiles(smiles))``.

Molecules with a computed geometry keep it, matched atom by atom to the SMILES. The others, and those whose geometry
turns out to be another isomer, are embedded with ETKDGv3
(Wang et al., J. Chem. Inf. Model. 60, 2044, 2020) and optimised with MMFF94 (Halgren, J. Comput. Chem. 17, 490, 1996).
"""

import contextlib
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers, rdMolTransforms

from boomlib.contracts import list_of

# an embedding takes a hundred times as long as other features do
CHUNK = 64

TABLE = Chem.GetPeriodicTable()
RADII = np.array([TABLE.GetRcovalent(number) for number in range(119)])
# Distances over the sum of covalent radii. In QM9 bonds reach from 0.89 to 1.29 (a weak N–O), and the closest pair
# that is not bonded is at 1.147 (across a strained cage); hence bonds are told by rank, and these only bound them.
SHORTEST_BOND, LONGEST_BOND, SHORTEST_CONTACT = 0.7, 1.35, 1.12
MAX_STEREO_MATCHES = 1000
TETRAHEDRAL = (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
# whether the two reference atoms of a double bond are on the same side
SAME_SIDE = {
    Chem.BondStereo.STEREOZ: True,
    Chem.BondStereo.STEREOCIS: True,
    Chem.BondStereo.STEREOE: False,
    Chem.BondStereo.STEREOTRANS: False,
}

SEED = 42
MAX_STEPS = 2000
USUAL = "etkdg, mmff94"
FRAGMENT_GAP = 3.0
RELAXATIONS = 100
START_WIDTH = 1.5  # Å
ATTEMPTS = 100
ATTEMPTS_PER_ATOM = 10  # RDKit's own, where `maxIterations` is not set
# Each is tried where those before it found nothing: name and what differs from ETKDGv3.
EMBEDDINGS = (
    ("etkdg", {}),
    ("etkdg from random coordinates", {"useRandomCoords": True, "maxIterations": 300}),
    (
        "distance geometry from random coordinates",
        {
            "useRandomCoords": True,
            "maxIterations": 300,
            "useExpTorsionAnglePrefs": False,
            "useBasicKnowledge": False,
            "useSmallRingTorsions": False,
            "useMacrocycleTorsions": False,
        },
    ),
)


class ConformerError(ValueError):
    """A molecule has no conformer; the message is the reason."""


# -- computed geometries ---------------------------------------------------------------------------------


def match_geometry(smiles: str, atomic_numbers: np.ndarray, positions: np.ndarray, charge: int = 0) -> np.ndarray:
    """Find each atom of a SMILES in a geometry whose atoms stand in an order of their own.

    The geometry's bonds are its closest pairs, by distance over the sum of covalent radii, as many as the molecule
    has bonds. They must be the bonds of the SMILES, hydrogens included. Where the SMILES gives stereochemistry, a
    match that agrees with it is preferred; if there is none, the first match is returned.

    Args:
        smiles: the molecule.
        atomic_numbers: elements of the geometry, int [n].
        positions: its coordinates, Å, float [n, 3].
        charge: its total charge, e.

    Returns:
        For each atom of ``Chem.AddHs(Chem.MolFromSmiles(smiles))`` its index in the geometry, int [n].

    Raises:
        ConformerError: elements, charge or connectivity differ.
    """
    mol = read_smiles(smiles)
    numbers = elements_of(mol)
    if not np.array_equal(np.sort(numbers), np.sort(atomic_numbers)):
        raise ConformerError(
            f"the elements differ: {formula(numbers)} in the SMILES, {formula(atomic_numbers)} in the geometry"
        )
    if (written := Chem.GetFormalCharge(mol)) != charge:
        raise ConformerError(f"the charge differs: {written} in the SMILES, {charge} in the geometry")
    bonded = Chem.GetAdjacencyMatrix(mol).astype(bool)
    found = closest_pairs(atomic_numbers, positions, mol.GetNumBonds())
    stereo = specified_stereo(mol)
    limit = MAX_STEREO_MATCHES if any(stereo) else 1
    match = None
    for order in candidates(numbers, bonded, atomic_numbers, found, limit):
        if np.array_equal(atomic_numbers[order], numbers) and np.array_equal(found[np.ix_(order, order)], bonded):
            if has_stereo(mol, positions[order], *stereo):
                return order
            match = order if match is None else match
    if match is None:
        raise ConformerError("the connectivity differs: the geometry's bonds are not those of the SMILES")
    return match


def closest_pairs(atomic_numbers: np.ndarray, positions: np.ndarray, bonds: int) -> np.ndarray:
    """The ``bonds`` closest pairs of atoms, relative to their covalent radii, as a bool matrix [n, n].

    Raises:
        ConformerError: one of them is too far apart or too close for a bond, or another pair is close enough for one.
    """
    radii = RADII[atomic_numbers]
    distances = np.sqrt(((positions[:, None] - positions) ** 2).sum(axis=-1))
    ratios = distances / (radii[:, None] + radii)
    np.fill_diagonal(ratios, np.inf)
    ranked = np.sort(ratios[np.triu_indices(len(ratios), 1)])

    def describe(ratio: float) -> str:
        a, b = np.argwhere(ratios == ratio)[0]
        symbols = "–".join(TABLE.GetElementSymbol(int(atomic_numbers[atom])) for atom in (a, b))
        return f"{symbols} {distances[a, b]:.2f} Å (atoms {a} and {b} of the geometry)"

    if not np.isfinite(ranked).all():
        raise ConformerError("a coordinate of the geometry is not a finite number")
    if bonds and ranked[0] < SHORTEST_BOND:
        raise ConformerError(f"two atoms of the geometry are too close for a bond: {describe(ranked[0])}")
    if bonds and ranked[bonds - 1] > LONGEST_BOND:
        raise ConformerError(
            f"the geometry has fewer bonds than the SMILES; the next pair is {describe(ranked[bonds - 1])}"
        )
    if len(ranked) > bonds and ranked[bonds] < SHORTEST_CONTACT:
        raise ConformerError(
            f"the geometry has more bonds than the SMILES; the next pair is {describe(ranked[bonds])}"
        )
    return ratios <= ranked[bonds - 1] if bonds else np.zeros_like(ratios, dtype=bool)


def candidates(
    numbers: np.ndarray, bonded: np.ndarray, source_numbers: np.ndarray, source_bonded: np.ndarray, limit: int
) -> Iterator[np.ndarray]:
    """Orders to check, the cheapest first: heavy atoms as they stand, then the isomorphisms of the two graphs.

    Terminal hydrogens are left out of both graphs and follow the atom that they are bonded to. At most ``limit``
    isomorphisms are tried.
    """
    hydrogens = terminal_hydrogens(numbers, bonded)
    source_hydrogens = terminal_hydrogens(source_numbers, source_bonded)
    if hydrogens.sum() != source_hydrogens.sum():
        return
    skeleton, source_skeleton = np.flatnonzero(~hydrogens), np.flatnonzero(~source_hydrogens)
    parents = bonded[hydrogens].argmax(axis=1)
    source_parents = source_bonded[source_hydrogens].argmax(axis=1)

    def whole(found: np.ndarray) -> np.ndarray:
        place = np.empty(len(numbers), dtype=np.intp)
        place[found] = skeleton
        order = np.empty(len(numbers), dtype=np.intp)
        order[skeleton] = found
        order[np.flatnonzero(hydrogens)[np.argsort(parents, kind="stable")]] = np.flatnonzero(source_hydrogens)[
            np.argsort(place[source_parents], kind="stable")
        ]
        return order

    yield whole(source_skeleton)
    pattern = labelled_graph(numbers, bonded, skeleton, parents)
    target = labelled_graph(source_numbers, source_bonded, source_skeleton, source_parents)
    for match in target.GetSubstructMatches(pattern, uniquify=False, maxMatches=limit):
        yield whole(source_skeleton[list(match)])


def terminal_hydrogens(numbers: np.ndarray, bonded: np.ndarray) -> np.ndarray:
    """Which atoms are hydrogens with a single bond, to another element; bool [n]."""
    hydrogen = numbers == 1
    return hydrogen & (bonded.sum(axis=1) == 1) & ~bonded[:, hydrogen].any(axis=1)


def labelled_graph(numbers: np.ndarray, bonded: np.ndarray, atoms: np.ndarray, parents: np.ndarray) -> Chem.Mol:
    """A molecule of single bonds between ``atoms``; the isotope counts the hydrogens, so that RDKit compares them."""
    attached = np.bincount(parents, minlength=len(numbers))
    graph = Chem.RWMol()
    for atom in atoms:
        node = Chem.Atom(int(numbers[atom]))
        node.SetIsotope(int(attached[atom]) + 1)
        graph.AddAtom(node)
    for a, b in np.argwhere(np.triu(bonded[np.ix_(atoms, atoms)])):
        graph.AddBond(int(a), int(b), Chem.BondType.SINGLE)
    return graph.GetMol()


def specified_stereo(mol: Chem.Mol) -> tuple[list[Chem.Atom], list[Chem.Bond]]:
    """The tetrahedral centres and the double bonds whose configuration the SMILES gives."""
    centres = [atom for atom in mol.GetAtoms() if atom.GetChiralTag() in TETRAHEDRAL]
    return centres, [bond for bond in mol.GetBonds() if bond.GetStereo() in SAME_SIDE]


def has_stereo(mol: Chem.Mol, positions: np.ndarray, centres: list[Chem.Atom], double_bonds: list[Chem.Bond]) -> bool:
    """Whether positions (Å [n, 3]) agree with the configuration of these centres and double bonds of ``mol``."""
    if not centres and not double_bonds:
        return True
    shaped = with_conformer(mol, positions)
    Chem.AssignAtomChiralTagsFromStructure(shaped)
    if any(shaped.GetAtomWithIdx(atom.GetIdx()).GetChiralTag() != atom.GetChiralTag() for atom in centres):
        return False
    for bond in double_bonds:
        near, far = bond.GetStereoAtoms()
        dihedral = (near, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), far)
        same_side = abs(rdMolTransforms.GetDihedralDeg(shaped.GetConformer(), *dihedral)) < 90
        if same_side != SAME_SIDE[bond.GetStereo()]:
            return False
    return True


# -- embedding -------------------------------------------------------------------------------------------


def embed(smiles: str, seed: int = SEED, attempts: int = ATTEMPTS) -> tuple[np.ndarray, str]:
    """Make up a geometry: ETKDGv3, optimised with MMFF94; the same input gives the same one in every process.

    Fall-backs: random coordinates and more attempts, then without ETKDG's torsions, then a force field alone; UFF
    where MMFF94 lacks parameters; not optimised where UFF lacks them too.

    Args:
        smiles: the molecule.
        seed: goes into RDKit's seed together with the SMILES.
        attempts: how often each of these ways may draw coordinates.

    Returns:
        Positions (Å, float64 [n, 3]) of the atoms of ``Chem.AddHs(Chem.MolFromSmiles(smiles))``, and what worked,
        as in ``"etkdg, mmff94"``.

    Raises:
        ConformerError: no fall-back found coordinates.
    """
    mol = read_smiles(smiles)
    digest = hashlib.blake2b(f"{seed} {smiles}".encode(), digest_size=4).digest()
    drawn = int.from_bytes(digest, "big") >> 1
    for name, settings in EMBEDDINGS:
        parameters = rdDistGeom.ETKDGv3()
        parameters.randomSeed = drawn
        for setting, value in settings.items():
            setattr(parameters, setting, value)
        if (parameters.maxIterations or ATTEMPTS_PER_ATOM * mol.GetNumAtoms()) > attempts:
            parameters.maxIterations = attempts
        if rdDistGeom.EmbedMolecule(mol, parameters) == 0:
            return relax(mol, side_by_side(mol), name)
    return relax_from_anywhere(mol, drawn, attempts)


def relax_from_anywhere(mol: Chem.Mol, seed: int, attempts: int) -> tuple[np.ndarray, str]:
    """Optimise ``mol`` from random positions until its bonds and its stereochemistry come out right.

    For cages so strained that RDKit refuses all their embeddings (its check of tetrahedral centres): 1 % of QM9.

    Returns:
        Positions (Å [n, 3]), and what worked.

    Raises:
        ConformerError: nothing did.
    """
    numbers, bonded = elements_of(mol), Chem.GetAdjacencyMatrix(mol).astype(bool)
    stereo, rng = specified_stereo(mol), np.random.default_rng(seed)
    for _ in range(min(attempts, RELAXATIONS) if rdForceFieldHelpers.UFFHasAllMoleculeParams(mol) else 0):
        # UFF first, as MMFF94 leaves more of them entangled
        tangle = with_conformer(mol, rng.normal(scale=START_WIDTH, size=(len(numbers), 3)))
        rdForceFieldHelpers.UFFOptimizeMolecule(tangle, maxIters=MAX_STEPS)
        positions, name = relax(mol, tangle.GetConformer().GetPositions(), "force field from random coordinates")
        with contextlib.suppress(ConformerError):
            found = closest_pairs(numbers, positions, mol.GetNumBonds())
            if np.array_equal(found, bonded) and has_stereo(mol, positions, *stereo):
                return positions, name
    tried = ", ".join([*(name for name, _ in EMBEDDINGS), "a force field from random coordinates"])
    raise ConformerError(
        f"RDKit found no coordinates ({tried}), with at most {attempts} attempts each, which the dataset's "
        "`max_embedding_attempts` allows"
    )


def side_by_side(mol: Chem.Mol) -> np.ndarray:
    """Positions (Å [n, 3]) of the embedded ``mol`` with its fragments, which RDKit piles up, in a row along x."""
    positions = mol.GetConformer().GetPositions()
    for previous, fragment in itertools.pairwise(map(list, Chem.GetMolFrags(mol))):
        positions[fragment, 0] += positions[previous, 0].max() + FRAGMENT_GAP - positions[fragment, 0].min()
    return positions


def relax(mol: Chem.Mol, embedded: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    """Optimise ``mol`` from ``embedded`` (Å [n, 3]); returns positions and ``name`` with the force field's."""
    fields = (
        ("mmff94", rdForceFieldHelpers.MMFFHasAllMoleculeParams, rdForceFieldHelpers.MMFFOptimizeMolecule),
        ("uff", rdForceFieldHelpers.UFFHasAllMoleculeParams, rdForceFieldHelpers.UFFOptimizeMolecule),
    )
    for field, knows, optimise in fields:
        if knows(mol):
            mol = with_conformer(mol, embedded)
            status = optimise(mol, maxIters=MAX_STEPS, ignoreInterfragInteractions=False)
            positions = mol.GetConformer().GetPositions()
            if status >= 0 and np.isfinite(positions).all():
                return positions, f"{name}, {field}" + (" not converged" if status else "")
    return embedded, f"{name}, not optimised"


# -- the feature -----------------------------------------------------------------------------------------


def compute(
    smiles: Sequence[str], geometry: pa.Table | None = None, max_embedding_attempts: int = ATTEMPTS
) -> dict[str, pa.Array]:
    """Conformers of molecules given by their SMILES and, where the source has them, their geometries.

    Args:
        smiles: the molecules.
        geometry: their rows of the geometry table, or None to embed them.
        max_embedding_attempts: see :func:`embed`; a key of the dataset's entry.

    Returns:
        ``atomic_numbers`` (list<uint8>), ``positions`` (list<float32>, Å, flattened n×3; null where even embedding
        failed), ``source`` (``dft`` or ``etkdg``) and ``note``: why a molecule was embedded though the source has a
        geometry, which fall-back worked, or why there are no positions; null where all went well.
    """
    rows, given = [], []
    if geometry is not None:
        columns = (geometry[name].to_pylist() for name in ("atomic_numbers", "positions"))
        given = list(zip(*columns, strict=True))
    for row, text in enumerate(smiles):
        numbers, notes = elements_of(read_smiles(text)), []
        positions = None
        if geometry is not None:
            try:
                positions, source = reorder(text, *given[row]), "dft"
            except ConformerError as error:
                notes.append(f"not the source's geometry: {error}")
        if positions is None:
            try:
                (positions, method), source = embed(text, attempts=max_embedding_attempts), "etkdg"
                if method != USUAL:
                    notes.append(method)
            except (ConformerError, RuntimeError) as error:
                notes.append(str(error))
                source = None
        flat = None if positions is None else positions.ravel()
        rows.append((numbers, flat, source, "; ".join(notes) or None))
    types = (list_of(pa.uint8()), list_of(pa.float32()), pa.string(), pa.string())
    columns = zip(*rows, strict=True) if rows else [()] * len(types)
    arrays = [pa.array(list(column), dtype) for column, dtype in zip(columns, types, strict=True)]
    return dict(zip(("atomic_numbers", "positions", "source", "note"), arrays, strict=True))


def reorder(smiles: str, numbers: list[int], flat: list[float]) -> np.ndarray:
    """The positions of a geometry (elements, flat coordinates) in the order of the SMILES's atoms, Å [n, 3]."""
    if len(flat) != 3 * len(numbers):
        raise ConformerError(f"{len(flat)} coordinates for {len(numbers)} atoms")
    positions = np.array(flat).reshape(-1, 3)
    return positions[match_geometry(smiles, np.array(numbers, dtype=np.uint8), positions)]


# -- helpers ---------------------------------------------------------------------------------------------


def read_smiles(smiles: str) -> Chem.Mol:
    """The molecule with all hydrogens; its order of atoms is that of the conformers."""
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise ConformerError("RDKit cannot read the SMILES")
    if not mol.GetNumAtoms():
        raise ConformerError("the molecule has no atoms")
    return Chem.AddHs(mol)


def elements_of(mol: Chem.Mol) -> np.ndarray:
    """Atomic numbers, uint8 [n]."""
    return np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()], dtype=np.uint8)


def formula(atomic_numbers: np.ndarray) -> str:
    """The sum formula, carbon and hydrogen first."""
    counts = Counter(TABLE.GetElementSymbol(int(number)) for number in atomic_numbers)
    ordered = sorted(counts, key=lambda symbol: (symbol != "C", symbol != "H", symbol))
    return "".join(f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}" for symbol in ordered)


def with_conformer(mol: Chem.Mol, positions: np.ndarray) -> Chem.Mol:
    """A copy of ``mol`` with these positions (Å [n, 3]) as its only conformer."""
    copy = Chem.Mol(mol)
    conformer = Chem.Conformer(copy.GetNumAtoms())
    conformer.SetPositions(np.asarray(positions, dtype=np.float64))
    copy.RemoveAllConformers()
    copy.AddConformer(conformer)
    return copy
