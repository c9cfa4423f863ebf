"""Has each published page say, between two marks, by what it was made, and what of that has changed since."""

import argparse
import re
import sys
from pathlib import Path

from boomlib import registry, schemas
from boomlib.evaluation.records import read_runs
from boomlib.files import ContractError, write_text
from boomlib.provenance import ROOT
from boomlib.report.making import describe_making

USAGE = """\
python -m boomlib.report.pages [FOLDER ...]

Each FOLDER is a publication; without any, all that lie in docs/benchmarks. In its Markdown files what stands between
<!-- made by --> and <!-- end --> is replaced where it is no longer true."""
PUBLISHED = ROOT / "docs/benchmarks"
MARKED = re.compile(r"(<!-- made by -->\n).*?(\n<!-- end -->)", re.DOTALL)


def find_configuration(folder: Path) -> Path:
    """The configuration of a publication: that of the same name.

    Raises:
        ContractError: there is none.
    """
    path = schemas.CONFIG / f"{folder.resolve().name}.yaml"
    if not path.is_file():
        raise ContractError(f"{folder}: a publication has the name of its configuration, and there is no {path}")
    return path


def read_models(folder: Path) -> dict:
    """The descriptors of today, with the variants of the configuration of the publication in ``folder``."""
    return registry.with_variants(registry.load_models(), registry.read_yaml(find_configuration(folder)))


def update_page(folder: Path) -> list[Path]:
    """Replace what stands between the marks of the Markdown files of a publication.

    Returns:
        The files that said something else before.
    """
    made = describe_making(read_runs(folder / "runs.csv"), read_models(folder))
    changed = []
    for page in sorted(folder.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        new = MARKED.sub(lambda match: f"{match[1]}{made}{match[2]}", text)
        if new != text:
            write_text(page, new)
            changed.append(page)
    return changed


def main() -> None:
    """Update the pages that the command line names."""
    parser = argparse.ArgumentParser(usage=USAGE, description=__doc__)
    parser.add_argument("folders", type=Path, metavar="FOLDER", nargs="*")
    folders = parser.parse_args().folders or sorted(path.parent for path in PUBLISHED.glob("*/runs.csv"))
    try:
        changed = [page for folder in folders for page in update_page(folder)]
        for page in changed:
            print(f"{page}: brought up to date")
        print(f"{len(folders)} publications, {len(changed)} pages changed")
    except (ContractError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
