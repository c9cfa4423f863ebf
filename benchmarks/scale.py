"""What the preparation costs as the molecules become more: features, conformer matching, KDE.

    python benchmarks/scale.py results/data/qm9_characterised                 # 1, 2, 4 … × 10⁴ of its molecules
    python benchmarks/scale.py results/data/qm9_characterised --up-to 1000000 # beyond its size by repetition

Prints seconds, molecules a second and the peak memory of the process and its largest worker for each size and step.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent.parent))
from boomlib.contracts import GEOMETRY, MOLECULES, read_molecules, read_table, write_table
from boomlib.features.compute import compute_feature
from boomlib.splits.kde import gaussian_kde

FEATURES = ("elements", "morgan_counts", "scaffolds", "maccs", "descriptors", "conformers")


def repeat(table: pa.Table, n: int) -> pa.Table:
    """The first ``n`` rows of the table repeated end to end, numbered anew."""
    rows = table.take(pa.array(np.arange(n) % table.num_rows))
    return rows.set_column(0, "molecule_id", pa.array(np.arange(n)))


def peak_mib() -> tuple[float, float]:
    """Peak memory of this process and of its largest child so far, MiB."""
    return tuple(resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def report(n: int, step: str, seconds: float) -> None:
    """One line of the table."""
    own, child = peak_mib()
    print(
        f"{n:9,d}  {step:15s} {seconds:8.1f} s  {n / seconds:10.0f} molecules/s  {own:6.0f} + {child:.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Run every step at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a dataset's folder below results/data")
    parser.add_argument("--up-to", type=int, default=40_000, help="largest size")
    parser.add_argument("--features", nargs="*", default=FEATURES)
    arguments = parser.parse_args()
    molecules = read_molecules(arguments.data / "molecules.parquet")
    geometry = read_table(arguments.data / "geometry.parquet", GEOMETRY)
    sizes = [10_000 * 2**k for k in range(20) if 10_000 * 2**k < arguments.up_to] + [arguments.up_to]
    for n in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_table(repeat(molecules, n), folder / "molecules.parquet", MOLECULES)
            given = repeat(geometry, n) if geometry.num_rows else geometry
            write_table(given, folder / "geometry.parquet", GEOMETRY)
            for feature in arguments.features:
                extra = {"geometry": folder / "geometry.parquet"} if feature == "conformers" else {}
                start = time.perf_counter()
                out = folder / f"{feature}.parquet"
                compute_feature(feature, folder / "molecules.parquet", out, os.cpu_count(), **extra)
                report(n, feature, time.perf_counter() - start)
            start = time.perf_counter()
            gaussian_kde(repeat(molecules, n)[molecules.column_names[2]].to_numpy())
            report(n, "kde", time.perf_counter() - start)


if __name__ == "__main__":
    main()
