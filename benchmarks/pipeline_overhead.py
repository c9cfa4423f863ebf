"""What the benchmark costs on top of a model: our training job against the model's own command line, by hand.

    snakemake --cores 2 results/tasks/csd10k/hof/kde.parquet results/features/csd10k/{elements,conformers}.parquet
    python benchmarks/pipeline_overhead.py --model chemprop_small --molecules 2000

Each round runs both, in turns, in fresh interpreters: ``train_and_predict`` on the task table, and the commands that a
user would type for the same model, settings and molecules, whose input files are written beforehand. Both train, keep
the best epoch on valid, and predict valid, id and ood.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent.parent))
from boomlib import registry
from boomlib.contracts import FEATURE, PREDICTED_FOLDS, TASK, read_table, write_table
from boomlib.harness.interface import Model, Molecules, model_class
from boomlib.harness.job import read_task

ROOT = Path(__file__).resolve().parent.parent
JOB = """
import json, sys
from boomlib.harness.job import train_and_predict
train_and_predict(**json.loads(sys.argv[1]))
"""


def chemprop(model: Model, train: Molecules, valid: Molecules, asked: Molecules, folder: Path) -> list[list[str]]:
    """``chemprop train`` and ``chemprop predict``."""
    from boomlib.harness.training import choose_accelerator

    model.write_data(train, valid, folder / "train.csv")
    pd.DataFrame({"smiles": asked.smiles}).to_csv(folder / "asked.csv", index=False)
    output, program = folder / "output", str(Path(sys.executable).with_name("chemprop"))
    return [
        [program, *model.train_command(folder / "train.csv", output, choose_accelerator())],
        [
            program,
            *model.predict_command(folder / "asked.csv", output / "model_0/best.pt", folder / "predictions.csv"),
        ],
    ]


# family: function that writes a model's input files into a folder and returns its commands
BY_HAND: dict[str, Callable[[Model, Molecules, Molecules, Molecules, Path], list[list[str]]]] = {
    "chemprop": chemprop,
}


def sample(source: Path, schema: object, rows: np.ndarray, target: Path) -> str:
    """Write the molecules ``rows`` of a table, numbered anew from 0; return where."""
    table = read_table(source, schema).sort_by("molecule_id").take(pa.array(rows))
    column = table.column_names.index("molecule_id")
    table = table.set_column(column, "molecule_id", pa.array(np.arange(len(rows))))
    write_table(table, target, schema)
    return str(target)


def measure(commands: list[list[str]]) -> np.ndarray:
    """Wall time and processor time of commands, one after the other, s."""

    def now() -> np.ndarray:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return np.array([time.perf_counter(), used.ru_utime + used.ru_stime])

    start = now()
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return now() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="chemprop_small", help=f"of a family among: {', '.join(BY_HAND)}")
    parser.add_argument("--task", default="csd10k/hof/kde", help="dataset/property/scheme")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder with tasks and features")
    parser.add_argument("--molecules", type=int, default=2000, help="random molecules of the task")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    dataset, name, _ = options.task.split("/")
    kind = registry.load_datasets()[0][dataset]["properties"][name]["kind"]
    descriptor = registry.load_models()[options.model]
    times = {"by hand": [], "training job": []}
    with tempfile.TemporaryDirectory() as scratch:
        source, target = options.results / f"tasks/{options.task}.parquet", Path(scratch, "task.parquet")
        rows = np.random.default_rng(0).permutation(len(read_table(source, TASK)))[: options.molecules]
        task = sample(source, TASK, rows, target)
        features = {
            each: sample(
                options.results / f"features/{dataset}/{each}.parquet", FEATURE, rows, Path(scratch, f"{each}.parquet")
            )
            for each in descriptor["features"]
        }
        molecules, fold = read_task(task, features)
        parts = [molecules.take(rows) for rows in (fold == "train", fold == "valid", np.isin(fold, PREDICTED_FOLDS))]
        print(f"{options.model}, {options.task}, molecules to train, valid and predict:", *map(len, parts))
        for each in range(options.rounds):
            folder = Path(scratch, f"round{each}")
            folder.mkdir()
            model = model_class(descriptor["class"])(kind=kind, seed=each, **descriptor["parameters"])
            by_hand = BY_HAND[descriptor["family"]](model, *parts, folder)
            job = {
                "task": task,
                "features": features,
                "predictions": str(folder / "predictions.parquet"),
                "run": str(folder / "run/run.json"),
                "model": {key: descriptor[key] for key in ("class", "parameters")},
                "kind": kind,
                "name": name,
                "seed": each,
            }
            turns = [("by hand", by_hand), ("training job", [[sys.executable, "-c", JOB, json.dumps(job)]])]
            for label, commands in turns if each % 2 == 0 else turns[::-1]:
                times[label].append(measure(commands))
                wall, used = times[label][-1]
                print(f"round {each + 1}, {label}: {wall:.1f} s, {used:.1f} s of processor", flush=True)
    hand, ours = (np.median(measured, axis=0) for measured in times.values())
    for label, theirs, mine in zip(("wall", "processor"), hand, ours, strict=True):
        overhead = 100 * (mine / theirs - 1)
        print(f"median {label} time: by hand {theirs:.1f} s, training job {mine:.1f} s, overhead {overhead:+.1f} %")


if __name__ == "__main__":
    main()
