"""QM9: small organic molecules of H, C, N, O, F at B3LYP/6-31G(2df,p) (Ramakrishnan et al., Sci. Data 2014).

Read straight from the wheel ``qm9pack`` (130,831 characterised molecules); the package itself is not imported.
"""

import os
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from boomlib.contracts import ContractError
from boomlib.datasets.rows import Rows

COLUMNS = {
    "mu": "Dipole_debye",
    "alpha": "Polarizability_bohr3",
    "homo": "HOMO_au",
    "lumo": "LUMO_au",
    "gap": "HOMO_LUMO_gap_au",
    "r2": "R2_bohr2",
    "zpve": "ZPVE_au",
    "cv": "Heatcapacity_Cv_cal_mol_K",
}
ENTHALPY = "Enthalphy_298K_au"
PARTS = tuple(f"qm9pack/data/qm9_part{part}.csv" for part in (1, 2, 3))

# Enthalpy at 298.15 K (Ha) of the free atoms at QM9's level of theory: atomref.txt of the QM9 deposition,
# doi:10.6084/m9.figshare.c.978904, column "H (298.15 K)".
ATOM_ENTHALPY_HA = {"H": -0.497912, "C": -37.844411, "N": -54.581501, "O": -75.062219, "F": -99.716370}
# Experimental heats of formation (kJ/mol) of the gaseous atoms at 298.15 K: CODATA key values,
# Cox, Wagman & Medvedev 1989.
ATOM_HOF_KJ = {"H": 217.998, "C": 716.68, "N": 472.68, "O": 249.18, "F": 79.38}
KCAL_PER_HARTREE = 627.509474
KJ_PER_KCAL = 4.184


def heat_of_formation(enthalpy: np.ndarray, counts: dict[str, np.ndarray]) -> np.ndarray:
    """Gas-phase heat of formation at 298.15 K by atomisation, kcal/mol [n].

    ΔfH°(M) = H(M) − Σ H(atom) + Σ ΔfH°(atom): the computed enthalpy of forming the molecule from its free
    atoms, plus the experimental one of the atoms (Curtiss et al., J. Chem. Phys. 106, 1063, 1997, at 298 K).

    Args:
        enthalpy: computed enthalpy of the molecules at 298.15 K, Ha [n].
        counts: number of atoms of each element, int [n] each.
    """
    binding = enthalpy - sum(counts[element] * ATOM_ENTHALPY_HA[element] for element in ATOM_ENTHALPY_HA)
    atoms = sum(counts[element] * ATOM_HOF_KJ[element] for element in ATOM_HOF_KJ)
    return KCAL_PER_HARTREE * binding + atoms / KJ_PER_KCAL


def read(sources: Sequence[str | os.PathLike], dataset: dict) -> Rows:
    """Read the properties that the registry lists, in QM9's order; ``hof`` is computed here, in kcal/mol."""
    table = read_wheel(sources[0])
    values = {}
    for name in dataset["properties"]:
        if name == "hof":
            counts = {element: count_element(table["Elements"], element) for element in ATOM_HOF_KJ}
            values[name] = heat_of_formation(table[ENTHALPY].to_numpy(), counts)
        else:
            values[name] = table[COLUMNS[name]].to_numpy()
    return Rows(np.arange(1, table.num_rows + 1), table["SMILES"].to_pylist(), values)


def read_wheel(path: str | os.PathLike) -> pa.Table:
    """The columns that are needed, from the CSV files inside the wheel."""
    options = pyarrow.csv.ConvertOptions(include_columns=["SMILES", "Elements", ENTHALPY, *COLUMNS.values()])
    try:
        with zipfile.ZipFile(path) as wheel:
            tables = []
            for part in PARTS:
                with wheel.open(part) as stream:
                    tables.append(pyarrow.csv.read_csv(stream, convert_options=options))
    except (zipfile.BadZipFile, zlib.error, KeyError, pa.ArrowException) as error:
        raise ContractError(f"{path}: not the wheel of qm9pack 1.0.3 ({error}); delete it and rerun") from error
    return pa.concat_tables(tables)


def count_element(elements: pa.ChunkedArray, symbol: str) -> np.ndarray:
    """Occurrences of ``symbol`` in lists written as ``['C','H',…]``, int [n]."""
    return pc.count_substring(elements, f"'{symbol}'").to_numpy()
