"""Damage to the configuration with the dataset's entry: its YAML, its keys, their values, the file that it names."""

import json

import numpy as np
import yaml

from damages.tables import CONFIG_FILE, FILE, Refused, Same, Table, Variant, at_line, make_config, pick

QUOTES, MAPPING = "in quotes", "write its keys below it, indented"
INDENT = "indent with blanks, close what is open"


def find_line(text: str, part: str) -> int:
    """The line on which a part of a text first stands."""
    return text[: text.index(part)].count("\n") + 1


def double_key(good: Table, random: np.random.Generator) -> Variant:
    """a key that stands twice"""
    lines = make_config(licence="CC0", decimal=".").splitlines()
    first = pick(random, [i for i, line in enumerate(lines) if not line.endswith(":")])
    key = lines[first].split(":")[0]
    lines.insert(first + 1, f"{key}: {pick(random, ('again', '[1]', '{a: 1}', ''))}")
    named = key.strip(' "')
    place = f"{at_line(first + 2, CONFIG_FILE)} the key '{named}' stands on line {first + 1} already"
    return Variant(Refused(place, "keep one of the two"), good.write(), "\n".join(lines))


def key_no_text(good: Table, random: np.random.Generator) -> Variant:
    """a property whose name YAML takes for something else"""
    names = ("NO", "on", "Yes", "off", "1.5", "2024", "0x1F", "null", "~", "2024-01-31", "true", ".5", "1_000", "-1")
    name = pick(random, names)
    config = make_config(name, {"column": "y"}).replace(f'"{name}"', name)
    place = f"{at_line(find_line(config, f'      {name}:'), CONFIG_FILE)} the key {name} is no text"
    return Variant(Refused(place, f"put it in quotes: '{name}'"), good.write(), config)


def key_in_quotes(good: Table, random: np.random.Generator) -> Variant:
    """a property whose name YAML would take for something else, in quotes"""
    name = pick(random, ("NO", "on", "2024", "null", "1_000", "0x1F", "true", "1e5", "Y"))
    return Variant(Same(), good.write(), make_config(name, {"column": "y"}))


def name_refused(good: Table, random: np.random.Generator) -> Variant:
    """a name that cannot be part of a path, or is taken"""
    name = pick(random, ("1.5", "y (eV)", "y/x", "größe", "smiles", "molecule_id", "", "..", " y", "y "))
    place, remedy = f"{CONFIG_FILE}: datasets.own.properties: '{name}'", "choose one of letters, digits and _ alone"
    return Variant(Refused(place, remedy), good.write(), make_config(name, {"column": "y"}))


def unknown_key(good: Table, random: np.random.Generator) -> Variant:
    """a key that is spelt wrongly"""
    wrong, right = pick(
        random,
        (
            ("task", "tasks"),
            ("model", "models"),
            ("dataset", "datasets"),
            ("readr", "reader"),
            ("Label", "label"),
            ("flie", "file"),
            ("smile_column", "smiles_column"),
            ("property", "properties"),
            ("units", "unit"),
            ("kinds", "kind"),
        ),
    )
    config = make_config()
    for written in (f"{right}:", f'"{right}":'):
        config = config.replace(written, written.replace(right, wrong))
    return Variant(Refused(f"{CONFIG_FILE}: unknown key '{wrong}'", f"did you mean '{right}'?"), good.write(), config)


def wrong_type(good: Table, random: np.random.Generator) -> Variant:
    """a value of another type"""
    number, whole = "write a number without quotes", "write a whole number without quotes"
    keys, place, remedy = pick(
        random,
        (
            ({"file": 5}, "file", QUOTES),
            ({"label": True}, "label", QUOTES),
            ({"smiles_column": 1.5}, "smiles_column", QUOTES),
            ({"smiles_column": ["SMILES"]}, "smiles_column", QUOTES),
            ({"label": None}, "label", "write its value behind the colon"),
            ({"smiles_column": None}, "smiles_column", "write its value behind the colon"),
            ({"max_heavy_atoms": "200"}, "max_heavy_atoms", whole),
            ({"max_heavy_atoms": 200.0}, "max_heavy_atoms", whole),
            ({"sample": 5}, "sample", MAPPING),
            ({"sample": {"size": "50"}}, "sample.size", whole),
            ({"split": [0.1]}, "split", MAPPING),
            ({"split": {"ood_size": "0.1"}}, "split.ood_size", number),
            ({"split": {"shared_generator": "no"}}, "split.shared_generator", "write true or false"),
            ({"sources": FILE}, "sources", "write a list"),
        ),
    )
    return Variant(Refused(f"{CONFIG_FILE}: datasets.own.{place}:", remedy), good.write(), make_config(**keys))


def wrong_value(good: Table, random: np.random.Generator) -> Variant:
    """a value that none of the key is"""
    keys, place, remedy = pick(
        random,
        (
            ({"reader": "tabel"}, "reader", "'table'"),
            ({"reader": "CSV"}, "reader", "`table` is any CSV or Parquet file of yours"),
            ({"separator": ":"}, "separator", "is not one of [',', ';'"),
            ({"separator": ""}, "separator", "is not one of [',', ';'"),
            ({"decimal": "'"}, "decimal", "is not one of ['.', ',']"),
            ({"max_heavy_atoms": 0}, "max_heavy_atoms", "less than the minimum of 1"),
            ({"sample": {"size": -3}}, "sample.size", "less than the minimum of 1"),
            ({"split": {"ood_size": 1.5}}, "split.ood_size", "a whole number; below 1 a share of all"),
            ({"split": {"id_fraction": 1}}, "split.id_fraction", "the maximum of 1"),
            ({"split": {"bandwidth": "scale"}}, "split.bandwidth", "['scaled', 'unscaled']"),
            ({"properties": {"kind": "extensiv"}}, "properties.y.kind", "['extensive', 'intensive']"),
            ({"properties": {"kind": "Intensive"}}, "properties.y.kind", "['extensive', 'intensive']"),
            ({"properties": {"observable": "dipole"}}, "properties.y.observable", "['dipole_moment',"),
        ),
    )
    return Variant(Refused(f"{CONFIG_FILE}: datasets.own.{place}:", remedy), good.write(), make_config(**keys))


def sizes_refused(good: Table, random: np.random.Generator) -> Variant:
    """sizes of folds or of a sample that the table does not have"""
    n = len(good.rows)
    keys, remedy = pick(
        random,
        (
            ({"split": {"ood_size": n + int(random.integers(100))}}, "lower `split.ood_size`"),
            ({"split": {"ood_size": n - 1}}, "lower `split.ood_size`, `split.id_fraction` or `split.valid_fraction`"),
            ({"split": {"valid_fraction": 0.999}}, "lower `split.ood_size`, `split.id_fraction` or"),
            ({"split": {"id_fraction": 0.9999}}, "lower `split.ood_size`, `split.id_fraction` or"),
            ({"sample": {"size": n + 1 + int(random.integers(100))}}, "lower it, or leave out `sample`"),
            ({"sample": {"size": int(random.integers(1, 3))}}, "add molecules to the dataset"),
        ),
    )
    return Variant(
        Refused("configuration)" if "lower" in remedy else "molecules", remedy), good.write(), make_config(**keys)
    )


def wrong_column(good: Table, random: np.random.Generator) -> Variant:
    """an entry that names a column that is not there"""
    name = pick(random, ("smiles", "Smiles", "SMILE", "y1", "Y", "energy", "m0", "1"))
    config = pick(random, (make_config(smiles_column=name), make_config(properties={"column": name})))
    place = f"{FILE}: no column '{name}' (it has: name, SMILES, y, note)"
    return Variant(Refused(place, "set `smiles_column` and each property's `column`"), good.write(), config)


def wrong_file(good: Table, random: np.random.Generator) -> Variant:
    """an entry whose file is not there"""
    file = pick(random, ("owm.csv", "OWN.csv", "own.cvs", "data/own.csv", "/own.csv", ".", "", "~/own.csv"))
    return Variant(
        Refused(f"{CONFIG_FILE}: datasets.own.file: no file {file}", "correct the path"),
        good.write(),
        make_config(file=file),
    )


def wrong_task(good: Table, random: np.random.Generator) -> Variant:
    """a task, a dataset or a model that is not there"""
    old, new, place, remedy = pick(
        random,
        (
            ("own/y", "own/x", "tasks: dataset 'own' has no property 'x'", "known: y"),
            ("own/y", "owm/y", "tasks: unknown dataset 'owm'", "did you mean 'own'?"),
            ("own/y", "own", "tasks.0: 'own'", "dataset/property"),
            ("[own/y]", "own/y", "tasks: 'own/y'", "write a list"),
            ("  own:", "  Own:", "datasets: 'Own'", "choose one of small letters, digits and _ alone"),
            ("ridge", "rigde", "models: unknown model 'rigde'", "did you mean 'ridge'?"),
            ("[ridge]", "ridge", "models: 'ridge'", "write a list"),
            ("[ridge]", "[]", "models: []", "non-empty"),
        ),
    )
    return Variant(Refused(f"{CONFIG_FILE}: {place}", remedy), good.write(), make_config().replace(old, new))


def lost_key(good: Table, random: np.random.Generator) -> Variant:
    """a key that is not there"""
    key, place = pick(
        random,
        (
            ("label", "datasets.own: 'label' is a required property"),
            ("reader", "datasets.own: 'reader' is a required property"),
            ("file", "datasets.own: no data"),
            ("tasks", "'tasks' is a required property"),
            ("models", "'models' is a required property"),
        ),
    )
    lines = [line for line in make_config().splitlines() if line.split(":")[0].strip() != key]
    return Variant(Refused(f"{CONFIG_FILE}: {place}", key), good.write(), "\n".join(lines))


def broken_yaml(good: Table, random: np.random.Generator) -> Variant:
    """YAML that is none"""
    old, new, remedy = pick(
        random,
        (
            ("    label:", "\tlabel:", INDENT),
            ("    label:", "     label:", INDENT),
            ("    file:", "   file:", INDENT),
            ('"Own"', "Own: mine", "put a text that holds ': '"),
            ('"own.csv"', "@own.csv", QUOTES),
            ('"own.csv"', "*own", QUOTES),
            ('"own.csv"', "%own", QUOTES),
            ('"Own"', "2024-02-30", QUOTES),
            ('"Own"', "\x07", "remove it"),
            ('"Own"', "Größe".encode().decode("latin-1"), "remove it"),
        ),
    )
    config = make_config()
    line = find_line(config, old)
    return Variant(Refused(at_line(line, CONFIG_FILE), remedy), good.write(), config.replace(old, new, 1))


def yaml_bytes(good: Table, random: np.random.Generator) -> Variant:
    """a configuration that is not in UTF-8, or in several documents"""
    config = make_config(label="Größe")
    line = find_line(config, "label")
    text = config.replace("\\u00f6", "ö").replace("\\u00df", "ß")
    data, place, remedy = pick(
        random,
        (
            (text.encode("latin-1"), line, "save the file as UTF-8"),
            (text.encode("utf-16"), 1, "save the file as UTF-8"),
            (text.encode().replace(b"csv", b"c\0v"), find_line(config, "csv"), "remove it"),
            (text.encode() + b"---\n" + text.encode(), 1 + text.count("\n"), "one document"),
        ),
    )
    return Variant(Refused(at_line(place, CONFIG_FILE), remedy), good.write(), data)


def yaml_spelt(good: Table, random: np.random.Generator) -> Variant:
    """the same configuration in another spelling of YAML"""
    config = make_config()
    value = yaml.safe_load(config)
    mark = pick(random, ("", "\ufeff"))
    written = (
        json.dumps(value),
        json.dumps(value, indent=" " if mark else "\t"),
        json.dumps(value, indent=2).replace("\n", "\r\n"),
        yaml.safe_dump(value),
        yaml.safe_dump(value, default_flow_style=True),
        yaml.safe_dump(value, indent=8, explicit_start=True, explicit_end=True, sort_keys=False),
        config.replace("\n", "\r\n"),
        f"# our table\n\n{config}\n# the end",
        config.replace('"', "'"),
        config.replace("datasets:", "datasets: # of ours").replace("own.csv", "./own.csv"),
    )
    return Variant(Same(), good.write(), mark + pick(random, written))
