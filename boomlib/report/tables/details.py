"""Every metric of every model and task on OOD."""

from boomlib.evaluation.comparison import FEWEST
from boomlib.evaluation.metrics import METRICS
from boomlib.report.numbers import NONE, format_interval, format_metric
from boomlib.report.tables.markdown import format_table
from boomlib.report.tables.ranked import RankedModels


def tabulate_details(ranked: RankedModels) -> str:
    """One row a task and model, with the 95 % interval of the RMSE; — on too few molecules for one."""
    values = {name: ranked.select(name, "ood") for name in METRICS}
    low, high, counts = (ranked.select("rmse", "ood", column) for column in ("low", "high", "n_molecules"))
    rows = []
    for task, title in ranked.titles.items():
        for model, label in ranked.names.items():
            n = counts.loc[model, task]
            interval = format_interval(low.loc[model, task], high.loc[model, task])
            if n < FEWEST:
                interval = f"{NONE} (n = {n:.0f})"
            numbers = [format_metric(name, frame.loc[model, task]) for name, frame in values.items()]
            rows.append([title, label, numbers[0], interval, *numbers[1:]])
    rmse, *others = [f"{metric.label} {metric.arrow}".strip() for metric in METRICS.values()]
    return format_table(["Task", "Model", rmse, "95 % interval", *others], rows, text_columns=2)
