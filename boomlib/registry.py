"""What may be run: the configuration, the datasets and the models, read from YAML and checked.

Every YAML file has a JSON schema in ``config/schemas``; the schemas hold the defaults and are the reference
of all keys. A mistake is reported with the file, the key and a suggestion. Nothing heavy is imported: what modules of
boomlib there are, and which hyper-parameters a model takes, is read from their source as text.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from boomlib.external import check_external
from boomlib.files import ContractError, StrPath
from boomlib.given import is_given
from boomlib.schemas import CONFIG, Entry, check_schema, read_schema
from boomlib.signatures import check_parameters, suggestion
from boomlib.strict_yaml import read_yaml, write_inline
from boomlib.text.checkpoint_files import check_files
from boomlib.text.start import check_start

NEUTRAL = "what it reads reaches a stage as a parameter, which counts itself"

Entries = dict[str, Entry]  # by name

UNITS = {"dipole_moment": "D", "electronic_spatial_extent": "bohr²"}
"""Of properties by their ``observable``, those in which models know them."""
UNSHOWN = frozenset({"mirror", "screens"})  # keys of which nothing on a page depends, nor the hash in its footer
MODEL_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"


def check_known(what: str, name: str, known: Iterable[str], at: str) -> None:
    """Raise :class:`ContractError`, with a suggestion, unless ``name`` is one of the ``known`` ones."""
    if name not in known:
        raise ContractError(f"{at}: unknown {what} '{name}'; {suggestion(name, known)}")


def check_capitals(names: Iterable[str], at: str) -> None:
    """Raise :class:`ContractError` if two names differ in capitals alone: some file systems make one file of them."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ContractError(
                f"{at}: {other} and {name} differ in capitals alone, which macOS and Windows take for one file; "
                "rename one of them"
            )


def load_datasets(path: StrPath = CONFIG / "datasets.yaml") -> tuple[Entries, Entries]:
    """Read ``datasets.yaml``; returns its ``datasets`` and its ``sources`` by name."""
    return check_datasets(read_yaml(path), {}, str(path))


def check_datasets(content: Entry, registered: Entries, where: str) -> tuple[Entries, Entries]:
    """Check ``datasets`` and ``sources`` of a YAML file; returns both by name, with the schema's defaults.

    Args:
        content: the file's mapping.
        registered: sources that stand elsewhere, which its datasets may name as well.
        where: the file, for messages.

    Raises:
        ContractError: a mistake in it, by its key.
    """
    content = check_schema(content, "datasets", where)
    check_capitals(content["sources"], f"{where}: sources")
    for name, dataset in content["datasets"].items():
        check_capitals(dataset["properties"], f"{where}: datasets.{name}.properties")
        if not (dataset["sources"] or "file" in dataset):
            raise ContractError(
                f"{where}: datasets.{name}: no data; it needs the key 'file', a file of yours, or 'sources'"
            )
        for source in dataset["sources"]:
            check_known("source", source, registered | content["sources"], f"{where}: datasets.{name}.sources")
        for each, entry in dataset["properties"].items():
            if entry.get("observable") == "mass_density" and entry["kind"] == "extensive":
                raise ContractError(
                    f"{where}: datasets.{name}.properties.{each}: a density does not grow with the molecule; write "
                    "`kind: intensive`, or leave `observable` out"
                )
            unit = UNITS.get(entry.get("observable"), entry["unit"])
            if entry["unit"] != unit:
                raise ContractError(
                    f"{where}: datasets.{name}.properties.{each}: what models know of `observable: "
                    f"{entry['observable']}` is in {unit}, not in {entry['unit']}; convert the labels and write "
                    f"`unit: {unit}`, or leave `observable` out"
                )
    return content["datasets"], content["sources"]


def check_required(config: Mapping[str, Any], where: str) -> None:
    """Raise :class:`ContractError` if a configuration lacks a key that all have; not if one is spelt wrongly."""
    known = set(config) <= set(read_schema("config")["properties"])
    if known and not {"tasks", "models"} <= set(config):
        lacking = sorted({"tasks", "models"} - set(config))[-1]
        raise ContractError(
            f"{where}: '{lacking}' is a required property; of several --configfile the last one counts alone, so "
            "give several files behind one: --configfile a.yaml b.yaml"
        )


def with_own_datasets(
    datasets: Entries, sources: Entries, config: Mapping[str, Any], where: str = "config"
) -> tuple[Entries, Entries]:
    """The registered ``datasets`` and ``sources``, and those that a configuration brings itself.

    Raises:
        ContractError: one of its own is wrong, has the name of a registered one, or is of unknown molecules.
    """
    content = {key: config[key] for key in ("datasets", "sources") if key in config}
    own = check_datasets({"datasets": {}} | content, sources, where)
    for key, registered, brought in zip(("datasets", "sources"), (datasets, sources), own, strict=True):
        for name in brought:
            if name in registered:
                raise ContractError(f"{where}: {key}.{name}: config/datasets.yaml has this name; choose another")
    made = datasets | own[0]
    for name, entry in made.items():
        if "same_molecules_as" in entry:
            check_known("dataset", entry["same_molecules_as"], made, f"{where}: datasets.{name}.same_molecules_as")
    return made, sources | own[1]


def load_models(folder: StrPath = CONFIG / "models") -> Entries:
    """Read every descriptor ``config/models/{model}.yaml``; returns them by model name, sorted.

    Raises:
        ContractError: a descriptor breaks the schema, is ``of`` an unknown model or of itself, gives its class
            unknown, missing or wrong hyper-parameters, or has wrong members (:func:`check_members`).
    """
    paths = {path.stem: path for path in sorted(Path(folder).glob("*.yaml")) if not path.name.startswith(".")}
    for path in paths.values():
        check_model_name(path)
    left = {name: read_yaml(path) for name, path in paths.items()}
    for name, descriptor in left.items():
        check_schema(descriptor, "model", str(paths[name]))
        check_known("model", descriptor.get("of", name), paths, f"{paths[name]}: of")
    models: Entries = {}
    while left:
        ready = [name for name, descriptor in left.items() if descriptor.get("of") not in left]
        if not ready:
            name = next(iter(left))
            raise ContractError(f"{paths[name]}: of: {left[name]['of']} leads back to itself; let one stand alone")
        for name in ready:
            models[name] = make_model(left.pop(name), models, str(paths[name]))
    for name in models:
        check_members(name, models, str(paths[name]))
    return dict(sorted(models.items()))


def check_model_name(path: Path) -> None:
    """Raise :class:`ContractError` unless a descriptor has a name that a model may have."""
    if not re.fullmatch(MODEL_NAME, path.stem):
        raise ContractError(
            f"{path}: a model's name becomes part of paths: letters, digits and _ . + - alone; rename the file"
        )


def with_variants(models: Entries, config: Mapping[str, Any], where: str = "config") -> Entries:
    """The models and the configuration's ``variants`` of them, for ablations: a descriptor with some keys changed.

    A variant may be of a variant that stands before it. What it changes is told behind the ``source`` of its model.

    Raises:
        ContractError: the configuration breaks its schema; or a variant is of an unknown model, has the name of a
            registered one, gives its class unknown, missing or wrong hyper-parameters, or has wrong members.
    """
    check_schema(config, "config", where)
    made = dict(models)
    for name, variant in config.get("variants", {}).items():
        at = f"{where}: variants.{name}"
        if name in models:
            raise ContractError(f"{at}: a registered model has this name; choose another")
        made[name] = make_model(variant, made, at)
        changed = {key: variant[key] for key in ("features", "parameters") if variant.get(key)}
        if changed:  # the text is that of the model that it is of
            made[name]["source"] += f" Changed in this configuration: `{write_inline(changed)}`."
    for name in config.get("variants", {}):
        check_members(name, made, f"{where}: variants.{name}")
    return made


def make_model(written: Entry, models: Entries, at: str) -> Entry:
    """A whole descriptor from one as written, which may be ``of`` one of ``models`` with the keys that differ.

    Raises:
        ContractError: see :func:`load_models`; ``at`` is named as the place.
    """
    model = {key: value for key, value in written.items() if key != "of"}
    if "of" in written:
        check_known("model", written["of"], models, f"{at}: of")
        base = models[written["of"]]
        parameters = merge_parameters(base["parameters"], written.get("parameters", {}))
        model = base | model | {"parameters": parameters}
    model = check_schema(model, "model", at)
    if model["sees_truth"] and model["family"] != "control":
        raise ContractError(f"{at}: sees_truth: only a model of `family: control`, which is never ranked, may see it")
    check_start(model["parameters"].get("pretrained"), f"{at}: parameters.pretrained")
    check_parameters(model["class"], model["parameters"], at)
    check_external(model, at)
    return model


def list_members(model: Entry) -> list[str]:
    """The models whose predictions a model reads, its parameter ``members``; of most none."""
    members: list[str] = model["parameters"].get("members", [])
    return members


def check_members(name: str, models: Entries, at: str) -> None:
    """Check the members of a model of ``models``; ``at`` is named as the place.

    Raises:
        ContractError: there are fewer than two, or folds; or one is unknown, named twice, a control or a model with
            members of its own.
    """
    if "members" not in models[name]["parameters"]:
        return
    at, members = f"{at}: parameters.members", list_members(models[name])
    if models[name]["parameters"].get("folds", 2) < 2:
        raise ContractError(
            f"{at.removesuffix('members')}folds: weights that leave out a part of valid need 2 or more"
        )
    for member in members:
        check_known("model", member, models, at)
        if members.count(member) > 1:
            raise ContractError(f"{at}: '{member}' stands there twice; name it once")
        if models[member]["family"] == "control":
            raise ContractError(f"{at}: '{member}' is a control, which bounds models and is none; leave it out")
        if "members" in models[member]["parameters"]:
            raise ContractError(f"{at}: '{member}' reads predictions of models itself; name its members instead")
    if len(members) < 2:
        raise ContractError(f"{at}: name two models or more, whose predictions '{name}' reads")


def merge_parameters(base: Entry, changes: Entry) -> Entry:
    """``base`` with the leaves of ``changes``; ``pretrained`` is one leaf in any form."""
    made = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict) and key != "pretrained"
        made[key] = merge_parameters(base[key], value) if nested else value
    return made


def check_config(config: Mapping[str, Any], datasets: Entries, models: Entries, where: str = "config") -> Entry:
    """Check the run's configuration against its schema and against what is registered.

    Returns:
        The configuration with the schema's defaults filled in.

    Raises:
        ContractError: an unknown key, task, dataset, scheme or model (the message suggests the closest known name),
            two models with one label, or a model's checkpoint that lacks weights, configuration or tokenizer.
    """
    config = check_schema(config, "config", where)
    for task in config["tasks"]:
        check_task(task, datasets, f"{where}: tasks")
    for dataset in config["corpus"]:
        check_known("dataset", dataset, datasets, f"{where}: corpus")
    labelled: dict[str, str] = {}
    for name in config["models"]:
        check_known("model", name, models, f"{where}: models")
        other = labelled.setdefault(models[name]["label"], name)
        if other != name:
            raise ContractError(
                f"{where}: models: {other} and {name} share the label '{models[name]['label']}', by which tables and "
                "figures tell them apart; give one of them another"
            )
        for each in (name, *list_members(models[name])):
            check_directory(models[each]["parameters"].get("pretrained"), f"{where}: models: {each}")
    return config


def check_task(task: str, datasets: Entries, at: str) -> None:
    """Raise :class:`ContractError`, with a suggestion, unless there is a task ``dataset/property``."""
    dataset, _, name = task.partition("/")
    check_known("dataset", dataset, datasets, at)
    properties = datasets[dataset]["properties"]
    if name not in properties:
        raise ContractError(f"{at}: dataset '{dataset}' has no property '{name}'; {suggestion(name, properties)}")


def check_files_of(datasets: Entries, where: str) -> None:
    """Raise :class:`ContractError` unless the own files of datasets exist, or are what the workflow makes."""
    for name, dataset in datasets.items():
        file = dataset.get("file")
        if file is not None and is_given(file) and not Path(file).is_file():
            raise ContractError(f"{where}: datasets.{name}.file: no file {file} in {Path.cwd()}; correct the path")


def check_directory(start: object, at: str) -> None:
    """Raise :class:`ContractError` if training starts from a directory that is no checkpoint; ``at`` names the model.

    Snakemake would keep results of another directory where this one cannot be read.
    """
    if isinstance(start, dict) and "directory" in start:
        check_files(start["directory"], f"{at}: parameters.pretrained.directory: {start['directory']}")


def select_reader_settings(dataset: Entry) -> Entry:
    """What of a dataset's entry decides its molecules and their labels; names, licence and split do not."""
    keys = ("reader", "sources", "file", "smiles_column", "separator", "decimal", "max_heavy_atoms", "sample")
    properties = {
        name: {key: entry[key] for key in ("unit", "column", "observable") if key in entry}
        for name, entry in dataset["properties"].items()
    }
    return {key: dataset[key] for key in keys if key in dataset} | {"properties": properties}
