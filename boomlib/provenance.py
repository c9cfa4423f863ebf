"""What made a result: hashes of the code that a stage depends on, and a record of each run."""

import ast
import functools
import hashlib
import json
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from boomlib.source import reduce_source

NEUTRAL = "describes what made a number"

ROOT = Path(__file__).parent.parent
PACKAGES = ("boomlib", "workflow_scripts")
SHOWN = frozenset({"TITLE", "TEXT", "QUANTITY"})  # constants of a scheme that people alone read
ASKED = frozenset({"__getattr__"})  # functions of boomlib itself that people alone call
# what a model may stand on: the name of the distribution, and that of its module
VERSIONED = {
    "numpy": "numpy",
    "pyarrow": "pyarrow",
    "rdkit": "rdkit",
    "scikit-learn": "sklearn",
    "torch": "torch",
    "lightning": "lightning",
    "chemprop": "chemprop",
    "mace-torch": "mace",
    "e3nn": "e3nn",
    "transformers": "transformers",
    "tokenizers": "tokenizers",
    "torch-geometric": "torch_geometric",
    "tblite": "tblite",
    "torchmd-net": "torchmdnet",
}


def source_file(module: str) -> Path | None:
    """The file of a module of this checkout, or None for anything else."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@functools.cache
def parse(module: str) -> tuple[str, frozenset[str]]:
    """Return what a module of this checkout computes, as source, and the modules and packages here that it imports.

    Raises:
        FileNotFoundError: there is no such module.
    """
    path = source_file(module)
    if path is None:
        raise FileNotFoundError(f"no module {module} in {ROOT}")
    shown = ASKED if module == "boomlib" else SHOWN if module.startswith("boomlib.splits.") else frozenset()
    tree = reduce_source(path.read_text(encoding="utf-8"), shown)
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # a dot is the package that the module lies in, each further one the package around that
            around = module.split(".")[: len(module.split(".")) + (path.name == "__init__.py") - node.level]
            source = ".".join([*(around if node.level else []), *([node.module] if node.module else [])])
            imported |= {f"{source}.{alias.name}" for alias in node.names}
    imported = {each for name in imported for each in with_packages(name) if each.split(".")[0] in PACKAGES}
    return ast.unparse(tree), frozenset(filter(source_file, imported))


def with_packages(module: str) -> list[str]:
    """A dotted name after the names of the packages that it lies in, the outermost first."""
    parts = module.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


@functools.cache
def neutral_unit(module: str) -> str | None:
    """The module or package that declares ``module`` neutral, since no number passes through it; None if it counts.

    The declaration is a constant ``NEUTRAL`` that holds the reason; that of a package is for all its modules.
    """
    for unit in with_packages(module):
        path = source_file(unit)
        if path and re.search(r"^NEUTRAL = ", path.read_text(encoding="utf-8"), re.M):
            return unit
    return None


@functools.cache
def code_hash(*modules: str, files: tuple[str, ...] = ()) -> str:
    """Hash the code of ``modules`` and of every module of this checkout that they import, directly or not.

    What cannot change a number does not count, so that a stage runs again only for a change of what its code does:
    comments, docstrings, formatting, annotations and messages (:mod:`boomlib.source`); and neutral modules, unless
    one of ``modules`` is neutral by the same declaration, as a figure is by that of the report. Given to a rule as a
    parameter, with the adapter script among the modules: Snakemake itself sees no more than the script's date.

    Args:
        modules: dotted module names, such as ``boomlib.models.tabular.ridge``.
        files: further files, relative to the root of the checkout, that count: of YAML the values, else the bytes.

    Raises:
        FileNotFoundError: there is no such module.
    """
    own = {neutral_unit(module) for module in modules} | {None}
    for module in modules:
        parse(module)  # raises where there is none
    todo, seen = [each for module in modules for each in with_packages(module) if source_file(each)], set()
    while todo:
        module = todo.pop()
        if module not in seen and neutral_unit(module) in own:
            seen.add(module)
            todo += parse(module)[1]
    digest = hashlib.blake2b(digest_size=8)
    for module in sorted(seen):
        digest.update(f"{module}\0{parse(module)[0]}\0".encode())
    for file in files:
        content = (ROOT / file).read_bytes()
        digest.update(content_hash(yaml.safe_load(content)).encode() if file.endswith(".yaml") else content)
    return digest.hexdigest()


def content_hash(value: object) -> str:
    """Short hash of a JSON-like value, the same for equal values in every process."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=6).hexdigest()


def hash_training(model_class: str, parameters: Mapping[str, Any], features: Iterable[str]) -> str:
    """Hash of what a training computes: the code of a model and of the features that it reads, its hyper-parameters.

    Args:
        model_class: the descriptor's ``class``.
        parameters: its hyper-parameters.
        features: names of the features, and of those that they read.
    """
    module = model_class.rpartition(".")[0]
    code = code_hash(f"boomlib.models.{module}", *(f"boomlib.features.{name}" for name in sorted(features)))
    return content_hash([model_class, dict(parameters), code])


def commit_id() -> str:
    """The checkout's commit, with ``+`` behind it if files differ from it or are new; "unknown" without git."""
    # git trusts no checkout of another user; but this one's code runs, whoever owns it
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    asked = (["describe", "--always", "--abbrev=12", "--exclude=*"], ["status", "--porcelain"])
    try:
        found = [subprocess.run([*git, *each], capture_output=True, text=True, check=True).stdout for each in asked]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    commit, changes = (each.strip() for each in found)
    return f"{commit}+" if changes else commit


def versions() -> dict[str, str]:
    """The versions of Python and of those of the packages above that this process has imported."""
    imported = [package for package, module in VERSIONED.items() if module in sys.modules]
    return {"python": platform.python_version()} | {package: metadata.version(package) for package in imported}


def processor_name() -> str:
    """The model of this machine's processor, as far as its operating system tells."""
    try:
        models: list[str] = re.findall(
            r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M
        )
    except OSError:  # no Linux
        models = []
    return (models or [platform.processor() or platform.machine()])[0]


def device_name(device: object) -> str:
    """The name of a GPU, or ``CPU (…)`` with that of the processor.

    Args:
        device: a PyTorch device or the name of one: ``cpu``, ``cuda``, ``cuda:0``.
    """
    if is_gpu(device):
        name: str = sys.modules["torch"].cuda.get_device_name(device)
        return name
    return f"CPU ({processor_name()})"


def is_gpu(device: object) -> bool:
    """Whether a PyTorch device, or the name of one, is a GPU."""
    return str(device).startswith("cuda")


class RunRecord:
    """Measures a job from construction to :meth:`finish`, for its ``run.json``."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def finish(
        self, *, device: object = "cpu", prediction_device: object = "cpu", **facts: object
    ) -> dict[str, object]:
        """Return ``facts`` with wall time (s), peak memory (MiB), devices, the time now, commit and versions.

        Args:
            device: where the model was trained, as PyTorch names it; a GPU only if it was used.
            prediction_device: where it predicted.
            facts: what else there is to say.
        """
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        on_gpu = is_gpu(device) or is_gpu(prediction_device)
        return facts | {
            "seconds": round(time.perf_counter() - self.start, 3),
            "peak_memory_mib": round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1),
            "peak_gpu_memory_mib": (
                round(sys.modules["torch"].cuda.max_memory_allocated() / 1024**2, 1) if on_gpu else None
            ),
            "device": device_name(device),
            "prediction_device": device_name(prediction_device),
            "host": platform.node(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit_id(),
            "versions": versions(),
        }
