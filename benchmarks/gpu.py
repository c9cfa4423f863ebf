"""Do networks train and predict on a GPU as they do on a CPU, and how fast? One short run, ten minutes at most.

    python benchmarks/sampling.py data --tasks csd10k/hof/kde qm9_characterised/hof/kde --molecules 2000  # beforehand
    python benchmarks/gpu.py data/* --out gpu
    python benchmarks/gpu.py data/* --out gpu --cpu                      # tries the script itself, about a minute

For each network, trained for three epochs on a few molecules of the first folder: the largest relative difference of
predictions on the GPU and on the CPU by the same weights, and of the RMSE on valid after each epoch between a training
in one go and one that was stopped in its second epoch and went on. For each folder, on as many molecules as make
--steps steps: molecules a second of training (neither validation nor predictions of each epoch) and of prediction; the
share of 20 steps in which the GPU works and how often one waits for it, by torch.profiler; its peak memory. Last one
task runs through Snakemake with profiles/workstation.

Writes gpu.md and gpu.json into --out after each network. A measurement that takes longer than --limit is stopped,
and nothing starts that --total leaves no time for.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from gpu_workflow import run_workflow
from networks import add_choice, choose, largest_difference, load_networks
from worker import Worker, WorkerError

from boomlib.files import write_json, write_text
from boomlib.provenance import commit_id
from boomlib.report.numbers import format_number, format_percent
from boomlib.report.tables.markdown import format_table

CPU_TOLERANCE = 1e-4
RESUME_TOLERANCE = 1e-3  # the same bytes where a GPU adds up in a fixed order, which not all of its operations can
WORKFLOW = 120  # seconds that are left to Snakemake
# steps of an epoch, molecules of the checks, default sizes of the networks
EXTENT = {"gpu": (20, 128, ("small", "full")), "cpu": (2, 16, ("small",))}


class Examination:
    """Asks networks, each question under a limit of time.

    Args:
        folders: data.
        steps: of an epoch that is timed.
        molecules: of each part that a network is checked on.
        limit: seconds a question.
        end: when the last must be answered, by the monotonic clock.
        cpu: whether there is to be no GPU.
    """

    def __init__(self, folders: list[Path], steps: int, molecules: int, limit: float, end: float, cpu: bool) -> None:
        self.folders, self.steps, self.molecules = folders, steps, molecules
        self.limit, self.end = limit, end
        self.cpu = Worker("gpu_measures", {"CUDA_VISIBLE_DEVICES": ""})
        self.gpu = self.cpu if cpu else Worker("gpu_measures", {})

    def ask(self, worker: Worker, question: str, *arguments: object) -> object:
        """The answer of a worker to a function of gpu_measures.py, in the time that is left."""
        left = min(self.limit, self.end - time.monotonic())
        if left <= 0:
            raise WorkerError("no time was left")
        return worker.call(left, question, *arguments)

    def check(self, name: str, folder: Path) -> dict:
        """How far a network is from the CPU's and from one that was not interrupted."""
        data = self.folders[0]
        found = self.ask(self.gpu, "check", name, data, folder, self.molecules)
        on_cpu = self.ask(self.cpu, "predict", name, data, folder, self.molecules)
        return {
            "device": found["device"],
            "versions": found["versions"],
            "from_cpu": largest_difference(found["predictions"], on_cpu),
            "from_whole": largest_difference(found["resumed"], found["whole"]),
            "epochs": len(found["resumed"]),
        }

    def examine(self, name: str) -> dict:
        """All that is asked about a network, and why some of it has no answer."""
        row = {"speed": {}, "failed": {}}
        with tempfile.TemporaryDirectory() as folder:
            try:
                row["check"] = self.check(name, Path(folder))
            except WorkerError as error:
                row["failed"]["checks"] = str(error)
            for data in self.folders:
                try:
                    row["speed"][data.name] = self.ask(self.gpu, "measure", name, data, Path(folder), self.steps)
                except WorkerError as error:
                    row["failed"][data.name] = str(error)
        return row

    def stop(self) -> None:
        """End the workers, and so free the GPU."""
        self.gpu.stop()
        self.cpu.stop()


def format_difference(value: float, tolerance: float) -> str:
    """A relative difference, and whether it is too large."""
    return f"{value:.0e}" if value <= tolerance else f"{value:.0e}, too large"


def write_checks(models: dict) -> str:
    """The table of differences."""
    header = ["Model", "Trained on", "Predictions, GPU and CPU", "RMSE on valid, interrupted or not"]
    rows = [
        [
            load_networks()[name]["label"],
            row["check"]["device"],
            format_difference(row["check"]["from_cpu"], CPU_TOLERANCE),
            format_difference(row["check"]["from_whole"], RESUME_TOLERANCE),
        ]
        for name, row in models.items()
        if "check" in row
    ]
    return format_table(header, rows, text_columns=2) if rows else ""


def write_speed(models: dict) -> str:
    """The table of speed."""
    speeds = ["Training, mol/s", "Prediction, mol/s"]
    header = ["Model", "Data", "Molecules", *speeds, "GPU works", "Waits a step", "Peak GPU MiB"]
    rows = [
        [
            load_networks()[name]["label"],
            data,
            str(found["molecules"]),
            *(format_number(found[kind]) for kind in ("training", "prediction")),
            format_percent(found["gpu_share"]),
            format_number(found["waits"]),
            format_number(found["gpu_memory"]),
        ]
        for name, row in models.items()
        for data, found in row["speed"].items()
    ]
    return format_table(header, rows, text_columns=2) if rows else ""


def write_report(record: dict, out: Path) -> None:
    """Write what there is so far, as JSON and as Markdown."""
    models, workflow = record["models"], record.get("workflow", {})
    parts = [
        f"Commit {record['commit']}, {record['device']}; {record['steps']} steps an epoch, checks on "
        f"{record['molecules']} molecules. Largest relative differences: from the CPU up to {CPU_TOLERANCE:.0e} is "
        f"right, from a training without an interruption up to {RESUME_TOLERANCE:.0e}.",
        write_checks(models),
        write_speed(models),
    ]
    if "seconds" in workflow:
        runs = [f"{name} in {run['seconds']:.0f} s on {run['device']}" for name, run in workflow["runs"].items()]
        parts.append(f"Through Snakemake in {workflow['seconds']:.0f} s: {', '.join(runs)}.")
    failed = [(name, *reason) for name, row in models.items() for reason in row["failed"].items()]
    failed += [("Snakemake", "failed", workflow["failed"])] if "failed" in workflow else []
    parts.append("\n".join(f"- {name}, {what}: {reason}" for name, what, reason in failed))
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "gpu.md", "\n\n".join(filter(None, parts)) + "\n")
    write_json(out / "gpu.json", record)


def main() -> None:
    """Examine the networks in turn, then run the workflow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="a folder that sampling.py has made")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    add_choice(parser)
    parser.add_argument("--cpu", action="store_true", help="use no GPU, and little of everything")
    parser.add_argument("--steps", type=int, help="of an epoch that is timed (20, or 2)")
    parser.add_argument("--molecules", type=int, help="of each fold, for the checks (128, or 16)")
    parser.add_argument("--limit", type=float, default=60, metavar="SECONDS", help="of one measurement")
    parser.add_argument("--total", type=float, default=600, metavar="SECONDS", help="of everything")
    parser.add_argument("--no-snakemake", action="store_true", help="leave out the last part")
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.total
    steps, molecules, sizes = EXTENT["cpu" if arguments.cpu else "gpu"]
    steps, molecules = arguments.steps or steps, arguments.molecules or molecules
    last = end if arguments.no_snakemake else end - WORKFLOW
    folders = [data.resolve() for data in arguments.data]
    examination = Examination(folders, steps, molecules, arguments.limit, last, arguments.cpu)
    described = examination.ask(examination.gpu, "describe")
    if not (described.pop("gpu") or arguments.cpu):
        parser.error("no GPU is visible; --cpu goes without")
    record = {"commit": commit_id(), **described, "steps": steps, "molecules": molecules, "models": {}}
    for name in choose(arguments, sizes):
        print(f"{name}, {end - time.monotonic():.0f} s are left", file=sys.stderr)
        record["models"][name] = examination.examine(name)
        write_report(record, arguments.out)
    examination.stop()
    if not arguments.no_snakemake:
        record["workflow"] = run_workflow(folders[0], arguments.out.resolve() / "workflow", end - time.monotonic())
        write_report(record, arguments.out)
    print((arguments.out / "gpu.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
