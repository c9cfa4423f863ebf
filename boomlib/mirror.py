"""The user's own folder of files that would else come from the network."""

import glob
import os
from pathlib import Path

from boomlib.files import ContractError

NEUTRAL = "finds files, whose bytes are checked where they are used"


def find_in_mirror(name: str, mirror: str | os.PathLike | None = None) -> Path | None:
    """Find a file or folder in the mirror folder or below it.

    Args:
        name: its name.
        mirror: the mirror folder; None = the environment's ``BOOM_MIRROR``, if set.

    Returns:
        The first path of that name, or None without a mirror or such a path.

    Raises:
        ContractError: the mirror is not a folder.
    """
    mirror = mirror or os.environ.get("BOOM_MIRROR")
    if not mirror:
        return None
    if not Path(mirror).is_dir():
        raise ContractError(f"the mirror {mirror} is not a folder; correct `mirror:` in the config or BOOM_MIRROR")
    return next(iter(sorted(Path(mirror).rglob(glob.escape(name)))), None)
