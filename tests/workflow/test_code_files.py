"""Our own code: its size, what it imports, and that it keeps out of the private rooms of other packages."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

MODULES = sorted(ROOT.glob("boomlib/**/*.py"))
NO_MORE_THAN = {"file": 400, "function": 60}
# private names that stand in boomlib, and why
ADMITTED = {
    ("molformer.py", "_init_weights"): "transformers' guide to new models has it overridden to start weights",
    ("molformer.py", "_tied_weights_keys"): "transformers' guide to new models has tied weights named there",
}


def list_names(node: ast.AST) -> list[str]:
    """The identifiers that a node of the syntax tree itself spells."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
            return [name]
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.alias(name=name):
            return name.split(".")
        case ast.ImportFrom(module=str(name)):
            return name.split(".")
    return []


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def test_imports_run_downwards():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", [*MODULES, ROOT / "Snakefile", *sorted(ROOT.glob("rules/**/*.smk"))], ids=lambda path: path.name
)
def test_no_file_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= NO_MORE_THAN["file"]


def test_no_function_is_long(trees):
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= NO_MORE_THAN["function"]
    ]
    assert long == []


def test_no_private_name_is_used(trees):
    private = {
        (path.name, name)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        for name in list_names(node)
        if re.match(r"_(?!_)\w", name)
    }
    assert private == set(ADMITTED)


def test_nothing_is_mocked(trees):
    mocked = [
        path for path, tree in trees.items() for node in ast.walk(tree) if {"unittest", "mock"} & {*list_names(node)}
    ]
    assert mocked == []
