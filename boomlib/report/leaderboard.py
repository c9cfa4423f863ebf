"""Writes the leaderboard for people, ``leaderboard.md``."""

import os
from collections.abc import Sequence
from math import isnan
from pathlib import Path

import jinja2
import pandas as pd

from boomlib.evaluation.metrics import METRICS
from boomlib.evaluation.summary import Failure, overall, pivot, read_results, tidy_table
from boomlib.files import write_text
from boomlib.report.tables.markdown import NONE, code, format_interval, format_metric, format_number, markdown_table
from boomlib.report.tables.policy import policy_section
from boomlib.report.tables.training import training_table
from boomlib.runs import Run

REASON_LENGTH = 200
SCHEMES = {
    "kde": (
        "Split by property density (`kde`)",
        "OOD are the molecules with the rarest values of the property, by kernel density: both ends of its "
        "distribution, and gaps inside it.",
    ),
    "scaffold": (
        "Split by scaffold (`scaffold`)",
        "OOD are the molecules with the rarest Murcko scaffolds; a scaffold is never divided.",
    ),
}


class SchemeTables:
    """The tables of one scheme; rows are models in the order of the ranking, controls last in italics."""

    def __init__(self, table: pd.DataFrame, scheme: str, labels: dict, controls: set[str], datasets: dict):
        self.table = table
        self.scheme = scheme
        self.ranking = overall(table, scheme, controls)
        self.rmse = self.means("rmse", "ood")
        self.names = {
            model: f"*{labels.get(model, model)}*" if control else labels.get(model, model)
            for model, control in self.ranking["control"].items()
        }
        self.tasks = {
            (dataset, name): f"{dataset}/{name} ({datasets[dataset]['properties'][name]['unit']})"
            for dataset, name in self.rmse.columns
        }

    def means(self, metric: str, fold: str, column: str = "mean") -> pd.DataFrame:
        """Models by tasks of one column of the tidy table, models in the order of the ranking."""
        return pivot(self.table, self.scheme, metric, fold, column).reindex(self.ranking.index)

    def overall(self) -> str:
        """The ranking."""
        header = ["Model", "Mean rank ↓", "Normalised OOD RMSE ↓", "OOD / ID ↓", "Tasks", "Runs"]
        rows = [
            (
                self.names[model],
                NONE if isnan(row.mean_rank) else f"{row.mean_rank:.2f}",
                format_number(row.normalised_rmse),
                format_number(row.ood_id_ratio),
                f"{row.tasks_done} of {row.tasks}",
                f"{row.runs_done} of {row.runs}",
            )
            for model, row in zip(self.ranking.index, self.ranking.itertuples(), strict=True)
        ]
        return markdown_table(header, rows)

    def errors(self, fold: str) -> str:
        """RMSE of every model on every task; the best model that is no control is bold."""
        mean, std = self.means("rmse", fold), self.means("rmse", fold, "std")
        seeds = self.means("rmse", fold, "n_seeds")
        lost = self.table[self.table["metric"] == ""].groupby(["model", "scheme", "dataset", "property"]).size()
        best = mean[~self.ranking["control"]].min()
        rows = []
        for model, name in self.names.items():
            row = [name]
            for task in self.tasks:
                text = format_number(mean.loc[model, task], std.loc[model, task])
                if mean.loc[model, task] == best[task] and not self.ranking.loc[model, "control"]:
                    text = f"**{text}**"
                absent = lost.get((model, self.scheme, *task), 0)
                if text != NONE and absent:
                    done = int(seeds.loc[model, task])
                    text += f" ({done} of {done + absent} seeds)"
                row.append(text)
            rows.append(row)
        return markdown_table(["Model", *self.tasks.values()], rows)

    def tail_interior(self) -> str:
        """RMSE on the OOD molecules outside and inside the range of the training labels."""
        tail, interior = self.means("rmse", "ood_tail"), self.means("rmse", "ood_interior")
        rows = []
        for model, name in self.names.items():
            cells = [
                f"{format_number(tail.loc[model, task])} / {format_number(interior.loc[model, task])}"
                for task in self.tasks
            ]
            rows.append([name, *(NONE if text == f"{NONE} / {NONE}" else text for text in cells)])
        return markdown_table(["Model", *self.tasks.values()], rows)

    def details(self) -> str:
        """Every metric on OOD, one row a task and model, with the interval of the RMSE."""
        values = {name: self.means(name, "ood") for name in METRICS}
        low, high = self.means("rmse", "ood", "low"), self.means("rmse", "ood", "high")
        rows = []
        for task, title in self.tasks.items():
            for model, label in self.names.items():
                interval = format_interval(low.loc[model, task], high.loc[model, task])
                numbers = [format_metric(name, frame.loc[model, task]) for name, frame in values.items()]
                rows.append([title, label, numbers[0], interval, *numbers[1:]])
        rmse, *others = [f"{metric.label} {metric.arrow}" for metric in METRICS.values()]
        return markdown_table(["Task", "Model", rmse, "95 % interval", *others], rows, text_columns=2)

    def figures(self, results_dir: Path) -> list[dict[str, str]]:
        """Caption and path, relative to ``results_dir``, of the scheme's figures that exist."""
        wanted = [
            (f"plots/heatmap/{self.scheme}.png", f"Normalised OOD RMSE, {self.scheme} split"),
            (f"plots/ratio/{self.scheme}.png", f"OOD RMSE over ID RMSE, {self.scheme} split"),
        ]
        for kind, caption in (("parity", "Predicted against true"), ("distribution", "Distribution of")):
            wanted += [
                (
                    f"plots/{kind}/{dataset}/{name}/{self.scheme}.png",
                    f"{caption} {dataset}/{name}, {self.scheme} split",
                )
                for dataset, name in self.tasks
            ]
        return [{"path": path, "caption": caption} for path, caption in wanted if (results_dir / path).is_file()]


def splits_table(runs: Sequence[Run], results: dict[Run, dict], datasets: dict) -> str:
    """Sizes of the folds of every task and scheme, — where no run of it has finished."""
    header = ["Task", "Property", "Scheme", "Unit", "Kind"]
    folds = ["valid", "id", "ood", "ood_tail", "ood_interior"]
    sizes: dict[tuple[str, str, str], list[str]] = {}
    for run in runs:
        key = (run.dataset, run.property, run.scheme)
        sizes.setdefault(key, [NONE] * (len(folds) + 1))
        if run in results:
            counts = [results[run]["n_train"], *(results[run]["folds"][fold]["n"] for fold in folds)]
            sizes[key] = [f"{count:,}" for count in counts]
    rows = []
    for (dataset, name, scheme), counts in sizes.items():
        described = datasets[dataset]["properties"][name]
        label = described.get("label", name)
        rows.append([f"{dataset}/{name}", label, scheme, described["unit"], described["kind"], *counts])
    header += ["train", "valid", "ID", "OOD", "OOD tail", "OOD interior"]
    return markdown_table(header, rows, text_columns=5)


def sources_table(runs: Sequence[Run], datasets: dict) -> str:
    """Licence, reference and rejected rows of every dataset in ``runs``."""
    rows = []
    for key in dict.fromkeys(run.dataset for run in runs):
        dataset = datasets[key]
        rows.append([key, dataset["label"], dataset["licence"], dataset["doi"], f"{dataset['rejected']:,}"])
    return markdown_table(["Dataset", "Name", "Licence", "Reference", "Rejected rows"], rows, text_columns=4)


def failures_table(failures: Sequence[Failure]) -> str:
    """One row for each run without a result, or a sentence that there is none."""
    if not failures:
        return "Every run finished."
    rows = []
    for failure in failures:
        reason = failure.reason
        if len(reason) > REASON_LENGTH:
            reason = reason[: REASON_LENGTH - 1] + "…"
        rows.append([code(failure.run.stem), failure.status, code(reason), code(failure.log)])
    return markdown_table(["Run", "Status", "Reason", "Log"], rows, text_columns=4)


def write_leaderboard(
    results_dir: str | os.PathLike,
    runs: Sequence[Run],
    *,
    labels: dict[str, str],
    controls: set[str],
    evaluators: set[str],
    datasets: dict[str, dict],
    config_hash: str,
    versions: dict[str, str],
    notes: dict[str, str],
) -> None:
    """Write ``leaderboard.md`` into ``results_dir`` from the metrics and policies found there.

    The same files make the same bytes. Figures that exist under ``plots/`` are shown by relative path.

    Args:
        results_dir: the folder of results; see :mod:`boomlib.evaluation.summary` for the files that are read.
        runs: every run that the leaderboard should have, done or not; their order is that of the tables.
        labels: name for people, by model; the key itself where absent.
        controls: models that are shown last and never ranked.
        evaluators: models that evaluate a policy.
        datasets: by dataset ``label``, ``licence``, ``doi``, ``rejected`` (number of rows) and ``properties``
            (by property ``unit``, ``kind`` and optionally ``label``).
        config_hash: hash of the configuration, for the footer.
        versions: version by package, for the footer.
        notes: remarks by model.
    """
    results_dir = Path(results_dir)
    results, failures = read_results(results_dir, runs)
    table = tidy_table(runs, results, failures)
    schemes = []
    for scheme in dict.fromkeys(run.scheme for run in runs):
        tables = SchemeTables(table, scheme, labels, controls, datasets)
        title, description = SCHEMES.get(scheme, (f"Split `{scheme}`", ""))
        schemes.append(
            {
                "title": title,
                "description": description,
                "overall": tables.overall(),
                "ood_rmse": tables.errors("ood"),
                "id_rmse": tables.errors("id"),
                "tail_interior": tables.tail_interior(),
                "details": tables.details(),
                "figures": tables.figures(results_dir),
            }
        )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("leaderboard.md.j2").render(
        schemes=schemes,
        policy=policy_section(results_dir, [run for run in results if run.model in evaluators], labels),
        training=training_table(results_dir, [run for run in results if run.model not in controls], labels),
        splits=splits_table(runs, results, datasets),
        sources=sources_table(runs, datasets),
        seeds=", ".join(str(seed) for seed in sorted({run.seed for run in runs})),
        notes=[{"label": labels.get(model, model), "text": " ".join(note.split())} for model, note in notes.items()],
        failures=failures_table(failures),
        config_hash=config_hash,
        versions=", ".join(f"{package} {version}" for package, version in versions.items()),
    )
    write_text(results_dir / "leaderboard.md", text)
