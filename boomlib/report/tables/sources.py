"""Where the molecules come from."""

from collections.abc import Mapping

from boomlib.report.numbers import NONE
from boomlib.report.tables.markdown import format_table

COLUMNS = ("Dataset", "Name", "Licence", "Reference", "Rejected rows", "Merged rows", "Rows without some labels")


def count_rows(unused: tuple[int, ...] | None) -> list[str]:
    """The last columns of a dataset."""
    return [NONE] * 3 if unused is None else [f"{count:,}" for count in unused]


def tabulate_sources(datasets: Mapping[str, Mapping], unused: Mapping[str, tuple[int, ...] | None]) -> str:
    """Licence and reference of every dataset, and how many of its rows are not used as they are.

    Args:
        datasets: registry entries of the datasets shown.
        unused: by dataset, the numbers of rows of the last columns; None: not known yet.
    """
    rows = [
        [name, entry["label"], entry["licence"], entry["doi"], *count_rows(unused[name])]
        for name, entry in datasets.items()
    ]
    return format_table(COLUMNS, rows, text_columns=4)
