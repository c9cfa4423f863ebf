"""Write the small files of this version that later versions must still read: python tests/write_files.py

Into tests/files/{version}/: the tables of two dozen molecules, and of a model of each family what a training job
leaves: its record, predictions and kept model (seed3/), its scores, and the state of a training that was stopped after
two epochs (state/). Those of a version that is out are not written again.
"""

import contextlib
import shutil
from pathlib import Path

import pyarrow as pa
from threadpoolctl import threadpool_limits
from tiny import PROPERTY, TrainingJob, small_descriptor, write_benchmark

from boomlib import contracts
from boomlib.evaluation.score import score_run
from boomlib.files import read_json, write_json
from boomlib.harness.interface import STATE
from boomlib.harness.training import History
from boomlib.version import VERSION

FILES = Path(__file__).parent / "files"
KEPT = (
    "train_mean",
    "ridge",
    "random_forest",
    "mlp",
    "egnn_small",
    "chemprop_small",
    "mace_small",
    "equivariant_transformer_small",
    "chemberta_small",
    "nlmtp_small",
)
EPOCHS = 2  # after which the trainings are stopped


@contextlib.contextmanager
def stopped_after(epochs: int):
    """Trainings end with an InterruptedError when as many epochs are done."""
    finish = History.on_train_epoch_end

    def stop(self, trainer, module):
        if trainer.current_epoch == epochs:
            raise InterruptedError
        finish(self, trainer, module)

    History.on_train_epoch_end = stop
    try:
        with contextlib.suppress(InterruptedError):
            yield
    finally:
        History.on_train_epoch_end = finish


def write_model(name: str, benchmark: Path, folder: Path) -> None:
    """Write what the jobs of one model leave."""
    folder.mkdir()
    job = TrainingJob(small_descriptor(name), benchmark, folder)
    job()
    record = job.folder / "run.json"
    write_json(record, read_json(record) | {"host": "a machine"})
    run = {"dataset": "tiny", "property": PROPERTY, "scheme": "kde", "model": name, "seed": 3}
    tables = benchmark / "molecules.parquet", benchmark / "split.parquet", job.predictions
    scores = folder / "metrics.json", folder / "resamples.parquet"
    score_run(*tables, *scores, property_name=PROPERTY, run=run, unit="kcal/mol", resamples=20)
    stopped = folder / "stopped"
    with stopped_after(EPOCHS):
        job(predictions=stopped / "seed3.parquet", run=stopped / "run.json")
    if (stopped / STATE).is_dir():
        (stopped / STATE).rename(folder / STATE)
    shutil.rmtree(stopped)


def main() -> None:
    """Write the files of this version."""
    folder = FILES / VERSION
    folder.mkdir()
    descriptors = [small_descriptor(name) for name in KEPT]
    write_benchmark(folder, sorted({feature for each in descriptors for feature in each["features"]}))
    task = contracts.read_table(folder / "task.parquet")
    density = pa.array([1.0] * task.num_rows)
    split = pa.table({"molecule_id": task["molecule_id"], "fold": task["fold"], "density": density})
    contracts.write_table(split, folder / "split.parquet", contracts.SPLIT)
    with threadpool_limits(1):
        for name in KEPT:
            write_model(name, folder, folder / name)


if __name__ == "__main__":
    main()
