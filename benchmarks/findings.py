"""What helps outside the training data? Paired answers from the runs of a publication, or of a results folder.

    python benchmarks/findings.py docs/benchmarks/all

Prints Markdown. *Ranks*: does the order of models on ID foretell that on OOD? Spearman's correlation over the models
of a task, with a 95 % bootstrap interval over molecules; and what became on OOD of the best model on ID. *Questions*:
each is a model against another that differs from it in what is asked; the ratio of their RMSE on OOD, task by task,
with its 95 % interval from the same resamples of molecules for both, and the geometric mean over the tasks that both
have (its interval takes the molecules of different tasks as independent). Below 1: it helps. *Cost*: seconds of
training beside the normalised error.

Nothing is chosen here, and nothing is left out: a question whose runs are not there yet has —.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from boomlib.contracts import read_table
from boomlib.evaluation.comparison import LEVEL, RESAMPLED
from boomlib.evaluation.ranking import pivot
from boomlib.evaluation.summary import read_metrics
from boomlib.report.numbers import NONE, format_decimals, format_interval, format_number
from boomlib.report.tables.markdown import format_table
from boomlib.runs import Run

SCHEME, SEED = "kde", 0
CONTROLS = ("oracle", "train_mean", "shuffled")
FEWEST_MODELS = 4  # of which an order means something
QUESTIONS = {
    "Trees on what a ridge regression leaves": ("ridge_boost", "ridge"),
    "A forest instead of a ridge regression": ("random_forest", "ridge"),
    "Environments and descriptors instead of groups alone": ("ridge", "group_contribution"),
    "Differences to molecules of train (bilinear)": ("bilinear", "ridge"),
    "A network that sums over atoms instead of a ridge regression": ("chemprop_600k", "ridge"),
    "Directed messages along bonds instead of TGNN's": ("chemprop_600k", "tgnn_600k"),
    "Distances, in the GNN ablation": ("ignn_600k", "tgnn_600k"),
    "Directions on top of distances, in the GNN ablation": ("egnn_600k", "ignn_600k"),
    "Transformers on SMILES instead of a graph: ChemBERTa": ("chemberta_600k", "chemprop_600k"),
    "Transformers on SMILES instead of a graph: ModernBERT": ("modernbert_600k", "chemprop_600k"),
    "Transformers on SMILES instead of a graph: MolFormer": ("molformer_600k", "chemprop_600k"),
    "Physics at an embedded geometry": ("physics_ridge_embedded", "ridge"),
    "Trees on what physics at an embedded geometry leaves": ("physics_boost_embedded", "physics_ridge_embedded"),
    "The source's geometry instead of an embedded one: physics": ("physics_ridge", "physics_ridge_embedded"),
    "The source's geometry instead of an embedded one: EGNN": ("egnn_600k", "egnn_600k_embedded"),
    "A committee instead of physics with trees": ("committee", "physics_boost"),
}
TAILS = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)


class Results:
    """RMSE of the runs of one seed and scheme, and the same on the resamples of the molecules.

    Attributes:
        tasks: (dataset, property) of all tasks.
        rmse: by fold, models by tasks; NaN where there is no run.
        normalised: RMSE on OOD over that of train's mean, models by tasks.
    """

    def __init__(self, folder: Path) -> None:
        table = read_metrics(folder / "leaderboard.csv")
        self.resamples = folder / ("runs/resamples" if (folder / "runs").is_dir() else "resamples")
        self.rmse = {fold: pivot(table, SCHEME, "rmse", fold) for fold in ("id", "ood")}
        self.normalised = pivot(table, SCHEME, "normalised_rmse", "ood")
        self.tasks = list(self.normalised.columns)

    def has(self, model: str, task: tuple[str, str]) -> bool:
        """Whether the run is there."""
        return model in self.normalised.index and bool(np.isfinite(self.rmse["ood"].loc[model, task]))

    def resample(self, model: str, task: tuple[str, str], fold: str) -> np.ndarray:
        """RMSE on each resample, [resamples]."""
        stem = Run(*task, SCHEME, model, SEED).stem
        return read_table(self.resamples / f"{stem}.parquet", RESAMPLED)[fold].to_numpy()


def correlate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation over the models of each resample (both [models, resamples]), [resamples]."""
    ranks = [rankdata(each, axis=0) for each in (first, second)]
    deviations = [each - each.mean(axis=0) for each in ranks]
    products = (deviations[0] * deviations[1]).sum(axis=0)
    return products / np.sqrt((deviations[0] ** 2).sum(axis=0) * (deviations[1] ** 2).sum(axis=0))


def compare_ranks(results: Results) -> list[list[str]]:
    """A row a task: Spearman's correlation of ID and OOD, and the place on OOD of the best on ID."""
    rows = []
    for task in results.tasks:
        models = [model for model in results.normalised.index if model not in CONTROLS and results.has(model, task)]
        if len(models) < FEWEST_MODELS:
            rows.append(["/".join(task), str(len(models)), *[NONE] * 4])
            continue
        by_fold = {fold: np.array([results.resample(model, task, fold) for model in models]) for fold in results.rmse}
        exact = {fold: results.rmse[fold].loc[models, task].to_numpy()[:, None] for fold in results.rmse}
        low, high = np.quantile(correlate(by_fold["id"], by_fold["ood"]), TAILS)
        first = int(exact["id"].argmin())
        place = int((exact["ood"] < exact["ood"][first]).sum()) + 1
        loss = float(exact["ood"][first, 0] / exact["ood"].min())
        rows.append(
            [
                "/".join(task),
                str(len(models)),
                f"{format_decimals(float(correlate(exact['id'], exact['ood'])[0]))} {format_interval(low, high)}",
                models[first],
                f"{place} of {len(models)}",
                format_number(loss),
            ]
        )
    return rows


def ask(results: Results, model: str, other: str) -> list[str]:
    """The geometric mean of the ratio of the RMSE on OOD, and the ratio on each task."""
    logs, drawn, cells = [], [], []
    for task in results.tasks:
        if not (results.has(model, task) and results.has(other, task)):
            cells.append(NONE)
            continue
        rmse = results.rmse["ood"][task]
        ratios = results.resample(model, task, "ood") / results.resample(other, task, "ood")
        logs.append(np.log(rmse[model] / rmse[other]))
        # resample i of one task has nothing to do with resample i of another
        drawn.append(np.random.default_rng(len(drawn)).permutation(np.log(ratios)))
        cells.append(f"{format_number(rmse[model] / rmse[other])} {format_interval(*np.quantile(ratios, TAILS))}")
    if not logs:
        return [NONE, "0", *cells]
    low, high = np.quantile(np.exp(np.mean(drawn, axis=0)), TAILS)
    return [f"{format_number(float(np.exp(np.mean(logs))))} {format_interval(low, high)}", str(len(logs)), *cells]


def list_costs(results: Results, runs: pd.DataFrame) -> list[list[str]]:
    """A row a model that is whole, cheapest first: median seconds and largest memory of a run, and its error."""
    chosen = runs[(runs["scheme"] == SCHEME) & (runs["seed"] == SEED)].groupby("model")
    rows = []
    for model, seconds in chosen["seconds"].median().sort_values().items():
        errors = results.normalised.loc[model].to_numpy()
        if model in CONTROLS or not np.isfinite(errors).all():
            continue
        memory = chosen["peak_memory_mib"].max()[model] / 1024
        mean = format_number(float(np.exp(np.log(errors).mean())))
        rows.append([str(model), format_number(seconds), f"{memory:.1f}", mean])
    return rows


def main() -> None:
    """Print the tables of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="docs/benchmarks/all, or results of a finished run")
    folder = parser.parse_args().folder
    results = Results(folder)
    names = [name for _, name in results.tasks]
    print("### Ranks\n")
    columns = ["Task", "Models", "Spearman of ID and OOD", "Best on ID", "its place on OOD", "its RMSE over the least"]
    print(format_table(columns, compare_ranks(results)))
    print("\n### Questions\n")
    answers = [
        [question, f"{model} / {other}", *ask(results, model, other)] for question, (model, other) in QUESTIONS.items()
    ]
    print(format_table(["Question", "Models", "All tasks", "Tasks", *names], answers, text_columns=2))
    print("\n### Cost\n")
    costs = list_costs(results, pd.read_csv(folder / "runs.csv"))
    print(format_table(["Model", "Seconds, median", "Memory, GiB", "Normalised OOD RMSE"], costs))


if __name__ == "__main__":
    main()
