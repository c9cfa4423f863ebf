"""Take random molecules out of a folder of results, as input for training_speed.py, memory.py and gpu.py.

    python benchmarks/sampling.py /tmp/data --tasks csd10k/hof/kde qm9_sample/hof/kde --molecules 1000

Each task gets a folder, such as /tmp/data/csd10k-hof-kde, with its task table and the feature tables that networks
read, cut to the same molecules. Where the results lack some, it names what Snakemake has to make; your own dataset
needs its `--configfile` behind that.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from networks import list_features

from boomlib.contracts import FEATURE, TASK, read_table, write_table


def write_sample(results: Path, task: str, molecules: int, folder: Path) -> None:
    """Write the tables of random molecules of a task.

    Args:
        results: folder of results.
        task: dataset/property/scheme.
        molecules: how many; all, if there are fewer.
        folder: where the tables go.
    """
    dataset, *_ = task.split("/")
    table = read_table(results / f"tasks/{task}.parquet", TASK)
    rows = np.random.default_rng(0).permutation(table.num_rows)[:molecules]
    table = table.take(pa.array(np.sort(rows)))
    features = {name: results / f"features/{dataset}/{name}.parquet" for name in list_features()}
    if missing := [str(path) for path in features.values() if not path.exists()]:
        raise SystemExit(f"what networks read is missing; run: snakemake --cores 2 {' '.join(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    write_table(table, folder / "task.parquet", TASK)
    for name, path in features.items():
        feature = read_table(path, FEATURE)
        chosen = feature.filter(pc.is_in(feature["molecule_id"], table["molecule_id"].combine_chunks()))
        write_table(chosen, folder / f"{name}.parquet", FEATURE)


def main() -> None:
    """Write the tables of each task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the tasks' folders go")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of results")
    parser.add_argument("--tasks", nargs="+", required=True, metavar="TASK", help="dataset/property/scheme")
    parser.add_argument("--molecules", type=int, default=1000, help="of each task")
    arguments = parser.parse_args()
    for task in arguments.tasks:
        folder = arguments.folder / task.replace("/", "-")
        write_sample(arguments.results, task, arguments.molecules, folder)
        print(folder)


if __name__ == "__main__":
    main()
