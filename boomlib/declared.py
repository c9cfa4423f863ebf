"""What families, schemes and features declare, read from their rules and their source as text."""

import ast
import functools
import graphlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from boomlib import registry, schemas
from boomlib.files import ContractError
from boomlib.provenance import source_file
from boomlib.registry import Entries
from boomlib.signatures import name_of, read_signature, read_source
from boomlib.strict_yaml import write_inline

NEUTRAL = "what it reads reaches a stage as an input or a parameter"

FAMILIES = Path(__file__).parent.parent / "rules/train"
NEEDS = ("SMILES", "embedded geometry", "the source's geometry")
"""What a model may need of a molecule, from what anybody has to what only the source's calculations give."""
EMBEDDED = {"conformers": "embedded", "xtb": "xtb_embedded", "physics": "physics_embedded"}
"""Features of the source's geometry, and references that read one, with those of an embedded geometry."""
OPTIONS = {("site", True): "insertions", ("context", "full"): "maccs"}
"""Hyper-parameters of NL-MTP, with their value, that read a feature."""
EMBEDS = "max_embedding_attempts"  # the key of a dataset that features which embed molecules take
# the constants of a module of boomlib.splits
SCHEME = {
    "TITLE": "a heading",
    "TEXT": "a sentence on the scheme",
    "QUANTITY": "the label of the axis of what it cuts by",
    "FEATURES": "a tuple of the names of the feature tables that it reads, () for none",
}


def list_families() -> list[str]:
    """Families of models: each has a rule of its own, ``rules/train/{family}.smk``."""
    return sorted(path.stem for path in FAMILIES.glob("*.smk"))


def check_families(models: Entries) -> None:
    """Raise :class:`ContractError` unless every model's family has a rule, which makes what the model answers."""
    for name, model in models.items():
        family = model["family"]
        registry.check_known("family", family, list_families(), f"config/models/{name}.yaml: family")
        rule = FAMILIES / f"{family}.smk"
        if model["answers_policy"] and not re.search(r"^ +policy=", rule.read_text(encoding="utf-8"), re.MULTILINE):
            raise ContractError(
                f"config/models/{name}.yaml: answers_policy: rules/train/{family}.smk has no output `policy`; choose "
                "a family whose rule has one, or leave the key out"
            )


def check_features(models: Entries, variants: Iterable[str] = (), where: str = "config") -> None:
    """Raise :class:`ContractError` unless models have the features that their hyper-parameters say they read.

    A hyper-parameter says so by a feature's name, whatever its own name (``physics: xtb``), and a network's
    ``reference`` and NL-MTP's ``additive`` by that of a ridge regression; further options of NL-MTP are in
    :data:`OPTIONS`.

    Args:
        models: descriptors by name.
        variants: those of a configuration; the others have files of their own.
        where: its files, for messages.
    """
    check_arguments()
    source = read_source(source_file("boomlib.harness.references"))
    regression, physics = (ast.literal_eval(source.defined[name]) for name in ("FEATURES", "PHYSICS"))
    known = set(schemas.list_modules("features", "compute"))
    for name, model in models.items():
        for key, value in list_values(model["parameters"]):
            wanted = [str(value)] if value in known and key != "reference" else []
            if key == "reference" and value in physics:
                wanted = [*regression, *filter(None, [physics[value]])]
            elif key == "additive" and physics.get(value):  # NL-MTP's linear path
                wanted = [physics[value]]
            elif (key, value) in OPTIONS:
                wanted = [OPTIONS[key, value]]
            lacking = [each for each in wanted if each not in model["features"]]
            if lacking:
                said = "true" if value is True else value
                at = f"{where}: variants.{name}" if name in variants else f"config/models/{name}.yaml"
                raise ContractError(
                    f"{at}: `{key}: {said}` reads {', '.join(wanted)}; write "
                    f"`features: [{', '.join([*model['features'], *lacking])}]`"
                )


def list_values(parameters: Mapping[str, object]) -> Iterator[tuple[str, str | bool]]:
    """All texts and switches among hyper-parameters, at every depth, each with its key."""
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            yield from list_values(value)
        elif isinstance(value, str | bool):
            yield key, value


def list_arguments(feature: str) -> list[str]:
    """What a feature's ``compute`` takes.

    ``smiles``, then tables (``geometry``, the source's positions, or another feature by its name), then keys of a
    dataset.
    """
    compute = read_source(source_file(f"boomlib.features.{feature}")).defined["compute"]
    return [argument.arg for argument in compute.args.args] if isinstance(compute, ast.FunctionDef) else []


def check_arguments() -> None:
    """Raise :class:`ContractError` if a feature's ``compute`` takes what is no table and no key of a dataset."""
    features = schemas.list_modules("features", "compute")
    keys = schemas.read_schema("datasets")["properties"]["datasets"]["additionalProperties"]["properties"]
    known = ("smiles", "geometry", *features, *keys)
    for feature in features:
        for argument in list_arguments(feature):
            at = f"boomlib/features/{feature}.py: compute"
            registry.check_known("feature or key of a dataset", argument, known, at)


@functools.cache  # asked of each run's features, in every command and job
def list_tables(feature: str) -> tuple[str, ...]:
    """The tables that a feature reads, in the order of its arguments: ``geometry`` or other features."""
    known = ("geometry", *schemas.list_modules("features", "compute"))
    return tuple(name for name in list_arguments(feature) if name in known)


def list_read(features: Iterable[str]) -> set[str]:
    """These features and all tables that they read, directly or not."""
    left, found = list(features), set()
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [] if name == "geometry" else list_tables(name)
    return found


def order_features(features: Iterable[str]) -> list[str]:
    """These features and all that they read, directly or not, each behind those that it reads.

    Raises:
        ContractError: features read one another in a circle.
    """
    read = {
        name: [table for table in list_tables(name) if table != "geometry"]
        for name in sorted(list_read(features) - {"geometry"})
    }
    try:
        return list(graphlib.TopologicalSorter(read).static_order())
    except graphlib.CycleError as error:
        raise ContractError(
            f"boomlib/features: {' reads '.join(error.args[1][::-1])}; a feature may not need itself"
        ) from None


def brings_geometry(reader: str) -> bool:
    """Whether a reader hands over the positions of atoms: the argument ``geometry`` of its ``Rows``."""
    source = read_source(source_file(f"boomlib.datasets.{reader}"))
    calls = [node for defined in source.defined.values() for node in ast.walk(defined) if isinstance(node, ast.Call)]
    return any(
        keyword.arg == "geometry" for call in calls if name_of(call.func) == "Rows" for keyword in call.keywords
    )


def find_needs(features: Iterable[str], reader: str) -> str:
    """What predicting a new molecule takes, one of :data:`NEEDS`: the most that one of the features takes.

    Args:
        features: those that a model reads.
        reader: the reader of the dataset. Where it brings no positions, a feature that reads ``geometry`` embeds.
    """
    read = list_read(features)
    if "geometry" in read and brings_geometry(reader):
        return NEEDS[2]
    return NEEDS[1] if any(EMBEDS in list_arguments(name) for name in read - {"geometry"}) else NEEDS[0]


def list_features(name: str, models: Entries) -> list[str]:
    """The features that a model reads, itself or by its members."""
    return [each for member in (name, *registry.list_members(models[name])) for each in models[member]["features"]]


def suggest_embedded(name: str, models: Entries) -> str:
    """What to take where a model cannot have the geometries that it reads."""
    embedded = f"{name}_embedded"
    if embedded in models:
        return f"take its variant with embedded ones (name '{embedded}')"
    given = models[name]
    changes = embed(given["parameters"])
    if "conformers" in read_signature(given["class"]).settings:
        changes["conformers"] = "embedded"
    members = [f"{each}_embedded" if f"{each}_embedded" in models else each for each in registry.list_members(given)]
    if members != registry.list_members(given):
        changes["members"] = members
    if not changes:
        return "take a model that reads none"
    features = [*dict.fromkeys(EMBEDDED.get(each, each) for each in given["features"])]
    written = ({"features": features} if features else {}) | {"parameters": changes}
    return f"take a variant of it with embedded ones ({write_inline(written)})"


def embed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Of hyper-parameters those that name a geometry of the source, with the embedded one in its place."""
    inner = {key: embed(value) for key, value in parameters.items() if isinstance(value, Mapping)}
    named = {key: EMBEDDED[value] for key, value in parameters.items() if isinstance(value, str) and value in EMBEDDED}
    return named | {key: changed for key, changed in inner.items() if changed}


def check_geometry(name: str, dataset: str, models: Entries, datasets: Entries, where: str) -> None:
    """Raise :class:`ContractError` if a model reads geometries that the same molecules' other source alone has.

    Where no source has any, as of 10K CSD, the model embeds them; here it would be taken for what it is on the other.

    Args:
        name: the model.
        dataset: what it is to be trained on.
        models: descriptors by name.
        datasets: entries by name.
        where: the configuration's files, for messages.
    """
    other = datasets[dataset].get("same_molecules_as")
    if other is None or brings_geometry(datasets[dataset]["reader"]):
        return
    if find_needs(list_features(name, models), datasets[other]["reader"]) == NEEDS[2]:
        raise ContractError(
            f"{where}: models: '{name}' reads the geometries of {other}'s source, which that of {dataset} has not; "
            f"{suggest_embedded(name, models)}, or the dataset {other}"
        )


def read_scheme_features(scheme: str) -> list[str]:
    """The feature tables that a scheme reads: its constant ``FEATURES``.

    Raises:
        ContractError: it lacks a constant of a scheme, or FEATURES is no tuple of names of feature tables.
    """
    source = read_source(source_file(f"boomlib.splits.{scheme}"))
    for name, meaning in SCHEME.items():
        if name not in source.defined:
            raise ContractError(f"{source.file}: no constant {name}: {meaning}")
    try:
        names = ast.literal_eval(source.defined["FEATURES"])
    except ValueError:
        names = None
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise ContractError(f"{source.file}: FEATURES: {SCHEME['FEATURES']}")
    for name in names:
        registry.check_known("feature", name, schemas.list_modules("features", "compute"), f"{source.file}: FEATURES")
    return list(names)
