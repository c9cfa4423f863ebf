"""Is anything lost, or done twice, when a run is killed again and again? SIGKILL at random moments of the default run.

    python benchmarks/kills.py /tmp/kills                  # the default configuration, 20 kills
    python benchmarks/kills.py /tmp/kills --kills 5 --seed 1 -- --configfile config/csd10k.yaml

Two clones of this checkout (what is committed), in the given folder, run the same command. One is left alone; in the
other, at random moments, Snakemake alone, a job that trains, or a process that computes a feature (job or worker) is
killed, and the command is given again as soon as Snakemake has ended. After the last kill the command must end well,
once, and the results must equal those of the clone that was left alone; a training whose outputs were all there must
not have run again.
"""

import argparse
import csv
import hashlib
import io
import json
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = {"Snakemake": "snakemake", "training": "train_predict.py", "feature": "featurize.py"}
# what is killed, and within how many seconds: while features are made, for a part of all kills, and then
EARLY, LATER, PART = (("Snakemake", "feature"), 4.0), (("Snakemake", "training"), 25.0), 0.4
PATIENCE = 10.0  # seconds to wait for a process of the kind that is to be killed
# what differs between two runs that were left alone
OWN = {"seconds", "peak_memory_mib", "resumed", "host"}


class Checkout:
    """A clone of this checkout, and the same command in it."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.folder = folder
        if not folder.exists():
            subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        self.command = [sys.executable, "-m", "snakemake", "--cores", "2", "results/leaderboard.md", *arguments]

    def start(self) -> psutil.Popen:
        """Start Snakemake; what it says is appended to ``run.log``."""
        with (self.folder / "run.log").open("a") as log:
            return psutil.Popen(self.command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)

    def trained(self) -> set[str]:
        """Trainings whose outputs are all there."""
        root = self.folder / "results/predictions"
        return {
            str(path.relative_to(root).with_suffix(""))
            for path in root.glob("*/*/*/*/seed*.parquet")
            if path.with_suffix("").joinpath("run.json").exists()
        }

    def results(self) -> dict[str, str]:
        """The hash of what counts of each result by its path; hidden files included."""
        root = self.folder / "results"
        return {str(path.relative_to(root)): content(path) for path in root.rglob("*") if path.is_file()}


def content(path: Path) -> str:
    """The hash of a file, without what a run says of its own time, memory and machine."""
    data = path.read_bytes()
    if path.name == "run.json":
        record = {name: value for name, value in json.loads(data).items() if name not in OWN}
        data = json.dumps(record).encode()
    if path.name == "runs.csv":
        rows = csv.DictReader(io.StringIO(data.decode()))
        data = json.dumps([{name: row[name] for name in row if name not in OWN} for row in rows]).encode()
    return hashlib.sha256(data).hexdigest()


def victims(snakemake: psutil.Popen, kind: str) -> list[psutil.Process]:
    """Living processes of a run that are of a kind."""
    found = []
    for process in [snakemake] if kind == "Snakemake" else snakemake.children(recursive=True):
        try:
            if SCRIPTS[kind] in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:  # it has just ended
            continue
    return found


def kill_some(process: psutil.Popen, kills: int, done: list[str], moments: random.Random) -> None:
    """Kill something of a run at random moments, until Snakemake has ended; ``done`` gets what was killed."""
    while process.poll() is None and len(done) < kills:
        kinds, longest = EARLY if len(done) < PART * kills else LATER
        kind = moments.choice(kinds)
        time.sleep(moments.uniform(0, longest))
        end, found = time.monotonic() + PATIENCE, []
        while process.poll() is None and not found and time.monotonic() < end:
            time.sleep(0.1)
            found = victims(process, kind)
        if found:
            victim = moments.choice(found)
            print(f"{time.strftime('%T')} kill: {kind}, process {victim.pid}", flush=True)
            victim.kill()
            done.append(kind)


def main() -> int:
    """Run both, print figures; 1 if something is lost or was done twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the two clones go; results that they have stay")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("arguments", nargs="*", help="of Snakemake")
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)

    alone, killed = (Checkout(arguments.folder / name, arguments.arguments) for name in ("alone", "killed"))
    start = time.monotonic()
    if alone.start().wait():
        sys.exit(f"the command fails by itself; see {alone.folder / 'run.log'}")
    seconds_alone = time.monotonic() - start

    start, done, again, commands = time.monotonic(), [], [], 0
    while True:
        finished, began = killed.trained(), time.time()
        process = killed.start()
        commands += 1
        left = arguments.kills - len(done)
        kill_some(process, arguments.kills, done, moments)
        status = process.wait()
        again += [run for run in finished if (killed.folder / f"logs/train/{run}.log").stat().st_mtime > began]
        print(f"command {commands}: status {status}, {len(killed.trained())} trainings done", flush=True)
        if not left or not status:
            break
    results, expected = killed.results(), alone.results()
    different = sorted(path for path in results.keys() | expected.keys() if results.get(path) != expected.get(path))
    by_kind = ", ".join(f"{kind} {number}" for kind, number in sorted(Counter(done).items()))
    print(f"kills: {len(done)} ({by_kind})")
    print(f"commands: {commands}, the last with status {status}")
    print(f"time: {time.monotonic() - start:.0f} s; alone {seconds_alone:.0f} s")
    print(f"finished trainings that ran again: {len(again)} of {len(killed.trained())}", *again)
    print(f"results that differ: {len(different)} of {len(expected)}", *different)
    return 1 if status or again or different or len(done) < arguments.kills else 0


if __name__ == "__main__":
    sys.exit(main())
