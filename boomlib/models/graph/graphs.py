"""Molecules as graphs: all of a job in flat tensors, of which batches are made by index."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from boomlib.files import MoleculeError
from boomlib.harness.interface import Molecules
from boomlib.harness.ragged import Ragged, count_up, send

PAIRS = 8192  # of atoms, of which the tensors of a network of the usual width fit into a processor's cache
BOND_KINDS = 6  # of a pair of atoms: none, single, double, triple, aromatic, other


@dataclass(frozen=True)
class Graphs:
    """A batch of molecules side by side. Their pairs of atoms are unordered: what holds for one way holds for both.

    Attributes:
        x: float32 [atoms, elements + 1]: element, one-hot, and formal charge, e.
        z: atomic numbers, int64 [atoms].
        pos: float32 [atoms, 3], Å; None without geometry.
        molecule: of each atom, int64 [atoms].
        size: atoms of each molecule, int64 [molecules].
        pairs: int64 [2, pairs], by first atom, which is the lesser; all pairs with geometry, else the bonds.
        bonded: which of the pairs are bonds, int64 [bonds].
        order: of these, int64 [bonds]: 1 to 5, see :mod:`boomlib.features.graph`.
        longest: atoms of the largest molecule.
    """

    x: Tensor
    z: Tensor
    pos: Tensor | None
    molecule: Tensor
    size: Tensor
    pairs: Tensor
    bonded: Tensor
    order: Tensor
    longest: int

    def __len__(self) -> int:
        return len(self.size)

    @property
    def padded(self) -> Tensor:
        """Where each atom stands if every molecule is padded to the largest, int64 [atoms]."""
        atom, first = torch.arange(len(self.z), device=self.z.device), self.size.cumsum(0) - self.size
        return self.molecule * self.longest + atom - first[self.molecule]

    def to(self, device: torch.device) -> "Graphs":
        """The same on another device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Graphs(
            **{name: send(each, device) if isinstance(each, Tensor) else each for name, each in values.items()}
        )


@dataclass(frozen=True)
class Batch:
    """Molecules in parts that a network reads one after the other.

    On a processor what belongs to the pairs of a whole batch does not fit into its cache, and then reading and writing
    it takes longer than computing it. Molecules of a part are of similar size, which saves padding.

    Attributes:
        parts: the molecules.
        place: where the answer for each molecule of the batch stands among those of the parts, int64 [molecules].
    """

    parts: list[Graphs]
    place: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch([part.to(device) for part in self.parts], send(self.place, device))


@dataclass(frozen=True)
class GraphStore:
    """The graphs of molecules.

    Attributes:
        numbers: atomic numbers.
        charges: formal charges, e.
        bonds: int32 [bonds, 3]: lesser atom, greater atom, order; by atoms.
        positions: float32 [atoms, 3], Å; None: without geometry, pairs are the bonds.
        elements: atomic numbers that get a column of ``x``, int64; an atom of any other element has zeros there.
    """

    numbers: Ragged
    charges: Tensor
    bonds: Ragged
    positions: Tensor | None
    elements: Tensor

    @classmethod
    def read(cls, molecules: Molecules, elements: np.ndarray, conformers: str | None) -> "GraphStore":
        """The graphs of molecules with the feature ``graph``, and with the positions of another one, if it is named.

        Raises:
            MoleculeError: the atoms of a conformer are not those of the graph.
        """
        table = molecules.features["graph"]
        numbers = Ragged.from_column(table, "atomic_numbers")
        return cls(
            numbers,
            Ragged.from_column(table, "formal_charges").values,
            read_bonds(molecules),
            None if conformers is None else read_positions(molecules, conformers, numbers),
            torch.as_tensor(elements.astype(np.int64)),
        )

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> Graphs:
        """A batch of the molecules at these positions."""
        atoms, size = self.numbers.find(rows)
        z = self.numbers.values[atoms].long()
        x = torch.cat([z[:, None] == self.elements, self.charges[atoms, None]], dim=1).float()
        device, sizes = z.device, self.numbers.length[rows]
        molecule = torch.repeat_interleave(torch.arange(len(rows), device=device), size, output_size=len(z))
        index, count = self.bonds.find(rows)
        first = size.cumsum(0) - size
        bonds = self.bonds.values[index].long()
        ends = (bonds[:, :2] + torch.repeat_interleave(first, count, output_size=len(index))[:, None]).T
        if self.positions is None:
            pos, pairs, bonded = None, ends, torch.arange(len(index), device=device)
        else:
            pos = self.positions[atoms]
            pairs, before = pair_all(molecule, size, first, int((sizes * (sizes - 1) // 2).sum()))
            bonded = before[ends[0]] + ends[1] - ends[0] - 1
        return Graphs(x, z, pos, molecule, size, pairs, bonded, bonds[:, 2], int(sizes.max()))

    def take_whole(self, rows: np.ndarray) -> Batch:
        """The molecules at these positions in one part."""
        return Batch([self.take(rows)], torch.arange(len(rows), device=self.numbers.start.device))

    def take_in_parts(self, rows: np.ndarray) -> Batch:
        """The molecules at these positions, on a processor in parts of like size, about :data:`PAIRS` pairs each."""
        if self.numbers.start.device.type != "cpu":
            return self.take_whole(rows)
        size = self.numbers.length[rows]
        pairs = self.bonds.length[rows] if self.positions is None else size * (size - 1) // 2
        order = np.argsort(size, kind="stable")
        before, total = np.cumsum(pairs[order]) - pairs[order], pairs.sum()
        part = before * max(1, round(total / PAIRS)) // max(1, total)
        cuts = np.flatnonzero(np.diff(part)) + 1
        return Batch([self.take(rows[each]) for each in np.split(order, cuts)], torch.from_numpy(np.argsort(order)))

    def to(self, device: torch.device) -> "GraphStore":
        """The same on another device."""
        return GraphStore(
            self.numbers.to(device),
            self.charges.to(device),
            self.bonds.to(device),
            None if self.positions is None else self.positions.to(device),
            self.elements.to(device),
        )


def find_elements(molecules: Molecules) -> np.ndarray:
    """Atomic numbers that occur, ascending."""
    return np.unique(Ragged.from_column(molecules.features["graph"], "atomic_numbers").values.numpy())


def pair_all(molecule: Tensor, size: Tensor, first: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """All unordered pairs of atoms of a molecule.

    Args:
        molecule: of each atom, int64 [atoms].
        size: atoms of each molecule, int64 [molecules].
        first: first atom of each, int64 [molecules].
        total: how many pairs there are.

    Returns:
        The pairs, int64 [2, total], and how many stand before those of each atom with the later ones, int64 [atoms].
    """
    atom = torch.arange(len(molecule), device=molecule.device)
    later = (first + size)[molecule] - 1 - atom
    lesser = torch.repeat_interleave(atom, later, output_size=total)
    return torch.stack([lesser, count_up(atom + 1, later, total)]), later.cumsum(0) - later


def read_bonds(molecules: Molecules) -> Ragged:
    """The bonds of the feature ``graph``, int32 [bonds, 3]: lesser atom, greater atom, order; sorted by atoms."""
    table = molecules.features["graph"]
    ends = Ragged.from_column(table, "bonds", width=2)
    orders = Ragged.from_column(table, "bond_orders").values
    bonds = torch.cat([ends.values.int().sort(dim=1).values, orders.int()[:, None]], dim=1).numpy()
    molecule = np.repeat(np.arange(len(ends)), ends.length)
    return Ragged.of(torch.from_numpy(bonds[np.lexsort((bonds[:, 1], bonds[:, 0], molecule))]), ends.length)


def read_positions(molecules: Molecules, conformers: str, numbers: Ragged) -> Tensor:
    """Positions of all atoms by a feature like ``conformers``, float32 [atoms, 3], Å.

    Raises:
        MoleculeError: the atoms of a conformer are not those of ``numbers``.
    """
    table = molecules.features[conformers]
    named = Ragged.from_column(table, "atomic_numbers")
    other = named.length != numbers.length
    if not other.any():
        molecule = np.repeat(np.arange(len(numbers)), numbers.length)
        other[molecule[(named.values != numbers.values).numpy()]] = True
    if other.any():
        raise MoleculeError(
            "the atoms of its conformer are not those of its graph; delete the feature files graph.parquet and "
            f"{conformers}.parquet and rerun",
            molecules.smiles[other],
        )
    return Ragged.from_column(table, "positions", width=3).values.float()
