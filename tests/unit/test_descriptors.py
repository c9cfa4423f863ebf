"""Every value of every descriptor against RDKit's own function, which is its definition."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors

from boomlib.datasets.fetch import find_in_mirror
from boomlib.features import descriptors

# single atoms, radicals and ions; isotopes; salts and other fragments; metals; rings and cages; stereo; ...
MOLECULES = """
C O P S [H][H] [He] [Xe] [Fe] [H+] [CH3] [CH2]C C=O O=C=O N#N [C-]#[O+] C#C C=C=C CC CCO ClCl *C *c1ccccc1
[2H][2H] [2H]C([2H])([2H])O [13CH3]c1ccccc1 [15NH2]C C[18OH] C[34S]C [H]/N=C/C [H]O[H]
[Na+].[Cl-] CC(=O)[O-].[Na+] O.O.O F.F.F.F CC(=O)OC.CC(=O)OC.CC(=O)OC [NH3+]CC([O-])=O C[N+](C)(C)C
[Fe+2].[Cl-].[Cl-] Cl[Pt](Cl)(N)N N->[Pt](<-N)(Cl)Cl C[Hg]C [Li]CCCC O=[Mn](=O)(=O)[O-].[K+] [BH4-] C[Si](C)(C)C
[cH-]1cccc1.[Fe+2].c1cc[cH-]c1 [H]B([H])C FS(F)(F)(F)(F)F C$C C~C
C1CC1 C1CCC1 C12CC1C2 C1CC11CC1 C12C3C1C23 C12C3C4C1C5C2C3C45 C1CC2CC1C=C2 C1CN2CCN1CC2 C1CCCCCCCCCCC1 CC12CC1C2C#N
c1ccccc1 c1ccc2cc3ccccc3cc2c1 c1cc[nH]c1 c1ccsc1 [se]1cccc1 c1nnnn1C=O O=c1[nH]c(=O)c2[nH]cnc2[nH]1 c1cccc[cH+]c1
N1C2=CC=CC=C2SC3=C1C=CC4=C3C=CC=C4 CC1=CC2=C(C)C=CC2=C(C)C=C1 OC1=C(O)C=C2C(=C1)OC3=CC(=O)C(=CC3=C2C4=CC=CC=C4)O
F/C=C/F F/C=C\\F C[C@H](N)C(=O)O C[S@](=O)CC OC1CCC(O)CC1 C[C@@H]1C[C@H]1C=CC=CC
[O-][N+](=O)c1ccccc1O CN(=O)=O CN=[N+]=[N-] COP(=O)(OC)SC OP(=O)(O)O O=S(=O)(O)C(F)(F)F CS(=O)(=O)N NC(=O)NC1CC(=O)N1
CC(=O)Nc1ccc(O)cc1 CN1CCCC1c1cccnc1 CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc12 C1=CNC=CC1 CNC(=O)OC OCCN1CCCC1 S=C=NC
O=C1NC(=O)NC(=O)C1 NNC(=O)c1ccncc1 CC(C)(C)NCC(O)c1ccc(O)c(CO)c1 CCCCCCCCCCCCCCCCCC(=O)O CC#CC(=O)OC BrCCSC#N
C[C@H](F)/C=C/c1ccc2c(c1)CC2C1CC1S(=O)(=O)N(C)C#N O=C([O-])c1cc([N+](=O)[O-])ccc1OCCN1CCCCC1.[Na+]
""".split()  # noqa: SIM905 (shorter than a list)
MOLECULES += ["", "c1ccc2C#CC#Cc3ccccc3C#CC#Cc3ccccc3C#CC#Cc2c1", "CC" * 40]  # aromatic triple bonds; large values


RDKIT = dict(Descriptors.descList)


def by_rdkit(name: str, smiles: str) -> float:
    """One descriptor of a molecule for which RDKit has computed nothing else."""
    try:
        return float(RDKIT[name](Chem.MolFromSmiles(smiles)))
    except Exception:
        return np.nan


def differing(smiles: list[str]) -> list[tuple[str, str]]:
    """The descriptors and molecules of which a value is not RDKit's, to the last bit; NaN is NaN."""
    with np.errstate(all="ignore"):
        return [
            (name, text)
            for name, column in descriptors.compute(smiles).items()
            for text, value in zip(smiles, column.to_pylist(), strict=True)
            if not np.array_equal(value, by_rdkit(name, text), equal_nan=True)
        ]


def fail(*_):
    raise ValueError("no")


def test_names_and_their_order_are_rdkits():
    columns = descriptors.compute(["CCO"])
    assert list(columns) == list(RDKIT)
    assert {column.type for column in columns.values()} == {pa.float64()}
    assert {name: column.type for name, column in descriptors.compute([]).items()} == dict.fromkeys(
        columns, pa.float64()
    )


@pytest.mark.parametrize("smiles", MOLECULES)
def test_values_are_rdkits(smiles):
    assert differing([smiles]) == []


@pytest.mark.slow
@pytest.mark.parametrize("file", ["10k_dft_density_data.csv", "qm9_properties.parquet"])
def test_values_of_published_molecules_are_rdkits(mirror, file):
    path = find_in_mirror(file, str(mirror))
    if path is None:
        pytest.skip(f"the mirror has no {file}")
    smiles = (pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path))["smiles"]
    assert differing(smiles[:: len(smiles) // 200].tolist()) == []


def test_rdkit_is_used_by_its_public_names_alone():
    tree = ast.parse(Path(descriptors.__file__).read_text(encoding="utf-8"))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for name in names if name.startswith(("_", "Describe"))} == set()


def test_values_do_not_depend_on_the_molecules_before():
    assert differing(MOLECULES[40:60] * 2 + MOLECULES[50:40:-1]) == []


@pytest.mark.parametrize("group", descriptors.GROUPS)
def test_a_group_computes_a_plain_molecule(group):
    assert group(Chem.MolFromSmiles("CC(=O)Nc1ccc(O)cc1")).keys() <= set(descriptors.NAMES)


def test_a_descriptor_that_fails_is_nan_there_only(monkeypatch):
    monkeypatch.setitem(descriptors.FUNCTIONS, "TPSA", fail)
    assert differing(["CC(=O)N"]) == [("TPSA", "CC(=O)N")]
    assert np.isnan(descriptors.compute(["CC(=O)N"])["TPSA"][0].as_py())


def test_a_group_that_fails_is_left_to_rdkits_functions(monkeypatch):
    monkeypatch.setattr(descriptors, "GROUPS", [fail] * len(descriptors.GROUPS))
    assert differing(["CC(=O)N"]) == []
    monkeypatch.setitem(descriptors.FUNCTIONS, "BertzCT", fail)
    assert differing(["CC(=O)N"]) == [("BertzCT", "CC(=O)N")]
