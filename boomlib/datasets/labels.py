"""Labels as people write them: numbers with a decimal point or a decimal comma, which a metric can hold."""

import math
import os
import re
from collections.abc import Mapping, Sequence

import numpy as np

from boomlib.files import DATASET_ENTRY, ContractError

# single precision, in which networks learn, ends at 3e38; metrics multiply four of them and sum over the molecules
LARGEST, SMALLEST = 1e30, 1e-30
SHOWN = 200  # characters of a text from outside that messages show
POINT = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")
COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")
# how spreadsheets, pandas and R write that there is no value, in small letters
MISSING = frozenset({"", "na", "n/a", "nan", "-nan", "null", "none", "<na>", "#n/a", "#na"})
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def as_number(value: object, decimal: str = ".") -> float | None:
    """``value`` as a finite float, or None if it is none.

    Args:
        value: a number, or the text that stands in its place.
        decimal: what stands before the decimals in a text, ``.`` or ``,``; the other mark makes it no number.
    """
    if isinstance(value, str):
        if "_" in value or (decimal == "," and "." in value):  # Python alone reads 1_000
            return None
        value = value.replace(",", ".") if decimal == "," else value
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever a file holds
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def is_missing(value: object) -> bool:
    """Whether a value from outside says that there is no label: it is empty, NaN or one of :data:`MISSING`."""
    if isinstance(value, str):
        return value.strip().casefold() in MISSING
    return value is None or value != value  # noqa: PLR0124  # NaN of any type


def why_no_label(value: object, decimal: str = ".", positive: bool = False) -> str | None:
    """Why a value from outside that is there (:func:`is_missing`) is no label; None if it is one.

    Args:
        value: see :func:`as_number`.
        decimal: likewise.
        positive: whether the property is a density, which is more than 0.
    """
    number = as_number(value, decimal)
    if number is None:
        found = value.item() if isinstance(value, np.generic) else value
        comma = " with a decimal comma" if decimal == "," else ""
        return f"is not a finite number{comma}: {shortened(repr(found))}"
    if abs(number) > LARGEST:
        return f"is {number:g}, beyond ±{LARGEST:g}, more than networks and metrics have room for"
    if positive and number <= 0:
        return f"is {number:g}, and a density is more than 0"
    return None


def check_scale(where: str, labels: np.ndarray) -> None:
    """Raise :class:`ContractError` if all labels of a property are too small for networks and metrics.

    Args:
        where: file and property, for the message.
        labels: finite, float64 [n].
    """
    largest = float(np.abs(labels).max(initial=0))
    if 0 < largest < SMALLEST:
        raise ContractError(
            f"{where}: all labels lie within ±{largest:g}, too small for networks and metrics (±{SMALLEST:g} would "
            "do); give them in another unit"
        )


def shortened(text: str) -> str:
    """``text``, or the beginning of a long one."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def find_decimal(
    path: str | os.PathLike, labels: Mapping[str, Sequence[object]], counts: str, numbers: Sequence[int]
) -> str:
    """The decimal mark of the labels that are text, ``.`` or ``,``.

    Args:
        path: the file, for messages.
        labels: columns by property, [n] each.
        counts: ``line`` or ``row``, which ``numbers`` are.
        numbers: of the rows in the file, [n].

    Raises:
        ContractError: both marks occur, or commas may be those of thousands.
    """
    points: tuple[int, str] | None = None
    commas: tuple[int, str] | None = None
    plain = False
    for column in labels.values():
        for number, value in zip(numbers, column, strict=True):
            if not isinstance(value, str):
                continue
            text = value.strip()
            if COMMA.fullmatch(text):
                commas = commas or (number, text)
                plain = plain or not THOUSANDS.fullmatch(text)
            elif POINT.fullmatch(text):
                points = points or (number, text)
    if commas is None:
        return "."
    if points is None and plain:
        return ","
    seen = f"{counts} {commas[0]} has '{commas[1]}'"
    seen += f", {counts} {points[0]} has '{points[1]}'" if points else ", and each comma may be one of thousands"
    raise ContractError(
        f"{path}: which mark is the decimal one is not plain: {seen}; set `decimal` to '.' or ',' in {DATASET_ENTRY}, "
        "then rows with the other mark are rejected, or write all numbers alike"
    )
