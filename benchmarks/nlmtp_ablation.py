"""What each part of NL-MTP does, as one table: the runs of config/nlmtp_ablation.yaml side by side.

    snakemake --cores 2 results/leaderboard.md --configfile config/nlmtp_ablation.yaml
    python benchmarks/nlmtp_ablation.py results

Reads the folder of results (leaderboard.csv, config.yaml, policy/), of one task, scheme and seed, and prints Markdown.
Of a policy with a place pairs are those without one; the leaderboard has them at their place.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from boomlib import registry
from boomlib.evaluation.policy import HELD_OUT
from boomlib.files import read_json
from boomlib.report.numbers import format_decimals, format_interval, format_number, format_percent
from boomlib.report.tables.markdown import format_table
from boomlib.runs import list_runs

COLUMNS = [
    "Model",
    "RMSE valid",
    "ID",
    "OOD",
    "RMSE given X",
    "Abstention",
    "ESS",
    "α",
    "Contrast, mixture density",
    "95 % interval",
    "Contrast, classifier",
    "Policy − observed",
    "Linearity R²",
    "Pairs: mean",
    "r",
]


def policy_cells(scores: dict) -> list[str]:
    """What a run says of the policy on the molecules held out; see :data:`COLUMNS`."""
    found = scores["populations"][HELD_OUT]
    density, classifier = (found["estimates"][ratio]["contrast"] for ratio in ("density", "classifier"))
    return [
        format_number(found["rmse_given_context"]),
        format_percent(found["abstention"]),
        f"{density['effective_sample_size']:,.0f}",
        f"{found['alpha']['mean']:.3f} ± {found['alpha']['std']:.3f}",
        format_number(density["psi"]),
        format_interval(density["low"], density["high"]),
        format_number(classifier["psi"]),
        format_number(found["anchor_rmse"]),
        format_decimals(found["linearity"]["r2"]),
        format_number(scores["pairs"]["all"]["mean_predicted"]),
        format_decimals(scores["pairs"]["all"]["pearson_r"]),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder of results")
    folder = parser.parse_args().folder
    missing = [name for name in ("config.yaml", "leaderboard.csv") if not (folder / name).is_file()]
    if missing:
        sys.exit(f"error: {folder}: has no {' and no '.join(missing)}; is it a folder of results with a leaderboard?")
    config = registry.read_yaml(folder / "config.yaml")
    models = registry.with_variants(registry.load_models(), config)
    runs = list_runs(config)
    if len({(run.dataset, run.property, run.scheme, run.seed) for run in runs}) > 1:
        sys.exit(f"error: {folder}: the table is of one task, scheme and seed; this run has several")
    scores = pd.read_csv(folder / "leaderboard.csv").query("metric == 'rmse'").set_index(["model", "fold"])["mean"]
    rows = []
    for run in runs:
        errors = [format_number(scores[run.model, fold]) for fold in ("valid", "id", "ood")]
        policy = folder / "policy" / f"{run.stem}.json"
        cells = policy_cells(read_json(policy)) if policy.is_file() else ["—"] * (len(COLUMNS) - 4)
        rows.append([models[run.model]["label"], *errors, *cells])
    print(format_table(COLUMNS, rows))


if __name__ == "__main__":
    main()
