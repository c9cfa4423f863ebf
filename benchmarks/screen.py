"""How long does a screen take, how much memory, and are its bytes the same when it is killed on the way?

    python benchmarks/screen.py /tmp/screen                      # ridge on csd10k/hof; 10,000 and 100,000 molecules
    python benchmarks/screen.py /tmp/screen --smiles mine.smi --large 1000000 --cores 4

In a clone of this checkout (what is committed), in the given folder, a ridge regression is trained and kept. It
screens a smaller and a larger file: molecules of the dataset with small edits, or the first ones of a file of SMILES.
The larger one is screened a second time, by a job that is killed (SIGKILL) on the way, and started again each time;
what it writes must be the same bytes. Time and the peak of resident memory are those of the job alone, as Snakemake
measures them.
"""

import argparse
import csv
import hashlib
import itertools
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import yaml
from rdkit import Chem, RDLogger

from boomlib.report.tables.markdown import format_table

ROOT = Path(__file__).resolve().parent.parent
JOB = ".screen.py"  # as Snakemake names its copy of workflow_scripts/screen.py
WRITTEN = ("{}.parquet", "{}.csv", "{}/rejects.csv", "{}/summary.json")
BROKEN = 1000  # of so many molecules one is no SMILES, as in files of people
EDITS = (("C", "N"), ("C", "O"), ("C", "CC"), ("N", "C"), ("O", "S"), ("C", "C(F)"), ("C", "C(C)"), ("H", "Cl"))
AHEAD = 4.0  # seconds that a job works before it is killed, at least


class Checkout:
    """A clone of this checkout, with a configuration that has three screens."""

    def __init__(self, folder: Path, task: str, model: str, cores: int) -> None:
        self.folder, self.task = folder, task
        if not folder.exists():
            subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        files = {"small": "small.smi", "large": "large.smi", "killed": "large.smi"}
        screens = {name: {"file": file} for name, file in files.items()}
        config = {"tasks": [task], "models": [model], "screens": screens}
        (folder / "screens.yaml").write_text(yaml.safe_dump(config))
        self.command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", "screens.yaml", "--"]

    def start(self, target: str) -> psutil.Popen:
        """Start Snakemake; what it says is appended to ``run.log``."""
        with (self.folder / "run.log").open("a") as log:
            return psutil.Popen([*self.command, target], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)

    def make(self, target: str) -> None:
        """Make a file."""
        if self.start(target).wait():
            sys.exit(f"{target} cannot be made; see {self.folder / 'run.log'}")

    def hashes(self, screen: str) -> list[str]:
        """The hash of each file that a screen has written."""
        paths = (self.folder / "results/screens" / each.format(screen) for each in WRITTEN)
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]

    def measured(self, screen: str) -> tuple[float, float]:
        """Seconds and peak memory, MiB, of the last job of a screen."""
        with (self.folder / f"logs/screen/{screen}.tsv").open() as stream:
            row = next(csv.DictReader(stream, delimiter="\t"))
        return float(row["s"]), float(row["max_rss"])


def edit(smiles: list[str], chosen: random.Random) -> Iterator[str]:
    """Distinct molecules without end: some with an atom or two changed, now and then what is no SMILES."""
    RDLogger.DisableLog("rdApp.*")
    seen = set()
    for number in itertools.count(1):
        text = chosen.choice(smiles)
        for _ in range(chosen.randint(1, 3)):
            old, new = chosen.choice(EDITS)
            places = [at for at in range(len(text)) if text.startswith(old, at)]
            if places:
                at = chosen.choice(places)
                text = text[:at] + new + text[at + len(old) :]
        if number % BROKEN == 0:
            yield f"{text}("
        elif text not in seen and Chem.MolFromSmiles(text) is not None:
            seen.add(text)
            yield text


def find_job(process: psutil.Popen) -> psutil.Process | None:
    """The job of the screen that a running Snakemake has started."""
    for child in process.children(recursive=True):
        try:
            if JOB in " ".join(child.cmdline()):
                return child
        except psutil.NoSuchProcess:  # it has just ended
            continue
    return None


def kill(checkout: Checkout, seconds: float) -> bool:
    """Start the screen and kill its job after some seconds; whether it was still at work."""
    process, job = checkout.start("results/screens/killed.csv"), None
    while job is None and process.poll() is None:
        time.sleep(0.1)
        job = find_job(process)
    time.sleep(seconds)
    if job is not None and job.is_running():
        job.kill()
    return process.wait() != 0


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines of text."""
    path.write_text("".join(f"{line}\n" for line in lines))


def main() -> int:
    """Screen, print figures; 1 if bytes differ or a kill came too late."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the clone goes; results that it has stay")
    parser.add_argument("--smiles", type=Path, help="a file with a SMILES a line; else edits of the dataset's")
    parser.add_argument("--task", default="csd10k/hof")
    parser.add_argument("--model", default="ridge")
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the edits and of the moments")
    arguments = parser.parse_args()
    chosen = random.Random(arguments.seed)

    checkout = Checkout(arguments.folder, arguments.task, arguments.model, arguments.cores)
    if arguments.smiles:
        smiles = iter(arguments.smiles.read_text().split("\n"))
    else:
        table = f"results/data/{arguments.task.partition('/')[0]}/molecules.parquet"
        checkout.make(table)
        smiles = edit(pq.read_table(checkout.folder / table)["smiles"].to_pylist(), chosen)
    lines = list(itertools.islice(smiles, arguments.large))
    write_lines(checkout.folder / "large.smi", lines)
    write_lines(checkout.folder / "small.smi", lines[: arguments.small])

    for screen in ("small", "large"):
        checkout.make(f"results/screens/{screen}.csv")
    sizes = {"small": arguments.small, "large": arguments.large}
    figures = {screen: checkout.measured(screen) for screen in sizes}
    rows = [[f"{sizes[name]:,}", f"{seconds:.0f}", f"{peak:.0f}"] for name, (seconds, peak) in figures.items()]
    print(format_table(("Molecules", "Seconds", "Peak memory (MiB)"), rows))
    print(f"memory: {figures['large'][1] / figures['small'][1] - 1:+.1%} from the smaller file to the larger one")

    longest = max(AHEAD, figures["large"][0] / (arguments.kills + 1))
    hits = [kill(checkout, chosen.uniform(AHEAD, longest)) for _ in range(arguments.kills)]
    checkout.make("results/screens/killed.csv")
    same = checkout.hashes("killed") == checkout.hashes("large")
    print(f"killed on the way: {sum(hits)} of {len(hits)} times; the same bytes: {'yes' if same else 'no'}")
    return 0 if same and all(hits) else 1


if __name__ == "__main__":
    sys.exit(main())
