"""Elements and functional groups of molecules, and the errors of a model on the molecules that have them."""

from collections.abc import Mapping, Sequence, Set

import numpy as np
from rdkit import Chem

from boomlib.evaluation.comparison import COMPARED, FEWEST
from boomlib.evaluation.metrics import rmse
from boomlib.report.numbers import format_number
from boomlib.report.site.answers import Answers

GROUPS = {
    "alcohol or phenol": "[OX2H][#6;!$(C=[O,S,N])]",
    "ether": "[OX2;!$(O[#6]=[O,S,N])]([#6])[#6]",
    "aldehyde": "[CX3H1](=O)[#6,#1]",
    "ketone": "[#6][CX3](=O)[#6]",
    "carboxylic acid": "[CX3](=O)[OX2H1,OX1-]",
    "ester": "[CX3](=O)[OX2][#6]",
    "amide": "[CX3](=O)[NX3]",
    "amine": "[NX3;!$(N[#6]=[O,S,N]);!$(N~[O,N])]",
    "nitrile": "[CX2]#[NX1]",
    "imine or amidine": "[CX3]=[NX2]",
    "nitro": "[NX3+](=O)[O-]",
    "N–N bond": "[#7]~[#7]",
    "alkene": "[CX3;!a]=[CX3;!a]",
    "alkyne": "[CX2]#[CX2]",
    "halogen": "[F,Cl,Br,I]",
    "benzene ring": "c1ccccc1",
    "aromatic heterocycle": "[a;!c]",
    "three-membered ring": "[r3]",
    "four-membered ring": "[r4]",
}
"""SMARTS by name, our choice: the commonest groups of organic chemistry, and the strained rings."""
PATTERNS = {name: Chem.MolFromSmarts(smarts) for name, smarts in GROUPS.items()}


def find_parts(smiles: Sequence[str]) -> dict[str, dict[str, set[str]]]:
    """The molecules, by their SMILES, that have each element and group: by name, under ``elements`` and ``groups``.

    What no molecule has is left out.
    """
    elements: dict[str, set[str]] = {}
    groups: dict[str, set[str]] = {name: set() for name in PATTERNS}
    for text in smiles:
        mol = Chem.MolFromSmiles(text)
        for symbol in {atom.GetSymbol() for atom in mol.GetAtoms()}:
            elements.setdefault(symbol, set()).add(text)
        for name, pattern in PATTERNS.items():
            if mol.HasSubstructMatch(pattern):
                groups[name].add(text)
    return {"elements": dict(sorted(elements.items())), "groups": {name: has for name, has in groups.items() if has}}


def list_errors(
    parts: Mapping[str, Mapping[str, Set[str]]], answers: Answers, model: str
) -> dict[str, list[list[str]]]:
    """RMSE of a model on the molecules that have each part; name, then of each fold their number and the RMSE.

    — on fewer molecules than tell anything, :data:`boomlib.evaluation.comparison.FEWEST`. The RMSE is of the model's
    first finished seed.

    Args:
        parts: what :func:`find_parts` makes of the molecules.
        answers: what models say of a task.
        model: the model.
    """
    found: dict[str, list[list[str]]] = {}
    for kind, members in parts.items():
        found[kind] = []
        for name, having in members.items():
            has, row = np.array([text in having for text in answers.smiles], dtype=bool), [name]
            for fold in COMPARED:
                rows = has & (answers.folds == fold)
                error = rmse(answers.labels[rows], answers.first[model][rows]) if rows.sum() >= FEWEST else None
                row += [f"{int(rows.sum()):,}", format_number(error)]
            if has.any():
                found[kind].append(row)
    return found
