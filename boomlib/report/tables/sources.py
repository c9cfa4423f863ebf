"""Where the molecules come from."""

from collections.abc import Mapping

from boomlib.report.tables.markdown import format_table

COLUMNS = ("Dataset", "Name", "Licence", "Reference", "Rejected rows")


def tabulate_sources(datasets: Mapping[str, Mapping], rejected: Mapping[str, int]) -> str:
    """Licence, reference and number of rejected rows of every dataset.

    Args:
        datasets: registry entries of the datasets shown.
        rejected: rows of the source that are no molecule with all its properties, by dataset.
    """
    rows = [
        [name, entry["label"], entry["licence"], entry["doi"], f"{rejected[name]:,}"]
        for name, entry in datasets.items()
    ]
    return format_table(COLUMNS, rows, text_columns=4)
