"""Where the molecules come from."""

from collections.abc import Mapping

from boomlib.report.tables.markdown import format_table

COLUMNS = ("Dataset", "Name", "Licence", "Reference", "Rejected rows", "Merged rows")


def tabulate_sources(datasets: Mapping[str, Mapping], unused: Mapping[str, tuple[int, int]]) -> str:
    """Licence, reference and number of rejected and of merged rows of every dataset.

    Args:
        datasets: registry entries of the datasets shown.
        unused: by dataset, rows of the source that are no molecule with a label, and those that repeat another.
    """
    rows = [
        [name, entry["label"], entry["licence"], entry["doi"], *(f"{count:,}" for count in unused[name])]
        for name, entry in datasets.items()
    ]
    return format_table(COLUMNS, rows, text_columns=4)
