import os
import subprocess
import sys

import numpy as np
import pytest

from boomlib.files import ContractError
from boomlib.models.nlmtp.environments import environment_of

SCAFFOLDS = ["", "c1ccccc1", "c1ccncc1", "C1CCCCC1", "c1ccc2[nH]ccc2c1", "c1ccccc1"]
PROGRAM = (
    f"from boomlib.models.nlmtp.environments import environment_of; print(environment_of({SCAFFOLDS}, 16).tolist())"
)


def test_environments_are_the_same_in_every_process():
    printed = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed == [f"{environment_of(SCAFFOLDS, 16).tolist()}\n"] * 2


def test_environments_known_from_the_first_release():
    # trained models hold an embedding of each environment: these numbers must never change
    assert environment_of(SCAFFOLDS, 16).tolist() == [4, 7, 4, 2, 5, 7]


def test_a_scaffold_has_one_environment_whatever_else_there_is():
    found = environment_of(SCAFFOLDS, 1000)
    assert found[1] == found[5]
    assert len(set(found)) == 5
    for scaffold, environment in zip(SCAFFOLDS, found, strict=True):
        assert environment_of([scaffold], 1000) == [environment]


@pytest.mark.parametrize("count", [1, 2, 16])
def test_environments_are_below_their_count_and_about_equally_common(count):
    found = environment_of([f"C{'C' * n}1CC1" for n in range(2000)], count)
    assert found.dtype == np.int64
    counts = np.bincount(found, minlength=count)
    assert len(counts) == count
    assert counts.min() > 0.7 * 2000 / count


def test_no_environment_at_all_is_refused():
    with pytest.raises(ContractError, match="0 environments: there must be at least one"):
        environment_of(SCAFFOLDS, 0)


def test_of_no_molecules_there_are_no_environments():
    assert environment_of([], 16).shape == (0,)
