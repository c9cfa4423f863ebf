"""RMSE of every model on every task: in a fold, and on OOD outside and inside the training range."""

from boomlib.report.numbers import NONE, format_number
from boomlib.report.tables.markdown import format_table
from boomlib.report.tables.ranked import RankedModels


def tabulate_errors(ranked: RankedModels, fold: str) -> str:
    """RMSE on one fold, mean ± standard deviation over seeds; the best models (``find_best``) are bold."""
    mean, std, seeds = (ranked.select("rmse", fold, column) for column in ("mean", "std", "n_seeds"))
    failures = ranked.metrics[ranked.metrics["metric"] == ""]
    lost = failures.groupby(["model", "dataset", "property"]).size()
    best = ranked.find_best(fold)
    rows = []
    for model, name in ranked.names.items():
        row = [name]
        for task in ranked.titles:
            text = format_number(mean.loc[model, task], std.loc[model, task])
            if best.loc[model, task]:
                text = f"**{text}**"
            absent = lost.get((model, *task), 0)
            if text != NONE and absent:
                done = int(seeds.loc[model, task])
                text += f" ({done} of {done + absent} seeds)"
            row.append(text)
        rows.append(row)
    return format_table(["Model", *ranked.titles.values()], rows)


def tabulate_tail_interior(ranked: RankedModels) -> str:
    """RMSE on the OOD molecules outside and inside the range of the training labels."""
    tail, interior = ranked.select("rmse", "ood_tail"), ranked.select("rmse", "ood_interior")
    rows = []
    for model, name in ranked.names.items():
        cells = [
            f"{format_number(tail.loc[model, task])} / {format_number(interior.loc[model, task])}"
            for task in ranked.titles
        ]
        rows.append([name, *(NONE if text == f"{NONE} / {NONE}" else text for text in cells)])
    return format_table(["Model", *ranked.titles.values()], rows)
