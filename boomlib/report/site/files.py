"""The files that a site is made from, relative to this folder; nothing heavy is imported."""

from pathlib import Path

HERE = Path(__file__).parent
PAGES = {
    "index.html": "Leaderboard",
    "task.html": "Tasks",
    "model.html": "Models",
    "cost.html": "Cost",
    "policy.html": "NL-MTP",
}
"""The pages and their names in the menu; each has a template of its own."""
ASSETS = tuple(sorted(path.name for path in HERE.joinpath("assets").iterdir()))
"""What the pages share, but for libraries."""


def list_site_files() -> tuple[str, ...]:
    """All templates and assets, relative to the root of the checkout: what a site depends on beside code."""
    folder = HERE.relative_to(HERE.parents[2])
    names = sorted(
        path.relative_to(HERE) for kind in ("templates", "assets") for path in HERE.joinpath(kind).iterdir()
    )
    return tuple((folder / name).as_posix() for name in names)
