"""The leaderboard for people who work in Python: what models reached, of this checkout or as published."""

from pathlib import Path

import pandas as pd

from boomlib import registry
from boomlib.evaluation.summary import read_metrics
from boomlib.files import ContractError, StrPath
from boomlib.on_demand import find_checkout
from boomlib.report.roles import Roles, assign_roles
from boomlib.version import VERSION

PUBLISHED = "docs/benchmarks"
BOARD = "leaderboard.csv"


def leaderboard(
    task: str | None = None, *, scheme: str = "kde", page: str | None = None, folder: StrPath | None = None
) -> pd.DataFrame:
    """What models have reached.

    Args:
        task: ``dataset/property``; None for all that there is.
        scheme: the split of the task.
        page: a published page, a folder of ``docs/benchmarks``; None for the results of the checkout.
        folder: the checkout; None for that of this boomlib.

    Returns:
        Of all tasks the tidy table of :func:`boomlib.evaluation.summary.tabulate_metrics`. Of one task a row a model,
        by its name: ``label``, ``control``, the RMSE on ``id`` and ``ood`` in the property's unit with the ends of
        their 95 % intervals (``id_low`` …), ``ood_id_ratio`` and ``n_seeds``; sorted by OOD, controls last, NaN where
        no run has finished.

    Raises:
        ContractError: there is no such table or page, or nothing of the task in it; the message says what to run.
    """
    root = find_checkout(folder)
    metrics = read_board(root, page)
    return metrics if task is None else rank(select_task(metrics, task, scheme, page), read_roles(root, page))


def compare(
    scores: pd.DataFrame,
    label: str,
    task: str,
    *,
    scheme: str,
    split: str,
    page: str | None = None,
    folder: StrPath | None = None,
) -> pd.DataFrame:
    """The table of :func:`leaderboard` with a row for one's own scores.

    Args:
        scores: what :meth:`boomlib.task.Task.evaluate` returned.
        label: the name of the row.
        task: ``dataset/property``.
        scheme: its split.
        split: the hash of the split that was scored.
        page: see :func:`leaderboard`.
        folder: see :func:`leaderboard`.

    Raises:
        ContractError: see :func:`leaderboard`; or its scores are of another version of the benchmark or split.
    """
    root = find_checkout(folder)
    chosen = select_task(read_board(root, page), task, scheme, page)
    if label in set(chosen["model"]):
        raise ContractError(f"'{label}' is a model of {task} already; give your row another name: label=…")
    done = chosen[chosen["metric"] != ""]
    for column, own in (("version", VERSION), ("split", split)):
        others = set(done.get(column, ["none named"])) - {own}
        if others:
            raise ContractError(
                f"{task}: scores of one {column} alone may stand in one table; yours are of {own}, those of "
                f"{'results' if page is None else page} of {', '.join(sorted(others))}. Run the benchmark again, or "
                "read the other table by itself with boomlib.leaderboard"
            )
    own = scores.reset_index().rename(columns={"value": "mean"}).assign(model=label, n_seeds=1)
    return rank(pd.concat([chosen, own]), read_roles(root, page))


def list_pages(root: Path) -> list[str]:
    """The published pages of a checkout."""
    return sorted(path.parent.name for path in (root / PUBLISHED).glob(f"*/{BOARD}"))


def read_board(root: Path, page: str | None) -> pd.DataFrame:
    """The metrics of the results of a checkout, or of one of its published pages."""
    if page is not None:
        registry.check_known("page", page, list_pages(root), f"{root / PUBLISHED}")
        return read_metrics(root / PUBLISHED / page / BOARD)
    path = root / "results" / BOARD
    if not path.is_file():
        raise ContractError(
            f"{path}: no such file; run `snakemake --cores 4 results/leaderboard.md` in {root}, with --configfile for "
            f"another configuration, or read a published page: page=… of {', '.join(list_pages(root)) or 'none'}"
        )
    return read_metrics(path)


def select_task(metrics: pd.DataFrame, task: str, scheme: str, page: str | None) -> pd.DataFrame:
    """The rows of one task and scheme."""
    named = metrics["dataset"] + "/" + metrics["property"] + ", scheme " + metrics["scheme"]
    where = "results/leaderboard.csv" if page is None else f"{PUBLISHED}/{page}"
    registry.check_known("task", f"{task}, scheme {scheme}", sorted(set(named)), where)
    return metrics[named == f"{task}, scheme {scheme}"]


def read_roles(root: Path, page: str | None) -> Roles:
    """Labels and controls among the models of the configuration that made a table, as they are described today."""
    config = root / ("results/config.yaml" if page is None else f"config/{page}.yaml")
    models = registry.load_models(root / "config/models")
    return assign_roles(registry.with_variants(models, registry.read_yaml(config), str(config)))


def rank(rows: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """The table of :func:`leaderboard` from the rows of one task; a model without a descriptor has its own name."""
    table = pd.DataFrame(index=pd.Index(rows["model"].unique(), name="model"))
    table["label"] = [roles.labels.get(name, name) for name in table.index]
    table["control"] = table.index.isin(roles.controls)

    def find(metric: str, fold: str) -> pd.DataFrame:
        measured = rows[(rows["metric"] == metric) & (rows["fold"] == fold)]
        return measured.set_index("model").reindex(table.index)

    for fold in ("id", "ood"):
        table[[fold, f"{fold}_low", f"{fold}_high"]] = find("rmse", fold)[["mean", "low", "high"]]
    table["ood_id_ratio"] = find("ood_id_ratio", "ood")["mean"]
    table["n_seeds"] = find("rmse", "ood")["n_seeds"].fillna(0).astype(int)
    return table.sort_values(["control", "ood"], kind="stable")
