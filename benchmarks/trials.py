"""At what learning rate do the networks of config/all.yaml train, and how long will all of it take?

    python benchmarks/trials.py FOLDER --cores 2                            # all networks
    python benchmarks/trials.py FOLDER --models tgnn_600k --rates 1         # one, at its own rate

Each network is trained at half, once and twice the rate of its small descriptor, on a tenth of its budget (at least
one epoch), for two tasks; started again, it goes on with what is lacking. The rate whose geometric mean over tasks of
the least RMSE on valid is smallest is the one to write into the configuration. Only trainings are run: no error on a
test fold is computed. Prints one table of errors and one of the hours that the whole configuration's networks need, by
the molecules seen a second.
"""

import argparse
import itertools
import math
import subprocess
import sys
from pathlib import Path

import yaml

from boomlib import registry
from boomlib.evaluation.records import read_curve
from boomlib.files import read_json, write_text
from boomlib.provenance import ROOT
from boomlib.report.numbers import format_number
from boomlib.report.tables.markdown import format_table
from boomlib.runs import Run

CONFIG = ROOT / "config/all.yaml"
TASKS = ("csd10k/hof", "qm9_characterised/gap")
RATES = (0.5, 1.0, 2.0)
PART = 10  # a trial has this part of the budget
WARM_UPS = ("warmup_epochs",)  # so that the rate rises, and falls, in the same part of a shorter training
LEARNING_RATES = ("learning_rate", "init_lr", "max_lr", "final_lr", "lr")


def name_trial(model: str, rate: float) -> str:
    """A variant's name."""
    return f"{model}_at_{rate:g}".replace(".", "_")


def make_config(written: dict, models: registry.Entries, rates: list[float]) -> dict:
    """A configuration with a variant for each model and rate; its networks are those with a budget."""
    variants = dict(written["variants"])
    for model, descriptor in models.items():
        training = descriptor["parameters"]["training"]
        for rate in rates:
            changed = {key: training[key] * rate for key in LEARNING_RATES if key in training}
            changed |= {key: training[key] / PART for key in WARM_UPS if key in training}
            budget = {"molecules_seen": training["molecules_seen"] // PART}
            variants[name_trial(model, rate)] = {
                "of": model,
                "label": f"{descriptor['label']}, rate × {rate:g}",
                "parameters": {"training": changed | budget},
            }
    trials = [name_trial(model, rate) for model in models for rate in rates]
    return {"tasks": list(TASKS), "schemes": ["kde"], "seeds": [0], "models": trials, "variants": variants}


def read_trial(folder: Path, task: str, trial: str) -> tuple[float, float, float]:
    """Least RMSE on valid, seconds and molecules seen of a training."""
    run = Run(*task.split("/"), "kde", trial, 0)
    made = folder / "results/predictions" / run.stem
    epochs, errors = read_curve(made / "history.csv")
    record = read_json(made / "run.json")
    return min(errors), record["seconds"], epochs[-1] * record["molecules"]["train"]


def train(folder: Path, targets: list[str], cores: int) -> None:
    """Have the workflow make ``targets`` in a folder that holds ``trials.yaml``."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += [
        "--configfile",
        "trials.yaml",
        "--cores",
        str(cores),
        "--keep-going",
        "--rerun-triggers",
        "mtime",
        "--",
    ]
    if subprocess.run([*command, *targets], cwd=folder, check=False).returncode:
        sys.exit("not every network was trained; see above")


def compare(label: str, trials: dict[float, list[tuple[float, float, float]]]) -> list[list[str]]:
    """Rows of a model: errors on valid by rate and task, the best rate marked."""
    means = {rate: math.prod(error for error, _, _ in each) for rate, each in trials.items()}
    best = min(means, key=means.__getitem__)
    return [
        [label, f"{rate:g}" + " ←" * (rate == best), *(format_number(error) for error, _, _ in each)]
        for rate, each in trials.items()
    ]


def estimate(trials: dict[float, list[tuple[float, float, float]]], budget: int, tasks: list[str]) -> list[float]:
    """Hours of one run on each of :data:`TASKS`, and of all ``tasks``, by the slowest trial: a rate costs nothing."""
    slowest = [max(each[place][1] / each[place][2] for each in trials.values()) for place in range(len(TASKS))]
    hours = {task.partition("/")[0]: budget * pace / 3600 for task, pace in zip(TASKS, slowest, strict=True)}
    return [*hours.values(), sum(hours[task.partition("/")[0]] for task in tasks)]


def main() -> None:
    """Train and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the workflow runs; what is there is not trained again")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="these alone, by their names in config/all.yaml")
    parser.add_argument("--rates", nargs="+", type=float, default=RATES, help="factors of the learning rate")
    arguments = parser.parse_args()
    written = registry.read_yaml(CONFIG)
    every = registry.with_variants(registry.load_models(), written, str(CONFIG))
    training = {name: every[name]["parameters"].get("training", {}) for name in written["models"]}
    networks = {name: every[name] for name, settings in training.items() if "molecules_seen" in settings}
    if unknown := set(arguments.models or ()) - set(networks):
        parser.error(f"no network of {CONFIG}: {', '.join(sorted(unknown))}; there are {', '.join(networks)}")
    chosen = {name: networks[name] for name in arguments.models or networks}
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_text(arguments.folder / "trials.yaml", yaml.safe_dump(make_config(written, chosen, arguments.rates)))
    runs = [
        Run(*task.split("/"), "kde", name_trial(model, rate), 0)
        for model, rate, task in itertools.product(chosen, arguments.rates, TASKS)
    ]
    train(arguments.folder, [f"results/predictions/{run.stem}/run.json" for run in runs], arguments.cores)
    errors, hours = [], []
    for model, descriptor in chosen.items():
        found = {
            rate: [read_trial(arguments.folder, task, name_trial(model, rate)) for task in TASKS]
            for rate in arguments.rates
        }
        errors += compare(descriptor["label"], found)
        whole = estimate(found, training[model]["molecules_seen"], written["tasks"])
        hours.append([descriptor["label"], *(f"{each:.2f}" for each in whole)])
    print(format_table(["Model", "Rate ×", *(f"{task}, RMSE valid" for task in TASKS)], errors, text_columns=2))
    print(format_table(["Model", *(f"{task}, h" for task in TASKS), "all tasks, h"], hours))


if __name__ == "__main__":
    main()
