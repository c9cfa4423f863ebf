"""Files that are whole or not there."""

import os

import pytest

from boomlib import files
from boomlib.files import ContractError


def test_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, {"a": float("nan")})
    files.atomic_path(path).write_text("half")
    assert files.read_json(path) == {"a": 1}


def test_a_scratch_folder_is_empty_and_leaves_nothing(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), files.scratch_folder(tmp_path / "a") as folder:
            assert list(folder.iterdir()) == []
            (folder / "b").touch()
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []
    folder.mkdir()
    (folder / "of a job that was killed").touch()
    with files.scratch_folder(tmp_path / "a") as again:
        assert again == folder
        assert list(again.iterdir()) == []


def test_truncated_json(tmp_path):
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(ContractError, match=r"a\.json: not readable as JSON .* delete it and rerun"):
        files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("owned", "asked"),
    [
        ("", ""),
        ("", "logs"),
        ("results", "results"),
        ("results/splits", "results/splits"),
        ("results/splits", "results/splits/x/y"),
    ],
)
def test_a_folder_that_is_closed_is_named_with_what_to_do(tmp_path, monkeypatch, owned, asked, own):
    (tmp_path / "results/splits").mkdir(parents=True)
    files.check_writable(tmp_path / asked)
    monkeypatch.setattr(
        os, "access", lambda path, mode: path.exists() and (mode == os.F_OK or path != tmp_path / owned)
    )
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user if own else user + 1)
    with pytest.raises(ContractError) as error:
        files.check_writable(tmp_path / "results/tasks", tmp_path / asked)
    remedies = ("it is yours: allow it (chmod u+rwx)",) if own else ("clone it to a folder", "(chown)")
    for part in (f"{tmp_path / owned}: no permission to write there; ", *remedies):
        assert part in str(error.value)
