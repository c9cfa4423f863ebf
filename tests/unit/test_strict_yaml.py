import shutil

import pytest
from conftest import ROOT

from boomlib import registry, schemas
from boomlib.files import ContractError
from boomlib.strict_yaml import read_yaml


@pytest.fixture
def read(tmp_path):
    """Write a file and read it; returns its mapping, or what is said of it, after the folder."""

    def read(content):
        path = tmp_path / "own.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        try:
            return read_yaml(path)
        except ContractError as error:
            return str(error).removeprefix(f"{tmp_path}/")

    return read


@pytest.mark.parametrize(
    ("text", "key", "first", "second"),
    [
        ("seeds: [0]\nmodels: [ridge]\nseeds: [1]\n", "seeds", 1, 3),
        ("variants:\n  a: {of: ridge, label: A}\n\n  # again\n  a: {of: mlp, label: B}\n", "a", 2, 5),
        ("datasets:\n  x:\n    file: a.csv\n    label: X\n    'file': b.csv\n", "file", 3, 5),
        ("properties: {hof: {unit: J,\n unit: eV}}\n", "unit", 1, 2),
        ("a: &a {b: 1}\nc:\n  <<: *a\n  <<: *a\n", "<<", 3, 4),
        ("a: [{b: 1}, {c: 1,\r\n c: 2}]\r\n", "c", 1, 2),
        ('{\n\t"seeds": [0],\n\t"seeds": [1]\n}', "seeds", 2, 3),
    ],
)
def test_a_key_that_stands_twice_is_named_with_both_lines(read, text, key, first, second):
    assert (
        read(text) == f"own.yaml, line {second}: the key '{key}' stands on line {first} already; keep one of the two"
    )


def test_what_is_merged_or_stands_in_another_mapping_is_not_twice(read):
    text = "a: &a {b: 1, c: 2}\nd: &d {<<: *a, b: 3}\ne: {<<: *d, b: 4}\nf: [{b: 5}, {b: 6}]\n"
    assert read(text)["e"] == {"b": 4, "c": 2}
    assert read('{\t"a": {"b": 1}, "c": {"b": "x\\ty"}}') == {"a": {"b": 1}, "c": {"b": "x\ty"}}


@pytest.mark.parametrize(
    ("text", "line", "key", "kind"),
    [
        ("properties:\n  NO: {unit: ppm}\n", 2, "NO", "bool"),
        ("on: 1\n", 1, "on", "bool"),
        ("\n2024: {unit: K}\n", 2, "2024", "int"),
        ("0x1F: 1\n", 1, "0x1F", "int"),
        ("1.5: 1\n", 1, "1.5", "float"),
        ("2024-01-31: 1\n", 1, "2024-01-31", "timestamp"),
        ("null: 1\n", 1, "null", "null"),
    ],
)
def test_a_key_that_is_no_text_is_named_as_it_is_written(read, text, line, key, kind):
    assert read(text) == f"own.yaml, line {line}: the key {key} is no text to YAML ({kind}); put it in quotes: '{key}'"


def test_in_quotes_it_is_a_text(read):
    assert read("'NO': 1\n\"2024\": 2\n") == {"NO": 1, "2024": 2}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "a: [1\nb: 2\n",
            "line 2: not valid YAML: expected ',' or ']', but got ':', while parsing a flow sequence of line 1",
        ),
        (
            "a: 1\n\tb: 2\n",
            r"line 2: not valid YAML: found character '\t' that cannot start any token; indent with blanks",
        ),
        ("label: BOOM: mine\n", "line 1: not valid YAML: mapping values are not allowed here; indent with blanks"),
        ("a: 1\n---\nb: 2\n", "line 2: not valid YAML: but found another document, expected a single document"),
        ("a: 1\n---\nb: 2\n", "keep one document, without the line --- that begins the next"),
        ("a: 1\nb: *c\n", "line 2: not valid YAML: found undefined alias 'c'"),
        (
            "a: 1\nb: µ\n".encode("latin-1"),
            "line 2: not valid YAML: the byte 0xb5 is no UTF-8; save the file as UTF-8",
        ),
        ("a: 1\n".encode("utf-16"), "line 1: not valid YAML: the byte 0xff is no UTF-8; save the file as UTF-8"),
        ("a: 1\nb: \x00\n", "line 2: not valid YAML: it holds the character U+0000; remove it"),
        ("a: 1\nlabel: 2024-13-01\n", "line 2: 2024-13-01 is no value (month must be in 1..12); put a text in quotes"),
        ("a: 1\n? [b]\n: 2\n", "line 2: a key in brackets; a key is a text, in quotes where it has brackets"),
        ("- a\n", "expected a mapping of keys to values"),
    ],
)
def test_broken_yaml_is_named_with_its_line(read, content, said):
    found = read(content)
    assert found.startswith("own.yaml") and said in found


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(
        ContractError, match=r"no\.yaml: No such file or directory; it must be a file that you may read"
    ):
        read_yaml(tmp_path / "no.yaml")
    with pytest.raises(ContractError, match=r"Is a directory; it must be a file"):
        read_yaml(tmp_path)


def add_line(path, line):
    path.write_text(path.read_text() + line + "\n")
    return len(path.read_text().splitlines())


def test_registered_models_datasets_and_schemas_are_read_so(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.setattr(schemas, "CONFIG", tmp_path / "config")
    last = add_line(tmp_path / "config/models/ridge.yaml", "label: Another")
    with pytest.raises(ContractError, match=rf"ridge\.yaml, line {last}: the key 'label' stands on line \d+ already"):
        registry.load_models(tmp_path / "config/models")
    last = add_line(tmp_path / "config/datasets.yaml", "  qm9: {reader: table}")
    with pytest.raises(ContractError, match=rf"datasets\.yaml, line {last}: the key 'qm9' stands on line \d+ already"):
        registry.load_datasets(tmp_path / "config/datasets.yaml")
    shutil.copy(ROOT / "config/datasets.yaml", tmp_path / "config/datasets.yaml")
    last = add_line(tmp_path / "config/datasets.yaml", "  x: {reader: table, properties: {NO: {unit: ppm}}}")
    with pytest.raises(
        ContractError, match=rf"datasets\.yaml, line {last}: the key NO is no text to YAML \(bool\); put"
    ):
        registry.load_datasets(tmp_path / "config/datasets.yaml")
    last = add_line(tmp_path / "config/schemas/model.schema.yaml", "type: array")
    schemas.read_schema.cache_clear()
    with pytest.raises(ContractError, match=rf"model\.schema\.yaml, line {last}: the key 'type' stands on line 3"):
        schemas.read_schema("model")
