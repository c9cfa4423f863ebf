"""Hyper-parameters against the signature of their model, which is read as text: nothing is imported.

The class is the descriptor's ``module.Class`` inside :mod:`boomlib.models`. Its hyper-parameters are the keyword
parameters of ``__init__`` and, where that hands its ``**rest`` on to ``super().__init__``, those of its base class;
what the harness gives every model (the parameters of :class:`boomlib.harness.interface.Model`) is none of them. A
``**rest`` that goes elsewhere admits anything.

Annotations that are understood: ``int``, ``float`` (a whole number will do), ``str``, ``bool``, ``None``, ``object``
(anything), ``Literal``, ``list``, ``dict``, ``X | Y``, subclasses of ``TypedDict`` for nested settings, with
``NotRequired`` and ``total=False``, ``Unpack`` of one behind ``**rest``, and names for any of these.
"""

import ast
import difflib
import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from boomlib.files import ContractError
from boomlib.provenance import ROOT, source_file

NEUTRAL = "refuses hyper-parameters, but changes none"

Meaning = ast.ClassDef | ast.FunctionDef | ast.expr  # what a name may stand for
Option = ast.ClassDef | ast.expr  # a member of a union: a TypedDict, or any other annotation

TYPES: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "bool": bool,
    "dict": dict,
    "list": list,
    "object": object,
}
WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "dict": "a mapping",
    "list": "a list",
    "object": "anything",
    "None": "null",
}


def suggestion(word: str, known: Iterable[str]) -> str:
    """A hint for a mistyped ``word``: the closest known one, or all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known) or 'none'}"


# -- source ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """The top level of a file of boomlib.

    Attributes:
        file: its path.
        defined: classes, functions and assigned values by name.
        imported: module and name there of what comes from elsewhere, by name.
    """

    file: Path
    defined: Mapping[str, Meaning]
    imported: Mapping[str, tuple[str, str]]

    def find(self, name: str) -> "tuple[Meaning, Source] | None":
        """What a name stands for and where that is written, through imports within boomlib."""
        if name in self.defined:
            return self.defined[name], self
        module, original = self.imported.get(name, ("", ""))
        file = source_file(module) if module.split(".")[0] == "boomlib" else None
        return read_source(file).find(original) if file else None


@functools.cache
def read_source(file: Path) -> Source:
    """Parse a file.

    Raises:
        ContractError: it is not Python.
    """
    defined: dict[str, Meaning] = {}
    imported: dict[str, tuple[str, str]] = {}
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise ContractError(f"{file}, line {error.lineno}: {error.msg}") from error
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign):
            defined |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            defined[node.target.id] = node.value
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    return Source(file, defined, imported)


def find_bases(node: ast.ClassDef, source: Source) -> list[tuple[ast.ClassDef, Source]]:
    """The base classes of a class that are written in boomlib."""
    found = [source.find(name_of(base)) for base in node.bases]
    return [(base, written) for base, written in filter(None, found) if isinstance(base, ast.ClassDef)]


def name_of(expression: Option) -> str:
    """The last name of an expression: ``List`` of ``typing.List[int]``; empty for anything else."""
    if isinstance(expression, ast.Subscript):
        return name_of(expression.value)
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


# -- signatures ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """One parameter, or one key of nested settings.

    Attributes:
        annotation: its type; None: anything.
        source: where that is written.
        required: whether it must be given.
    """

    annotation: ast.expr | None
    source: Source
    required: bool


@dataclass(frozen=True)
class Signature:
    """What a class or a ``TypedDict`` takes by keyword; ``closed`` if that is all."""

    settings: Mapping[str, Setting]
    closed: bool = True


def read_signature(model: str) -> Signature:
    """The hyper-parameters of the class called ``module.Class`` inside :mod:`boomlib.models`.

    Raises:
        ContractError: there is no such class, or it is no model.
    """
    module, _, name = model.rpartition(".")
    file = source_file(f"boomlib.models.{module}")
    if file is None:
        folder = ROOT / "boomlib/models"
        known = [".".join(path.relative_to(folder).with_suffix("").parts) for path in folder.rglob("[!_]*.py")]
        raise ContractError(f"there is no boomlib/models/{module.replace('.', '/')}.py; {suggestion(module, known)}")
    source, shown = read_source(file), file.relative_to(ROOT)
    node = source.defined.get(name)
    if not isinstance(node, ast.ClassDef):
        known = [key for key, value in source.defined.items() if isinstance(value, ast.ClassDef)]
        raise ContractError(f"{shown} has no class '{name}'; {suggestion(name, known)}")
    if not is_model(node, source):
        raise ContractError(f"{shown}: {name} is not derived from boomlib.harness.interface.Model")
    signature = read_parameters(node, source)
    interface = read_source(source_file("boomlib.harness.interface"))
    root = interface.defined["Model"]
    assert isinstance(root, ast.ClassDef)
    common = read_parameters(root, interface).settings
    kept = {key: value for key, value in signature.settings.items() if key not in common}
    return Signature(kept, signature.closed)


def is_model(node: ast.ClassDef, source: Source) -> bool:
    """Whether a class is, or is derived from, the interface of models."""
    itself = (node.name, source.file) == ("Model", source_file("boomlib.harness.interface"))
    return itself or any(is_model(*base) for base in find_bases(node, source))


def read_parameters(node: ast.ClassDef, source: Source) -> Signature:
    """The keyword parameters of a class, those that it hands on to its base class among them."""
    base = next((each for each in find_bases(node, source) if is_model(*each)), None)
    init = next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)
    if init is None:
        return read_parameters(*base) if base else Signature({})
    named = init.args.args[1:]
    defaults = [None] * (len(named) - len(init.args.defaults)) + init.args.defaults + init.args.kw_defaults
    settings = {
        each.arg: Setting(each.annotation, source, default is None)
        for each, default in zip(named + init.args.kwonlyargs, defaults, strict=True)
    }
    rest = init.args.kwarg
    if rest is None:
        return Signature(settings)
    if isinstance(rest.annotation, ast.Subscript) and name_of(rest.annotation) == "Unpack":
        (fields, written), *others = find_options(rest.annotation.slice, source)
        if others or not isinstance(fields, ast.ClassDef):
            raise ContractError(f"{source.file.relative_to(ROOT)}: {ast.unparse(rest.annotation)} is of no TypedDict")
        return Signature(read_fields(fields, written) | settings)
    call = find_super_call(init, rest.arg)
    if call is None or base is None:
        return Signature(settings, closed=False)
    inherited, given = read_parameters(*base), {keyword.arg for keyword in call.keywords}
    kept = {key: value for key, value in inherited.settings.items() if key not in given}
    return Signature(kept | settings, inherited.closed)


def find_super_call(init: ast.FunctionDef, rest: str) -> ast.Call | None:
    """The call ``super().__init__(…, **rest)`` in a constructor; None if there is none."""
    calls = (each for each in ast.walk(init) if isinstance(each, ast.Call))
    for call in calls:
        handed_on = any(each.arg is None and name_of(each.value) == rest for each in call.keywords)
        if handed_on and ast.unparse(call.func) == "super().__init__":
            return call
    return None


def is_typed_dict(node: ast.AST, source: Source) -> bool:
    """Whether a class is a ``TypedDict``, directly or through a base class."""
    return isinstance(node, ast.ClassDef) and (
        any(name_of(base) == "TypedDict" for base in node.bases)
        or any(is_typed_dict(*base) for base in find_bases(node, source))
    )


def read_fields(node: ast.ClassDef, source: Source) -> dict[str, Setting]:
    """The keys of a ``TypedDict``."""
    fields: dict[str, Setting] = {}
    for base in find_bases(node, source):
        fields |= read_fields(*base)
    total = not any(each.arg == "total" and ast.unparse(each.value) == "False" for each in node.keywords)
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            annotation, required = each.annotation, total
            if isinstance(annotation, ast.Subscript) and name_of(annotation) in ("Required", "NotRequired"):
                annotation, required = annotation.slice, name_of(annotation) == "Required"
            fields[each.target.id] = Setting(annotation, source, required)
    return fields


# -- checks ----------------------------------------------------------------------------------------------


def check_parameters(model: str, parameters: Mapping[str, Any], at: str) -> None:
    """Check the hyper-parameters of the class called ``module.Class`` inside :mod:`boomlib.models`.

    Args:
        model: the descriptor's ``class``.
        parameters: its ``parameters``.
        at: the descriptor, to name in an error.

    Raises:
        ContractError: there is no such model; or a parameter is unknown, missing or of a wrong type. The message names
            the key and what is allowed.
    """
    try:
        signature = read_signature(model)
    except ContractError as error:
        raise ContractError(f"{at}: class: {error}") from None
    problem = find_problem_in(parameters, signature, f"{at}: parameters")
    if problem:
        raise ContractError(problem)


def find_problem_in(values: Mapping[str, Any], signature: Signature, at: str) -> str | None:
    """The first unknown, missing or wrong one of some settings; None if all are right."""
    settings = signature.settings
    for key in values:
        if key not in settings and signature.closed:
            return f"{at}: unknown parameter '{key}'; {suggestion(str(key), settings)}"
    for key, setting in settings.items():
        if key in values:
            problem = find_problem(values[key], setting.annotation, setting.source, f"{at}.{key}")
            if problem:
                return problem
        elif setting.required:
            allowed = describe(setting.annotation, setting.source)
            return f"{at}: the parameter '{key}' is missing; allowed: {allowed}"
    return None


def find_problem(value: object, annotation: ast.expr | None, source: Source, at: str) -> str | None:
    """What is wrong with a value of this annotation; None if nothing is."""
    options = find_options(annotation, source)
    fitting = [option for option in options if fits(value, *option)]
    if not fitting:
        found = json.dumps(value, ensure_ascii=False, default=str)
        number = any(name_of(option) == "float" for option, _ in options)
        remedy = f"; YAML reads it as a text, write {float(value)}" if number and is_number_in_text(value) else ""
        return f"{at}: found {found}, allowed: {describe(annotation, source)}{remedy}"
    problems = [find_problem_inside(value, *option, at) for option in fitting]
    return None if None in problems else problems[0]


def is_number_in_text(value: object) -> TypeGuard[str]:
    """Whether a value is a text that is a number, as YAML reads 1e-3."""
    try:
        return isinstance(value, str) and float(value) == float(value)
    except ValueError:
        return False


def find_options(annotation: ast.expr | None, source: Source) -> list[tuple[Option, Source]]:
    """The members of a union, each with where it is written; names of other annotations are followed.

    Raises:
        ContractError: an annotation that is not understood; the message names it and its file.
    """
    if annotation is None:
        return [(ast.Name("object"), source)]
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return find_options(ast.parse(annotation.value, mode="eval").body, source)
    if isinstance(annotation, ast.BinOp):
        return find_options(annotation.left, source) + find_options(annotation.right, source)
    name = "None" if getattr(annotation, "value", ...) is None else name_of(annotation)
    if name in ("Literal", "None", *TYPES):
        return [(annotation, source)]
    meaning = source.find(name)
    if meaning is not None:
        node, written = meaning
        if isinstance(node, ast.ClassDef) and is_typed_dict(node, written):
            return [(node, written)]
        if isinstance(node, ast.expr):
            return find_options(node, written)
    raise ContractError(
        f"{source.file.relative_to(ROOT)}: {ast.unparse(annotation)} is no type of a hyper-parameter; "
        "boomlib/signatures.py says which are"
    )


def read_choices(literal: ast.expr) -> tuple[object, ...]:
    """The values of a ``Literal``."""
    choices = ast.literal_eval(literal.slice) if isinstance(literal, ast.Subscript) else ()
    return choices if isinstance(choices, tuple) else (choices,)


def fits(value: object, option: Option, source: Source) -> bool:
    """Whether a value is of an option's type, whatever is inside it."""
    if isinstance(option, ast.ClassDef):
        return isinstance(value, dict)
    name = name_of(option)
    if name == "Literal":
        return any(type(value) is type(choice) and value == choice for choice in read_choices(option))
    if name not in TYPES:
        return value is None
    truth_as_number = isinstance(value, bool) and name in ("int", "float")
    return isinstance(value, TYPES[name]) and not truth_as_number


def find_problem_inside(value: Any, option: Option, source: Source, at: str) -> str | None:
    """What is wrong with the items of a value that fits an option; None if nothing is."""
    if isinstance(option, ast.ClassDef):
        return find_problem_in(value, Signature(read_fields(option, source)), at)
    if not isinstance(option, ast.Subscript) or name_of(option) == "Literal":
        return None
    items = enumerate(value) if isinstance(value, list) else value.items()
    each = option.slice.elts[-1] if isinstance(option.slice, ast.Tuple) else option.slice
    problems = (find_problem(item, each, source, f"{at}.{key}") for key, item in items)
    return next((problem for problem in problems if problem), None)


def describe(annotation: ast.expr | None, source: Source) -> str:
    """An annotation in words, for an error."""
    return " or ".join(describe_option(*option) for option in find_options(annotation, source))


def describe_option(option: Option, source: Source) -> str:
    """One member of a union in words."""
    if isinstance(option, ast.ClassDef):
        return f"a mapping of {', '.join(read_fields(option, source))}"
    name = name_of(option)
    if name == "Literal":
        return ", ".join(map(str, read_choices(option)))
    if name == "list" and isinstance(option, ast.Subscript):
        return f"a list, each {describe(option.slice, source)}"
    return WORDS[name or "None"]
