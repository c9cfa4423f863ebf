"""What helps outside the training data? Paired answers from the runs of a publication, or of a results folder.

    python benchmarks/findings.py docs/benchmarks/all            # a publication that keeps its runs (--merge)
    python benchmarks/findings.py results --scheme scaffold      # a finished run

Prints Markdown. *Ranks*: does the order of the models on ID foretell that on OOD? Spearman's correlation over the
models of a task, and what became on OOD of the best one on ID. *Pairs*: the ratio of the RMSE on OOD of two models,
task by task, with its 95 % interval from the same resamples of molecules for both; and the geometric mean over the
tasks that both have. Below 1: the first is better. *Cost*: seconds of training beside the normalised error.

Of several seeds the mean counts. Intervals are over molecules, not over trainings that might have been. That of a mean
takes the molecules of its tasks as independent; tasks of one dataset share some, up to half of QM9's OOD between two
tasks, which makes it too narrow there: by 9 to 21 % for three pairs, drawing molecules of all tasks together instead.
:data:`QUESTIONS` are pairs of config/all.yaml, and a pair without runs has —; no test error has chosen them.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from boomlib.evaluation.comparison import TAILS, read_resamples
from boomlib.evaluation.ranking import pivot
from boomlib.evaluation.records import list_recorded, read_runs
from boomlib.evaluation.summary import read_metrics
from boomlib.files import ContractError
from boomlib.registry import load_models, read_yaml, with_variants
from boomlib.report.numbers import NONE, format_decimals, format_interval, format_number
from boomlib.report.pages import find_configuration
from boomlib.report.roles import assign_roles
from boomlib.report.tables.markdown import format_table
from boomlib.report.tables.progress import name_properties

Task = tuple[str, str]
"""Dataset and property."""
FEWEST_MODELS = 5
"""Models of which an order may be beyond chance: of four a given one comes about in 1 / 4! = 4 %, in either direction
in 8 %; of five in 2 %."""
QM9 = "qm9_characterised"
Question = tuple[str, str, str, str]
"""What is asked, both models, and the one dataset that it is asked of, or all."""
QUESTIONS: tuple[Question, ...] = (
    ("Boosted trees on what a ridge regression leaves", "ridge_boost", "ridge", ""),
    ("A random forest, not a ridge regression", "random_forest", "ridge", ""),
    ("Boosted trees, not a ridge regression", "gradient_boosting", "ridge", ""),
    ("Descriptors beside counts of groups", "ridge", "group_contribution", ""),
    ("Differences to molecules of train", "bilinear", "ridge", ""),
    ("GFN2-xTB at an embedded geometry, and volumes for a density", "physics_ridge_embedded", "ridge", ""),
    ("Boosted trees on what that leaves", "physics_boost_embedded", "physics_ridge_embedded", ""),
    ("QM9's own geometry, not an embedded one: physics", "physics_ridge", "physics_ridge_embedded", QM9),
    ("QM9's own geometry, not an embedded one: EGNN", "egnn_600k", "egnn_600k_embedded", QM9),
    ("A committee, not physics with trees", "committee", "physics_boost", ""),
    ("Distances beside TGNN's bonds", "ignn_600k", "tgnn_600k", ""),
    ("Positions that move beside those", "egnn_600k", "ignn_600k", ""),
    ("Chemprop, not a ridge regression", "chemprop_600k", "ridge", ""),
    *(
        (f"{label}, not Chemprop", f"{model}_600k", "chemprop_600k", "")
        for model, label in (
            ("tgnn", "TGNN"),
            ("egnn", "EGNN"),
            ("graphormer3d", "Graphormer3D"),
            ("equivariant_transformer", "the Equivariant Transformer"),
            ("gotennet", "GotenNet"),
            ("mace", "MACE"),
            ("chemberta", "ChemBERTa"),
            ("modernbert", "ModernBERT"),
            ("molformer", "MolFormer"),
            ("regression_transformer", "the Regression Transformer"),
            ("nlmtp", "NL-MTP"),
        )
    ),
)


class Results:
    """The RMSE of all finished runs of one scheme, and the same on resamples of the molecules, means over seeds.

    Attributes:
        tasks: all of them.
        names: of the tasks, by the property alone where that tells them apart.
        rmse: by fold, models by tasks; NaN where there is no run.
        normalised: RMSE on OOD over that of train's mean, models by tasks.
        runs: the rows of ``runs.csv`` of what is done.
        compared: the models, without controls.
        roles: of all models.

    Raises:
        ContractError: the folder has no leaderboard, none of the scheme, or a publication without its runs.
    """

    def __init__(self, folder: Path, scheme: str) -> None:
        for name in ("leaderboard.csv", "runs.csv"):
            if not (folder / name).is_file():
                raise ContractError(f"{folder / name}: no such file; give results/, or a folder of docs/benchmarks")
        self.scheme = scheme
        self.resamples = next(
            (each for each in (folder / "runs/resamples", folder / "resamples") if each.is_dir()), None
        )
        if self.resamples is None:
            raise ContractError(f"{folder}: it keeps no runs; give a publication made with --merge, or results/")
        records, table = read_runs(folder / "runs.csv"), read_metrics(folder / "leaderboard.csv")
        if scheme not in set(table["scheme"]):
            there = ", ".join(sorted(set(table["scheme"])))
            raise ContractError(f"{folder / 'leaderboard.csv'}: no scheme {scheme}; it has {there}")
        self.runs = records[(records["scheme"] == scheme) & (records["status"] == "done")]
        self.rmse = {fold: pivot(table, scheme, "rmse", fold) for fold in ("id", "ood")}
        self.normalised = pivot(table, scheme, "normalised_rmse", "ood")
        self.tasks: list[Task] = list(self.normalised.columns)
        self.names = name_properties(self.tasks)
        config = folder / "config.yaml" if (folder / "config.yaml").is_file() else find_configuration(folder)
        models = with_variants(load_models(), read_yaml(config), str(config))
        self.roles = assign_roles(models)
        self.compared = [model for model in self.normalised.index if model not in self.roles.controls]

    def has(self, model: str, task: Task) -> bool:
        """Whether there is a run."""
        return model in self.normalised.index and bool(np.isfinite(self.rmse["ood"].loc[model, task]))

    def resample(self, model: str, task: Task) -> np.ndarray:
        """RMSE on OOD on each resample, mean over seeds, [resamples]."""
        own = [run for run in list_recorded(self.runs) if (run.task, run.model) == ("/".join(task), model)]
        return read_resamples(self.resamples, own)["ood"]


def compare_ranks(results: Results) -> list[list[str]]:
    """A row a task: models, Spearman's correlation of their RMSE on ID and OOD, and what became of the best on ID."""
    rows = []
    for name, task in zip(results.names, results.tasks, strict=True):
        models = [model for model in results.compared if results.has(model, task)]
        if len(models) < FEWEST_MODELS:
            rows.append([name, str(len(models)), *[NONE] * 4])
            continue
        inside, outside = (results.rmse[fold].loc[models, task].to_numpy() for fold in ("id", "ood"))
        first = int(inside.argmin())
        rows.append(
            [
                name,
                str(len(models)),
                format_decimals(float(spearmanr(inside, outside).statistic)),
                models[first],
                f"{(outside < outside[first]).sum() + 1} of {len(models)}",
                format_number(float(outside[first] / outside.min())),
            ]
        )
    return rows


def ask(results: Results, model: str, other: str, dataset: str = "") -> list[str]:
    """The geometric mean of the ratio of both RMSE on OOD, the tasks in it, and the ratio on each task.

    ``dataset``: the one whose tasks alone are asked; empty: all.
    """
    rng = np.random.default_rng(0)
    logs, drawn, cells = [], [], []
    for task in results.tasks:
        there = results.has(model, task) and results.has(other, task)
        if not there or dataset not in ("", task[0]):
            cells.append(NONE)
            continue
        ratio = results.rmse["ood"].loc[model, task] / results.rmse["ood"].loc[other, task]
        ratios = results.resample(model, task) / results.resample(other, task)
        logs.append(np.log(ratio))
        # resample i of one task and resample i of another are of other molecules
        drawn.append(rng.permutation(np.log(ratios)))
        cells.append(f"{format_number(ratio)} {format_interval(*np.quantile(ratios, TAILS))}")
    if not logs:
        return [NONE, "0", *cells]
    interval = format_interval(*np.quantile(np.exp(np.mean(drawn, axis=0)), TAILS))
    return [f"{format_number(float(np.exp(np.mean(logs))))} {interval}", str(len(logs)), *cells]


def list_costs(results: Results) -> list[list[str]]:
    """A row a model: median seconds and largest memory of a run, tasks done, and its error where it has all tasks."""
    rows = []
    for model in results.compared:
        runs = results.runs[results.runs["model"] == model]
        errors = results.normalised.loc[model].to_numpy()
        done = int(np.isfinite(errors).sum())
        if not done:
            continue
        seconds, memory = (runs[column].astype(float) for column in ("seconds", "peak_memory_mib"))
        mean = format_number(float(np.exp(np.log(errors).mean())))
        # of a committee a run fits weights, and has none of its members' trainings
        took = NONE if model in results.roles.members else format_number(seconds.median())
        rows.append([model, took, f"{memory.max() / 1024:.1f}", f"{done} of {len(errors)}", mean])
    return rows


def main() -> None:
    """Print the tables of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="docs/benchmarks/all, or results of a finished run")
    parser.add_argument("--scheme", default="kde")
    arguments = parser.parse_args()
    try:
        results = Results(arguments.folder, arguments.scheme)
    except ContractError as error:
        sys.exit(f"error: {error}")
    ranks = [
        "Task",
        "Models",
        "Spearman's ρ of ID and OOD",
        "Best on ID",
        "Its place on OOD",
        "Its RMSE over the least",
    ]
    print("### Ranks\n", format_table(ranks, compare_ranks(results)), sep="\n")
    answers = [
        [asked, f"{model} / {other}", *ask(results, model, other, dataset)]
        for asked, model, other, dataset in QUESTIONS
    ]
    pairs = ["Question", "Models", "Mean over these tasks", "Tasks", *results.names]
    print("\n### Pairs\n", format_table(pairs, answers, text_columns=2), sep="\n")
    costs = ["Model", "Seconds, median of a run", "Memory, largest, GiB", "Tasks", "Normalised OOD RMSE"]
    print("\n### Cost\n", format_table(costs, list_costs(results)), sep="\n")


if __name__ == "__main__":
    main()
