"""What given files hold, as parameters: the content decides, whatever the date."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from boomlib import given
from boomlib.files import ContractError
from boomlib.given import GivenFiles, is_given

OLD = 1e9  # 2001, in seconds


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"SMILES,y\nC,1\n")
    return path


@pytest.fixture
def read(monkeypatch, tmp_path):
    """The names of the files whose bytes are read; hashes are kept at once, not only of what has long been there."""
    names = []

    def sha256(path):
        names.append(Path(path).name)
        return hash_of(Path(path).read_bytes())

    monkeypatch.setattr(given, "sha256", sha256)
    monkeypatch.setattr(given, "SETTLED", -(10**18))
    return names


def ask(path) -> str:
    """What a new command finds."""
    return GivenFiles(path.parent / "given.json")[str(path)]


def test_a_file_is_read_once_until_it_changes(table, read):
    assert {ask(table) for _ in range(3)} == {hash_of(table.read_bytes())}
    assert read == ["x.csv"]
    table.write_bytes(b"SMILES,y\nC,2\n")
    assert ask(table) == hash_of(b"SMILES,y\nC,2\n")
    assert ask(table) == ask(table)
    assert read == ["x.csv"] * 2


def replace(path, new):
    """As mv does."""
    new.rename(path)


def copy_back(path, new):
    """As cp -p does: into the file that is there, and then its date."""
    shutil.copy2(new, path)


def link(path, new):
    path.unlink()
    path.symlink_to(new)


@pytest.mark.parametrize("bring", [replace, copy_back, link])
def test_another_file_of_the_same_size_and_date_is_another(table, read, bring):
    """rsync -a, a backup and unzip all set the date that the file had where it came from."""
    os.utime(table, (OLD, OLD))
    assert ask(table) == hash_of(b"SMILES,y\nC,1\n")
    new = table.with_name("new.csv")
    new.write_bytes(b"SMILES,y\nC,2\n")
    os.utime(new, (OLD, OLD))
    bring(table, new)
    assert table.stat().st_mtime == OLD
    assert ask(table) == hash_of(b"SMILES,y\nC,2\n")


@pytest.mark.parametrize("date", [OLD, 3e9])
def test_a_touched_file_and_a_copy_are_the_same(table, read, date):
    before = ask(table)
    os.utime(table, (date, date))
    assert ask(table) == before
    copy = shutil.copy(table, table.with_name("copy.csv"))
    shutil.move(copy, table)
    assert ask(table) == before


def test_the_hash_of_a_file_that_has_just_changed_is_not_kept(table):
    ask(table)
    assert not (table.parent / "given.json").exists(), "the next change may leave the same times"


def test_a_command_goes_by_what_it_found_first(table, read):
    files = GivenFiles(table.parent / "given.json")
    first = files[str(table)]
    table.write_bytes(b"another")
    assert files[str(table)] == first
    assert ask(table) == hash_of(b"another")


@pytest.mark.parametrize("content", ["", '{"half": ', "\x00"])
def test_what_is_kept_may_be_damaged_or_nowhere(table, read, content):
    kept = table.parent / "given.json"
    kept.write_text(content)
    assert ask(table) == hash_of(table.read_bytes())
    assert GivenFiles(table.parent / "no/given.json")[str(table)] == hash_of(table.read_bytes())
    assert not (table.parent / "no").exists()
    assert {path.name for path in table.parent.iterdir()} == {"x.csv", "given.json"}


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ContractError, match=r"x\.csv: cannot be read \(No such file or directory\); correct its path"):
        ask(tmp_path / "x.csv")


def test_what_the_workflow_makes_is_not_given():
    assert [is_given(path) for path in ("data/x.csv", "../x.csv", "/data/x.csv", "results.csv")] == [True] * 4
    assert [is_given(path) for path in ("results/x.csv", "./results/downloads/x.csv")] == [False] * 2
