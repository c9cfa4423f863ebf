"""Does each environment of envs/ hold what its rules need? Rebuilt with pip from its own pins, it runs their jobs.

    python benchmarks/envs.py                           # all environments, one after the other
    python benchmarks/envs.py torch torchmd             # some
    python benchmarks/envs.py --folder /tmp/envs torch  # what is made stays in the folder, and is used the next time

First the Python that runs this, which has all of requirements.lock, runs the workflow on 60 molecules: every rule, and
every registered model in its smallest variant. Then, for each environment, a virtual environment gets exactly the
packages that the file pins, with what these depend on, and each job whose rule has that environment runs again with
it, on the same inputs, the checkout on its path and neither Snakemake nor anything else of the first Python's.
(Snakemake itself puts its own packages at the end of the path of its jobs, and so would hide what an environment
lacks.) Its models are saved, loaded and asked again. Printed is a table; the status is 1 if a package cannot be
installed or a job fails. That a result differs from the first Python's is shown, and no failure.

pip is no conda: what is tried is that the pins exist, go together and suffice, not what conda's solver makes of them.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import yaml
from kills import content
from tabulate import tabulate

from boomlib import registry
from boomlib.processes import SNAKEMAKE
from boomlib.text.start import name_hub_folder
from boomlib.workflow import Plan

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"pytorch": "torch", "pytorch_geometric": "torch-geometric"}  # by pip's names, where they differ
CONDA_ALONE = {"python", "pip"}  # no packages of pip's
HUB = {"hub": "tiny/tiny", "revision": hashlib.sha1(b"tiny").hexdigest()}  # a checkpoint that the mirror alone has
# set by Snakemake to the threads of a job; products of matrices that more threads share round otherwise
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
HEADS, LENGTHS, TAILS = ("O", "N", "F", "c1ccccc1"), (1, 2, 3), ("", "C#N", "C(=O)O", "C(F)(F)F", "OC")


def write_molecules(path: Path) -> None:
    """Write 60 small molecules with a property that grows with them."""
    rows = ["smiles,size"]
    for i, (head, length, tail) in enumerate(product(HEADS, LENGTHS, TAILS)):
        smiles = head + length * "C" + tail
        carbon, others = smiles.upper().count("C"), sum(smiles.count(each) for each in "ONF")
        rows.append(f"{smiles},{-5 * carbon - 20 * others + 7 * i % 11 / 10}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def make_config(source: Path) -> dict:
    """A run of every model in its smallest variant; those that can also start from a checkpoint of either kind."""
    models = registry.load_models()
    smallest = [name for name in models if f"{name}_small" not in models]
    starters = [name for name in smallest if "pretrained" in models[name]["parameters"]]
    starts = {f"{name}_mlm": (name, "mlm") for name in starters} | {f"{starters[0]}_hub": (starters[0], HUB)}
    variants = {
        name: {"of": of, "label": name, "parameters": {"pretrained": start}} for name, (of, start) in starts.items()
    }
    dataset = {
        "reader": "table",
        "label": "Tiny",
        "sources": [source.name],
        "split": {"ood_size": 0.25},  # as many as have the rarest scaffold
        "properties": {"size": {"unit": "kcal/mol", "kind": "extensive"}},
    }
    registered = {"url": "https://localhost/tiny.csv", "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    return {
        "tasks": ["tiny/size"],
        "models": [*smallest, *variants],
        "variants": variants,
        "datasets": {"tiny": dataset},
        "sources": {source.name: registered},
        "mirror": source.parent.name,
        "feature_jobs": 2,
        "keep_models": True,
    }


def run_workflow(folder: Path) -> list[dict]:
    """Run the whole workflow with this Python in a folder; returns its jobs, see benchmarks/envs.smk."""
    mirror = folder / "mirror"
    write_molecules(mirror / "tiny.csv")
    config = make_config(mirror / "tiny.csv")
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--snakefile", ROOT / "benchmarks/envs.smk"]
    command += ["--configfile", folder / "config.yaml", "--directory", folder]

    def make(*targets: str) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run([*command, *targets], cwd=ROOT, env=environment, stdout=sys.stderr, check=False)
        if done.returncode:
            sys.exit("the workflow fails with this Python already; see above")

    # what stands for a checkpoint of the hub is one that the workflow pretrains
    pretrained = next(name for name in config["variants"] if name.endswith("_mlm"))
    weights = Plan(config).get_checkpoint({"scheme": "kde", "model": pretrained})[0]
    make(weights)
    if not (mirror / name_hub_folder(HUB)).exists():  # a commit does not change
        shutil.copytree((folder / weights).parent, mirror / name_hub_folder(HUB))
    targets = ("results/leaderboard.md", "prepare", "results/splits/tiny/size/scaffold.parquet")
    make(*targets, "--forcerun", "leaderboard")  # a Snakemake that has nothing to do would not tell of its jobs
    return json.loads((folder / "jobs.json").read_text(encoding="utf-8"))


def read_pins(path: Path) -> list[str]:
    """What an environment pins, as pip wants it.

    Exits:
        if it is for another Python than this one.
    """
    dependencies = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    python, ours = next(each for each in dependencies if each.startswith("python=")), sys.version_info
    if python != f"python={ours.major}.{ours.minor}":
        sys.exit(f"{path}: {python}, but this is Python {ours.major}.{ours.minor}; run it with the other")
    pins = []
    for each in dependencies:
        if isinstance(each, dict):
            pins += each["pip"]
        elif (name := each.split("=")[0]) not in CONDA_ALONE:
            pins.append(f"{CONDA_NAMES.get(name, name)}=={each.split('=')[1]}")
    return pins


class TrialError(Exception):
    """An environment lacks something."""


def call(command: list, **options: object) -> str:
    """Run a command and return what it prints; raises :class:`TrialError` with its last line if it fails."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        raise TrialError((done.stdout.strip() or f"status {done.returncode}").splitlines()[-1])
    return done.stdout


@dataclass
class Trial:
    """A virtual environment of an environment's pins, and the jobs that it runs.

    Attributes:
        name: of the environment.
        whole: the folder in which all jobs have run with the first Python.
        folder: for the virtual environment and the results.
    """

    name: str
    whole: Path
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "venv/bin/python"

    @property
    def results(self) -> Path:
        """Where its jobs run."""
        return self.folder / "run"

    def install(self, pins: list[str]) -> dict:
        """Make the virtual environment anew; returns its row of the table."""
        start = time.monotonic()
        call([sys.executable, "-m", "venv", "--clear", self.folder / "venv"])
        call([self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins])
        seconds = time.monotonic() - start
        # without pip and setuptools, which every virtual environment has
        installed = {each.split("+")[0] for each in call([self.python, "-m", "pip", "freeze"]).splitlines()}
        locked = (ROOT / "requirements.lock").read_text(encoding="utf-8").split()
        other = {each.lower().replace("_", "-") for each in installed} - set(locked)
        print(f"{self.name}: not as in requirements.lock:", *sorted(other), file=sys.stderr)
        size = sum(path.lstat().st_size for path in (self.folder / "venv").rglob("*")) >> 20
        return {
            "packages pinned": len(pins),
            "installed in all": len(installed),
            "not as in requirements.lock": len(other),
            "MiB": size,
            "s to install": round(seconds),
        }

    def clear_outputs(self, jobs: list[dict]) -> None:
        """Lay out what all jobs have left, without what those of this environment have."""
        shutil.rmtree(self.results, ignore_errors=True)
        shutil.copytree(self.whole, self.results, ignore=shutil.ignore_patterns(".snakemake"))
        for job in jobs:
            for path in map(self.results.joinpath, job["output"]["all"]):
                path.unlink(missing_ok=True)
                if path.name == "run.json":  # the model that was kept lies beside it
                    shutil.rmtree(path.parent)

    def run_job(self, index: int, job: dict) -> None:
        """Run a job, as Snakemake would, with this environment."""
        for path in job["output"]["all"] + job["log"]:
            (self.results / path).parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | dict.fromkeys(THREADS, str(job["threads"]))
        environment |= {
            "PYTHONPATH": str(ROOT),
            "PYTHONNOUSERSITE": "1",
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            SNAKEMAKE: str(os.getpid()),
        }
        command = [self.python, "-P", ROOT / "benchmarks/env_job.py", self.whole / "jobs.json", str(index)]
        call(command, cwd=self.results, env=environment)

    def run_jobs(self, jobs: dict[int, dict]) -> dict:
        """Run all jobs, by their places in jobs.json, whichever fail; returns their part of the row."""
        self.clear_outputs(list(jobs.values()))
        failures, start = [], time.monotonic()
        for index, job in jobs.items():
            label = " ".join([job["rule"], *map(str, job["wildcards"]["all"])])
            began, outcome = time.monotonic(), "ok"
            try:
                self.run_job(index, job)
            except TrialError as error:
                outcome = str(error)
                failures.append(f"{label}: {error}")
            print(f"{self.name}: {label}: {time.monotonic() - began:.1f} s: {outcome}", file=sys.stderr, flush=True)
        # not run.json, which says how and in what time a result was made
        outputs = [path for job in jobs.values() for path in job["output"]["all"] if not path.endswith("run.json")]
        differing = [path for path in outputs if not self.agrees(path)]
        if differing:
            print(f"{self.name}: results that differ:", *differing, file=sys.stderr)
        trained = {job["wildcards"]["named"]["model"] for job in jobs.values() if "run" in job["output"]["named"]}
        return {
            "rules": len({job["rule"] for job in jobs.values()}),
            "jobs": len(jobs),
            "models": len(trained),
            "s": round(time.monotonic() - start),
            "same results": f"{len(outputs) - len(differing)} of {len(outputs)}",
            "result": failures[0] + (f" (and {len(failures) - 1} more)" if failures[1:] else "") if failures else "ok",
        }

    def agrees(self, path: str) -> bool:
        """Whether a result is what the first Python made, but for times."""
        return (self.results / path).exists() and content(self.results / path) == content(self.whole / path)


def main() -> int:
    """Print the table; 1 if an environment lacks something."""
    names = sorted(path.stem for path in ROOT.glob("envs/*.yaml"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="ENV", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--folder", type=Path, help="where all is made, and stays; default: a temporary one")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no environment {', '.join(sorted(unknown))} in envs/")
    pins = {name: read_pins(ROOT / f"envs/{name}.yaml") for name in arguments.names or names}
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        jobs = run_workflow(folder / "whole")
        for name, pinned in pins.items():
            trial = Trial(name, folder / "whole", folder / name)
            rows.append({"environment": name})
            try:
                rows[-1] |= trial.install(pinned)
                rows[-1] |= trial.run_jobs(
                    {i: job for i, job in enumerate(jobs) if job["environment"] == f"{name}.yaml"}
                )
            except TrialError as error:
                rows[-1]["result"] = str(error)
            print(rows[-1], file=sys.stderr, flush=True)
            if not arguments.folder:
                shutil.rmtree(trial.folder)
    print(tabulate(rows, headers="keys", tablefmt="github"))
    return int(any(row["result"] != "ok" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
