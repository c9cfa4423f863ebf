"""Numbers, cells and tables as Markdown."""

import re
from collections.abc import Sequence
from math import isnan

from boomlib.evaluation.metrics import METRICS

NONE = "—"


def exponent(value: float) -> int:
    """Decimal exponent of ``value`` after rounding to three significant digits."""
    return int(f"{value:.2e}".split("e")[1])


def format_number(value: float, std: float = float("nan")) -> str:
    """Format with three significant digits, and ``std``, if there is one, with as many decimals; NaN is —."""
    if isnan(value):
        return NONE
    power = exponent(value) if value else 0
    if -5 <= power < 6:
        decimals, scale, suffix = (max(0, 2 - power) if value else 0), 1.0, ""
    else:
        decimals, scale, suffix = 2, 10.0**power, f"e{power}"
    text = f"{value / scale:.{decimals}f}"
    if isnan(std):
        return text + suffix
    spread = f"{text} ± {std / scale:.{decimals}f}"
    return f"({spread}){suffix}" if suffix else spread


def format_interval(low: float, high: float) -> str:
    """An interval with three significant digits an end; — if it has none."""
    return NONE if isnan(low) else f"[{format_number(low)}, {format_number(high)}]"


def format_metric(name: str, value: float) -> str:
    """Format the value of a metric: three decimals if it has no unit, else three significant digits."""
    if METRICS[name].unit == "none" and not isnan(value):
        return f"{value:z.3f}"
    return format_number(value)


def cell(text: str) -> str:
    """Escape ``text`` for one cell of a Markdown table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def code(text: str) -> str:
    """``text`` as a code span, in which Markdown and HTML have no meaning; empty text stays empty."""
    return f"`{text.replace('`', chr(39))}`" if text else ""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """A Markdown table, padded so that it is readable as plain text too.

    The first ``text_columns`` columns are aligned to the left, the others to the right.
    """
    lines = [[cell(text) for text in line] for line in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width if index < text_columns else "-" * (width - 1) + ":" for index, width in enumerate(widths)]
    padded = [
        [
            text.ljust(width) if index < text_columns else text.rjust(width)
            for index, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (padded[0], rule, *padded[1:]))
