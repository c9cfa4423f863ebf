"""QM9: small organic molecules of H, C, N, O, F at B3LYP/6-31G(2df,p) (Ramakrishnan et al., Sci. Data 2014).

Two sources, told apart by the name of the file: the wheel ``qm9pack`` (130,831 characterised molecules; the
package itself is not imported) and the Figshare archive ``dsgdb9nsd.xyz.tar.bz2`` (all 133,885). Both are
streamed, never unpacked to disk, and give the same numbers for the same molecule.
"""

import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from boomlib.contracts import list_of
from boomlib.datasets.rows import Rows, only_source
from boomlib.files import DATASET_ENTRY, MAKE_ANEW, ContractError
from boomlib.progress import Progress

# What stands in the second line of an archive member after "gdb INDEX", and what the wheel calls it.
FIELDS = {
    "rotational_a": "RotA_GHz",
    "rotational_b": "RotB_GHz",
    "rotational_c": "RotC_GHz",
    "mu": "Dipole_debye",
    "alpha": "Polarizability_bohr3",
    "homo": "HOMO_au",
    "lumo": "LUMO_au",
    "gap": "HOMO_LUMO_gap_au",
    "r2": "R2_bohr2",
    "zpve": "ZPVE_au",
    "energy_0k": "InternalEnergy_0K_au",
    "energy": "InternalEnergy_298K_au",
    "enthalpy": "Enthalphy_298K_au",
    "free_energy": "GibbsFreeEnergy_298K_au",
    "cv": "Heatcapacity_Cv_cal_mol_K",
}
PROPERTIES = (*FIELDS, "hof")
PARTS = tuple(f"qm9pack/data/qm9_part{part}.csv" for part in (1, 2, 3))
SYMBOLS = pa.array(["H", "C", "N", "O", "F"])
NUMBERS = np.array([1, 6, 7, 8, 9], dtype=np.uint8)

# Enthalpy at 298.15 K (Ha) of the free atoms H, C, N, O, F at QM9's level of theory: atomref.txt of the QM9
# deposition, doi:10.6084/m9.figshare.c.978904, column "H (298.15 K)".
ATOM_ENTHALPY_HA = np.array([-0.497912, -37.844411, -54.581501, -75.062219, -99.716370])
# Experimental heats of formation (kJ/mol) of the gaseous atoms at 298.15 K: CODATA key values,
# Cox, Wagman & Medvedev 1989.
ATOM_HOF_KJ = np.array([217.998, 716.68, 472.68, 249.18, 79.38])
KCAL_PER_HARTREE = 627.509474
KJ_PER_KCAL = 4.184


@dataclass(frozen=True)
class Source:
    """The molecules of a source file, in its order.

    Attributes:
        smiles: SMILES from GDB-17, string [n].
        fields: the numbers of :data:`FIELDS` by name, float64 [n] each, in native units.
        first: position of each molecule's first atom among all atoms, int64 [n + 1].
        numbers: atomic numbers of all atoms, uint8 [atoms].
        positions: all positions, float64 [atoms, 3], Å.
    """

    smiles: list[str]
    fields: dict[str, np.ndarray]
    first: np.ndarray
    numbers: np.ndarray
    positions: np.ndarray

    def counts(self) -> np.ndarray:
        """Number of atoms of H, C, N, O and F, int64 [n, 5]."""
        molecule = np.repeat(np.arange(len(self.smiles)), np.diff(self.first))
        per_element = [np.bincount(molecule[self.numbers == z], minlength=len(self.smiles)) for z in NUMBERS]
        return np.column_stack(per_element)

    def geometry(self, rows: np.ndarray) -> pa.Table:
        """``atomic_numbers`` and ``positions`` (flat) of the molecules in ``rows`` (the first is 1)."""
        numbers = pa.LargeListArray.from_arrays(self.first, self.numbers)
        positions = pa.LargeListArray.from_arrays(self.first * 3, self.positions.ravel())
        chosen = pa.array(rows - 1)
        return pa.table(
            {
                "atomic_numbers": numbers.take(chosen).cast(list_of(pa.uint8())),
                "positions": positions.take(chosen).cast(list_of(pa.float64())),
            }
        )


def heat_of_formation(enthalpy: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Gas-phase heat of formation at 298.15 K by atomisation, kcal/mol [n].

    ΔfH°(M) = H(M) - Σ H(atom) + Σ ΔfH°(atom): the computed enthalpy of forming the molecule from its free
    atoms, plus the experimental one of the atoms (Curtiss et al., J. Chem. Phys. 106, 1063, 1997, at 298 K).

    Args:
        enthalpy: computed enthalpy of the molecules at 298.15 K, Ha [n].
        counts: number of atoms of H, C, N, O and F, int [n, 5].
    """
    return KCAL_PER_HARTREE * (enthalpy - counts @ ATOM_ENTHALPY_HA) + counts @ ATOM_HOF_KJ / KJ_PER_KCAL


def read(sources: Sequence[str | os.PathLike], dataset: dict) -> Rows:
    """Read the properties that the registry lists, in the order of the source; ``hof`` is computed here, kcal/mol.

    Raises:
        ContractError: a property is none of QM9's, or the source is broken.
    """
    columns = {name: entry.get("column", name) for name, entry in dataset["properties"].items()}
    for name, column in columns.items():
        if column not in PROPERTIES:
            raise ContractError(
                f"{DATASET_ENTRY}: properties.{name}: QM9 has no property '{column}'; it has "
                f"{', '.join(PROPERTIES)}; correct the key, or name one of these as its `column`"
            )
    path = only_source(sources, "qm9")
    source = read_wheel(path) if str(path).endswith(".whl") else read_archive(path)
    fields = source.fields | {"hof": heat_of_formation(source.fields["enthalpy"], source.counts())}
    values = {name: fields[column] for name, column in columns.items()}
    return Rows(np.arange(1, len(source.smiles) + 1), source.smiles, values, geometry=source.geometry)


def read_wheel(path: str | os.PathLike) -> Source:
    """Read the CSV files inside the wheel."""
    columns = ["SMILES", "Elements", "XYZ_Ang", *FIELDS.values()]
    types = dict.fromkeys(FIELDS.values(), pa.float64())
    options = pyarrow.csv.ConvertOptions(include_columns=columns, column_types=types)
    try:
        with zipfile.ZipFile(path) as wheel:
            tables = []
            for part in PARTS:
                with wheel.open(part) as stream:
                    tables.append(pyarrow.csv.read_csv(stream, convert_options=options))
        table = pa.concat_tables(tables).combine_chunks()
        symbols = pc.split_pattern(
            pc.replace_substring_regex(table["Elements"], r"[\[\]' ]", ""), ","
        ).combine_chunks()
        first = np.concatenate([[0], np.cumsum(symbols.value_lengths().to_numpy())])
        triples = pc.replace_substring_regex(table["XYZ_Ang"], r"[\[\] ]", "").to_pylist()
        numbers = parse_lines("\n".join(triples).replace(",", "\n").encode(), {"position": pa.float64()})
        fields = {name: table[column].to_numpy() for name, column in FIELDS.items()}
        return assemble(table["SMILES"].to_pylist(), fields, first, symbols.flatten(), numbers["position"].to_numpy())
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, pa.ArrowException) as error:
        raise ContractError(f"{path}: not the wheel of qm9pack 1.0.3 ({error}); {MAKE_ANEW}") from error


def read_archive(path: str | os.PathLike) -> Source:
    """Read the members of the Figshare archive, whose layout is described in Ramakrishnan et al. 2014, Table 2."""
    smiles, lengths, properties, atoms = [], [], [], []
    try:
        for name, data in members(path):
            lines = data.split(b"\n")
            if not lines[0].strip().isdigit() or len(lines) < (n := int(lines[0])) + 5:
                raise ContractError(f"member {name!r} is not an xyz file of QM9")
            lengths.append(n)
            properties.append(lines[1].rstrip())
            atoms += lines[2 : n + 2]
            smiles.append(lines[n + 3].split(b"\t")[0].strip().decode("ascii"))
        table = parse_lines(b"\n".join(properties), {"tag": pa.string(), **dict.fromkeys(FIELDS, pa.float64())})
        columns = parse_lines(
            b"\n".join(atoms), {"symbol": pa.string(), **dict.fromkeys(("x", "y", "z", "q"), pa.float64())}
        )
        positions = np.column_stack([columns[axis].to_numpy() for axis in "xyz"]).ravel()
        fields = {name: table[name].to_numpy() for name in FIELDS}
        first = np.concatenate([[0], np.cumsum(lengths)])
        return assemble(smiles, fields, first, columns["symbol"].combine_chunks(), positions)
    except (tarfile.TarError, EOFError, OSError, ValueError, pa.ArrowException) as error:
        raise ContractError(f"{path}: not the archive dsgdb9nsd.xyz.tar.bz2 ({error}); {MAKE_ANEW}") from error


def members(path: str | os.PathLike) -> Iterator[tuple[str, bytes]]:
    """Name and content of the archive's members, one after the other; anything but a plain file is refused."""
    # read front to back; tarfile's own stream mode ("r|bz2") takes twice as long
    progress = Progress("read archive", "mol")
    with tarfile.open(path, "r:bz2") as archive:
        for member in archive:
            if not member.isfile():
                raise ContractError(f"member {member.name!r} is no plain file")
            yield member.name, archive.extractfile(member).read()
            progress.advance()


def parse_lines(text: bytes, types: dict[str, pa.DataType]) -> pa.Table:
    """Parse lines of tab-separated columns; numbers are rounded correctly and may be written as ``6.4*^-6``."""
    return pyarrow.csv.read_csv(
        pa.py_buffer(text.replace(b"*^", b"e")),
        read_options=pyarrow.csv.ReadOptions(column_names=list(types)),
        parse_options=pyarrow.csv.ParseOptions(delimiter="\t", quote_char=False),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types),
    )


def assemble(
    smiles: list[str], fields: dict[str, np.ndarray], first: np.ndarray, symbols: pa.Array, positions: np.ndarray
) -> Source:
    """Check that the parts fit together; ``positions`` are flat."""
    index = pc.index_in(symbols, SYMBOLS)
    if index.null_count:
        raise ValueError("an element other than H, C, N, O, F")
    if not len(symbols) == first[-1] == len(positions) / 3:
        raise ValueError(f"{len(symbols)} atoms, but {len(positions)} coordinates")
    return Source(smiles, fields, first, NUMBERS[index.to_numpy()], positions.reshape(-1, 3))
