"""Molecular graphs: atoms, hydrogens included, in the order of the conformers, and the covalent bonds between them."""

from collections.abc import Sequence

import pyarrow as pa
from rdkit import Chem

from boomlib.contracts import list_of
from boomlib.features.conformers import elements_of, read_smiles

BOND_ORDERS = {
    Chem.BondType.SINGLE: 1,
    Chem.BondType.DOUBLE: 2,
    Chem.BondType.TRIPLE: 3,
    Chem.BondType.AROMATIC: 4,
}
OTHER_BOND = 5  # dative and the like


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """Graphs of molecules given by their SMILES.

    Returns:
        ``atomic_numbers`` (list<uint8>) and ``formal_charges`` (list<int8>, e) of the atoms, in the order of
        ``Chem.AddHs(Chem.MolFromSmiles(smiles))``; ``bonds`` (list<uint16>, pairs of atoms, flattened bonds×2) and
        ``bond_orders`` (list<uint8>: 1, 2, 3, 4 for aromatic, 5 for any other).
    """
    numbers, charges, bonds, orders = [], [], [], []
    for text in smiles:
        mol = read_smiles(text)
        numbers.append(elements_of(mol))
        charges.append([atom.GetFormalCharge() for atom in mol.GetAtoms()])
        bonds.append([atom for bond in mol.GetBonds() for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())])
        orders.append([BOND_ORDERS.get(bond.GetBondType(), OTHER_BOND) for bond in mol.GetBonds()])
    return {
        "atomic_numbers": pa.array(numbers, list_of(pa.uint8())),
        "formal_charges": pa.array(charges, list_of(pa.int8())),
        "bonds": pa.array(bonds, list_of(pa.uint16())),
        "bond_orders": pa.array(orders, list_of(pa.uint8())),
    }
