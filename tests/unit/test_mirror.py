import pytest

from boomlib.files import ContractError
from boomlib.mirror import find_in_mirror


@pytest.fixture
def mirror(tmp_path):
    """A mirror with a file and a folder, not at its top."""
    (tmp_path / "mirror/deep/org--name@1").mkdir(parents=True)
    (tmp_path / "mirror/deep/a[1].csv").write_text("x")
    (tmp_path / "mirror/a1.csv").write_text("what a pattern would find")
    return tmp_path / "mirror"


def test_files_and_folders_are_found_at_any_depth(mirror):
    assert find_in_mirror("a[1].csv", mirror) == mirror / "deep/a[1].csv"
    assert find_in_mirror("org--name@1", mirror) == mirror / "deep/org--name@1"
    assert find_in_mirror("other", mirror) is None


def test_the_environment_names_the_mirror_where_nothing_else_does(mirror, tmp_path, monkeypatch):
    monkeypatch.delenv("BOOM_MIRROR", raising=False)
    assert find_in_mirror("a1.csv") is None
    monkeypatch.setenv("BOOM_MIRROR", str(mirror))
    assert find_in_mirror("a1.csv") == mirror / "a1.csv"
    assert find_in_mirror("a1.csv", tmp_path / "mirror/deep") is None


@pytest.mark.parametrize("given_by", ["argument", "environment"])
def test_a_mirror_that_is_not_there_is_named(tmp_path, monkeypatch, given_by):
    gone = str(tmp_path / "gone")
    monkeypatch.setenv("BOOM_MIRROR", gone if given_by == "environment" else "")
    with pytest.raises(ContractError, match="gone is not a folder; correct `mirror:` in the config or BOOM_MIRROR"):
        find_in_mirror("a.csv", gone if given_by == "argument" else None)
