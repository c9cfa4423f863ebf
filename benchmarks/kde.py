"""Fast one-dimensional KDE against scikit-learn's, on QM9-like or real property columns.

    python benchmarks/kde.py                                     # columns made here
    python benchmarks/kde.py results/data/qm9/molecules.parquet  # the columns of a molecules table
    python benchmarks/kde.py results/data/qm9/molecules.parquet --columns r2 --ood 10000   # and the sets of molecules

Both densities are computed from all values. scikit-learn's cost grows in proportion to the number of queries, so it
is timed on every k-th value and multiplied by k; ours is timed on all of them. The largest relative difference between
the two on those values is printed beside. With ``--ood`` scikit-learn scores every distinct value, which takes
minutes where there are many, and the molecules of lowest density under both are compared; its seconds are scaled up
from the distinct values.
"""

import argparse
import time

import numpy as np
import pyarrow.parquet as pq

from boomlib.splits.kde import count_ties, gaussian_kde, lowest


def made_columns(n: int) -> dict[str, np.ndarray]:
    """Columns like QM9's: few distinct values under a wide kernel, many under a narrow one, and in between."""
    rng = np.random.default_rng(0)
    return {
        "wide kernel, 4 decimals (like homo)": rng.normal(-0.24, 0.022, n).round(4),
        "wide kernel, 6 decimals (like zpve)": rng.normal(0.149, 0.033, n).round(6),
        "middling kernel (like mu)": np.abs(rng.normal(2.7, 1.5, n)).round(4),
        "narrow kernel (like r2)": rng.gamma(18, 66, n).round(4),
    }


def compare_ood(ours: np.ndarray, theirs: np.ndarray, size: int) -> str:
    """How the OOD folds of two densities differ, and whether ties at the threshold explain it."""
    mine, reference = lowest(ours, size), lowest(theirs, size)
    differing = mine != reference
    tied = np.isclose(ours, ours[mine].max(), rtol=1e-9, atol=0)
    return (
        f"OOD of {size}: {(mine & reference).sum()} molecules in both, {differing.sum()} in one alone, "
        f"{(differing & ~tied).sum()} of these not tied at the threshold; ties cut by the threshold: "
        f"ours {count_ties(ours, size)[0]}, scikit-learn {count_ties(theirs, size)[0]}"
    )


def main() -> None:
    """Print a line a column and the ratio of the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("molecules", nargs="?", help="a molecules table (Parquet); default: columns made here")
    parser.add_argument("--columns", nargs="*", help="its columns; default: all of numbers but molecule_id")
    parser.add_argument("--n", type=int, default=130_000, help="values a made column has")
    parser.add_argument("--queries", type=int, default=1000, help="values that scikit-learn is timed on")
    parser.add_argument("--ood", type=int, help="score every distinct value and compare the OOD folds of this size")
    arguments = parser.parse_args()
    if arguments.molecules:
        table = pq.read_table(arguments.molecules).drop_columns(["smiles"])
        names = arguments.columns or [name for name in table.column_names if name != "molecule_id"]
        columns = {name: table[name].drop_null().to_numpy() for name in names}
    else:
        columns = made_columns(arguments.n)

    from sklearn.neighbors import KernelDensity

    total_ours = total_theirs = 0.0
    for name, values in columns.items():
        start = time.perf_counter()
        ours = gaussian_kde(values)
        seconds = time.perf_counter() - start
        if arguments.ood:
            # equal values have equal densities, whatever is asked for beside them
            _, chosen, inverse = np.unique(values, return_index=True, return_inverse=True)
        else:
            chosen = np.arange(0, len(values), max(1, len(values) // arguments.queries))
        start = time.perf_counter()
        theirs = KernelDensity(kernel="gaussian", bandwidth="scott").fit(values[:, None])
        fitted = time.perf_counter() - start
        start = time.perf_counter()
        log_density = theirs.score_samples(values[chosen, None])
        reference = fitted + (time.perf_counter() - start) * len(values) / len(log_density)
        difference = np.abs(ours[chosen] / np.exp(log_density) - 1).max()
        total_ours, total_theirs = total_ours + seconds, total_theirs + reference
        print(
            f"{name:40s} n={len(values):7d}  ours {seconds:7.2f} s  scikit-learn {reference:8.1f} s  "
            f"ratio {reference / seconds:8.1f}  largest relative difference {difference:.1e}"
        )
        if arguments.ood:
            print(f"{'':40s} {compare_ood(ours, np.exp(log_density)[inverse], arguments.ood)}")
    print(f"together: {total_theirs / total_ours:.1f} times as fast")


if __name__ == "__main__":
    main()
