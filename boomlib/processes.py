"""Processes that die: what they leave running ends, what they leave locked is free again.

Processes find each other by process ids and by ``flock``, which the operating system drops with its holder, however
that ends. Not by filelock: it cannot turn a lock that excludes others into one that several hold, as each Snakemake
does while it lives, and where a file system knows no ``flock`` it makes do with a file that outlives its holder.
"""

import fcntl
import os
import re
import select
import shlex
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from boomlib.files import ContractError

NEUTRAL = "starts, locks and ends jobs, whatever they compute"

SNAKEMAKE = "BOOM_SNAKEMAKE_PID"  # the environment variable with the id of the Snakemake that started a job
GRACE = 30.0  # seconds that a process has to end when asked to
WAIT = 2 * GRACE


def lead_jobs(checkout: str) -> None:
    """Have the jobs that this process, a Snakemake, starts end with it, and run the code of its ``checkout``.

    Snakemake puts the checkout behind the packages of a job's Python, where one may be boomlib of another checkout. It
    hands the path of Python to a shell as it is, which would cut it at a blank (exit status 127).

    Raises:
        ContractError: the path of the checkout cannot be handed on.
    """
    if found := [each for each in (os.pathsep, "{", "}") if each in checkout]:
        raise ContractError(
            f"{checkout}: no job runs in a path with '{found[0]}', which PYTHONPATH or Snakemake takes for more than "
            "a letter; move the checkout"
        )
    if not sys.executable.startswith("'"):  # else it has been quoted before
        sys.executable = shlex.quote(sys.executable)
    os.environ[SNAKEMAKE] = str(os.getpid())
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", checkout)]
    os.environ["PYTHONPATH"] = os.pathsep.join([checkout, *others])


def end_with(pid: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Send this process a signal when another one ends, at once if it has ended, and half a minute later SIGKILL.

    Linux alone tells; elsewhere nothing happens.
    """
    if not hasattr(os, "pidfd_open"):
        return
    try:
        other = os.pidfd_open(pid)
    except ProcessLookupError:
        os.kill(os.getpid(), number)
        return

    def wait() -> None:
        ended = select.poll()
        ended.register(other, select.POLLIN)
        ended.poll()
        os.kill(os.getpid(), number)
        time.sleep(GRACE)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def try_lock(file: int) -> bool:
    """Lock an open file, for as long as this process and those that it forks live; False if another one has.

    Raises:
        OSError: the file system knows no locks, as some network file systems.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def claim(log: str | os.PathLike) -> int:
    """Be the only job that writes to ``log``, and so the only one that makes its outputs, while this process lives.

    A job of a run that was killed may still be at work, on a cluster for hours, and two would write to the same files.

    Args:
        log: the log of the job; the lock is a hidden file beside it, as Snakemake removes logs themselves.

    Returns:
        The open file that holds the lock.

    Raises:
        ContractError: another process has held it for a minute; the message says which.
    """
    path = locate_lock(log)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    end = time.monotonic() + WAIT
    try:
        while not try_lock(lock):
            if time.monotonic() > end:
                holder = path.read_text(encoding="utf-8")
                raise ContractError(
                    f"{log}: a job of another run still works on what this job is to make ({holder}); end it (on a "
                    "cluster: scancel) or wait for it, then run again"
                )
            time.sleep(1)
    except OSError as error:
        print(f"{path}: no lock: {error}; see to it that no job of a killed run still works", file=sys.stderr)
    slurm = f", SLURM job {os.environ['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in os.environ else ""
    path.write_text(f"process {os.getpid()} on {socket.gethostname()}{slurm}", encoding="utf-8")
    return lock


def locate_lock(log: str | os.PathLike) -> Path:
    """The lock of the job that writes to ``log``, whose text names its holder; its date is when that began."""
    return Path(log).with_name(f".{Path(log).name}.lock")


def is_claimed(log: str | os.PathLike) -> bool | None:
    """Whether a job that has claimed ``log`` still works; nothing is written, and no job is kept from its lock.

    Returns:
        None if that cannot be seen from here: the job has begun on another machine, and either it has ended or the
        file system does not show its lock.
    """
    path = locate_lock(log)
    try:
        lock = os.open(path, os.O_RDONLY)
    except OSError:  # no job has ever claimed it, or one of somebody else's
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        seen: bool | None = False
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        seen = None
    finally:
        os.close(lock)
    holder = re.match(r"process (\d+) on ([^\s,]+)", path.read_text(encoding="utf-8"))
    if holder is None:
        return False
    if holder[2] != socket.gethostname():
        return None
    return is_alive(int(holder[1])) if seen is None else seen


def is_alive(pid: int) -> bool:
    """Whether this machine has a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def release_dead_locks(folder: str | os.PathLike) -> None:
    """Do what ``snakemake --unlock`` does if the Snakemake that was killed ran on this machine.

    The file ``running`` tells: each Snakemake keeps a lock on it while it lives.

    Args:
        folder: Snakemake's own folder in the checkout, ``.snakemake``.
    """
    locks = [*Path(folder, "locks").glob("*.lock")]
    running, here = Path(folder, "running"), socket.gethostname()
    try:
        Path(folder).mkdir(exist_ok=True)
        held = os.open(running, os.O_RDWR | os.O_CREAT, 0o644)
        alone = try_lock(held)
    except OSError:  # a file system without locks, or a checkout of somebody else's: then people unlock
        return
    # the locks of a Snakemake on another machine stay: its lock may not be seen here
    if alone and (not locks or running.read_text(encoding="utf-8") == here):
        for lock in locks:
            lock.unlink()
        running.write_text(here, encoding="utf-8")
    fcntl.flock(held, fcntl.LOCK_SH)
