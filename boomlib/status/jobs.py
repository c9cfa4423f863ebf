"""What a job that is at work says of itself: since when, and how far it is."""

import re
from dataclasses import dataclass
from pathlib import Path

from boomlib.processes import is_claimed, locate_lock
from boomlib.reasons import MARK

ENDS = 1 << 16  # bytes of a log that are read, at its beginning and at its end
SILENCE = 600.0  # seconds without a line after which a job that cannot be seen otherwise is no longer at work
EPOCH = re.compile(r"^epoch (\d+) of (\d+):", re.M)  # a line of boomlib.harness.training
METER = re.compile(r"^(.+?): +(\d+)%\|", re.M)  # a line of boomlib.progress


@dataclass(frozen=True)
class Epochs:
    """How far a training is.

    Attributes:
        before: epochs that an earlier process has done.
        done: epochs that are done, those before among them, and the part of the present one.
        most: epochs after which it ends, unless valid ends it earlier.
    """

    before: int
    done: float
    most: int


def is_at_work(log: str, now: float) -> bool:
    """Whether the job with this log works now, in seconds since 1970.

    On another machine, as on a cluster, whose locks the file system does not show, one does that has written to its
    log in the last ten minutes and not said there why it ended.
    """
    claimed = is_claimed(log)
    if claimed is not None:
        return claimed
    path = Path(log)
    if not path.is_file() or now - path.stat().st_mtime > SILENCE:
        return False
    return not any(line.startswith(MARK) for line in read_ends(log).splitlines())


def measure_age(log: str, now: float) -> float:
    """Seconds since the job that has claimed a log began."""
    return max(0.0, now - locate_lock(log).stat().st_mtime)


def read_ends(log: str) -> str:
    """The beginning and the end of a log; empty if it does not exist yet."""
    try:
        with Path(log).open("rb") as stream:
            text = stream.read(ENDS)
            end = stream.seek(0, 2)
            if end > len(text):
                stream.seek(max(len(text), end - ENDS))
                text += b"\n" + stream.read()
    except FileNotFoundError:
        return ""
    return text.decode("utf-8", errors="replace")


def read_epochs(text: str, most: int | None = None) -> Epochs | None:
    """How far a training is, by its log.

    Args:
        text: the log.
        most: its epochs, which the log names once the first has ended.

    Returns:
        None if the log does not tell, as that of a model without epochs.
    """
    ended = list(EPOCH.finditer(text))
    meters = [(each[1], int(each[2]) / 100) for each in METER.finditer(text, ended[-1].end() if ended else 0)]
    name, share = meters[-1] if meters else ("", 0.0)
    if ended:
        last = int(ended[-1][1])
        return Epochs(int(ended[0][1]) - 1, last + share * (name == f"epoch {last + 1}"), int(ended[-1][2]))
    present = re.fullmatch(r"epoch (\d+)", name)
    if present is None or most is None:
        return None
    return Epochs(int(present[1]) - 1, int(present[1]) - 1 + share, most)


def read_share(text: str) -> float | None:
    """The share of a step that is done, by the last line that tells of it; None if none does."""
    shares = [int(each[2]) / 100 for each in METER.finditer(text)]
    return shares[-1] if shares else None
