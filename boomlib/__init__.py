"""boomlib: the library behind the BOOM benchmark of out-of-distribution property prediction.

Data flows downhill: ``datasets`` -> ``features`` -> ``splits`` -> ``models`` -> ``evaluation`` -> ``report``.
The files that pass between those stages are defined in :mod:`boomlib.contracts`.

In Python ``boomlib.load_task`` gives a task to train on and to be scored by (:mod:`boomlib.task`), and
``boomlib.leaderboard`` what models have reached (:mod:`boomlib.report.standings`). Their modules are read once they
are asked for, so that ``import boomlib`` stays light.
"""

from typing import TYPE_CHECKING

from boomlib.version import VERSION

if TYPE_CHECKING:
    from boomlib.report.standings import leaderboard as leaderboard
    from boomlib.task import load_task as load_task

__version__ = VERSION


def __getattr__(name: str) -> object:
    """What people ask of boomlib itself (PEP 562)."""
    if name == "load_task":
        from boomlib.task import load_task

        return load_task
    if name == "leaderboard":
        from boomlib.report.standings import leaderboard

        return leaderboard
    raise AttributeError(f"module 'boomlib' has no attribute '{name}'")
