"""How does the error of models fall with the size of train, inside and outside of it?

    snakemake --cores 2 prepare --configfile config/nlmtp.yaml
    python benchmarks/train_size.py FOLDER csd10k/hof/kde --models ridge ridge_boost nlmtp_small --sizes 1000 2000 4000

Each model is fitted to parts of train, nested random ones of so many molecules and the whole of it, with the same
valid, and asked about ID and OOD. ``--config`` names a configuration whose variants may be among the models: a network
with a budget of molecules seen takes as many steps whatever the part. Fits that are in FOLDER are not made again:
stop it and go on at any time. Prints a table in Markdown, RMSE in native units, and draws FOLDER/train_size.png. Test
errors are reported, and choose nothing.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from boomlib import registry
from boomlib.contracts import property_values, read_molecules
from boomlib.evaluation.metrics import rmse
from boomlib.files import read_json, write_json
from boomlib.harness.interface import Molecules, find_model_class
from boomlib.harness.job import read_task
from boomlib.report.figures.style import TASK_COLOURS, TASK_MARKERS, open_figure
from boomlib.report.numbers import NONE, format_number
from boomlib.report.tables.markdown import format_table

FOLDS = {"valid": "valid", "id": "ID", "ood": "OOD"}


def draw_parts(n: int, sizes: Sequence[int], seed: int) -> list[np.ndarray]:
    """Nested random rows of ``n``, ascending; the last part is all of them."""
    order = np.random.default_rng(seed).permutation(n)
    return [np.sort(order[:size]) for size in (*sorted({size for size in sizes if size < n}), n)]


def fit_part(
    descriptor: Mapping[str, Any], facts: Mapping[str, Any], parts: Mapping[str, Molecules], folder: Path
) -> dict[str, Any]:
    """Fit to ``parts["train"]``, leaving its state in the folder; RMSE by fold, and seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    model = find_model_class(descriptor["class"])(**facts, threads=1, **descriptor["parameters"])
    # as in a job, of what is predicted no label is there to be used
    asked = {fold: replace(parts[fold], y=np.full(len(parts[fold]), np.nan)) for fold in FOLDS}
    model.unlabelled = asked["valid"]
    model.fit(parts["train"], parts["valid"], folder)
    errors = {fold: rmse(parts[fold].y, model.predict(each).mean) for fold, each in asked.items()}
    return {"rmse": errors, "seconds": round(time.perf_counter() - start, 1)}


def draw_curves(found: Mapping[str, Mapping[int, dict]], labels: Mapping[str, str], unit: str, out: Path) -> None:
    """RMSE over molecules of train, both logarithmic, a panel a fold."""
    with open_figure(out, 8.0, 3.2) as figure:
        for axes, (fold, shown) in zip(figure.subplots(1, 2), list(FOLDS.items())[1:], strict=True):
            for (model, by_size), colour, marker in zip(found.items(), TASK_COLOURS, TASK_MARKERS, strict=False):
                errors = [each["rmse"][fold] for each in by_size.values()]
                axes.loglog(list(by_size), errors, color=colour, marker=marker, label=labels[model])
            axes.set(title=shown, xlabel="molecules of train", ylabel=f"RMSE ({unit})")
        axes.legend()


def main() -> None:
    """Fit what is lacking, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the fits")
    parser.add_argument("task", help="dataset/property/scheme")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--sizes", nargs="+", type=int, required=True, help="parts; the whole is always there")
    parser.add_argument("--config", type=Path, help="whose variants may be named")
    parser.add_argument("--results", type=Path, default=Path("results"), help="with the task and its features")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    written = registry.read_yaml(arguments.config) if arguments.config else {}
    models = registry.load_models()
    if written:
        models = registry.with_variants(models, written, str(arguments.config))
    if unknown := set(arguments.models) - set(models):
        parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(models)}")
    dataset, name, scheme = arguments.task.split("/")
    entry = registry.load_datasets()[0][dataset]["properties"][name]
    truth = property_values(
        read_molecules(arguments.results / f"data/{dataset}/molecules.parquet"), name, arguments.results
    )
    found: dict[str, dict[int, dict]] = {}
    for model in arguments.models:
        descriptor, found[model] = models[model], {}
        features = {each: arguments.results / f"features/{dataset}/{each}.parquet" for each in descriptor["features"]}
        molecules, fold = read_task(arguments.results / f"tasks/{dataset}/{name}/{scheme}.parquet", features, truth)
        parts = {each: molecules.take(fold == each) for each in ("train", *FOLDS)}
        facts = {"kind": entry["kind"], "seed": arguments.seed, "observable": entry.get("observable")}
        for rows in draw_parts(len(parts["train"]), arguments.sizes, arguments.seed):
            made = arguments.folder / model / str(len(rows))
            if not (made / "fit.json").exists():
                fitted = fit_part(descriptor, facts, parts | {"train": parts["train"].take(rows)}, made)
                write_json(made / "fit.json", fitted)
            found[model][len(rows)] = read_json(made / "fit.json")
            print(model, len(rows), found[model][len(rows)], flush=True)
    labels = {model: models[model]["label"] for model in found}
    sizes = sorted({size for by_size in found.values() for size in by_size})
    rows = [
        [labels[model], shown]
        + [format_number(by_size[size]["rmse"][fold]) if size in by_size else NONE for size in sizes]
        for model, by_size in found.items()
        for fold, shown in FOLDS.items()
    ]
    print(format_table(["Model", "RMSE on", *(f"{size:,}" for size in sizes)], rows, text_columns=2))
    draw_curves(found, labels, entry["unit"], arguments.folder / "train_size.png")


if __name__ == "__main__":
    main()
