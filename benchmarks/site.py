"""How large the interactive leaderboard is, how long it takes to make and to open.

    .venv/bin/python benchmarks/site.py FOLDER [--tasks 10 --models 20 --molecules 80000]

makes up results in FOLDER, which has to be empty, and their site; or, with --site, opens one that is there. Times are
the median of five in a browser without a window (Debian's chromium), each with an empty cache, from the address to the
moment at which the table and what is near to it are there; with those charts that a page draws once they come near,
it is scrolled to each of them in turn.
"""

import argparse
import shutil
import statistics
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from boomlib.report.site.build import write_site

ROOT = Path(__file__).resolve().parent.parent
OPENED = {
    "index.html": "document.querySelector('#board tbody tr')",
    "task.html": "document.documentElement.dataset.ready",
    "model.html": "document.documentElement.dataset.ready",
    "cost.html": "document.documentElement.dataset.ready",
}
"""Pages, and what tells that they are whole."""
TIMES = 5


def make(folder: Path, tasks: int, models: int, molecules: int) -> Path:
    """Make up results, and their site; returns it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from site_results import MadeResults, describe_models, make_smiles

    names = tuple(f"p{at}" for at in range(tasks))
    made = MadeResults(folder / "results", describe_models(models), tasks=names, schemes=("kde",))
    made.make(make_smiles(molecules), share=0.1, resamples=20)
    begun = time.perf_counter()
    write_site(*made.tables, made.folder / "site/index.html", **made.described)
    print(f"made in {time.perf_counter() - begun:.1f} s")
    return made.folder / "site"


def measure_size(folder: Path) -> None:
    """Print the size of the parts of a site."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    for part in ("assets", "data", ""):
        total = sum(size for path, size in sizes.items() if path.is_relative_to(folder / part))
        print(f"{part or 'all'}: {total / 1e6:.2f} MB")


def measure_opening(folder: Path) -> None:
    """Print how long each page takes to open."""
    with sync_playwright() as playwright:
        for page, whole in OPENED.items():
            seconds, whole_seconds = [], []
            for _ in range(TIMES):
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                tab = browser.new_page(viewport={"width": 1400, "height": 900})
                begun = time.perf_counter()
                tab.goto((folder / page).resolve().as_uri())
                tab.wait_for_function(whole, timeout=120_000)
                seconds.append(time.perf_counter() - begun)
                for place in tab.locator("[data-drawn]:visible").all():
                    place.scroll_into_view_if_needed()
                    tab.wait_for_function("place => place.dataset.drawn === 'yes'", arg=place.element_handle())
                whole_seconds.append(time.perf_counter() - begun)
                browser.close()
            opened, drawn = statistics.median(seconds), statistics.median(whole_seconds)
            print(f"{page}: {opened:.2f} s, with every chart {drawn:.2f} s (medians of {TIMES})")


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--site", action="store_true", help="FOLDER is a site")
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--molecules", type=int, default=80_000)
    given = parser.parse_args()
    site = given.folder if given.site else make(given.folder, given.tasks, given.models, given.molecules)
    measure_size(site)
    measure_opening(site)


if __name__ == "__main__":
    main()
