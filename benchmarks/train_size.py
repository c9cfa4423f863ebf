"""How does the error of models fall with the size of train, inside and outside of it?

    python benchmarks/train_size.py FOLDER csd10k/hof --models ridge ridge_boost --sizes 1000 2000 4000 8000

Each model is fitted, once, to nested random parts of train, or to the whole of it, with the same valid, and asked
about ID and OOD. The seed draws the parts and is that of the fits: the curve shows no spread over either. ``--config``
names a configuration, relative to the checkout, whose variants may be among the models and whose datasets among the
tasks. A network with a budget of molecules seen takes about as many steps whatever the part.

A fit that FOLDER has of the same task, labels, seed and descriptor is not made again: stop the script and go on at any
time. Prints a table in Markdown, RMSE in the property's unit, and draws FOLDER/train_size.png. Test errors choose
nothing.
"""

import argparse
import itertools
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boomlib import registry
from boomlib.contracts import property_values, read_molecules
from boomlib.declared import order_features
from boomlib.external import is_external
from boomlib.files import ContractError, read_json, write_json
from boomlib.harness.interface import STATE, find_model_class
from boomlib.harness.job import check_readable
from boomlib.provenance import ROOT, content_hash, hash_training
from boomlib.report.figures.style import TASK_COLOURS, TASK_MARKERS, open_figure
from boomlib.report.numbers import NONE, format_number
from boomlib.report.tables.markdown import format_table
from boomlib.task import Task, load_task

FOLDS = {"valid": "valid", "id": "ID", "ood": "OOD"}
FIT = "fit.json"


def read_descriptors(names: Sequence[str], configfile: Path | None) -> registry.Entries:
    """The descriptors of models and variants, by name.

    Raises:
        ContractError: there is no such model, it is fitted to more than molecules with labels, or two have one label.
    """
    models = registry.load_models()
    if configfile:
        models = registry.with_variants(models, registry.read_yaml(ROOT / configfile), str(configfile))
    for name in names:
        registry.check_known("model", name, models, "--models")
        descriptor = models[name]
        if (
            is_external(descriptor)
            or descriptor.get("sees_truth")
            or registry.list_members(descriptor)
            or descriptor["parameters"].get("pretrained")
        ):
            raise ContractError(f"{name}: it is not fitted to molecules and labels alone; leave it out of --models")
    by_label = {models[name]["label"]: name for name in names}
    for name in names:
        if by_label[label := models[name]["label"]] != name:
            raise ContractError(f"--models: {name} and {by_label[label]} are both labelled '{label}'; rename one")
    return {name: models[name] for name in names}


def draw_parts(n: int, sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    """Nested random rows of ``n``, each ascending, the smallest first; a size of ``n`` or more is all rows."""
    order = np.random.default_rng(seed).permutation(n)
    return [np.sort(order[:size]) for size in sorted({min(size, n) for size in sizes})]


def hash_labels(task: Task) -> str:
    """Hash of a task's labels, those of the test folds too."""
    table = read_molecules(task.files["molecules"])
    return content_hash(property_values(table, task.property, task.files["molecules"]).tolist())


def fit_part(
    task: Task, labels: str, descriptor: Mapping[str, Any], rows: np.ndarray, seed: int, folder: Path
) -> dict[str, Any]:
    """Fit a model to the ``rows`` of train, unless ``folder`` has that fit, and score it; ``labels`` is their hash.

    Returns:
        ``rmse`` by fold, in the property's unit, and ``seconds`` of fit and predictions: of the last process, if it
        had been stopped.
    """
    code = hash_training(descriptor["class"], descriptor["parameters"], order_features(descriptor["features"]))
    identity = content_hash([task.name, task.scheme, task.split, labels, rows.tolist(), seed, code])
    if (folder / FIT).exists() and (fitted := read_json(folder / FIT))["identity"] == identity:
        return fitted
    state = folder / identity[:12]  # of this fit alone, so that none goes on from another's
    state.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    train, valid, test = (each.with_features(*descriptor["features"]) for each in (task.train, task.valid, task.test))
    model = find_model_class(descriptor["class"])(
        kind=task.kind, observable=task.observable, seed=seed, threads=1, **descriptor["parameters"]
    )
    for each in (train, valid, test):
        check_readable(each, model.find_unreadable(each))
    model.unlabelled = valid
    model.fit(train.take(rows), valid, state)
    answers = pd.concat(pd.Series(model.predict(each).mean, each.molecule_id) for each in (valid, test))
    scores = task.evaluate(answers)["value"]
    fitted = {
        "identity": identity,
        "rmse": {fold: float(scores[fold, "rmse"]) for fold in FOLDS},
        "seconds": round(time.perf_counter() - start, 1),
    }
    write_json(folder / FIT, fitted)
    shutil.rmtree(state / STATE, ignore_errors=True)
    return fitted


def draw_curves(found: Mapping[str, Mapping[int, dict]], unit: str, out: Path) -> None:
    """RMSE over molecules of train, both logarithmic, a panel for ID and one for OOD; ``found`` by label and size."""
    with open_figure(out, 8.0, 3.2) as figure:
        for axes, fold in zip(figure.subplots(1, 2), ("id", "ood"), strict=True):
            looks = zip(itertools.cycle(TASK_COLOURS), itertools.cycle(TASK_MARKERS), itertools.count(), strict=False)
            for (label, by_size), (colour, marker, place) in zip(found.items(), looks, strict=False):
                line = "-" if place < len(TASK_COLOURS) else "--"
                errors = [fitted["rmse"][fold] for fitted in by_size.values()]
                axes.loglog(list(by_size), errors, line, color=colour, marker=marker, label=label)
            axes.set(title=FOLDS[fold], xlabel="molecules of train", ylabel=f"RMSE ({unit})")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def tabulate(found: Mapping[str, Mapping[int, dict]]) -> str:
    """RMSE by label and fold, a column a size, as Markdown."""
    sizes = sorted({size for by_size in found.values() for size in by_size})
    rows = [
        [label, shown] + [format_number(by_size[size]["rmse"][fold]) if size in by_size else NONE for size in sizes]
        for label, by_size in found.items()
        for fold, shown in FOLDS.items()
    ]
    return format_table(["Model", "RMSE on", *(f"{size:,}" for size in sizes)], rows, text_columns=2)


def main() -> None:
    """Fit what is lacking, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the fits")
    parser.add_argument("task", help="dataset/property")
    parser.add_argument("--scheme", default="kde")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--sizes", nargs="+", type=int, required=True, help="of the parts; all or more: the whole")
    parser.add_argument("--config", type=Path, help="whose variants and datasets may be named")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if min(arguments.sizes) < 1:
        parser.error("--sizes: a part has at least one molecule")
    try:
        models = read_descriptors(arguments.models, arguments.config)
        task = load_task(arguments.task, arguments.scheme, folder=ROOT, configfile=arguments.config)
        labels = hash_labels(task)
        found: dict[str, dict[int, dict]] = {}
        for name, descriptor in models.items():
            by_size = found.setdefault(descriptor["label"], {})
            for rows in draw_parts(len(task.train), arguments.sizes, arguments.seed):
                place = arguments.folder / name / str(len(rows))
                by_size[len(rows)] = fit_part(task, labels, descriptor, rows, arguments.seed, place)
                print(f"{name}, {len(rows):,} molecules: {by_size[len(rows)]['seconds']} s", file=sys.stderr)
    except ContractError as error:
        sys.exit(f"error: {error}")
    print(tabulate(found))
    draw_curves(found, task.unit, arguments.folder / "train_size.png")


if __name__ == "__main__":
    main()
