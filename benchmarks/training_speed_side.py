"""What training_speed.py asks one side: trains a network with the code of the checkout that PYTHONPATH names.

    PYTHONPATH=CHECKOUT python benchmarks/training_speed_side.py measure egnn_small /tmp/data/csd10k-hof-kde FOLDER

It runs with the code of both commits, and leaves the answer in FOLDER/{action}.json.
"""

import argparse
from pathlib import Path

import numpy as np
from networks import Parts, largest_difference, make_model, read_parts
from training_clock import peak_memory, watching

from boomlib.files import write_json
from boomlib.harness.interface import Model
from boomlib.provenance import ROOT

PREDICTIONS = "kept.npy"


def train(model: Model, parts: Parts, folder: Path) -> None:
    """Train in a subfolder of its own."""
    (folder / "run").mkdir()
    model.fit(parts.train, parts.valid, folder / "run")


def measure(model: Model, parts: Parts, folder: Path) -> dict:
    """What each epoch took, without the first, which warms up, in seconds; and peak memory, MiB."""
    with watching() as epochs:
        train(model, parts, folder)
    return {
        "molecules": len(parts.train),
        **{kind: [getattr(epoch, kind) for epoch in epochs[1:]] for kind in ("seconds", "processor", "making")},
        "memory": peak_memory(),
    }


def profile(model: Model, parts: Parts, folder: Path) -> dict:
    """The five operations that take longest, with their shares of the time."""
    with watching(profiled=1) as epochs:
        train(model, parts, folder)
    return {"largest": epochs[1].profile.largest(5)}


def keep(model: Model, parts: Parts, folder: Path) -> dict:
    """Train, and leave the model with its predictions."""
    train(model, parts, folder)
    model.save(folder)
    np.save(folder / PREDICTIONS, model.predict(parts.asked).mean)
    return {}


def compare(model: Model, parts: Parts, folder: Path) -> dict:
    """The largest relative difference of predictions from those of the other side's :func:`keep`."""
    model.load(folder)
    return {"difference": largest_difference(model.predict(parts.asked).mean, np.load(folder / PREDICTIONS))}


def judge(model: Model, parts: Parts, folder: Path) -> dict:
    """RMSE on valid."""
    train(model, parts, folder)
    return {"rmse": float(np.sqrt(np.mean((model.predict(parts.valid).mean - parts.valid.y) ** 2)))}


ACTIONS = {action.__name__: action for action in (measure, profile, keep, compare, judge)}


def main() -> None:
    """Do what is asked for and write the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("model", help="name of a descriptor")
    parser.add_argument("data", type=Path, help="folder with the tables")
    parser.add_argument("folder", type=Path, help="where it trains and answers")
    parser.add_argument("--epochs", type=int, help="default: the descriptor's")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    model = make_model(arguments.model, arguments.epochs, arguments.seed)
    parts = read_parts(arguments.model, arguments.data)
    answer = ACTIONS[arguments.action](model, parts, arguments.folder)
    write_json(arguments.folder / f"{arguments.action}.json", answer | {"checkout": str(ROOT)})


if __name__ == "__main__":
    main()
