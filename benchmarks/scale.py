"""What the preparation costs as the molecules become more: features, conformer matching, KDE.

    python benchmarks/scale.py results/data/qm9_characterised                        # 1, 2, 4, 8 × 10⁴ molecules
    python benchmarks/scale.py results/data/qm9_characterised --sizes 10000 1000000  # beyond its size by repetition

Every step runs in a process of its own, on all cores. Prints its seconds (imports included), molecules a second and
peak memory (Linux): of that process and of its largest worker.
"""

import argparse
import multiprocessing
import os
import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from boomlib.contracts import GEOMETRY, MOLECULES, read_molecules, read_table, write_table
from boomlib.featurize import compute_feature
from boomlib.splits.kde import gaussian_kde

STEPS = ("elements", "morgan_counts", "scaffolds", "maccs", "descriptors", "conformers", "kde")


def repeat(table: pa.Table, n: int) -> pa.Table:
    """The first ``n`` rows of the table repeated end to end, numbered anew."""
    rows = table.take(pa.array(np.arange(n) % table.num_rows))
    return rows.set_column(0, "molecule_id", pa.array(np.arange(n)))


def write_repeated(data: Path, n: int, folder: Path) -> None:
    """Write ``n`` molecules of a dataset, and their geometries if it has any."""
    write_table(repeat(read_molecules(data / "molecules.parquet"), n), folder / "molecules.parquet", MOLECULES)
    geometry = read_table(data / "geometry.parquet", GEOMETRY)
    write_table(repeat(geometry, n) if geometry.num_rows else geometry, folder / "geometry.parquet", GEOMETRY)


def measure(step: str, folder: Path) -> tuple[float, float, float]:
    """Seconds of a step, and peak memory of this process and of its largest child, MiB."""
    start = time.perf_counter()
    if step == "kde":
        table = read_molecules(folder / "molecules.parquet")
        gaussian_kde(table[table.column_names[2]].drop_null().to_numpy())
    else:
        extra = {"geometry": folder / "geometry.parquet"} if step == "conformers" else {}
        compute_feature(step, folder / "molecules.parquet", folder / "out.parquet", os.cpu_count(), **extra)
    seconds = time.perf_counter() - start
    workers = psutil.Process().children()
    peaks = [peak_of(worker.pid) for worker in workers]
    for worker in workers:  # or they would idle, and this process wait for them, for five minutes
        worker.kill()
    return seconds, peak_of(os.getpid()), max(peaks, default=0.0)


def peak_of(process: int) -> float:
    """Peak memory of a living process, MiB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def apart(function, *arguments):
    """Call a function in a fresh process, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    """Run every step at every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a dataset's folder below results/data")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 20_000, 40_000, 80_000])
    parser.add_argument("--steps", nargs="+", default=STEPS, metavar="STEP", help=f"of {', '.join(STEPS)}")
    arguments = parser.parse_args()
    for n in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            apart(write_repeated, arguments.data, n, Path(folder))
            for step in arguments.steps:
                seconds, own, child = apart(measure, step, Path(folder))
                print(
                    f"{n:9,d}  {step:15s} {seconds:8.1f} s  {n / seconds:10.0f} molecules/s  "
                    f"{own:6.0f} + {child:.0f} MiB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
