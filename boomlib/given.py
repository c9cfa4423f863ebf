"""Files that people give, tables and checkpoints: what they hold decides what runs again, and no date does.

A file that is replaced by ``cp -p``, ``rsync -a`` or from an archive may have an older date than what was made of the
one before, or one to come; a copy of the same has a new one. So these files are no inputs of rules, whose dates
Snakemake compares, but parameters, with their hashes.
"""

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from boomlib.files import ContractError, StrPath, sha256

NEUTRAL = "tells what given files hold, which reaches a stage as a parameter"

MADE = "results/"  # where the workflow makes files, whose jobs and dates Snakemake sees to
SETTLED = 2_000_000_000  # ns: within as much of a change a second one may leave the same times


def is_given(path: str) -> bool:
    """Whether people give a file, and no rule makes it."""
    return not os.path.normpath(path).startswith(MADE)


def read_state(path: StrPath) -> list[int]:
    """What differs once a file is changed or replaced: size, inode, the time (ns) of its data and of any change.

    Programs set the first of these times as they like, but none the second.
    """
    status = Path(path).stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


class GivenFiles:
    """The sha256 of given files, as they are when this process first asks.

    Snakemake asks before a job, and again for its record after it. A file may be replaced meanwhile, and the record
    must not be of a content that the job has not seen.

    Large files are not read by every command: hashes are kept, each with the state of its file, and count while that
    is the same.
    """

    def __init__(self, kept: StrPath) -> None:
        """``kept`` is a JSON file; where its folder does not exist or cannot be written to, nothing is kept."""
        self.kept = Path(kept)
        self.hashes: dict[str, str] = {}

    def __getitem__(self, path: str) -> str:
        """The sha256 of a file.

        Raises:
            ContractError: it cannot be read.
        """
        if path not in self.hashes:
            try:
                self.hashes[path] = self.find_hash(path)
            except OSError as error:
                message = f"{path}: cannot be read ({error.strerror}); correct its path or rights"
                raise ContractError(message) from error
        return self.hashes[path]

    def find_hash(self, path: str) -> str:
        """The sha256 that is kept of the file as it is now; else that of its bytes, which is kept."""
        now, state, name = time.time_ns(), read_state(path), str(Path(path).resolve())
        kept = self.read_kept().get(name, {})
        if kept.get("state") == state:
            return str(kept["sha256"])
        found = sha256(path)
        if now - state[-1] > SETTLED and read_state(path) == state:
            self.keep({name: {"state": state, "sha256": found}})
        return found

    def read_kept(self) -> dict[str, dict[str, Any]]:
        """What is kept, by absolute path; nothing if there is no such file or it is damaged."""
        try:
            kept: dict[str, dict[str, Any]] = json.loads(self.kept.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept

    def keep(self, new: dict[str, dict[str, Any]]) -> None:
        """Add to what is kept; of two processes that do so at once one may be forgotten."""
        part = self.kept.with_name(f"{self.kept.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            part.write_text(json.dumps(self.read_kept() | new, indent=2), encoding="utf-8")
            part.replace(self.kept)
