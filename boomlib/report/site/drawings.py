"""Molecules for the pages: drawn by RDKit, or as the positions from which a page draws them."""

import re
from functools import cache

from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

WIDTH, HEIGHT = 240, 170
"""Of a drawing, pixels."""
GRID = 20
"""Steps an Å of the positions."""
ORDERS = {Chem.BondType.SINGLE: 1, Chem.BondType.DOUBLE: 2, Chem.BondType.TRIPLE: 3}
WEDGES = {Chem.BondDir.BEGINWEDGE: 6, Chem.BondDir.BEGINDASH: 7}
OTHER = 8
"""The code of a bond of another order, such as a dative one."""
DECIMALS = re.compile(r"(\d+\.\d)\d+")
COMMENTS = re.compile(
    r"<\?xml.*?\?>|<!--.*?-->|<!DOCTYPE.*?>|\s+class='[^']*'|\s+xmlns:\w+='[^']*'|\s+xml:space='[^']*'"
)


def draw(smiles: str) -> str:
    """The structure of a molecule as SVG, by RDKit, on a transparent ground."""
    drawer = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT, -1, -1, True)
    drawer.drawOptions().clearBackground = False
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, Chem.MolFromSmiles(smiles))
    drawer.FinishDrawing()
    text = DECIMALS.sub(r"\1", COMMENTS.sub(" ", drawer.GetDrawingText()))
    return re.sub(r"\s+", " ", text).strip()


@cache  # tasks of a dataset, and its pairs, share molecules
def locate(smiles: str) -> str:
    """Atoms and bonds of a molecule on a grid, from which a page draws it.

    Atoms, separated by ``;``, are ``x,y`` or ``x,y,text``, in steps of 1/:data:`GRID` Å, y upwards; those without a
    text are carbons. Behind ``|`` bonds are ``first,second,kind``: 1 to 3 is the order, 6 a wedge and 7 a hashed one,
    both of which begin at the first atom, 8 anything else.
    """
    mol = Chem.MolFromSmiles(smiles)
    rdDepictor.Compute2DCoords(mol)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    Chem.WedgeMolBonds(mol, mol.GetConformer())
    positions = (mol.GetConformer().GetPositions()[:, :2] * GRID).round().astype(int).tolist()
    atoms = [
        ",".join(filter(None, (str(x), str(y), label(atom))))
        for atom, (x, y) in zip(mol.GetAtoms(), positions, strict=True)
    ]
    bonds = [
        f"{bond.GetBeginAtomIdx()},{bond.GetEndAtomIdx()},"
        f"{WEDGES.get(bond.GetBondDir()) or ORDERS.get(bond.GetBondType(), OTHER)}"
        for bond in mol.GetBonds()
    ]
    return f"{';'.join(atoms)}|{';'.join(bonds)}"


def label(atom: Chem.Atom) -> str:
    """Isotope, element, hydrogens and charge of an atom, such as ``NH3+`` or ``Fe+2``; nothing at most carbons."""
    hydrogens, charge = atom.GetTotalNumHs(), atom.GetFormalCharge()
    plain = atom.GetSymbol() == "C" and not charge and not atom.GetIsotope() and not atom.GetNumRadicalElectrons()
    if plain and atom.GetDegree():
        return ""
    written = "" if not hydrogens else "H" if hydrogens == 1 else f"H{hydrogens}"
    sign = "" if not charge else f"{'+' if charge > 0 else '-'}{abs(charge) if abs(charge) > 1 else ''}"
    return f"{atom.GetIsotope() or ''}{atom.GetSymbol()}{written}{sign}"
