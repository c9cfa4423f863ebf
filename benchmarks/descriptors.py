"""RDKit descriptors that share their work against a plain loop over ``Descriptors.CalcMolDescriptors``.

    python benchmarks/descriptors.py                                   # molecules made here
    python benchmarks/descriptors.py --csv FILE --column smiles        # molecules spread over a file

The molecules are cut into rounds; in each round RDKit's loop in one process, ours in one process and ours in all (a
feature table written by ``compute_feature``, the start of the processes included) take turns, so that whatever else
the machine does meets all three. Values that differ are counted; there should be none.
"""

import argparse
import csv
import itertools
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import Descriptors

sys.path.insert(0, str(Path(__file__).parent.parent))
from boomlib.contracts import write_molecules
from boomlib.features import compute, descriptors

# rings of the cores are 8 and 9, those of the groups 1
CORES = "c8cc{}cc{}c8|C8CC{}CN{}C8|c8nc{}sc8{}|C8C{}OC8{}|c8cc9cc{}ccc9nc8{}|C(=O)(N{})C{}|C{}=CC{}|CC(C){}OCC{}"
GROUPS = (
    "C|CC|O|OC|N(C)C|C#N|F|Cl|Br|C(=O)O|C(=O)N|[N+](=O)[O-]|S(=O)(=O)C|c1ccccc1|C1CC1|C(F)(F)F|N1CCOCC1|C=C|CCO|SC"
)


def made_molecules(n: int) -> list[str]:
    """SMILES of up to ``n`` small molecules: a core and two groups, the first of which may be two at a branch."""
    groups = GROUPS.split("|")
    longer = [f"CC({one}){other}" for one, other in itertools.product(groups, repeat=2)]
    pairs = itertools.chain(itertools.product(groups, groups), itertools.product(longer, groups))
    found = [core.format(f"({one})", f"({other})") for one, other in pairs for core in CORES.split("|")]
    random.Random(0).shuffle(found)
    return found[:n]


def read_molecules(path: str, column: str, n: int) -> list[str]:
    """About ``n`` SMILES spread over a CSV file, those that RDKit can read."""
    with Path(path).open(newline="") as file:
        smiles = [row[column] for row in csv.DictReader(file)]
    return [text for text in smiles[:: max(1, len(smiles) // n)][:n] if Chem.MolFromSmiles(text)]


def rdkit_loop(smiles: list[str]) -> np.ndarray:
    """What everybody writes."""
    found = [Descriptors.CalcMolDescriptors(Chem.MolFromSmiles(text), missingVal=np.nan) for text in smiles]
    return np.array([[values[name] for name in descriptors.NAMES] for values in found], float)


def main() -> None:
    """Print molecules per second and ratios to RDKit's loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--molecules", type=int, default=4000, help="how many")
    parser.add_argument("--rounds", type=int, default=4, help="turns that each way of computing gets")
    parser.add_argument("--csv", help="a CSV file of molecules; default: molecules made here")
    parser.add_argument("--column", default="smiles", help="its column with the SMILES")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes; default: all cores")
    arguments = parser.parse_args()
    compute.silence_rdkit()
    smiles = (
        read_molecules(arguments.csv, arguments.column, arguments.molecules)
        if arguments.csv
        else made_molecules(arguments.molecules)
    )
    compute.CHUNK = max(16, min(compute.CHUNK, len(smiles) // arguments.rounds // arguments.workers // 4))
    ways = {
        "RDKit's loop, one process": 0.0,
        "ours, one process": 0.0,
        f"ours, {arguments.workers} processes": 0.0,
    }
    differing = 0
    descriptors.compute(smiles[:20])
    with tempfile.TemporaryDirectory() as folder:
        for start in range(arguments.rounds):
            part = smiles[start :: arguments.rounds]
            table = Path(folder) / f"{start}.parquet"
            write_molecules(table, part, {}, {})
            took = [time.perf_counter()]
            theirs = rdkit_loop(part)
            took.append(time.perf_counter())
            ours = np.column_stack(list(descriptors.compute(part).values()))
            took.append(time.perf_counter())
            compute.compute_feature("descriptors", table, table.with_suffix(".out"), arguments.workers)
            took.append(time.perf_counter())
            for way, seconds in zip(ways, np.diff(took), strict=True):
                ways[way] += seconds
            differing += int(np.count_nonzero((theirs != ours) & ~(np.isnan(theirs) & np.isnan(ours))))
    print(f"{len(smiles)} molecules, {len(descriptors.NAMES)} descriptors, {differing} values that differ")
    base = next(iter(ways.values()))
    for way, seconds in ways.items():
        print(f"{way:28}{len(smiles) / seconds:8.0f} molecules/s{base / seconds:8.2f}×")


if __name__ == "__main__":
    main()
