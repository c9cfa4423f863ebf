"""Pages that list configurations and keys list all of them, with the schemas' defaults."""

import re
import subprocess

import pytest
import yaml
from conftest import ROOT, read_block

from boomlib.registry import CONFIG, read_yaml

PAGE = "config/README.md"


def read_schema(name):
    return read_yaml(CONFIG / f"schemas/{name}.schema.yaml")


def read_tables(page):
    """Cells of the rows of a page's tables by each key (in backticks) of their first cell."""
    rows = [line.strip("| ").split(" | ") for line in (ROOT / page).read_text().splitlines() if line.startswith("| `")]
    return {key: row for row in rows for key in re.findall(r"`([^`]+)`", row[0])}


def list_shipped():
    """The configurations that git knows, since a user's own may lie beside them; all of them without git."""
    done = subprocess.run(["git", "ls-files", "*.yaml"], cwd=CONFIG, capture_output=True, text=True, check=False)
    known = done.stdout.split() or [path.name for path in CONFIG.glob("*.yaml")]
    return sorted(name for name in known if "/" not in name and name != "datasets.yaml")


def test_every_configuration_that_ships_is_listed():
    listed = {key for key in read_tables(PAGE) if key.endswith(".yaml")}
    assert listed == set(list_shipped())


def test_the_readme_names_every_configuration_that_ships():
    text = (ROOT / "README.md").read_text()
    assert [name for name in list_shipped() if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", list_shipped())
def test_the_tables_seeds_and_schemes_are_the_configurations(name):
    config = {"schemes": ["kde"], "seeds": [0]} | read_yaml(CONFIG / name)
    schemes, seeds = read_tables(PAGE)[name][3].split("; ")
    assert re.findall(r"`(\w+)`", schemes) == config["schemes"]
    assert [int(each) for each in seeds.split(", ")] == config["seeds"]


def check_keys(properties, required, rows):
    """Each key has a row, whose second cell is its default as YAML, or ``needed``."""
    assert [key for key in properties if key not in rows] == []
    for key, entry in properties.items():
        said = rows[key][1].strip().strip("`")
        if key in required:
            assert said == "needed", key
        elif "default" in entry:
            assert yaml.safe_load(said) == entry["default"], key


def test_every_key_of_a_configuration_is_listed_with_its_default():
    schema, rows = read_schema("config"), read_tables(PAGE)
    check_keys(schema["properties"], schema["required"], rows)
    assert {key for key in rows if not key.endswith(".yaml")} == set(schema["properties"])


def test_every_key_of_a_dataset_is_listed_with_its_default():
    dataset = read_schema("datasets")["properties"]["datasets"]["additionalProperties"]
    rows = read_tables("docs/own_data.md")
    split = dataset["properties"].pop("split")
    check_keys(dataset["properties"], dataset["required"], rows)
    check_keys(split["properties"], [], rows)
    assert set(rows) == {*dataset["properties"], *split["properties"], "split"}


def test_the_pages_own_configuration_has_a_plan(project):
    (project.folder / "own.yaml").write_text(read_block(PAGE, "own configuration"))
    planned = project.planned("--configfile", "own.yaml")
    assert "Train mlp_wide (seed 1) on qm9_sample/zpve, scaffold split" in planned
