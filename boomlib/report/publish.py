"""Copy a finished leaderboard with its figures and run records out of ``results/``, to be kept under git.

Usage: ``python -m boomlib.report.publish docs/benchmarks/csd10k [README.md]``; with a README, its OOD table
between ``<!-- leaderboard: FOLDER/leaderboard.md -->`` and ``<!-- end -->`` is replaced as well.
"""

import csv
import re
import shutil
import sys
from pathlib import Path

from boomlib import registry
from boomlib.files import ContractError, read_json, write_text
from boomlib.runs import list_runs

RECORD = ("seconds", "peak_memory_mib", "resumed", "device", "threads", "commit")


def publish(results: Path, folder: Path) -> None:
    """Copy leaderboard, configuration, policies and the figures shown to ``folder``; write ``runs.csv`` there."""
    text = (results / "leaderboard.md").read_text(encoding="utf-8")
    if "Every run finished." not in text:
        raise ContractError(f"{results}/leaderboard.md has failures; publish finished results only")
    config = registry.read_yaml(results / "config.yaml")
    runs, models = list_runs(config), registry.with_variants(registry.load_models(), config)
    shutil.rmtree(folder, ignore_errors=True)
    files = ["leaderboard.md", "leaderboard.csv", "config.yaml", *re.findall(r"!\[.*?\]\((.+?)\)", text)]
    files += [f"policy/{run.stem}.json" for run in runs if models[run.model]["answers_policy"]]
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(results / file, folder / file)
    with (folder / "runs.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("dataset", "property", "scheme", "model", "seed", *RECORD))
        for run in runs:
            record = read_json(results / "predictions" / run.stem / "run.json")
            writer.writerow((*run.stem.split("/")[:4], run.seed, *(record[key] for key in RECORD)))


def update_readme(readme: Path, folder: Path) -> None:
    """Replace the README's marked table by the first OOD table of the leaderboard in ``folder``."""
    leaderboard = (folder / "leaderboard.md").read_text(encoding="utf-8")
    table = re.search(r"### OOD RMSE.*?\n\n(\|.*?)\n\n", leaderboard, re.DOTALL)[1]
    marker = re.compile(
        rf"(<!-- leaderboard: {re.escape(str(folder))}/leaderboard.md -->\n).*?(<!-- end -->)", re.DOTALL
    )
    text, found = marker.subn(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", readme.read_text(encoding="utf-8"))
    if not found:
        raise ContractError(f"{readme}: no marker <!-- leaderboard: {folder}/leaderboard.md --> … <!-- end -->")
    write_text(readme, text)


if __name__ == "__main__":
    publish(Path("results"), Path(sys.argv[1]))
    for path in sys.argv[2:]:
        update_readme(Path(path), Path(sys.argv[1]))
