"""Our features against the same values from RDKit's own loop or from scikit-fingerprints.

    python benchmarks/descriptors.py                                # molecules made here, against RDKit
    python benchmarks/descriptors.py --file FILE --column smiles    # molecules spread over a file
    python benchmarks/descriptors.py --against scikit-fingerprints  # descriptors, MACCS keys and Morgan counts

The molecules are cut into rounds; in each round both ways take turns, in one process and in all, so that whatever else
the machine does meets all of them. Both have computed a few molecules before. Ours starts its processes anew in each
round and ends with the Parquet file on disk; theirs ends with the array in memory, and scikit-fingerprints keeps its
processes. Values of columns with the same name are compared in the precision of theirs.
"""

import argparse
import importlib
import importlib.util
import itertools
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from rdkit import Chem
from rdkit.Chem import Descriptors

sys.path.insert(0, str(Path(__file__).parent.parent))
from boomlib import featurize as compute
from boomlib.contracts import read_table, write_molecules
from boomlib.provenance import versions

# rings of the cores are 8 and 9, those of the groups 1
CORES = "c8cc{}cc{}c8|C8CC{}CN{}C8|c8nc{}sc8{}|C8C{}OC8{}|c8cc9cc{}ccc9nc8{}|C(=O)(N{})C{}|C{}=CC{}|CC(C){}OCC{}"
GROUPS = (
    "C|CC|O|OC|N(C)C|C#N|F|Cl|Br|C(=O)O|C(=O)N|[N+](=O)[O-]|S(=O)(=O)C|c1ccccc1|C1CC1|C(F)(F)F|N1CCOCC1|C=C|CCO|SC"
)
FOLDED = 2048

Columns = dict[str, np.ndarray]


# -- molecules -------------------------------------------------------------------------------------------


def made_molecules(n: int) -> list[str]:
    """SMILES of up to ``n`` small molecules: a core and two groups, the first of which may be two at a branch."""
    groups = GROUPS.split("|")
    longer = [f"CC({one}){other}" for one, other in itertools.product(groups, repeat=2)]
    pairs = itertools.chain(itertools.product(groups, groups), itertools.product(longer, groups))
    found = [core.format(f"({one})", f"({other})") for one, other in pairs for core in CORES.split("|")]
    random.Random(0).shuffle(found)
    return found[:n]


def read_smiles(path: Path, column: str, n: int) -> list[str]:
    """About ``n`` SMILES spread over a CSV or Parquet file, those that RDKit can read."""
    read = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
    smiles = read(path)[column].tolist()
    return [text for text in smiles[:: max(1, len(smiles) // n)][:n] if Chem.MolFromSmiles(text)]


# -- theirs: SMILES and processes -> columns -------------------------------------------------------------


def rdkit_descriptors(smiles: list[str], processes: int) -> Columns:
    """What everybody writes."""
    with multiprocessing.Pool(processes, initializer=compute.silence_rdkit) as pool:
        found = pool.map(rdkit_values, smiles, chunksize=compute.CHUNK)
    return {name: np.array([values[name] for values in found], float) for name in found[0]}


def rdkit_values(text: str) -> dict[str, float]:
    """RDKit's descriptors of one molecule."""
    return Descriptors.CalcMolDescriptors(Chem.MolFromSmiles(text), missingVal=np.nan)


def skfp_descriptors(smiles: list[str], processes: int) -> Columns:
    """scikit-fingerprints' 200 of RDKit's descriptors, float32; large values are not cut."""
    from skfp.fingerprints import RDKit2DDescriptorsFingerprint

    way = RDKit2DDescriptorsFingerprint(clip_val=float(np.finfo(np.float32).max), n_jobs=processes)
    return dict(zip(way.get_feature_names_out(), way.transform(smiles).T, strict=True))


def skfp_maccs(smiles: list[str], processes: int) -> Columns:
    """scikit-fingerprints' MACCS keys."""
    from skfp.fingerprints import MACCSFingerprint

    bits = MACCSFingerprint(n_jobs=processes).transform(smiles)
    return {f"maccs_{key}": column for key, column in enumerate(bits.T, 1)}


def skfp_morgan(smiles: list[str], processes: int) -> Columns:
    """scikit-fingerprints' Morgan counts, folded."""
    from skfp.fingerprints import ECFPFingerprint

    counts = ECFPFingerprint(FOLDED, radius=2, count=True, n_jobs=processes).transform(smiles)
    return {str(bit): column for bit, column in enumerate(counts.T)}


OTHERS = {
    "rdkit": {"descriptors": rdkit_descriptors},
    "scikit-fingerprints": {
        "descriptors": skfp_descriptors,
        "maccs": skfp_maccs,
        "morgan_counts": skfp_morgan,
    },
}


# -- comparison ------------------------------------------------------------------------------------------


def our_columns(table: pa.Table) -> Columns:
    """A feature table's columns; Morgan environments folded, as theirs are."""
    if "environment" not in table.column_names:
        return {name: table[name].to_numpy() for name in table.column_names}
    environments, counts = (table[name].combine_chunks() for name in ("environment", "count"))
    folded = np.zeros((FOLDED, table.num_rows), dtype=int)
    rows = np.repeat(np.arange(table.num_rows), environments.value_lengths())
    np.add.at(folded, (environments.flatten().to_numpy() % FOLDED, rows), counts.flatten().to_numpy())
    return {str(bit): column for bit, column in enumerate(folded)}


def compare(ours: Columns, theirs: Columns) -> tuple[int, Counter]:
    """How many values the columns of equal name have, and how many of them differ, by column."""
    common = sorted(ours.keys() & theirs.keys())
    differing = Counter()
    for name in common:
        mine = ours[name].astype(theirs[name].dtype)
        differing[name] += np.count_nonzero(~np.isclose(mine, theirs[name], rtol=0, atol=0, equal_nan=True))
    return sum(len(ours[name]) for name in common), +differing


def take_turns(
    feature: str, other: Callable[[list[str], int], Columns], rounds: list[list[str]], processes: int
) -> tuple[np.ndarray, int, Counter]:
    """Seconds of theirs and ours together over all rounds, values compared, and those that differ by column."""
    importlib.import_module(f"boomlib.features.{feature}").compute(rounds[0][:20])
    other(rounds[0][:20], processes)
    seconds, compared, differing = np.zeros(2), 0, Counter()
    with tempfile.TemporaryDirectory() as folder:
        molecules, out = Path(folder) / "molecules.parquet", Path(folder) / "feature.parquet"
        for smiles in rounds:
            write_molecules(molecules, smiles, {}, {})
            took = [time.perf_counter()]
            theirs = other(smiles, processes)
            took.append(time.perf_counter())
            compute.compute_feature(feature, molecules, out, processes)
            took.append(time.perf_counter())
            seconds += np.diff(took)
            values, found = compare(our_columns(read_table(out)), theirs)
            compared, differing = compared + values, differing + found
    return seconds, compared, differing


def main() -> None:
    """Print molecules per second of both and their ratio, for every feature in one process and in all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", choices=OTHERS, default="rdkit", help="what to compare with")
    parser.add_argument("--molecules", type=int, default=4000, help="how many")
    parser.add_argument("--rounds", type=int, default=2, help="turns that each way of computing gets")
    parser.add_argument("--file", type=Path, help="a CSV or Parquet file of molecules; default: molecules made here")
    parser.add_argument("--column", default="smiles", help="its column with the SMILES")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes; default: all cores")
    arguments = parser.parse_args()
    if arguments.against == "scikit-fingerprints" and importlib.util.find_spec("skfp") is None:
        sys.exit("scikit-fingerprints is not installed: pip install scikit-fingerprints -c requirements.lock")
    compute.silence_rdkit()
    smiles = (
        read_smiles(arguments.file, arguments.column, arguments.molecules)
        if arguments.file
        else made_molecules(arguments.molecules)
    )
    rounds = [smiles[start :: arguments.rounds] for start in range(arguments.rounds)]
    print(f"{len(smiles)} molecules in {len(rounds)} rounds, {versions(('rdkit', arguments.against))}")
    print(f"{'feature':15}{'processes':>9}{'theirs':>9}{'ours':>9} molecules/s{'ratio':>7}  values that differ")
    for feature, other in OTHERS[arguments.against].items():
        for processes in sorted({1, arguments.workers}):
            seconds, compared, differing = take_turns(feature, other, rounds, processes)
            theirs, ours = len(smiles) / seconds
            columns = f" ({', '.join(differing)})" if differing else ""
            print(
                f"{feature:15}{processes:9}{theirs:9.0f}{ours:9.0f}{ours / theirs:19.2f}"
                f"  {differing.total()} of {compared}{columns}",
                flush=True,
            )


if __name__ == "__main__":
    main()
