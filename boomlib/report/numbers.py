"""Numbers as text, for tables and figures."""

from math import isnan

from boomlib.evaluation.metrics import METRICS

NONE = "—"


def find_exponent(value: float) -> int:
    """Decimal exponent of ``value`` after rounding to three significant digits."""
    return int(f"{value:.2e}".split("e")[1])


def format_number(value: float | None, std: float = float("nan")) -> str:
    """Three significant digits, and ``std``, if there is one, with as many decimals; NaN and None are —."""
    if value is None or isnan(value):
        return NONE
    power = find_exponent(value) if value else 0
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


def format_percent(share: float | None) -> str:
    """A share in percent with one decimal; None is —."""
    return NONE if share is None else f"{100 * share:.1f} %"


def format_decimals(value: float | None) -> str:
    """Three decimals; None is —."""
    return NONE if value is None else f"{value:z.3f}"
