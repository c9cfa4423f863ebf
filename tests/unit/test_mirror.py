import pytest

from boomlib.files import ContractError
from boomlib.mirror import find_in_mirror


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch):
    monkeypatch.delenv("BOOM_MIRROR", raising=False)


def test_without_a_mirror_nothing_is_found():
    assert find_in_mirror("a.csv") is None


def test_the_setting_comes_before_the_environment(tmp_path, monkeypatch):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text("")
    monkeypatch.setenv("BOOM_MIRROR", str(tmp_path / "other"))
    assert find_in_mirror("a.csv", str(tmp_path / "one")) == tmp_path / "one/a.csv"
    assert find_in_mirror("a.csv") == tmp_path / "other/a.csv"


def test_files_and_folders_are_found_at_any_depth_by_their_whole_name(tmp_path):
    (tmp_path / "b/deep").mkdir(parents=True)
    for name in ("a[1].csv", "a1.csv", "b/deep/a[1].csv"):
        (tmp_path / name).write_text("")
    assert find_in_mirror("a[1].csv", tmp_path) == tmp_path / "a[1].csv"
    assert find_in_mirror("deep", tmp_path) == tmp_path / "b/deep"
    assert find_in_mirror("1.csv", tmp_path) is None


def test_a_mirror_that_is_no_folder_is_refused(tmp_path, monkeypatch):
    message = "nowhere is not a folder; correct `mirror:` in the config or BOOM_MIRROR"
    with pytest.raises(ContractError, match=message):
        find_in_mirror("a.csv", tmp_path / "nowhere")
    monkeypatch.setenv("BOOM_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(ContractError, match=message):
        find_in_mirror("a.csv")
