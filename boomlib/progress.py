"""Lines that say how far a long step is: whole ones, since a log is read later and a terminal belongs to many jobs."""

import logging
import time

from tqdm import tqdm

NEUTRAL = "says how far a step is"

EVERY = 10.0  # seconds between two lines

logger = logging.getLogger(__name__)


class Progress:
    """Counts what is done, and logs it every ten seconds with the time that the rest will take.

    Args:
        step: what is done.
        unit: what is counted.
        total: how many there are, if that is known.
        level: level of the lines; below ``logging.INFO`` they go to the job's log alone.
    """

    def __init__(self, step: str, unit: str, total: int | None = None, level: int = logging.INFO) -> None:
        self.step, self.unit, self.total, self.level = step, unit, total, level
        self.done, self.start = 0, time.monotonic()
        self.said = self.start

    def advance(self, n: int = 1) -> None:
        """Count ``n`` more."""
        self.done += n
        now = time.monotonic()
        if now - self.said >= EVERY:
            self.said = now
            meter = tqdm.format_meter(self.done, self.total, now - self.start, prefix=self.step, unit=self.unit)
            logger.log(self.level, meter)
