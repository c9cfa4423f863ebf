"""What every adapter needs: a log, a line now and then on the terminal, a clear end on failure and on demand."""

import contextlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from threadpoolctl import threadpool_limits
from tqdm.contrib.logging import logging_redirect_tqdm

from boomlib.files import ContractError
from boomlib.processes import SNAKEMAKE, claim, end_with

NEUTRAL = "logs and ends a job, whatever it computes"


EVERY = 10.0  # seconds between two lines of a job on the terminal, which other jobs share


class Rarely:
    """A filter that lets a record pass if none has for :data:`EVERY` seconds; warnings always pass."""

    def __init__(self) -> None:
        self.passed = -EVERY

    def __call__(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` passes."""
        if record.levelno < logging.WARNING and record.created - self.passed < EVERY:
            return False
        self.passed = record.created
        return True


@contextlib.contextmanager
def output_to(log: str) -> Iterator[None]:
    """Send all that this process and its children print to ``log``; what boomlib logs goes to the terminal as well.

    The descriptors themselves are redirected, since compiled libraries and worker processes write to these. The lines
    on the terminal begin with the name of the log, where progress bars, warnings and tracebacks are.
    """
    kept = {number: os.dup(number) for number in (1, 2)}
    logger, terminal = logging.getLogger("boomlib"), os.fdopen(os.dup(2), "w", encoding="utf-8")
    told, written = logging.StreamHandler(terminal), logging.StreamHandler()
    told.setFormatter(logging.Formatter(f"{log}: %(message)s"))
    told.addFilter(Rarely())
    logger.addHandler(told)
    logger.addHandler(written)
    logger.setLevel(logging.INFO)
    try:
        with Path(log).open("w", encoding="utf-8") as stream:
            flush_output()
            for number in kept:
                os.dup2(stream.fileno(), number)
        # a file is not a terminal: Python would hold lines back, and mix up the order of the two streams
        sys.stdout.reconfigure(line_buffering=True)
        with logging_redirect_tqdm([logger]):  # lines above a progress bar, not within
            yield
    finally:
        flush_output()
        for number, descriptor in kept.items():
            os.dup2(descriptor, number)
            os.close(descriptor)
        logger.removeHandler(told)
        logger.removeHandler(written)
        terminal.close()


def flush_output() -> None:
    """Write what Python holds back of both streams."""
    sys.stdout.flush()
    sys.stderr.flush()


class StoppedError(Exception):
    """The job was asked to end."""


def stop(number: int, frame: object) -> None:
    """End the job as an error does: what it has written whole stays, and its reason is kept."""
    raise StoppedError(
        f"stopped by {signal.Signals(number).name}: a time limit, a preemption, a cancellation or the end of "
        "Snakemake; started again, a training goes on from its last epoch"
    )


@contextlib.contextmanager
def logged(log: str, threads: int = 1, resumes: bool = False) -> Iterator[None]:
    """Send output to ``log`` (:func:`output_to`), and keep numerical libraries to ``threads`` threads.

    The job ends with the Snakemake that started it. No two jobs write to one log, and so to the same outputs, at once.
    A contract error ends the job with its message instead of a traceback. In a job that ``resumes`` where it was, so
    does SIGTERM, which SLURM sends before it kills a job; others just die of it, and their workers with them.
    """
    if resumes:
        signal.signal(signal.SIGTERM, stop)
    end_with(int(os.environ[SNAKEMAKE]))
    with output_to(log), threadpool_limits(threads):
        try:
            claim(log)
            yield
        except (ContractError, StoppedError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
