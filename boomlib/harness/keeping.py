"""What a run keeps: the files of its model, and ``kept.json`` with all that is needed to ask it elsewhere."""

import contextlib
import importlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from boomlib import registry
from boomlib.declared import find_needs, list_arguments, order_features
from boomlib.features import elements
from boomlib.files import read_json, scratch_folder, sha256, write_json
from boomlib.harness.composition import count_elements
from boomlib.harness.interface import Model, Molecules
from boomlib.provenance import commit_id, content_hash, versions
from boomlib.version import VERSION

NEUTRAL = "describes a model that is fitted"

RECORD = "kept.json"
DECISIVE = ("class", "parameters", "kind", "observable", "seed", "code", "features", "settings", "max_heavy_atoms")


def describe_run(config: Mapping[str, Any], run: Mapping[str, str]) -> dict[str, Any]:
    """What ``kept.json`` says of a run beside the model itself.

    None of it decides a number of the run, or it does so through the feature tables: no parameter of the rule.

    Args:
        config: the checked configuration.
        run: ``dataset``, ``property``, ``scheme`` and ``model``, as the wildcards of the run's rule.
    """
    datasets, _ = registry.with_own_datasets(*registry.load_datasets(), config)
    dataset = datasets[run["dataset"]]
    model = registry.with_variants(registry.load_models(), config)[run["model"]]
    features: list[str] = model["features"]
    return {
        **{name: run[name] for name in ("dataset", "property", "scheme", "model")},
        "label": model["label"],
        "unit": dataset["properties"][run["property"]]["unit"],
        "features": features,
        # keys of the dataset that each of them, and of those that they read, takes
        "settings": {
            name: {key: dataset[key] for key in list_arguments(name) if key in dataset}
            for name in order_features(features)
        },
        "max_heavy_atoms": dataset.get("max_heavy_atoms"),
        "needs": find_needs(features, dataset["reader"]),
    }


def keep_model(
    model: Model, folder: Path, facts: Mapping[str, Any], train: Molecules, members: Mapping[str, Path]
) -> None:
    """Write the model's files into the run's folder, and last ``kept.json``, which lists them with their sha256.

    Args:
        model: fitted.
        folder: the run's folder.
        facts: of :func:`describe_run`, and class, parameters and code of the model.
        train: what it was fitted to.
        members: folders of the runs whose predictions it reads, by the name of their model.
    """
    with scratch_folder(folder / "model") as scratch:
        model.save(scratch)
        files = {path.name: sha256(path) for path in sorted(scratch.iterdir())}
        for name in files:
            (scratch / name).replace(folder / name)
    with contextlib.suppress(ImportError):  # an environment of networks alone has not what computes all features
        import_features(facts["features"])
    record = {
        "version": VERSION,
        "commit": commit_id(),
        "versions": versions(),
        **facts,
        "members": {
            name: {
                "folder": os.path.relpath(path, folder),
                "identity": identify(path) if (path / RECORD).is_file() else None,
            }
            for name, path in members.items()
        },
        "train": {
            "molecules": len(train),
            "least": float(train.y.min()),
            "largest": float(train.y.max()),
            "elements": list_elements(train),
        },
        "files": files,
    }
    write_json(folder / RECORD, record)


def import_features(names: Iterable[str]) -> None:
    """Import what computes features, and the features that they read; then :func:`versions` knows their packages."""
    for name in order_features(names):
        importlib.import_module(f"boomlib.features.{name}")


def identify(folder: Path) -> str:
    """What changes with whatever may change a prediction of a kept model.

    That is its files, code, parameters, settings of features, members.

    Raises:
        FileNotFoundError: the run in the ``folder``, or that of a member, has kept no model.
    """
    facts = read_json(folder / RECORD)
    members = {name: identify(folder / member["folder"]) for name, member in facts["members"].items()}
    return content_hash([{key: facts[key] for key in DECISIVE}, facts["files"], members])


def list_elements(molecules: Molecules) -> list[str]:
    """Symbols of the elements that occur, by atomic number."""
    if "elements" not in molecules.features:
        features = {"elements": pa.table(elements.compute(molecules.smiles))}
        molecules = Molecules(molecules.molecule_id, molecules.smiles, molecules.y, features)
    there = (count_elements(molecules) > 0).any(axis=0)
    return [symbol for symbol, occurs in zip(elements.SYMBOLS, there, strict=True) if occurs]
