"""Random spellings of a molecule (Bjerrum, arXiv 1703.07076).

Not a feature table: a training may want new ones in each epoch.
"""

from collections.abc import Iterable

import numpy as np
from rdkit import Chem

from boomlib.smiles import read_molecule


def draw_spellings(smiles: Iterable[str], spellings: int, seed: int, isomeric: bool = True) -> list[list[str]]:
    """Random SMILES of each molecule, which depend on the molecule and the seed alone.

    Args:
        smiles: molecules [n].
        spellings: how many of each; the same one may come twice.
        seed: 0 to 2^31 − 1.
        isomeric: whether they tell stereochemistry and isotopes.

    Returns:
        [n][spellings].

    Raises:
        ContractError: RDKit cannot parse a SMILES.
    """
    mols = map(read_molecule, smiles)
    # RDKit takes seed 0 for "none given"
    return [list(Chem.MolToRandomSmilesVect(mol, spellings, seed + 1, isomericSmiles=isomeric)) for mol in mols]


def epoch_seed(seed: int, epoch: int) -> int:
    """Seed of an epoch's spellings, below 2^31 − 1."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0] >> 2)
