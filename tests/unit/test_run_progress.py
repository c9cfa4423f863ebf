"""How much of a publication that grows is there."""

import pandas as pd

from boomlib.report.roles import Roles
from boomlib.report.tables.progress import estimate_left, tabulate_progress

COLUMNS = ["dataset", "property", "scheme", "model", "status", "seconds", "peak_memory_mib", "resumed"]


def tabulate(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def done(dataset, prop, seconds, model="ridge", resumed="False"):
    return (dataset, prop, "kde", model, "done", str(seconds), "512", resumed)


def pending(dataset, prop, model="ridge"):
    return (dataset, prop, "kde", model, "pending", "", "", "")


def test_what_is_left_takes_as_long_as_the_models_runs_on_the_dataset():
    runs = tabulate(
        done("csd", "hof", 36),
        pending("csd", "density"),
        done("qm9", "mu", 3600),
        done("qm9", "gap", 7200),
        pending("qm9", "cv"),
    )
    assert estimate_left(runs) == "1.51"  # 36 s, and the mean of one hour and two


def test_of_a_dataset_without_a_run_nothing_is_made_up():
    assert (
        estimate_left(tabulate(done("csd", "hof", 720), pending("csd", "density"), pending("qm9", "mu"))) == "≥ 0.20"
    )
    assert estimate_left(tabulate(done("csd", "hof", 720), pending("qm9", "mu"))) == "—"
    assert estimate_left(tabulate(pending("csd", "hof"))) == "—"
    assert estimate_left(tabulate(done("csd", "hof", 720))) == "0.00"


def test_the_seconds_of_an_interrupted_training_are_a_least():
    cut = done("csd", "hof", 36, resumed="True")
    assert estimate_left(tabulate(cut, pending("csd", "density"))) == "≥ 0.01"
    assert estimate_left(tabulate(cut, done("qm9", "mu", 720), pending("qm9", "gap"))) == "0.20"


def test_each_model_has_a_row_with_what_is_done_and_what_is_left():
    records = tabulate(done("csd", "hof", 720), pending("csd", "density"), pending("csd", "hof", "mlp"))
    table = tabulate_progress(records, Roles({"ridge": "Ridge", "mlp": "MLP"}, frozenset(), frozenset()))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert rows[0][-3:] == ["Hours", "MiB", "Hours left"]
    assert rows[2] == ["Ridge", "—", "1 of 1", "pending", "0.20", "512", "0.20"]
    assert rows[3][-3:] == ["—", "—", "—"]
