"""Copy a finished leaderboard with its tables and figures out of ``results/``, to be kept under git."""

import argparse
import html
import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from boomlib import registry, schemas
from boomlib.evaluation.records import list_recorded, read_runs
from boomlib.evaluation.summary import read_metrics
from boomlib.files import ContractError, scratch_folder, sha256, write_text
from boomlib.provenance import ROOT
from boomlib.report.build import PARTIAL
from boomlib.report.figures.catalogue import find_figures
from boomlib.report.making import find_version
from boomlib.report.merging import (
    RUNS,
    SITE,
    STATUS,
    Union,
    add_notes,
    add_runs,
    check_size,
    draw_task,
    group_by_task,
    lay_out,
    prune,
    restore_runs,
    write_union,
)
from boomlib.report.pages import find_configuration, read_models, update_page
from boomlib.report.roles import assign_roles
from boomlib.report.site.build import write_site
from boomlib.report.tables.errors import tabulate_errors
from boomlib.report.tables.ranked import RankedModels
from boomlib.restored import RESTORED

USAGE = """\
python -m boomlib.report.publish [--merge | --restore] FOLDER [README ...]

FOLDER, such as docs/benchmarks/csd10k, has the name of the configuration that made the results, here
config/csd10k.yaml. It is made or replaced, but for pages of one's own in it, README.md and other .md; figures of a
split and the scripts of sites, which many pages share, go to the folder assets beside it. In each README the OOD table
of FOLDER, between the marks <!-- leaderboard: FOLDER/leaderboard.md --> and <!-- end -->, is replaced as well.

--merge adds the runs that are done, whether or not all are, to those that FOLDER holds; of a run that is there the
newer one stays. Its tables and figures are of all these. --restore lays them back into results/restored/: a command
then trains only what they lack, or what would be trained otherwise now."""
TABLES = ("leaderboard.md", "leaderboard.csv", "runs.csv")
LATER = ("uncertainty.csv",)
"""Tables that results and publications of earlier versions lack."""
PARTS = {*TABLES, *LATER, "plots", SITE, RUNS, STATUS}
"""All that a publication has at its top."""
ASSETS = "assets"
SETTINGS = frozenset({"mirror", "feature_jobs", "keep_models", "screens"})
"""Keys of a configuration that change no number."""


def check_configuration(results: Path, folder: Path) -> None:
    """Raise :class:`ContractError` unless the configuration named as ``folder`` asks for what is in ``results``."""
    path = find_configuration(folder)
    wanted = schemas.check_schema(registry.read_yaml(path), "config", str(path))
    made = registry.read_yaml(results / "config.yaml")
    for key in sorted({*wanted, *made} - SETTINGS):
        if wanted.get(key) != made.get(key):
            raise ContractError(
                f"{results / 'config.yaml'}: another configuration than {path} made these results (`{key}` differs); "
                "run that one, or give a folder with the name of the one that you ran"
            )


def list_files(results: Path, folder: Path) -> dict[str, Path]:
    """The files of a publication, relative to ``results``, and what each becomes.

    Raises:
        ContractError: one of them does not exist, or a run has no result.
    """
    for table in (*TABLES, "config.yaml"):
        if not (results / table).is_file():
            raise ContractError(f"{results / table}: no such file; run snakemake to a finished leaderboard first")
    if (results / PARTIAL).is_file():
        raise ContractError(
            f"{results / PARTIAL}: the last command failed, so that leaderboard.md is of an earlier one; give the "
            "command again until it succeeds"
        )
    records = read_runs(results / "runs.csv")
    if "split" not in records:
        raise ContractError(
            f"{results / 'runs.csv'}: made by version {find_version(records)} of the benchmark, which named no "
            "splits; give the command again, then publish"
        )
    lost = records[records["status"] != "done"]
    if len(lost):
        raise ContractError(
            f"{results / 'runs.csv'}: {len(lost)} of {len(records)} runs have no result, the first of them "
            f"{list_recorded(lost)[0].stem} ({lost['reason'].iloc[0]}); publish finished results only"
        )
    check_configuration(results, folder)
    runs = list_recorded(records)
    splits = {f"{run.task}/{run.scheme}": split for run, split in zip(runs, records["split"], strict=True)}
    files = {table: folder / table for table in (*TABLES, *(each for each in LATER if (results / each).is_file()))}
    for figure in find_figures(results, runs, assign_roles(read_models(folder)), finished=True):
        if figure.kind == "distribution":  # of the split alone, whatever the models
            split = figure.path.removeprefix("plots/").removesuffix(".png")
            shared = f"{split}-{splits[split.removeprefix('distribution/')]}.png"
            files[figure.path] = folder.parent / ASSETS / shared
        else:
            files[figure.path] = folder / figure.path
    return files | list_site(results, folder)


def list_site(results: Path, folder: Path) -> dict[str, Path]:
    """The files of the interactive leaderboard, as :func:`list_files` has them; what sites share goes to the assets.

    Raises:
        ContractError: it does not exist, or is older than the tables.
    """
    index = results / SITE / "index.html"
    if not index.is_file() or index.stat().st_mtime_ns < (results / "leaderboard.csv").stat().st_mtime_ns:
        raise ContractError(
            f"{index}: {'older than leaderboard.csv' if index.is_file() else 'no such file'}; run snakemake with the "
            "same options to results/site/index.html, then publish"
        )
    files = {}
    for path in sorted(
        each for each in (results / SITE).rglob("*") if each.is_file() and not each.name.startswith(".")
    ):
        file = path.relative_to(results)
        shared = file.parts[1] == ASSETS
        named = f"{path.stem}-{sha256(path)[:12]}{path.suffix}"
        files[file.as_posix()] = folder.parent / ASSETS / SITE / named if shared else folder / file
    return files


def check_replaceable(folder: Path, results: Path) -> None:
    """Raise :class:`ContractError` unless ``folder`` is new, empty or an earlier publication and nothing else."""
    remedy = "give a new folder, or one that this command made"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ContractError(f"{folder}: is no folder; {remedy}")
    for kept in (results, ROOT):
        if kept.resolve().is_relative_to(folder.resolve()):
            raise ContractError(f"{folder}: would be replaced, and {kept.resolve()} with it; {remedy}")
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if found and not set(TABLES) <= found:
        lacking = ", ".join(name for name in TABLES if name not in found)
        raise ContractError(f"{folder}: has files, but is no publication (it lacks {lacking}); {remedy}")
    if strange := ", ".join(sorted(found - PARTS - set(list_own(folder)))):
        raise ContractError(f"{folder}: also holds {strange}, which would be lost; move that away or {remedy}")


def open_publication(folder: Path, results: Path) -> Path:
    """The absolute ``folder`` of a publication, whole again if a call was killed while it had no name.

    Raises:
        ContractError: see :func:`check_replaceable`.
    """
    check_replaceable(folder, results)
    folder = folder.resolve()
    restore(folder)
    return folder


def publish(results: Path, folder: Path) -> None:
    """Copy leaderboard, site, tables and the figures shown to ``folder``, what pages share to the assets beside it.

    The new publication is made whole beside the old one and then takes its name, so that a failure leaves the old one.

    Raises:
        ContractError: the results are not finished, were made by another configuration than that of the folder's
            name, or ``folder`` is something else than a publication.
    """
    folder = open_publication(folder, results)
    if (folder / RUNS).is_dir():
        raise ContractError(
            f"{folder}: holds runs that --merge has added, which would be lost; give --merge, or a new folder"
        )
    files = list_files(results, folder)
    with scratch_folder(folder) as scratch:
        made = scratch / folder.name
        place(files, results, made, folder)
        for name in list_own(folder):
            shutil.copyfile(folder / name, made / name)
        replace_folder(made, folder)


def list_own(folder: Path) -> list[str]:
    """What people have written of a publication, README.md and other pages: they stay when the rest is replaced."""
    return sorted(path.name for path in folder.glob("*.md") if path.is_file() and path.name not in PARTS)


def place(files: Mapping[str, Path], results: Path, made: Path, folder: Path) -> None:
    """Copy files of ``results`` to ``made``, which is to become ``folder``, and what pages share to the assets."""
    shared = {file: path for file, path in files.items() if not path.is_relative_to(folder)}
    staged = {file: (made.with_name(".shared") if file in shared else made) / file for file in files}
    for file, path in staged.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(results / file, path)
    if "leaderboard.md" in files:
        link_assets(made / "leaderboard.md", folder, shared)
    for page in sorted((made / SITE).glob("*.html")):
        link_site(page, folder, shared)
    for file, path in shared.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        staged[file].replace(path)


def merge(results: Path, folder: Path) -> int:
    """Add the runs of ``results`` that are done to those that the publication in ``folder`` holds; returns how many.

    Raises:
        ContractError: ``folder`` is something else than such a publication, or it would be too large.
    """
    folder = open_publication(folder, results)
    if folder.exists() and any(folder.iterdir()) and not (folder / RUNS).is_dir():
        raise ContractError(
            f"{folder}: a publication without its runs cannot grow; give a new folder, or leave out --merge"
        )
    with scratch_folder(folder) as scratch:
        made = scratch / folder.name
        if folder.exists():
            shutil.copytree(folder, made)
        union = Union(made, folder)
        removed, added = prune(union), add_runs(union, results)
        changed = removed | {*group_by_task(added)}
        if not union.list_done():
            raise ContractError(f"{results}: no run of {folder.name} is done; run snakemake first")
        add_notes(union, results)
        for task in group_by_task(union.list_done()):
            if task in changed:
                draw_task(union, results, task)
        write_union(union)
        update_page(made)
        renew_site(union, results, folder, anew=bool(changed))
        check_size(made, folder)
        replace_folder(made, folder)
    return len(added)


def renew_site(union: Union, results: Path, folder: Path, *, anew: bool) -> None:
    """Make the site of a publication, which is to be called ``folder``, if the data of all its runs are here.

    If they are not, none is left that tells other numbers than the tables, which are made ``anew``.
    """
    made, laid = union.folder, union.folder.with_name("results")
    if lacking := lay_out(union, results, laid):
        if anew:
            shutil.rmtree(made / SITE, ignore_errors=True)
            print(f"no site is made, since {lacking} is not here; have snakemake make it, then merge again")
        return
    shutil.rmtree(made / SITE, ignore_errors=True)
    tables = laid / "leaderboard.csv", laid / "runs.csv"
    described = {"config": union.shown_config, "datasets": union.datasets, "models": union.models}
    write_site(*tables, laid / SITE / "index.html", **described)
    place(list_site(laid, folder), laid, made, folder)


def locate_old(folder: Path) -> Path:
    """Where a publication is set aside while a new one takes its name."""
    return folder.with_name(f".{folder.name}.old")


def replace_folder(made: Path, folder: Path) -> None:
    """Give what was made the name of ``folder``, which is set aside meanwhile."""
    old = locate_old(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    try:
        made.rename(folder)
    finally:
        restore(folder)
    shutil.rmtree(old, ignore_errors=True)


def link_assets(page: Path, folder: Path, files: Mapping[str, Path]) -> None:
    """Have ``page``, which is to lie in ``folder``, show the shared figures where they lie."""
    text = page.read_text(encoding="utf-8")
    for file, named in files.items():
        text = text.replace(f"]({file})", f"]({Path(os.path.relpath(named, folder)).as_posix()})")
    write_text(page, text)


def link_site(page: Path, folder: Path, files: Mapping[str, Path]) -> None:
    """Have a page of the site say whose it is, load what it shares from where it lies, and link to no predictions."""
    text = page.read_text(encoding="utf-8").replace('data-predictions="../predictions/"', 'data-predictions=""')
    text = text.replace('data-name=""', f'data-name="{html.escape(folder.name)}"', 1)
    for file, named in files.items():
        if file.startswith(f"{SITE}/"):
            there = Path(os.path.relpath(named, folder / SITE)).as_posix()
            text = text.replace(f'"{file.removeprefix(f"{SITE}/")}"', f'"{there}"')
    write_text(page, text)


def restore(folder: Path) -> None:
    """Give a publication that a killed call has set aside its name again, unless a new one has it."""
    old = locate_old(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)


def tabulate_readme(folder: Path) -> str:
    """The OOD table of the first scheme of the publication in ``folder``, from its ``leaderboard.csv``."""
    metrics = read_metrics(folder / "leaderboard.csv")
    measured = metrics[metrics["metric"] == "rmse"]
    units = measured.groupby(["dataset", "property"])["unit"].first().to_dict()
    roles = assign_roles(read_models(folder))
    return tabulate_errors(RankedModels(metrics, metrics["scheme"].iloc[0], roles, units), "ood")


def update_readme(readme: Path, folder: Path) -> None:
    """Replace the README's marked table by :func:`tabulate_readme`."""
    marker = re.compile(
        rf"(<!-- leaderboard: {re.escape(str(folder))}/leaderboard.md -->\n).*?(<!-- end -->)", re.DOTALL
    )
    table = tabulate_readme(folder)
    text, found = marker.subn(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", readme.read_text(encoding="utf-8"))
    if not found:
        raise ContractError(f"{readme}: no marker <!-- leaderboard: {folder}/leaderboard.md --> … <!-- end -->")
    write_text(readme, text)


def main() -> None:
    """Publish ``results/`` as the command line says."""
    parser = argparse.ArgumentParser(usage=USAGE, description=__doc__)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--merge", action="store_true")
    ways.add_argument("--restore", action="store_true")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("readmes", type=Path, metavar="README", nargs="*")
    arguments = parser.parse_args()
    try:
        for readme in arguments.readmes:
            if not readme.is_file():
                raise ContractError(f"{readme}: no such file; give READMEs that have the marker of the table")
        if arguments.restore:
            restore(arguments.folder.resolve())
            print(f"{restore_runs(arguments.folder)} runs laid back into {RESTORED}; snakemake takes them from there")
            return
        if arguments.merge:
            print(f"{merge(Path('results'), arguments.folder)} runs added")
        else:
            publish(Path("results"), arguments.folder)
        for readme in arguments.readmes:
            update_readme(readme, arguments.folder)
    except (ContractError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"published in {arguments.folder} and {arguments.folder.parent / ASSETS}")


if __name__ == "__main__":
    main()
