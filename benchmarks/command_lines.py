"""What our training loop reaches on valid, and what a network's own command line does.

    python benchmarks/command_lines.py --model mace_small --task csd10k/hof/kde --kind extensive

Both train the descriptor's network with its settings on the standardised residuals of the same train molecules, choose
the epoch on the same valid molecules, and start from the same seeds. Valid may have no element that train lacks.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from boomlib import registry
from boomlib.harness.columns import split_lists
from boomlib.harness.interface import Molecules, find_model_class
from boomlib.harness.job import read_task
from boomlib.harness.network import NetworkModel


def run_command(program: str, *flags: str, **options: object) -> None:
    """Run a command of this environment in one thread; its output is shown if it fails."""
    command = [str(Path(sys.executable).with_name(program)), *flags, *(f"--{key}={options[key]}" for key in options)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")


def run_mace(model: NetworkModel, parameters: dict, train: Molecules, valid: Molecules, folder: Path) -> np.ndarray:
    """``mace_run_train`` and ``mace_eval_configs``.

    The command's loss is the squared error per atom: of an intensive property's mean over atoms, if the energy is the
    property times the atoms, and with a weight of their number squared that of an extensive property.
    """
    import ase
    import ase.io

    extensive, elements = model.kind == "extensive", set()
    for name, part in (("train", train), ("valid", valid)):
        columns = [split_lists(part.features["conformers"], each) for each in ("atomic_numbers", "positions")]
        structures = [ase.Atoms(numbers, at.reshape(-1, 3)) for numbers, at in zip(*columns, strict=True)]
        for atoms, z in zip(structures, model.references.transform(part), strict=True):
            atoms.info["REF_energy"] = z if extensive else z * len(atoms)
            atoms.info["config_weight"] = len(atoms) ** 2 if extensive else 1
        ase.io.write(folder / f"{name}.xyz", structures, format="extxyz")
        elements |= set(np.concatenate(columns[0]).tolist())
    options = {
        "name": "mace",
        "seed": model.seed,
        "train_file": folder / "train.xyz",
        "valid_file": folder / "valid.xyz",
        "work_dir": folder,
        "energy_key": "REF_energy",
        "atomic_numbers": sorted(elements),
        "E0s": dict.fromkeys(sorted(elements), 0.0),
        "scaling": "no_scaling",
        "loss": "weighted",
        "forces_weight": 0,
        "error_table": "TotalRMSE",
        "plot": False,
        "skip_evaluate_heads": "Default",
    }
    run_command("mace_run_train", "--ema", "--save_cpu", **options, **parameters["network"], **parameters["training"])
    run_command(
        "mace_eval_configs",
        configs=folder / "valid.xyz",
        model=folder / "mace.model",
        output=folder / "predicted.xyz",
        default_dtype=parameters["training"]["default_dtype"],
    )
    predicted = ase.io.read(folder / "predicted.xyz", index=":")
    z = [atoms.info["MACE_energy"] / (1 if extensive else len(atoms)) for atoms in predicted]
    return model.references.inverse(valid, np.array(z))


def run_chemprop(
    model: NetworkModel, parameters: dict, train: Molecules, valid: Molecules, folder: Path
) -> np.ndarray:
    """``chemprop train`` and ``chemprop predict``."""
    parts = [
        pd.DataFrame({"smiles": part.smiles, "y": model.references.transform(part), "split": split})
        for part, split in ((train, "train"), (valid, "val"))
    ]
    pd.concat(parts).to_csv(folder / "data.csv", index=False)
    parts[1].to_csv(folder / "valid.csv", index=False)
    given = parameters["training"]
    options = {name: given[name] for name in ("epochs", "warmup_epochs", "init_lr", "max_lr", "final_lr")}
    options |= {key: value for key, value in parameters.items() if key not in ("training", "reference")}
    options |= {
        "batch_size": given["batch"],
        "data_path": folder / "data.csv",
        "output_dir": folder / "output",
        "smiles_columns": "smiles",
        "target_columns": "y",
        "splits_column": "split",
        "task_type": "regression",
        "metrics": "rmse",
        "tracking_metric": "rmse",
        "aggregation": {"extensive": "sum", "intensive": "mean"}[model.kind],
        "pytorch_seed": model.seed,
        "data_seed": model.seed,
        "num_workers": 0,
    }
    run_command("chemprop", "train", **{key.replace("_", "-"): value for key, value in options.items()})
    files = {"test-path": "valid.csv", "model-paths": "output/model_0/best.pt", "output": "predicted.csv"}
    run_command("chemprop", "predict", **{key: folder / name for key, name in files.items()})
    return model.references.inverse(valid, pd.read_csv(folder / "predicted.csv")["y"].to_numpy())


# family: runs the command line by the settings of a model whose references are fitted; returns predictions of valid
COMMAND_LINES: dict[str, Callable[[NetworkModel, dict, Molecules, Molecules, Path], np.ndarray]] = {
    "chemprop": run_chemprop,
    "mace": run_mace,
}


def compare(
    descriptor: dict, kind: str, seed: int, train: Molecules, valid: Molecules, folder: Path
) -> tuple[float, float]:
    """RMSE on valid by the command line and by ours, native units."""
    model = find_model_class(descriptor["class"])(kind=kind, seed=seed, **descriptor["parameters"])
    model.references.fit_transform(train, valid)
    theirs = COMMAND_LINES[descriptor["family"]](model, descriptor["parameters"], train, valid, folder)
    model.fit(train, valid, folder)
    ours = model.predict(valid).mean
    return tuple(float(np.sqrt(np.mean((each - valid.y) ** 2))) for each in (theirs, ours))


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mace_small", help=f"of a family among: {', '.join(COMMAND_LINES)}")
    parser.add_argument("--task", default="csd10k/hof/kde", help="dataset/property/scheme")
    parser.add_argument("--kind", default="extensive", choices=["extensive", "intensive"], help="of the property")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder with tasks and features")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    descriptor = registry.load_models()[options.model]
    features = options.results / "features" / options.task.split("/")[0]
    molecules, fold = read_task(
        options.results / f"tasks/{options.task}.parquet",
        {each: features / f"{each}.parquet" for each in descriptor["features"]},
    )
    train, valid = (molecules.take(fold == name) for name in ("train", "valid"))
    rows = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "state").mkdir()
            rows.append(compare(descriptor, options.kind, seed, train, valid, Path(folder)))
    print(f"\n{options.model}, {options.task}: {len(train)} molecules to train, RMSE on {len(valid)} of valid\n")
    print("| seed | command line | ours | difference |\n|---|---:|---:|---:|")
    for name, (theirs, ours) in [*enumerate(rows), ("mean", np.mean(rows, axis=0))]:
        print(f"| {name} | {theirs:.4g} | {ours:.4g} | {100 * (ours / theirs - 1):+.1f} % |")


if __name__ == "__main__":
    main()
