"""How fast networks train: the code of this checkout against that of an earlier commit, in turns, on one thread.

    python benchmarks/sampling.py /tmp/data --tasks csd10k/hof/kde qm9_sample/hof/kde --molecules 1000
    python benchmarks/training_speed.py OLD_COMMIT /tmp/data/* --weights --json speed.json

Prints a table of training's molecules a second (batches, forward, backward and step; neither validation nor the
following of molecules without labels), before and after, with their ratio by the clock, the least and the largest of a
round, and that in processor time, for a machine with other work; the share in which batches are made; and the peak
memory of the process. The earlier code runs in a git worktree that is removed at the end, every training in a process
of its own, with the descriptors of its own side. The first epoch of each warms up. GPUs are not used.

With --weights the present code also predicts with what the earlier one has trained, with --rmse both train in full
with so many seeds, and with --profile the operations that take longest now are named.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from networks import LEAST_EPOCHS, add_choice, choose, load_networks

from boomlib.files import read_json, write_json
from boomlib.provenance import ROOT, commit_id, processor_name
from boomlib.report.numbers import format_number, format_percent
from boomlib.report.tables.markdown import format_table

SIDE = Path(__file__).with_name("training_speed_side.py")
OLD, NEW = "before", "after"
ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A worktree of a commit; it is removed at the end."""
    worktree = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder).resolve() / "checkout"
        subprocess.run([*worktree, "add", "--quiet", "--detach", str(checkout), commit], check=True)
        try:
            yield checkout
        finally:
            subprocess.run([*worktree, "remove", "--force", str(checkout)], check=True)


class Pair:
    """A model on the molecules of a folder, with the code of both sides.

    Args:
        sides: checkouts by side.
        model: name of the descriptor.
        data: folder with the tables.
        epochs: of the short trainings.
    """

    def __init__(self, sides: dict[str, Path], model: str, data: Path, epochs: int) -> None:
        self.sides, self.model, self.data, self.short = sides, model, data, ("--epochs", str(epochs))

    def ask(self, side: str, action: str, *options: str, folder: str | None = None) -> dict:
        """The answer of a new process of one side; see training_speed_side.py."""
        print(f"{self.model}, {self.data.name}: {action}, {side}", *options, file=sys.stderr)
        with tempfile.TemporaryDirectory() as own:
            used = folder or own
            command = [sys.executable, str(SIDE), action, self.model, str(self.data), used, *options]
            environment = os.environ | ALONE | {"PYTHONPATH": str(self.sides[side])}
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            answer = read_json(Path(used, f"{action}.json"))
        if answer.pop("checkout") != str(self.sides[side]):
            sys.exit(f"{self.sides[side]}: another checkout's code has run")
        return answer

    def measure(self, rounds: int) -> dict:
        """What each side took, in turns, a list of answers a side."""
        answers = {side: [] for side in self.sides}
        for _ in range(rounds):
            for side, each in answers.items():
                each.append(self.ask(side, "measure", *self.short))
        return answers

    def compare(self) -> float:
        """The largest relative difference of predictions from the same weights."""
        with tempfile.TemporaryDirectory() as folder:
            self.ask(OLD, "keep", *self.short, folder=folder)
            return self.ask(NEW, "compare", folder=folder)["difference"]

    def judge(self, seeds: int) -> dict:
        """RMSE on valid of full trainings, a list of as many as seeds a side."""
        options = [("--seed", str(seed)) for seed in range(seeds)]
        return {side: [self.ask(side, "judge", *each)["rmse"] for each in options] for side in self.sides}

    def profile(self) -> list:
        """Names and shares of the operations that take longest now."""
        return self.ask(NEW, "profile", *self.short)["largest"]


def examine(pair: Pair, arguments: argparse.Namespace) -> dict:
    """All that the command line asks of a model on a folder; a failure is named instead."""
    row = {"model": pair.model, "data": pair.data.name}
    try:
        row["speed"] = pair.measure(arguments.rounds)
        if arguments.weights:
            row["difference"] = pair.compare()
        if arguments.rmse:
            row["rmse"] = pair.judge(arguments.rmse)
        if arguments.profile:
            row["profile"] = pair.profile()
    except subprocess.CalledProcessError as error:
        print(error.stderr, file=sys.stderr)
        row["failed"] = error.stderr.strip().rpartition("\n")[2]
    return row


def find_speed(answers: list[dict], clock: str = "seconds") -> float:
    """Molecules a second, the median over all epochs of all rounds; ``clock``: ``seconds`` or ``processor``."""
    return statistics.median(each["molecules"] / seconds for each in answers for seconds in each[clock])


def speed_cells(speed: dict) -> list[str]:
    """Speeds, ratios, shares of batches and memory of one row; see :func:`write_report`."""
    old, new = (find_speed(speed[side]) for side in (OLD, NEW))
    processor = find_speed(speed[NEW], "processor") / find_speed(speed[OLD], "processor")
    ratios = [find_speed([after]) / find_speed([before]) for before, after in zip(speed[OLD], speed[NEW], strict=True)]
    shares, peaks = [], []
    for answers in (speed[OLD], speed[NEW]):
        making, seconds = (sum(sum(each[key]) for each in answers) for key in ("making", "seconds"))
        shares.append(format_percent(making / seconds))
        peaks.append(f"{max(each['memory'] for each in answers):,.0f}")
    ratio = f"{new / old:.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
    return [format_number(old), format_number(new), ratio, f"{processor:.2f}", *shares, *peaks]


def rmse_cells(rmse: dict) -> list[str]:
    """RMSE on valid of both sides, mean and standard deviation."""
    return [
        format_number(
            statistics.mean(rmse[side]), statistics.stdev(rmse[side]) if len(rmse[side]) > 1 else float("nan")
        )
        for side in (OLD, NEW)
    ]


def write_report(rows: list[dict], arguments: argparse.Namespace) -> str:
    """The table, and below it profiles and failures."""
    header = ["Model", "Molecules", "mol/s before", "after", "Ratio (of rounds)", "in processor time"]
    header += ["Batches before", "after", "MiB before", "after"]
    header += ["Largest relative difference"] if arguments.weights else []
    header += ["RMSE on valid before", "after"] if arguments.rmse else []
    cells, notes = [], []
    for row in rows:
        name = [load_networks()[row["model"]]["label"], row["data"]]
        if "failed" in row:
            notes.append(f"- {', '.join(name)}: failed: `{row['failed']}`")
            continue
        difference = [f"{row['difference']:.1e}"] if arguments.weights else []
        cells.append(
            [*name, *speed_cells(row["speed"]), *difference, *(rmse_cells(row["rmse"]) if arguments.rmse else [])]
        )
        if "profile" in row:
            parts = [f"{name} {format_percent(share)}" for name, share in row["profile"]]
            notes.append(f"- {', '.join(name)}: {', '.join(parts)}")
    table = format_table(header, cells, text_columns=2) if cells else ""
    title = f"{commit_id()} against {arguments.commit}, {processor_name()}, one thread, {arguments.rounds} rounds."
    return "\n\n".join(filter(None, (title, table, "\n".join(notes))))


def main() -> None:
    """Measure and print the table; the figures are also written after each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", metavar="OLD_COMMIT", help="what is compared with, any name that git knows")
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="a folder that sampling.py has made")
    add_choice(parser)
    parser.add_argument("--rounds", type=int, default=3, help="turns of both sides")
    parser.add_argument("--epochs", type=int, default=LEAST_EPOCHS, help="of a training that is measured")
    parser.add_argument("--weights", action="store_true", help="compare predictions from the same weights")
    parser.add_argument("--rmse", type=int, default=0, metavar="SEEDS", help="compare RMSE on valid of full trainings")
    parser.add_argument("--profile", action="store_true", help="name the operations that take longest now")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the worktree is removed then too
    rows = []
    with checked_out(arguments.commit) as checkout:
        sides = {OLD: checkout, NEW: ROOT}
        try:
            for data in arguments.data:
                for model in choose(arguments, ["small"]):
                    rows.append(examine(Pair(sides, model, data.resolve(), arguments.epochs), arguments))
                    if arguments.json:
                        write_json(arguments.json, {"commit": arguments.commit, "rows": rows})
        finally:  # also of what was stopped
            print(write_report(rows, arguments))


if __name__ == "__main__":
    main()
