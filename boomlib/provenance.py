"""What made a result: hashes of the code that a stage depends on, and a record of each run."""

import ast
import functools
import hashlib
import json
import platform
import resource
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent


def source_file(module: str) -> Path | None:
    """The file of a module of this checkout, or None for anything else."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@functools.cache
def parse(module: str) -> tuple[str, frozenset[str]]:
    """Return a module's code without comments and docstrings, and the modules of boomlib that it imports."""
    tree = ast.parse(source_file(module).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            node.body = body[1:]
    ours = {name for name in imported if name.split(".")[0] == "boomlib" and source_file(name)}
    return ast.unparse(tree), frozenset(ours)


@functools.cache
def code_hash(*modules: str, files: tuple[str, ...] = ()) -> str:
    """Hash the code of ``modules`` and of every boomlib module that they import, directly or not.

    Comments, docstrings and formatting do not count, so that only a change of what the code does
    makes a stage run again. Given to a rule as a parameter, since Snakemake sees only the adapter script.

    Args:
        modules: dotted module names, such as ``boomlib.models.tabular.ridge``.
        files: further files, relative to the root of the checkout, whose bytes count.
    """
    todo, seen = list(modules), set()
    while todo:
        module = todo.pop()
        if module not in seen:
            if source_file(module) is None:
                raise FileNotFoundError(f"no module {module} in {ROOT}")
            seen.add(module)
            todo += parse(module)[1]
    digest = hashlib.blake2b(digest_size=8)
    for module in sorted(seen):
        digest.update(f"{module}\0{parse(module)[0]}\0".encode())
    for file in files:
        digest.update((ROOT / file).read_bytes())
    return digest.hexdigest()


def content_hash(value: object) -> str:
    """Short hash of a JSON-like value, the same for equal values in every process."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=6).hexdigest()


def commit_id() -> str:
    """The checkout's commit, with ``+`` behind it if tracked files differ from it; "unknown" outside git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def versions(
    packages: tuple[str, ...] = ("numpy", "pyarrow", "rdkit", "scikit-learn", "torch"),
) -> dict[str, str]:
    """The installed versions of Python and of those ``packages`` that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def device_name() -> str:
    """The GPU that PyTorch, if it is loaded, sees first; else the kind of CPU."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU ({platform.processor() or platform.machine()})"


class RunRecord:
    """Measures a job from construction to :meth:`finish`, for its ``run.json``."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def finish(self, **facts: object) -> dict:
        """Return ``facts`` with wall time (s), peak memory of the process (MiB), device, commit and versions."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return facts | {
            "seconds": round(time.perf_counter() - self.start, 3),
            "peak_memory_mib": round(peak / (1024**2 if sys.platform == "darwin" else 1024), 1),
            "device": device_name(),
            "host": platform.node(),
            "commit": commit_id(),
            "versions": versions(),
        }
