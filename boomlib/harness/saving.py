"""Fitted objects in files that are no pickles: skops' format, which is read without running what a file says.

A file lists objects with the names of their types, and is refused if one is not among those that are trusted.
"""

import importlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

from boomlib.files import MAKE_ANEW, ContractError, atomic_path, commit

NEUTRAL = "writes what was fitted and reads the same"

TRUSTED = frozenset(
    {
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
"""What scikit-learn's models hold beside the types that skops trusts by itself: arrays, numbers, public estimators."""
ENDING = ".skops"
PICKLED = ".joblib"  # of earlier versions


def write_objects(objects: object, path: Path) -> None:
    """Write objects of boomlib, scikit-learn and NumPy, and lists, tuples and dicts of these, to ``….skops``.

    Raises:
        ContractError: there is an object of another type, which :func:`read_objects` would refuse.
    """
    import skops.io  # which imports torch and all of scikit-learn

    skops.io.dump(objects, atomic_path(path), compression=zipfile.ZIP_DEFLATED)
    refuse(path, skops.io.get_untrusted_types(file=atomic_path(path)))
    commit(path)


def read_objects(path: Path) -> Any:
    """Read what :func:`write_objects` wrote.

    Where there is no ``….skops``, ``….joblib`` is read, which versions 0.2.0 and 0.3.0 wrote. It is a pickle, and
    reading it runs whatever it says: load only your own.

    Raises:
        ContractError: neither is there, or the file is broken or has an object of a type that is not trusted.
    """
    import skops.io

    pickled = path.with_suffix(PICKLED)
    if not path.is_file() and pickled.is_file():
        import joblib

        return joblib.load(pickled)
    try:
        found = skops.io.get_untrusted_types(file=path)
        refuse(path, found)
        return skops.io.load(path, trusted=found)
    except FileNotFoundError as error:
        raise ContractError(f"{path}: no such file, which a kept model has; {MAKE_ANEW}") from error
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        raise ContractError(f"{path}: not readable as skops, probably truncated ({error}); {MAKE_ANEW}") from error


def refuse(path: Path, names: list[str]) -> None:
    """Raise :class:`ContractError` if a type that a file names, and skops does not trust, is not trusted here."""
    strange = [name for name in names if name not in TRUSTED and not is_ours(name)]
    if strange:
        raise ContractError(
            f"{path}: {', '.join(strange)}: neither classes of boomlib nor trusted by "
            "boomlib/harness/saving.py; keep of a fitted model arrays, numbers, texts and estimators of scikit-learn"
        )


def is_ours(name: str) -> bool:
    """Whether a dotted name is that of a class that a module of boomlib defines."""
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] != "boomlib":
        return False
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__ == module
