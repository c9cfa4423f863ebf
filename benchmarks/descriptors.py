"""Our descriptors against RDKit's own loop, and against other versions of the module.

    python benchmarks/descriptors.py FILE [FILE ...]      # CSV or Parquet files with a column smiles
    git show COMMIT:boomlib/features/descriptors.py > /tmp/then.py
    python benchmarks/descriptors.py FILE --against /tmp/then.py

One process, one thread. The molecules, spread over each file, are cut into rounds; in each round all ways take turns,
so that whatever else the machine does meets all of them. Times are CPU times. Every value is compared with RDKit's.
"""

import argparse
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is loaded

import numpy as np
import pandas as pd
from rdkit import Chem
from rdkit.Chem import Descriptors

from boomlib.features import descriptors
from boomlib.featurize import silence_rdkit

Columns = dict[str, np.ndarray]


def compute_by_rdkit(smiles: list[str]) -> Columns:
    """What everybody writes."""
    with np.errstate(all="ignore"):
        rows = [Descriptors.CalcMolDescriptors(Chem.MolFromSmiles(text), missingVal=np.nan) for text in smiles]
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


def load_version(path: Path) -> Callable[[list[str]], Columns]:
    """``compute`` of a module's file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.compute


def read_smiles(path: Path, n: int) -> list[str]:
    """About ``n`` SMILES spread over a file, those that RDKit can read."""
    smiles = (pd.read_parquet if path.suffix == ".parquet" else pd.read_csv)(path)["smiles"].tolist()
    return [text for text in smiles[:: max(1, len(smiles) // n)][:n] if Chem.MolFromSmiles(text)]


def count_differing(found: Columns, expected: Columns) -> int:
    """How many values are not the expected ones, to the last bit; NaN is NaN."""
    same = [
        np.equal(found[name], column) | (np.isnan(found[name]) & np.isnan(column)) for name, column in expected.items()
    ]
    return np.count_nonzero(~np.array(same))


def main() -> None:
    """Print, for every file and way, CPU time a molecule, the ratio to RDKit's loop and how many values differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a CSV or Parquet file with SMILES")
    parser.add_argument("--against", type=Path, action="append", default=[], help="another version of the module")
    parser.add_argument("--molecules", type=int, default=500, help="how many of each file")
    parser.add_argument("--rounds", type=int, default=10, help="turns that each way gets")
    arguments = parser.parse_args()
    silence_rdkit()
    ways = {"RDKit's loop": compute_by_rdkit, "ours": descriptors.compute}
    ways |= {path.name: load_version(path) for path in arguments.against}
    for path in arguments.files:
        smiles = read_smiles(path, arguments.molecules)
        seconds, differing = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0)
        for compute in ways.values():
            compute(smiles[:10])
        for start in range(arguments.rounds):
            turn = smiles[start :: arguments.rounds]
            columns = {}
            for way, compute in ways.items():
                began = time.process_time()
                columns[way] = {name: np.asarray(column) for name, column in compute(turn).items()}
                seconds[way] += time.process_time() - began
                differing[way] += count_differing(columns[way], columns["RDKit's loop"])
        print(f"{path.name}, {len(smiles)} molecules")
        for way, spent in seconds.items():
            ratio = seconds["RDKit's loop"] / spent
            print(f"  {way:20}{1000 * spent / len(smiles):8.2f} ms{ratio:7.2f} times as fast, {differing[way]} differ")


if __name__ == "__main__":
    main()
