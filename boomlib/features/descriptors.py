"""RDKit's molecular descriptors (rdkit.Chem.Descriptors), one float64 column each, named and ordered as in RDKit.

Each value is that of RDKit's own function, bit for bit. Descriptors that RDKit computes one by one from the same
intermediates are a *group* here: RDKit's public functions for its members, the intermediates computed once. What is in
no group, and what a group cannot compute for a molecule, is left to RDKit's own function. A value that RDKit cannot
compute is NaN; models decide what to do with it.
"""

import functools
import inspect
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from rdkit import Chem
from rdkit.Chem import QED, Descriptors, FilterCatalog, Fragments, Graphs, rdMolDescriptors
from rdkit.ML.InfoTheory import entropy

FUNCTIONS: dict[str, Callable[[Chem.Mol], float]] = dict(Descriptors.descList)
NAMES = tuple(FUNCTIONS)

FRAGMENTS = {name: inspect.signature(function).parameters["pattern"].default for name, function in Fragments.fns}
ALERTS = {f"alert {number}": pattern for number, pattern in enumerate(QED.StructuralAlerts)}
ACCEPTORS = {f"acceptor {number}": pattern for number, pattern in enumerate(QED.Acceptors)}
NO_PROPERTIES = int(Chem.PropertyPickleOptions.NoProps)

Values = dict[str, float]


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """All descriptors of molecules given by their SMILES."""
    values = np.empty((len(smiles), len(NAMES)))
    with np.errstate(all="ignore"):
        for row, text in enumerate(smiles):
            values[row] = describe(Chem.MolFromSmiles(text))
    return {name: pa.array(values[:, column]) for column, name in enumerate(NAMES)}


def describe(mol: Chem.Mol) -> list[float]:
    """The descriptors of a molecule, in RDKit's order."""
    values: Values = {}
    for group in GROUPS:
        try:
            values.update(group(mol))
        except Exception:  # RDKit's functions decide which of the group's descriptors have a value
            continue
    return [values[name] if name in values else compute_one(name, mol) for name in NAMES]


def compute_one(name: str, mol: Chem.Mol) -> float:
    """One descriptor by RDKit's own function, NaN where that fails."""
    try:
        return FUNCTIONS[name](mol)
    except Exception:
        return np.nan


# ---- what groups share -------------------------------------------------------------------------------------------


@functools.cache
def pattern_catalog() -> FilterCatalog.FilterCatalog:
    """All patterns of fragments and QED by name, searched in a molecule by one call."""
    catalog = FilterCatalog.FilterCatalog()
    for name, pattern in (FRAGMENTS | ALERTS | ACCEPTORS).items():
        catalog.AddEntry(FilterCatalog.FilterCatalogEntry(name, FilterCatalog.SmartsMatcher(name, pattern, 1)))
    return catalog


@functools.lru_cache(2)  # of a molecule and the same without hydrogens
def find_patterns(mol: Chem.Mol) -> set[str]:
    """Names of the patterns that are in a molecule."""
    return {entry.GetDescription() for entry in pattern_catalog().GetMatches(mol)}


# ---- groups: molecule -> values by name --------------------------------------------------------------------------


def count_fragments(mol: Chem.Mol) -> Values:
    """Numbers of functional groups, counted where there are any."""
    found = FRAGMENTS.keys() & find_patterns(mol)
    return dict.fromkeys(FRAGMENTS, 0) | {name: FUNCTIONS[name](mol) for name in found}


def rate_drug_likeness(mol: Chem.Mol) -> Values:
    """QED, from properties as in ``QED.properties``: those of the molecule without hydrogens."""
    bare = Chem.RemoveHs(mol)
    unchanged = bare.ToBinary(NO_PROPERTIES) == mol.ToBinary(NO_PROPERTIES)
    if unchanged:
        bare = mol  # whose patterns serve the fragments, and which keeps its logP
    found = find_patterns(bare)
    properties = QED.QEDproperties(
        MW=Descriptors.MolWt(bare),
        ALOGP=Descriptors.MolLogP(bare),
        HBA=sum(len(bare.GetSubstructMatches(ACCEPTORS[name])) for name in ACCEPTORS.keys() & found),
        HBD=rdMolDescriptors.CalcNumHBD(bare),
        PSA=Descriptors.TPSA(bare),
        ROTB=rdMolDescriptors.CalcNumRotatableBonds(bare, rdMolDescriptors.NumRotatableBondsOptions.Strict),
        AROM=len(Chem.GetSSSR(Chem.DeleteSubstructs(Chem.Mol(bare), QED.AliphaticRings))),
        ALERTS=len(ALERTS.keys() & found),
    )
    also = {"NumRotatableBonds": properties.ROTB} if unchanged else {}  # strict is what RDKit calls default
    return {"qed": QED.qed(bare, qedProperties=properties), **also}


def compute_surfaces(mol: Chem.Mol) -> Values:
    """Surface by bins of charge, refractivity and logP, all bins of each by one call."""
    kinds = {
        "PEOE_VSA": rdMolDescriptors.PEOE_VSA_,
        "SMR_VSA": rdMolDescriptors.SMR_VSA_,
        "SlogP_VSA": rdMolDescriptors.SlogP_VSA_,
    }
    return {f"{kind}{place}": value for kind, bins in kinds.items() for place, value in enumerate(bins(mol), 1)}


def find_e_state_extrema(mol: Chem.Mol) -> Values:
    """Extrema of the E-state indices; the first call leaves these with the molecule."""
    names = ("MaxAbsEStateIndex", "MaxEStateIndex", "MinAbsEStateIndex", "MinEStateIndex")
    return {name: FUNCTIONS[name](mol, force=False) for name in names}


def measure_information(mol: Chem.Mol) -> Values:
    """AvgIpc and Ipc, from one characteristic polynomial."""
    polynomial = abs(Graphs.CharacteristicPolynomial(mol, np.equal(Chem.GetDistanceMatrix(mol), 1)))
    average = entropy.InfoEntropy(polynomial)
    return {"AvgIpc": average, "Ipc": sum(polynomial) * average}


def measure_complexity(mol: Chem.Mol) -> Values:
    """BertzCT, given the distances (a bond counts one over its order) that it would compute twice."""
    distances = Chem.GetDistanceMatrix(mol, useBO=True, useAtomWts=False, force=False, prefix="Balaban")
    return {"BertzCT": FUNCTIONS["BertzCT"](mol, dMat=distances, forceDMat=False)}


GROUPS: tuple[Callable[[Chem.Mol], Values], ...] = (
    count_fragments,
    rate_drug_likeness,
    compute_surfaces,
    find_e_state_extrema,
    measure_information,
    measure_complexity,
)
