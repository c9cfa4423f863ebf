"""Files of fitted objects hold no code, and what is not trusted is refused."""

from pathlib import PurePath

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestRegressor

from boomlib.files import ContractError
from boomlib.harness.design import Winsorized
from boomlib.harness.saving import is_ours, read_objects, write_objects


class Foreign:
    """A class of no module of boomlib."""


def test_what_is_written_is_read(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 3))
    forest, gaps = RandomForestRegressor(5, random_state=0).fit(x, x[:, 0]), Winsorized(1.0).fit(x)
    write_objects((gaps, forest, {"x": x, "none": None}), tmp_path / "model.skops")
    again_gaps, again, others = read_objects(tmp_path / "model.skops")
    assert again.predict(x).tobytes() == forest.predict(x).tobytes()
    assert again_gaps.transform(x).tobytes() == gaps.transform(x).tobytes()
    assert np.array_equal(others["x"], x)


def test_an_object_of_another_package_is_refused_before_anything_is_kept(tmp_path):
    with pytest.raises(ContractError, match=r"model\.skops: .*Foreign: neither classes of boomlib"):
        write_objects([Foreign()], tmp_path / "model.skops")
    assert not (tmp_path / "model.skops").exists()


def test_a_file_that_names_another_type_is_not_read(tmp_path):
    skops.io.dump([PurePath("a").joinpath], tmp_path / "model.skops")
    with pytest.raises(ContractError, match=r"model\.skops: .* neither classes of boomlib"):
        read_objects(tmp_path / "model.skops")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("boomlib.harness.design.Winsorized", True),
        ("boomlib.files.Path", False),  # of another module
        ("boomlib.files.sha256", False),  # no class
        ("boomlib.nothing.Here", False),
        ("boomlibrary.design.Winsorized", False),
        ("os.system", False),
    ],
)
def test_ours_are_the_classes_that_a_module_of_boomlib_defines(name, ours):
    assert is_ours(name) == ours


def test_a_pickle_of_an_earlier_version_is_read_where_there_is_nothing_newer(tmp_path):
    joblib.dump("old", tmp_path / "model.joblib")
    assert read_objects(tmp_path / "model.skops") == "old"
    write_objects("new", tmp_path / "model.skops")
    assert read_objects(tmp_path / "model.skops") == "new"


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(ContractError, match=r"model\.skops: no such file"):
        read_objects(tmp_path / "model.skops")
    write_objects(np.zeros(100), tmp_path / "model.skops")
    whole = (tmp_path / "model.skops").read_bytes()
    (tmp_path / "model.skops").write_bytes(whole[:-40])
    with pytest.raises(ContractError, match=r"model\.skops: not readable as skops"):
        read_objects(tmp_path / "model.skops")
