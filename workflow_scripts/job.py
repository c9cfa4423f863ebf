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

from boomlib.files import ContractError
from boomlib.processes import SNAKEMAKE, claim, end_with
from boomlib.reasons import state_reason

NEUTRAL = "logs and ends a job, whatever it computes"


EVERY = 30.0  # seconds between two lines of a job on the terminal, which other jobs share


class StoppedError(Exception):
    """The job was asked to end."""


def stop(number: int, frame: object) -> None:
    """End the job as an error does: what it has written whole stays, and its reason is kept."""
    raise StoppedError(
        f"stopped by {signal.Signals(number).name}: a time limit, a preemption, a cancellation or the end of "
        "Snakemake; started again, a training goes on from its last epoch"
    )


class Rarely:
    """A filter that lets the first two records pass, then one in :data:`EVERY` seconds; warnings always."""

    def __init__(self) -> None:
        self.passed, self.due = 0, 0.0

    def __call__(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` passes."""
        if record.levelno < logging.WARNING and record.created < self.due:
            return False
        self.passed += 1
        # the first says where the log is; what comes next is news, however soon it comes
        self.due = record.created + EVERY if self.passed > 1 else 0.0
        return True


class Handler(logging.StreamHandler):
    """Writes lines, and lets a request to end pass that arrives just then; other failures to write harm no job."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 the name is logging's
        """Raise the request again, which logging would swallow."""
        if isinstance(sys.exception(), StoppedError):
            raise  # noqa: PLE0704 it is called where the exception is handled
        super().handleError(record)


def send_output_to(log: str) -> None:
    """Send all that this process and its children print to ``log``; what boomlib logs goes to the terminal as well.

    The descriptors themselves are redirected, since compiled libraries and worker processes write to these, and stay
    so until the process ends. The lines on the terminal begin with the name of the log, where all else is.
    """
    terminal = Handler(os.fdopen(os.dup(2), "w", encoding="utf-8"))
    terminal.setFormatter(logging.Formatter(f"{log}: %(message)s"))
    terminal.setLevel(logging.INFO)
    terminal.addFilter(Rarely())
    logger = logging.getLogger("boomlib")
    logger.addHandler(terminal)
    logger.addHandler(Handler(sys.stderr))
    logger.setLevel(logging.DEBUG)
    with Path(log).open("a", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    # a file is not a terminal: Python would hold lines back, and mix up the order of the two streams
    sys.stdout.reconfigure(line_buffering=True)


@contextlib.contextmanager
def logged(log: str, threads: int = 1, resumes: bool = False) -> Iterator[None]:
    """Send output to ``log`` (:func:`send_output_to`), and keep numerical libraries to ``threads`` threads.

    The job ends with the Snakemake that started it. No two jobs write to one log, and so to the same outputs, at once.
    The log of a job that fails ends with the reason, in one line (:mod:`boomlib.reasons`); a contract error has no
    traceback before it. In a job that ``resumes`` where it was, SIGTERM is such an error, which SLURM sends before it
    kills a job; others just die of it, as all do of SIGINT, and their workers with them.
    """
    # Ctrl-C reaches jobs as well; scikit-learn takes it for a wish to end the training early and go on
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if resumes:
        signal.signal(signal.SIGTERM, stop)
    end_with(int(os.environ[SNAKEMAKE]))
    send_output_to(log)
    with threadpool_limits(threads):
        try:
            claim(log)
            os.ftruncate(1, 0)  # what an earlier job wrote
            yield
        except (ContractError, StoppedError) as error:
            if "\n" in str(error):  # such as what pip says
                print(error, file=sys.stderr)
            print(state_reason(str(error)), file=sys.stderr)
            sys.exit(1)
        except Exception as error:
            traceback.print_exc()
            print(state_reason(f"{type(error).__name__}: {error}".removesuffix(": ")), file=sys.stderr)
            sys.exit(1)
