"""Time and memory that Snakemake takes to plan a large run: 15 models, 10 tasks, 2 schemes and 3 seeds from nothing.

    python benchmarks/dag.py
    python benchmarks/dag.py --models 26

A dry run in a fresh clone of this checkout (what is committed), with the first models of config/boom.yaml.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print jobs, seconds and MiB."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=15, help="how many of config/boom.yaml")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "checkout")
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        file = folder / "config/boom.yaml"
        config = yaml.safe_load(file.read_text())
        config |= {"schemes": ["kde", "scaffold"], "models": config["models"][: arguments.models]}
        file.write_text(yaml.safe_dump(config))
        command = [sys.executable, "-m", "snakemake", "results/leaderboard.md", "--dry-run", "--quiet", "rules"]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--configfile", file], cwd=folder, text=True, stdout=subprocess.PIPE, check=True
        )
        seconds = time.perf_counter() - start
    jobs = re.search(r"^total +(\d+)", done.stdout, flags=re.MULTILINE)[1]
    sizes = [len(config[key]) for key in ("models", "tasks", "schemes", "seeds")]
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{' × '.join(map(str, sizes))}: {jobs} jobs, {seconds:.1f} s, {memory:.0f} MiB")


if __name__ == "__main__":
    main()
