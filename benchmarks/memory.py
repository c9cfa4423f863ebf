"""How much memory do networks need for all molecules of a dataset? The peak of a process that trains and predicts.

    python benchmarks/sampling.py /tmp/data --tasks qm9_characterised/hof/kde --molecules 200000
    python benchmarks/memory.py /tmp/data/qm9_characterised-hof-kde --size small

Each network reads all molecules with labels, takes the first steps of its first epoch, then predicts all the others,
in double precision, and tells its policy if it has one. On the CPU, each in a process of its own.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from networks import LEAST_EPOCHS, add_choice, choose, load_networks, make_model
from training_clock import peak_memory, stopped_after
from worker import Worker, WorkerError

from boomlib.contracts import PREDICTED_FOLDS
from boomlib.harness.job import read_task
from boomlib.harness.training import freeze
from boomlib.report.tables.markdown import format_table


def measure_peak(name: str, data: Path, steps: int) -> tuple[int, float]:
    """Molecules, and the peak of this process's memory, MiB: a network trained, predicted and told its policy."""
    descriptor = load_networks()[name]
    features = {feature: data / f"{feature}.parquet" for feature in descriptor["features"]}
    molecules, fold = read_task(data / "task.parquet", features)  # as a job does, which keeps all of them
    model = make_model(name, LEAST_EPOCHS)
    model.unlabelled = molecules.take(np.isin(fold, PREDICTED_FOLDS))
    with tempfile.TemporaryDirectory() as folder, stopped_after(steps=steps):
        model.fit(molecules.take(fold == "train"), molecules.take(fold == "valid"), Path(folder))
    freeze(model.network)  # as at the end of a training
    model.predict(model.unlabelled)
    if descriptor["answers_policy"]:
        model.policy(molecules)
    return len(molecules), peak_memory()


def main() -> None:
    """Measure each network, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a task's folder that sampling.py has made")
    add_choice(parser)
    parser.add_argument("--steps", type=int, default=20, help="of training (20)")
    parser.add_argument("--limit", type=float, default=1800, metavar="SECONDS", help="of one network")
    arguments = parser.parse_args()
    rows, failed = [], False
    for name in choose(arguments, ["small"]):
        worker = Worker("memory", {"CUDA_VISIBLE_DEVICES": ""})
        try:
            molecules, peak = worker.call(arguments.limit, "measure_peak", name, arguments.data, arguments.steps)
        except WorkerError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        worker.stop()
        print(f"{name}: {peak:.0f} MiB", file=sys.stderr)
        rows.append([load_networks()[name]["label"], f"{molecules:,}", f"{peak:,.0f}"])
    if rows:
        print(format_table(["Model", "Molecules", "Peak, MiB"], rows, text_columns=1))
    sys.exit(failed)


if __name__ == "__main__":
    main()
