"""What may be run: the configuration, the datasets and the models, read from YAML and checked.

Every YAML file has a JSON schema in ``config/schemas``; the schemas hold the defaults and are the reference
of all keys. A mistake is reported with the file, the key and a suggestion.
"""

import ast
import difflib
import functools
import os
import re
from pathlib import Path

import yaml

from boomlib.files import ContractError

CONFIG = Path(__file__).parent.parent / "config"
# parameters that masked-language-model training sees
PRETRAINING = ("network", "notation", "isomeric", "enumeration", "pretraining")


class RegistryError(ContractError):
    """A YAML file of ``config/`` is wrong; the message names the file, the key and the remedy."""


def suggestion(word: str, known: list[str]) -> str:
    """A hint for a mistyped ``word``: the closest known one, or all of them."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(sorted(known))}"


def read_yaml(path: str | os.PathLike) -> dict:
    """Read a YAML mapping; a syntax error names the file and the line."""
    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RegistryError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise RegistryError(f"{path}: expected a mapping of keys to values")
    return value


def list_modules(package: str, function: str) -> list[str]:
    """Modules of ``boomlib/{package}`` whose source defines ``function`` at its top level; none is imported."""
    return sorted(
        path.stem
        for path in (CONFIG.parent / "boomlib" / package).glob("*.py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == function
            for node in ast.parse(path.read_text(encoding="utf-8")).body
        )
    )


@functools.cache
def read_schema(name: str) -> dict:
    """Read ``config/schemas/{name}.schema.yaml``; ``modules: package.function`` there stands for their names."""

    def list_names(node: object) -> object:
        if isinstance(node, list):
            return [list_names(each) for each in node]
        if not isinstance(node, dict):
            return node
        made = {key: list_names(value) for key, value in node.items() if key != "modules"}
        return made | {"enum": list_modules(*node["modules"].split("."))} if "modules" in node else made

    return list_names(read_yaml(CONFIG / "schemas" / f"{name}.schema.yaml"))


def check_schema(value: dict, schema_name: str, where: str) -> dict:
    """Check ``value`` against ``config/schemas/{schema_name}.schema.yaml`` and fill in its defaults."""
    from jsonschema import Draft202012Validator

    schema = read_schema(schema_name)
    errors = Draft202012Validator(schema).iter_errors(value)
    error = min(errors, key=lambda each: list(map(str, each.path)), default=None)
    if error is not None:
        at = ".".join(map(str, error.path)) or "top level"
        if error.validator == "additionalProperties":
            known = list(error.schema.get("properties", {}))
            unknown = sorted(map(str, set(error.instance) - set(known)))
            raise RegistryError(f"{where}: unknown key '{unknown[0]}' at {at}; {suggestion(unknown[0], known)}")
        raise RegistryError(f"{where}: {at}: {error.message} (see config/schemas/{schema_name}.schema.yaml)")
    return fill_defaults(value, schema)


def fill_defaults(value: dict, schema: dict) -> dict:
    """Return ``value`` with the defaults of ``schema``, at every depth that the schema spells out."""
    filled = dict(value)
    for key, child in schema.get("properties", {}).items():
        if key not in filled and "default" in child:
            filled[key] = child["default"]
        if isinstance(filled.get(key), dict):
            filled[key] = fill_defaults(filled[key], child)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        for key in set(filled) - set(schema.get("properties", {})):
            if isinstance(filled[key], dict):
                filled[key] = fill_defaults(filled[key], extra)
    return filled


def load_datasets(path: str | os.PathLike = CONFIG / "datasets.yaml") -> tuple[dict, dict]:
    """Read ``datasets.yaml``; returns its ``datasets`` and its ``sources`` by name."""
    return check_datasets(read_yaml(path), {}, str(path))


def check_datasets(content: dict, registered: dict, where: str) -> tuple[dict, dict]:
    """Check ``datasets`` and ``sources`` of a YAML file; returns both by name, with the schema's defaults.

    Args:
        content: the file's mapping.
        registered: sources that stand elsewhere, which its datasets may name as well.
        where: the file, for messages.
    """
    content = check_schema(content, "datasets", where)
    known = [*registered, *content["sources"]]
    for name, dataset in content["datasets"].items():
        if not (dataset["sources"] or "file" in dataset):
            raise RegistryError(
                f"{where}: datasets.{name}: no data; it needs the key 'file', a file of yours, or 'sources'"
            )
        for source in dataset["sources"]:
            if source not in known:
                raise RegistryError(
                    f"{where}: datasets.{name}.sources: unknown source '{source}'; {suggestion(source, known)}"
                )
    return content["datasets"], content["sources"]


def with_own_datasets(datasets: dict, sources: dict, config: dict, where: str = "config") -> tuple[dict, dict]:
    """The registered ``datasets`` and ``sources``, and those that a configuration brings itself.

    Raises:
        RegistryError: one of its own is wrong, or has the name of a registered one.
    """
    content = {key: config[key] for key in ("datasets", "sources") if key in config}
    own = check_datasets({"datasets": {}} | content, sources, where)
    for key, registered, brought in zip(("datasets", "sources"), (datasets, sources), own, strict=True):
        for name in brought:
            if name in registered:
                raise RegistryError(f"{where}: {key}.{name}: config/datasets.yaml has this name; choose another")
    return datasets | own[0], sources | own[1]


def load_models(folder: str | os.PathLike = CONFIG / "models") -> dict:
    """Read every descriptor ``config/models/{model}.yaml``; returns them by model name."""
    models = {}
    for path in sorted(Path(folder).glob("*.yaml")):
        models[path.stem] = check_schema(read_yaml(path), "model", str(path))
        check_pretrained(models[path.stem]["parameters"], f"{path}: parameters")
    return models


def with_variants(models: dict, config: dict, where: str = "config") -> dict:
    """The models and the configuration's ``variants`` of them, for ablations: a descriptor with some keys changed.

    A variant may be of a variant that stands before it.

    Raises:
        RegistryError: a variant of an unknown model, with the name of a registered one, of an unknown parameter, or
            with a ``pretrained`` of no known form.
    """
    made = dict(models)
    for name, variant in config.get("variants", {}).items():
        at = f"{where}: variants.{name}"
        base = variant.get("of", "")
        if base not in made:
            raise RegistryError(f"{at}: unknown model '{base}'; {suggestion(base, list(made))}")
        if name in models:
            raise RegistryError(f"{at}: a registered model has this name; choose another")
        parameters = override(made[base]["parameters"], variant.get("parameters", {}), at)
        check_pretrained(parameters, f"{at}.parameters")
        made[name] = made[base] | {key: variant[key] for key in ("label", "features") if key in variant}
        made[name]["parameters"] = parameters
    return made


def override(base: dict, changes: dict, at: str) -> dict:
    """``base`` with the leaves of ``changes``, whose keys must be there; ``pretrained`` is one leaf in any form."""
    made = dict(base)
    for key, value in changes.items():
        if key not in base:
            raise RegistryError(f"{at}: unknown parameter '{key}'; {suggestion(key, list(base))}")
        inner = isinstance(base[key], dict) and key != "pretrained"
        made[key] = override(base[key], value, at) if inner else value
    return made


def check_pretrained(parameters: dict, at: str) -> None:
    """Check the form of ``pretrained``, if it is among the parameters of a model: what training starts from.

    ``null`` is from scratch, ``mlm`` the pipeline's own pretraining, ``{directory: path}`` a folder in the layout of
    the Hugging Face hub, ``{hub: org/name, revision: commit}`` a repository there.

    Raises:
        RegistryError: it is none of these, or the commit is not given by its 40 hexadecimal digits.
    """
    start = parameters.get("pretrained")
    if start is None or start == "mlm":
        return
    values = start if isinstance(start, dict) else {}
    if not (set(values) in ({"directory"}, {"hub", "revision"}) and all(values.values())):
        raise RegistryError(
            f"{at}.pretrained: {start!r} is none of null (from scratch), mlm (pretraining on the train folds), "
            "{directory: path} and {hub: org/name, revision: commit}"
        )
    if "hub" in values:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(values["hub"])):
            raise RegistryError(f"{at}.pretrained.hub: {values['hub']!r} is no repository of the hub, org/name")
        if not re.fullmatch(r"[0-9a-f]{40}", str(values["revision"])):
            raise RegistryError(
                f"{at}.pretrained.revision: {values['revision']!r} is not a commit's 40 hexadecimal digits, in quotes "
                "(a branch or a tag may move, and with it the weights)"
            )


def hub_folder(start: dict) -> str:
    """The name of a checkpoint's folder, ``{org}--{name}@{revision}``; ``start`` is a ``pretrained`` of the hub."""
    return f"{start['hub'].replace('/', '--')}@{start['revision']}"


def pretraining(model: dict) -> dict:
    """The part of a descriptor that decides what pretraining makes; label, read-out and training do not."""
    parameters = {key: value for key, value in model["parameters"].items() if key in PRETRAINING}
    return {"class": model["class"], "parameters": parameters}


def pretrained_as(name: str, models: dict) -> str:
    """The first of ``models`` with the same pretraining as the model ``name``: they share its checkpoint."""
    return next(each for each, model in models.items() if pretraining(model) == pretraining(models[name]))


def evaluates_policy(model: dict) -> bool:
    """Whether a model evaluates a policy, by its descriptor: it leaves ``policy.parquet`` beside its predictions."""
    return model["family"] == "nlmtp"


def check_config(config: dict, datasets: dict, models: dict, where: str = "config") -> dict:
    """Check the run's configuration against its schema and against what is registered.

    Returns:
        The configuration with the schema's defaults filled in.

    Raises:
        RegistryError: an unknown key, task, dataset, scheme or model (the message suggests the closest known name), or
            a model's directory of pretrained weights without any.
    """
    config = check_schema(config, "config", where)
    for task in config["tasks"]:
        dataset, _, name = task.partition("/")
        if dataset not in datasets:
            raise RegistryError(f"{where}: tasks: unknown dataset '{dataset}'; {suggestion(dataset, list(datasets))}")
        properties = datasets[dataset]["properties"]
        if name not in properties:
            raise RegistryError(
                f"{where}: tasks: dataset '{dataset}' has no property '{name}'; {suggestion(name, list(properties))}"
            )
    for dataset in config["corpus"]:
        if dataset not in datasets:
            raise RegistryError(f"{where}: corpus: unknown dataset '{dataset}'; {suggestion(dataset, list(datasets))}")
    for model in config["models"]:
        if model not in models:
            raise RegistryError(f"{where}: models: unknown model '{model}'; {suggestion(model, list(models))}")
        start = models[model]["parameters"].get("pretrained")
        # Snakemake would keep results of another directory where this one cannot be read
        if isinstance(start, dict) and "directory" in start:
            weights = Path(start["directory"], "model.safetensors")
            if not weights.is_file():
                raise RegistryError(
                    f"{where}: models: {model} starts from {weights}, which does not exist; correct its "
                    "`pretrained: {directory: …}` or put a checkpoint there"
                )
    return config


def reading(dataset: dict) -> dict:
    """The part of a dataset's entry that decides its molecules table; labels, licence and split do not."""
    keys = ("kind", "sources", "file", "smiles_column", "sample")
    properties = {
        name: {key: entry[key] for key in ("unit", "column") if key in entry}
        for name, entry in dataset["properties"].items()
    }
    return {key: dataset[key] for key in keys if key in dataset} | {"properties": properties}
