"""Cells and tables as Markdown."""

import re
from collections.abc import Sequence

from tabulate import tabulate


def escape_cell(text: str) -> str:
    """``text`` for one cell of a Markdown table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def format_code(text: str) -> str:
    """``text`` as a code span, in which Markdown and HTML have no meaning; empty text stays empty."""
    return f"`{text.replace('`', chr(39))}`" if text else ""


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """A Markdown table, padded so that it is readable as plain text too.

    The first ``text_columns`` columns are aligned to the left, the others to the right.
    """
    headers, *cells = [[escape_cell(text) for text in line] for line in (header, *rows)]
    align = ["left"] * text_columns + ["right"] * (len(headers) - text_columns)
    return tabulate(cells, headers, tablefmt="pipe", colalign=align, disable_numparse=True)
