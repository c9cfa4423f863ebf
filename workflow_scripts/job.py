"""What every adapter needs: a log that terminal users see as well, a clear last line on failure, an end on request."""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from threadpoolctl import threadpool_limits

from boomlib.files import ContractError
from boomlib.processes import SNAKEMAKE, claim, end_with

NEUTRAL = "logs and ends a job, whatever it computes"


class Tee:
    """Writes to the log and to the terminal."""

    def __init__(self, *streams: TextIO) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        """Write ``text`` to all streams."""
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush all streams."""
        for stream in self.streams:
            stream.flush()

    def isatty(self) -> bool:
        """Whether the last stream, the one people see, is a terminal."""
        return self.streams[-1].isatty()


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
    """Send output to ``log`` and to the terminal, and keep numerical libraries to ``threads`` threads.

    The job ends with the Snakemake that started it. No two jobs write to one log, and so to the same outputs, at once.
    A contract error ends the job with its message instead of a traceback. In a job that ``resumes`` where it was, so
    does SIGTERM, which SLURM sends before it kills a job; others just die of it, and their workers with them.
    """
    if resumes:
        signal.signal(signal.SIGTERM, stop)
    end_with(int(os.environ[SNAKEMAKE]))
    with (
        Path(log).open("w", encoding="utf-8") as stream,
        contextlib.redirect_stderr(Tee(stream, sys.stderr)),
        contextlib.redirect_stdout(Tee(stream, sys.stdout)),
        threadpool_limits(threads),
    ):
        try:
            claim(log)
            yield
        except (ContractError, StoppedError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
