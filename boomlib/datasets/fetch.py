"""Bring a registered source file here: from a mirror folder, else from its URL or the package index, if it has one.

Whatever brought it, a file is used only if its sha256 is the registered one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pooch import HTTPDownloader

from boomlib.files import ContractError, atomic_path, commit, scratch_folder, sha256
from boomlib.mirror import find_in_mirror

BLOCK = 1 << 20
TIMEOUT_S = 60


def fetch(name: str, source: dict, out: str | os.PathLike, mirror: str | None = None) -> None:
    """Write the source file ``name`` to ``out``.

    Args:
        name: file name, as in the registry's ``sources``.
        source: its registry entry: ``sha256`` and ``url``, ``pypi`` or ``unpublished``.
        out: where to write it.
        mirror: folder searched first, with its subfolders; None = the environment's ``BOOM_MIRROR``, if set.

    Raises:
        ContractError: the file cannot be had, or its sha256 differs; then it is kept as ``{out}.rejected``.
    """
    part = atomic_path(out)
    if mirrored := find_in_mirror(name, mirror):
        origin = str(mirrored)
        shutil.copyfile(mirrored, part)
    elif "url" in source:
        origin = source["url"]
        download_url(name, source, part)
    elif "pypi" in source:
        origin = f"the package index ({source['pypi']})"
        download_wheel(name, source, part)
    else:
        raise ContractError(
            f"{name} has no address, and no mirror has brought it: {put_in_mirror(name, source)}, or "
            f"{source['unpublished']}"
        )
    found = sha256(part)
    if found != source["sha256"]:
        aside = Path(f"{out}.rejected")
        part.replace(aside)
        raise ContractError(
            f"{name} from {origin} has sha256 {found}, but its entry among `sources:` registers {source['sha256']}. "
            f"It was moved aside to {aside} and is not used: remove the bad copy and rerun; change the "
            "registered sha256 only if the source has published a new file."
        )
    commit(out)


def download_url(name: str, source: dict, part: Path) -> None:
    """Download ``source["url"]`` to ``part``.

    By pooch's downloader alone: ``pooch.retrieve`` would delete a file of another sha256, which is kept aside here.
    """
    try:
        HTTPDownloader(progressbar=True, chunk_size=BLOCK, timeout=TIMEOUT_S)(source["url"], str(part), None)
    except OSError as error:  # of the disk; those of requests are OSErrors as well
        raise ContractError(f"cannot download {source['url']} ({error}); {remedy(name, source)}") from error


def download_wheel(name: str, source: dict, part: Path) -> None:
    """Download a wheel with pip, which follows the user's own index settings and checks the hash as well.

    pooch knows URLs alone, and a wheel's URL depends on the index.
    """
    with scratch_folder(part.with_name(name)) as folder:
        pinned = folder / "requirements.txt"
        pinned.write_text(f"{source['pypi']} --hash=sha256:{source['sha256']}\n")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command += ["--disable-pip-version-check", "--dest", str(folder), "--requirement", str(pinned)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheel = folder / name
        if done.returncode or not wheel.is_file():
            raise ContractError(
                f"pip cannot download {source['pypi']} as {name}:\n{done.stderr.strip()}\n{remedy(name, source)}"
            )
        wheel.replace(part)


def remedy(name: str, source: dict) -> str:
    """What a user without network can do."""
    return f"without network, {put_in_mirror(name, source)}."


def put_in_mirror(name: str, source: dict) -> str:
    """How a file comes from a mirror."""
    return (
        f"put {name} (sha256 {source['sha256']}) into a folder and name that folder in `mirror:` of the config or in "
        "the environment variable BOOM_MIRROR"
    )
