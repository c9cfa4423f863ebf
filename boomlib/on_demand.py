"""Files of the workflow that are made once somebody asks for them from Python: by Snakemake, in the checkout."""

import re
import shlex
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from boomlib.files import ContractError, StrPath
from boomlib.provenance import ROOT
from boomlib.reasons import MARK

TAIL = 1000  # lines of what Snakemake printed that are searched for the reason of a failure
UNTOLD = 5  # lines of it that stand for a reason where no log states one


def find_checkout(folder: StrPath | None = None) -> Path:
    """The checkout at ``folder``, absolute; that of this boomlib without one.

    Raises:
        ContractError: there is no workflow.
    """
    root = ROOT if folder is None else Path(folder).absolute()
    if not (root / "Snakefile").is_file():
        raise ContractError(
            f"{root}: no checkout of the benchmark, which has a Snakefile; give the folder of one, from Python as "
            "folder=…, or go there"
        )
    return root


def make_missing(
    root: Path, files: Sequence[str], configfile: StrPath | None = None, beside: Sequence[str] = ()
) -> None:
    """Have Snakemake make those of ``files`` that a checkout lacks, and what they stand on; its lines go to stderr.

    What is there is left as it is, and Snakemake is not started if nothing is missing.

    Args:
        root: the checkout.
        files: targets, relative to it.
        beside: targets that are to be made anew with a missing one where what they stand on has changed.
        configfile: the configuration to give to Snakemake, relative to the checkout; None for ``config/config.yaml``.

    Raises:
        ContractError: Snakemake failed; the message has the reason, the log and the command.
    """
    missing = [file for file in files if not (root / file).is_file()]
    if not missing:
        return
    given = [] if configfile is None else ["--configfile", str(configfile)]
    command = ["snakemake", "--cores", "all", *missing, *beside, *given]
    code, printed = follow([sys.executable, "-m", *command], root)
    if code:
        raise ContractError(
            f"{root / missing[0]} has not been made: {find_reason(printed)}; mend that and call again, or give the "
            f"command in {root}: {shlex.join(command)}"
        )


def follow(command: Sequence[str], folder: Path) -> tuple[int, list[str]]:
    """Run a command, whose lines go to stderr as they come; returns its exit status and its last lines."""
    lines: deque[str] = deque(maxlen=TAIL)
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        try:
            for line in process.stdout or ():
                print(line, end="", file=sys.stderr, flush=True)
                lines.append(line.rstrip())
        except BaseException:
            process.terminate()  # its jobs end with it
            raise
    return process.returncode, list(filter(None, lines))


def find_reason(printed: Sequence[str]) -> str:
    """Why a command of Snakemake has failed, from its last lines: what the log of a job states, and that log."""
    log = ""
    for line in printed:
        if match := re.match(r"Logfile (.+):$", line):
            log = match[1]
        elif log and line.startswith(MARK):
            return f"{line.removeprefix(MARK)} ({log})"
    return " | ".join(printed[-UNTOLD:])
