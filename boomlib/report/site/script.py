"""Data as scripts: what a page that is opened from disk may load, where it may fetch nothing."""

import base64
import json
import zlib
from pathlib import Path

import numpy as np

from boomlib.files import write_text

UNSAFE = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}
"""Signs that could end a script, or a line of it, within a text; JSON has them in texts alone."""


def write_script(folder: Path, key: str, value: object) -> Path:
    """Write ``data/{key}.js``, which hands ``value`` to the page that loads it, and return the file.

    Raises:
        ValueError: a number is not finite, which JSON does not know.
    """
    path = folder / "data" / f"{key}.js"
    write_text(path, f"BOOM.give({to_json(key)},{to_json(value)});\n")
    return path


def to_json(value: object) -> str:
    """``value`` as JSON that may stand in a script, whatever its texts hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(UNSAFE)


def pack_text(text: str) -> str:
    """``text`` deflated, in base64."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def pack_numbers(values: np.ndarray) -> str:
    """Numbers [n] as 32-bit floats, deflated, in base64.

    All first bytes come before all second ones and so on, which deflates better.
    """
    numbers = np.ascontiguousarray(values, dtype="<f4").view(np.uint8).reshape(-1, 4)
    return base64.b64encode(zlib.compress(numbers.T.tobytes(), 9)).decode()
