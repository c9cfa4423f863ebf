"""What the machine may do to a run: a full disk, results that cannot be written, a mirror that vanishes."""

import hashlib
import json
import subprocess

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import make_molecules

pytestmark = pytest.mark.slow


def files_of(project):
    """The hash of every result by its path, but of run.json and runs.csv, which hold times."""
    root = project.folder / "results"
    files = (path for path in root.rglob("*") if path.is_file() and path.name not in ("run.json", "runs.csv"))
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.startswith(".")
    }


def assert_whole(project):
    """Every result that has its name can be read."""
    for path in (project.folder / "results").rglob("[!.]*"):
        if path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".csv":
            pd.read_csv(path)


class Disk:
    """A file system of its own in memory for a project's results."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def mount(self, *options):
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(self.folder)],
            capture_output=True,
            text=True,
            check=False,
        )

    def remount(self, *options):
        subprocess.run(["mount", "-o", ",".join(("remount", *options)), str(self.folder)], check=True)


@pytest.fixture
def disk(project):
    """The project's results on a disk whose size and rights can be changed."""
    disk = Disk(project.folder / "results")
    mounted = disk.mount("size=200m")
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk.folder)], check=True)


def test_a_full_disk_is_named_and_the_same_command_goes_on(finished, project, disk):
    disk.remount("size=300k")
    done = project.snakemake("results/leaderboard.md", check=False)
    assert done.returncode != 0
    assert "No space left on device" in done.stdout
    assert_whole(project)
    disk.remount("size=200m")
    project.snakemake("results/leaderboard.md")
    assert files_of(project) == files_of(finished)


def test_results_that_cannot_be_written_are_named_and_the_same_command_goes_on(finished, project, disk):
    project.snakemake("results/tasks/tiny/size/kde.parquet")
    disk.remount("ro")
    done = project.snakemake("results/leaderboard.md", check=False)
    assert done.returncode != 0
    assert "Read-only file system" in done.stdout
    disk.remount("rw")
    project.snakemake("results/leaderboard.md")
    assert files_of(project) == files_of(finished)


def test_a_mirror_that_vanishes_in_mid_run_is_named_and_the_same_command_goes_on(project, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    registry = yaml.safe_load((project.folder / "config/datasets.yaml").read_text())
    frame = make_molecules(160).rename(columns={"smiles": "smiles_col"})
    for name in ("one.csv", "two.csv"):
        frame.to_csv(mirror / name, index=False)
        digest = hashlib.sha256((mirror / name).read_bytes()).hexdigest()
        registry["sources"][name] = {"url": f"http://127.0.0.1:9/{name}", "sha256": digest}
    (project.folder / "config/datasets.yaml").write_text(yaml.safe_dump(registry, sort_keys=False))
    command = ("--config", f"mirror={mirror}")
    project.snakemake("results/downloads/one.csv", *command)
    gone = tmp_path / "gone"
    mirror.rename(gone)
    done = project.snakemake("results/downloads/one.csv", "results/downloads/two.csv", *command, check=False)
    assert done.returncode != 0
    assert f"the mirror {mirror} is not a folder" in done.stdout
    assert [path.name for path in (project.folder / "results/downloads").glob("[!.]*")] == ["one.csv"]
    gone.rename(mirror)
    again = project.snakemake("results/downloads/one.csv", "results/downloads/two.csv", *command)
    assert "Download one.csv" not in again.stdout
    assert (project.folder / "results/downloads/two.csv").read_bytes() == (mirror / "two.csv").read_bytes()
