"""JSON schemas of what people write in YAML: they hold the defaults, and are the reference of all keys.

A mistake is reported with the file, the key and a suggestion.
"""

import ast
import copy
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boomlib.files import ContractError
from boomlib.provenance import ROOT
from boomlib.signatures import read_source, suggestion
from boomlib.strict_yaml import read_yaml

NEUTRAL = "what it reads reaches a stage as a parameter, which counts itself"

CONFIG = ROOT / "config"

Entry = dict[str, Any]  # what YAML says of one thing, by key

# what to do where YAML has made something else of what is written, by the type that the schema asks for
REMEDIES = {
    "string": "; put a text that YAML takes for something else in quotes",
    "array": "; write a list: [first, second]",
    "object": "; write its keys below it, indented",
    "number": "; write a number without quotes, with a point before its decimals, one with an exponent as 1.0e-4",
    "integer": "; write a whole number without quotes and without a point",
    "boolean": "; write true or false without quotes",
}
EMPTY = "; write its value behind the colon, a text such as null or ~ in quotes"  # of a text that YAML finds absent


def list_modules(package: str, function: str, root: Path | None = None) -> list[str]:
    """The modules of ``boomlib/{package}`` of a checkout whose source defines a function of that name at its top."""
    files = sorted(((root or ROOT) / "boomlib" / package).glob("*.py"))
    return [file.stem for file in files if isinstance(read_source(file).defined.get(function), ast.FunctionDef)]


@functools.cache
def read_schema(name: str) -> Entry:
    """Read ``config/schemas/{name}.schema.yaml``; ``modules: package.function`` stands for :func:`list_modules`."""

    def list_names(node: Any) -> Any:
        if isinstance(node, list):
            return [list_names(each) for each in node]
        if not isinstance(node, dict):
            return node
        made = {key: list_names(value) for key, value in node.items() if key != "modules"}
        return made | {"enum": list_modules(*node["modules"].split("."))} if "modules" in node else made

    schema: Entry = list_names(read_yaml(CONFIG / "schemas" / f"{name}.schema.yaml"))
    return schema


def check_schema(value: Mapping[str, Any], name: str, where: str) -> Entry:
    """Check ``value`` against ``config/schemas/{name}.schema.yaml`` and return it with its defaults filled in.

    Raises:
        ContractError: it breaks the schema; the message begins with ``where``.
    """
    from jsonschema import Draft202012Validator, validators

    schema = read_schema(name)
    # JSON's idea of numbers is wider: 1.0 is a whole one there, and what is no number is not asked for
    types = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": is_whole, "number": is_finite})
    validator = validators.extend(  # type: ignore[no-untyped-call]  # types-jsonschema leaves it out
        Draft202012Validator, type_checker=types
    )
    error = min(validator(schema).iter_errors(value), key=lambda each: list(map(str, each.path)), default=None)
    if error is not None:
        at = ".".join(map(str, error.path)) or "top level"
        if error.validator == "additionalProperties":
            known = list(error.schema.get("properties", {}))
            unknown = min(map(str, set(error.instance) - set(known)))
            raise ContractError(f"{where}: unknown key '{unknown}' at {at}; {suggestion(unknown, known)}")
        problem = f"{error.instance!r} is a name that is taken" if error.validator == "not" else error.message
        found = REMEDIES.items() if error.validator == "type" else ()
        remedy = next((text for kind, text in found if kind in error.validator_value), "")
        remedy = EMPTY if error.instance is None and remedy == REMEDIES["string"] else remedy
        meaning = f". {error.schema['description']}" if "description" in error.schema else ""
        raise ContractError(f"{where}: {at}: {problem}{remedy}{meaning} (see config/schemas/{name}.schema.yaml)")
    return fill_defaults(value, schema)


def is_whole(checker: object, value: object) -> bool:
    """Whether a value is a whole number, written as one."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_finite(checker: object, value: object) -> bool:
    """Whether a value is a finite number."""
    return is_whole(checker, value) or (isinstance(value, float) and math.isfinite(value))


def fill_defaults(value: Mapping[str, Any], schema: Mapping[str, Any]) -> Entry:
    """Return ``value`` with the defaults of ``schema``, at every depth that the schema spells out."""
    filled = dict(value)
    for key, child in schema.get("properties", {}).items():
        if key not in filled and "default" in child:
            filled[key] = copy.deepcopy(child["default"])
        if isinstance(filled.get(key), dict):
            filled[key] = fill_defaults(filled[key], child)
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        for key in set(filled) - set(schema.get("properties", {})):
            if isinstance(filled[key], dict):
                filled[key] = fill_defaults(filled[key], extra)
    return filled
