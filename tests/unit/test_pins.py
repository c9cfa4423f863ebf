"""Which releases of other packages may be used."""

import re
import sys
import tomllib
from importlib import metadata

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = {each.name: each for each in map(Requirement, PROJECT["dependencies"])}
# these move files, draw or write; the others are on the way to a number
TEXT_AND_FIGURES = {
    "jinja2",
    "joblib",
    "jsonschema",
    "matplotlib",
    "pooch",
    "pyarrow",
    "pygments",
    "pyyaml",
    "snakemake",
    "tabulate",
    "threadpoolctl",
    "tqdm",
}


@pytest.mark.parametrize("name", sorted(set(REQUIREMENTS) - TEXT_AND_FIGURES))
def test_a_package_on_which_numbers_depend_has_an_upper_bound_that_the_installed_release_meets(name):
    operators = {each.operator for each in REQUIREMENTS[name].specifier}
    assert operators & {"==", "<", "<=", "~="}, f"{name} is not bounded"
    assert REQUIREMENTS[name].specifier.contains(metadata.version(name))


def test_every_package_that_boomlib_imports_is_a_direct_dependency():
    distributions = metadata.packages_distributions()
    imported = {
        match[1]
        for path in ROOT.glob("boomlib/**/*.py")
        for match in re.finditer(r"^\s*(?:from|import) (\w+)", path.read_text(), re.M)
    }
    outside = imported - set(sys.stdlib_module_names) - {"boomlib"}
    lacking = {
        name
        for name in outside
        if not {each.lower().replace("_", "-") for each in distributions[name]} & set(REQUIREMENTS)
    }
    assert not lacking
