"""A publication that grows: runs are added as they finish, here or elsewhere, and its tables are of their union.

Its folder ``runs/`` has the grammar of ``results/``: of each finished run the packed predictions, record, history and
scores, and of each task the small files that the page is made of. :func:`restore_runs` lays these back for the
workflow.
"""

import filecmp
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from boomlib import registry
from boomlib.contracts import SPLIT, read_table, write_table
from boomlib.declared import order_features
from boomlib.evaluation.hardest import find_hardest
from boomlib.evaluation.outcomes import find_outcome
from boomlib.evaluation.summary import read_metrics, summarise, write_tables
from boomlib.evaluation.uncertainty import summarise_uncertainty
from boomlib.files import ContractError, read_json, scratch_folder, write_text
from boomlib.harness.adopting import HISTORY, pack_predictions, unpack_predictions
from boomlib.provenance import hash_training
from boomlib.report.build import write_page
from boomlib.report.figures.hardest import plot_hardest
from boomlib.report.figures.heatmap import plot_heatmap
from boomlib.report.figures.parity import plot_parity
from boomlib.report.figures.ratio import plot_ratio
from boomlib.report.pages import find_configuration
from boomlib.report.roles import Roles, assign_roles
from boomlib.report.tables.progress import tabulate_progress
from boomlib.restored import RESTORED, list_run_files
from boomlib.runs import Run, list_runs
from boomlib.unmade import find_outstanding

RUNS = "runs"
"""The folder of a publication that holds its runs."""
STATUS = "status.md"
"""The page that says which runs are there."""
SITE = "site"
"""The interactive leaderboard."""
LARGEST = 80e6
"""Bytes that a publication may have beside its site."""


class Union:
    """What a publication asks for, and its tree of runs.

    Attributes:
        folder: the publication, as it is being made; ``named`` is where it is to lie.
        tree: its runs.
        runs: all runs of its configuration.
        models, datasets: entries by name.
        roles: of the configuration's models.
    """

    def __init__(self, folder: Path, named: Path) -> None:
        """``folder`` holds the publication that is to be called ``named``.

        Raises:
            ContractError: no configuration has its name, or it is not sound.
        """
        path = find_configuration(named)
        config = registry.read_yaml(path)
        self.datasets, _ = registry.with_own_datasets(*registry.load_datasets(), config, str(path))
        self.models = registry.with_variants(registry.load_models(), config, str(path))
        self.config = registry.check_config(config, self.datasets, self.models, str(path))
        self.folder, self.tree, self.named = folder, folder / RUNS, named
        self.runs = list_runs(self.config)
        self.roles: Roles = assign_roles({name: self.models[name] for name in self.config["models"]})

    def list_done(self) -> list[Run]:
        """The runs that the publication has."""
        return [run for run in self.runs if find_outcome(self.tree, run)["status"] == "done"]

    @property
    def shown_config(self) -> dict[str, Any]:
        """The configuration without the models of which the publication has no run: these are on its status alone."""
        models = {run.model for run in self.list_done()}
        return {**self.config, "models": [name for name in self.config["models"] if name in models]}

    def prefers(self, run: Run, record: Mapping[str, Any]) -> bool:
        """Whether a run with this ``record`` takes the place of the one that is there.

        What code and settings of today make comes before what they do not; else the newer run does.
        """
        path = self.tree / f"predictions/{run.stem}/run.json"
        if not path.is_file():
            return True
        model = self.models[run.model]
        today = hash_training(model["class"], model["parameters"], order_features(model["features"]))
        ranks = [(each.get("code") == today, str(each.get("finished", ""))) for each in (record, read_json(path))]
        return ranks[0] > ranks[1]

    def unpack(self, run: Run, task: Path, out: Path) -> None:
        """Write the predictions of a run that is there.

        Raises:
            ContractError: they are broken, or answer another task than that of here.
        """
        packed = self.tree / f"predictions/{run.stem}.parquet"
        try:
            unpack_predictions(task, packed, out)
        except ContractError as error:
            # the copy in which it is found goes away
            named = self.named / RUNS / packed.relative_to(self.tree)
            raise ContractError(str(error).replace(str(packed), str(named))) from error


def list_files(run: Run, answers_policy: bool) -> list[str]:
    """Files of a run that are published as they are, relative to ``results/``; its record last."""
    _, record, *policy = list_run_files(run.stem, answers_policy)
    return [f"metrics/{run.stem}.json", f"resamples/{run.stem}.parquet", *policy, record]


def copy(source: Path, target: Path) -> None:
    """Copy a file unless the same bytes are there: what was made of these need not be made again."""
    if not is_same(source, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def is_same(source: Path, target: Path) -> bool:
    """Whether both files are there, with the same bytes."""
    return source.is_file() and target.is_file() and filecmp.cmp(source, target, shallow=False)


def prune(union: Union) -> set[tuple[str, str, str]]:
    """Remove what is of runs that the configuration no longer asks for; returns their tasks."""
    folders = {name for run in union.runs for name in (run.stem, run.dataset)}
    files = {name for run in union.runs for name in (run.stem, f"{run.task}/{run.scheme}", run.scheme)}
    files |= {f"{run.task}/{run.scheme}/{run.model}" for run in union.runs}
    tasks = set()
    for root in (union.tree, union.folder / "plots"):
        for file in sorted(each for each in root.rglob("*") if each.is_file()):
            # below the kind: predictions/…, or of figures parity/… and plots/policy/…
            parts = file.relative_to(root).parts
            inner = Path(*parts[2 if parts[0] == "plots" else 1 :])
            if inner.with_suffix("").as_posix() not in files and inner.parent.as_posix() not in folders:
                file.unlink()
                if parts[0] == "predictions":
                    tasks.add((parts[1], parts[2], parts[3]))
    return tasks


def add_runs(union: Union, results: Path) -> list[Run]:
    """Copy to the tree the runs of ``results`` that are done and come before those there; returns these.

    The scores of a run that is there are copied too: another version of the benchmark may have made them.
    """
    added = []
    for run in union.runs:
        files = list_files(run, run.model in union.roles.evaluators)
        predictions, record = f"predictions/{run.stem}.parquet", files[-1]
        if is_unready(results, run, [predictions, *files]):
            continue
        if not is_same(results / record, union.tree / record):
            if not union.prefers(run, read_json(results / record)):
                continue
            (union.tree / predictions).parent.mkdir(parents=True, exist_ok=True)
            task = results / "tasks" / run.task / f"{run.scheme}.parquet"
            pack_predictions(task, results / predictions, union.tree / predictions)
            history = Path(record).with_name(HISTORY)
            (union.tree / history).unlink(missing_ok=True)
            if (results / history).is_file():
                copy(results / history, union.tree / history)
            added.append(run)
        for file in files:
            copy(results / file, union.tree / file)
    return added


def is_unready(results: Path, run: Run, files: Sequence[str]) -> bool:
    """Whether a run is not done, or some of its files are not there or are yet to be made again."""
    if find_outcome(results, run)["status"] != "done":
        return True
    return any(not (results / each).is_file() or find_outstanding(results / each) is not None for each in files)


def add_notes(union: Union, results: Path) -> None:
    """Copy the small files of tasks, which may come later than their runs: notes, intervals, what was rejected."""
    for task, runs in group_by_task(union.list_done()).items():
        place, dataset = "/".join(task), task[0]
        small = [f"notes/{place}.json", f"exposure/{place}.json"]
        small += [f"data/{dataset}/{each}.csv" for each in ("rejects", "doubles")]
        for model in dict.fromkeys(run.model for run in runs):
            records = [f"predictions/{run.stem}/run.json" for run in runs if run.model == model]
            if all(is_same(results / each, union.tree / each) for each in records):  # else they are of other runs
                small.append(f"uncertainty/{place}/{model}.json")
        for file in small:
            if (results / file).is_file() and find_outstanding(results / file) is None:
                copy(results / file, union.tree / file)


def group_by_task(runs: Iterable[Run]) -> dict[tuple[str, str, str], list[Run]]:
    """Runs by dataset, property and scheme."""
    found: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        found.setdefault((run.dataset, run.property, run.scheme), []).append(run)
    return found


def draw_task(union: Union, results: Path, task: tuple[str, str, str]) -> None:
    """Make anew what is made of the predictions of all models on a task, whose data lie in ``results``."""
    dataset, name, _ = task
    place = "/".join(task)
    molecules = results / "data" / dataset / "molecules.parquet"
    split = results / "splits" / f"{place}.parquet"
    for file in (molecules, split):
        if not file.is_file():
            raise ContractError(
                f"{file}: no such file, and the figures of {place} are to be made anew; have snakemake make it, then "
                "merge again"
            )
    pack_split(split, union.tree / "splits" / f"{place}.parquet")
    entry = union.datasets[dataset]["properties"][name]
    with scratch_folder(union.folder / place.replace("/", "-")) as scratch:
        found: dict[str, list[Path]] = {}
        for run in group_by_task(union.list_done())[task]:
            predictions = scratch / run.model / f"seed{run.seed}.parquet"
            predictions.parent.mkdir(exist_ok=True)
            union.unpack(run, results / "tasks" / f"{place}.parquet", predictions)
            found.setdefault(run.model, []).append(predictions)
        hardest = union.tree / "hardest" / f"{place}.json"
        for file in (hardest, *(union.folder / f"plots/{kind}/{place}.png" for kind in ("hardest", "parity"))):
            file.parent.mkdir(parents=True, exist_ok=True)
        judged = {model: paths for model, paths in found.items() if model not in union.roles.unjudged}
        find_hardest(molecules, split, judged, hardest, property_name=name)
        plot_hardest(hardest, union.folder / f"plots/hardest/{place}.png")
        plot_parity(
            molecules,
            split,
            found,
            union.folder / f"plots/parity/{place}.png",
            labels=union.roles.labels,
            property_name=name,
            label=entry.get("label", name),
            unit=entry["unit"],
        )


def lay_out(union: Union, results: Path, folder: Path) -> Path | None:
    """Lay the runs of a publication out in ``folder`` as the workflow leaves them, with the tables, for the site.

    Returns:
        A file of ``results`` that is not there, but which a run stands on: then nothing is laid out.
    """
    done = union.list_done()
    places = {f"{run.task}/{run.scheme}": run.dataset for run in done}
    read = [f"{kind}/{place}.parquet" for place in places for kind in ("tasks", "splits")]
    read += [f"data/{dataset}/molecules.parquet" for dataset in dict.fromkeys(places.values())]
    for file in read:
        if not (results / file).is_file():
            return results / file
    shutil.copytree(union.tree, folder)
    for file in read:
        copy(results / file, folder / file)
    for run in done:
        task, predictions = folder / f"tasks/{run.task}/{run.scheme}.parquet", f"predictions/{run.stem}.parquet"
        union.unpack(run, task, folder / predictions)
    for table in ("leaderboard.csv", "runs.csv"):
        copy(union.folder / table, folder / table)
    return None


def pack_split(split: Path, out: Path) -> None:
    """Write a split without its densities, which the page does not show and which do not pack."""
    table = read_table(split, SPLIT)
    empty = pa.array(np.full(table.num_rows, np.nan))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_table(table.set_column(table.column_names.index("density"), "density", empty), out, SPLIT)


def write_union(union: Union) -> None:
    """Write the tables, overviews and page of what the tree holds."""
    folder, tree, config = union.folder, union.tree, union.shown_config
    metrics, records = summarise(tree, union.runs, controls=union.roles.controls)
    write_text(folder / STATUS, write_status(records, union.roles))
    metrics, records = (table[table["model"].isin(config["models"])] for table in (metrics, records))
    records = records.assign(reason=records["reason"].where(records["status"] == "done", "not published yet"))
    write_tables((metrics, records), folder / "leaderboard.csv", folder / "runs.csv")
    judged = sorted((tree / "uncertainty").rglob("*.json"))  # of the models that are asked for, see prune
    summarise_uncertainty(judged, folder / "uncertainty.csv")
    for scheme in union.config["schemes"]:
        for kind, plot in (("heatmap", plot_heatmap), ("ratio", plot_ratio)):
            figure = folder / f"plots/{kind}/{scheme}.png"
            figure.parent.mkdir(parents=True, exist_ok=True)
            plot(
                folder / "leaderboard.csv",
                figure,
                scheme=scheme,
                labels=union.roles.labels,
                controls=set(union.roles.controls),
            )
    write_page(
        folder / "leaderboard.md",
        read_metrics(folder / "leaderboard.csv"),  # with as many digits as there
        records,
        config=config,
        datasets=union.datasets,
        models=union.models,
        results=tree,
    )


def write_status(records: pd.DataFrame, roles: Roles) -> str:
    """The page that says which runs a publication has."""
    done = (records["status"] == "done").sum()
    return (
        "# Status\n\n<!-- made by -->\n\n<!-- end -->\n\n"
        f"Of {len(records)} runs {done} are published. Seeds done of seeds; hours of training (≥: it was interrupted) "
        f"and the largest memory of one, of those that are done; the hours that are left, if each run takes as "
        f"long as the model's others on that dataset (≥: on another it has none, or one was "
        f"interrupted; —: it has none at all).\n\n{tabulate_progress(records, roles)}\n"
    )


def check_size(made: Path, folder: Path) -> None:
    """Raise :class:`ContractError` if ``made``, which is to be called ``folder``, is large but for its site."""
    files = [each for each in made.rglob("*") if each.is_file() and not each.is_relative_to(made / SITE)]
    size = sum(file.stat().st_size for file in files)
    if size > LARGEST:
        raise ContractError(
            f"{folder}: would have {size / 1e6:.0f} MB beside its site, more than {LARGEST / 1e6:.0f}; leave models "
            "out of its configuration"
        )


def restore_runs(folder: Path, results: Path = Path(RESTORED)) -> int:
    """Lay the runs of a publication back; returns how many.

    Raises:
        ContractError: it holds no runs.
    """
    tree = folder / RUNS
    if not tree.is_dir():
        raise ContractError(f"{folder}: holds no runs; give a publication that --merge has made")
    for file in sorted(each for each in tree.rglob("*") if each.is_file()):
        copy(file, results / file.relative_to(tree))
    return len(list(tree.rglob("run.json")))
