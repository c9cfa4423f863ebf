"""Batches of SMILES of similar length, against shuffled batches padded to one length, in tokens a second.

    python benchmarks/token_batches.py results/data/qm9_characterised/molecules.parquet

Forward and backward of every language model's small descriptor on the same molecules, in turns; tokens are those of
the molecules, padding does not count. The fixed lengths are the longest molecule of the table, the longest of all 10K
CSD and QM9 (176 tokens, with the first and the last one), and 256, to which BOOM pads.
"""

import argparse
import statistics
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning.fabric.utilities import move_data_to_device

from boomlib import registry
from boomlib.features import elements
from boomlib.harness.batches import cut_into_batches, draw_batches
from boomlib.harness.interface import Molecules, find_model_class
from boomlib.models.language.language_model import LanguageModel, Texts

LONGEST_OF_BOTH, BOOM = 176, 256


def read_molecules(path: str, n: int) -> Molecules:
    """``n`` molecules of a table, drawn at random."""
    written = np.asarray(pq.read_table(path, columns=["smiles"])["smiles"].to_pylist(), dtype=object)
    smiles = np.random.default_rng(0).permutation(written)[:n]
    features = {"elements": pa.table(elements.compute(smiles))}
    return Molecules(np.arange(n), smiles, np.random.default_rng(1).normal(size=n), features)


def fill(texts: Texts, padding: int, length: int) -> Texts:
    """The texts, padded to ``length``."""
    missing = length - texts.tokens.shape[1]
    return texts._replace(tokens=torch.nn.functional.pad(texts.tokens, (0, missing), value=padding))


def main() -> None:
    """Print tokens a second of each way, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("molecules", help="a molecules table, results/data/{dataset}/molecules.parquet")
    parser.add_argument("--size", choices=["small", "full"], default="small", help="which descriptors")
    parser.add_argument("--number", type=int, default=1024, help="molecules")
    parser.add_argument("--rounds", type=int, default=3, help="turns over all batches")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    molecules = read_molecules(arguments.molecules, arguments.number)
    print(f"{device}, {arguments.threads} threads; {len(molecules)} molecules of {arguments.molecules}")
    for name, descriptor in registry.load_models().items():
        if descriptor["family"] != "language" or name.endswith("_small") != (arguments.size == "small"):
            continue
        model: LanguageModel = find_model_class(descriptor["class"])(
            kind="extensive", seed=0, **descriptor["parameters"]
        )
        network = model.make_network(model.start_from_scratch(molecules.smiles)).to(device)
        store, size = model.encode(molecules), model.training["batch"]
        z = torch.as_tensor(molecules.y, dtype=torch.float32)
        length = store.longest
        rng = np.random.default_rng(0)
        plain = [model.make_batch(store, z, rows) for rows in cut_into_batches(rng.permutation(len(length)), size)]
        ways = {"similar length": [model.make_batch(store, z, rows) for rows in draw_batches(length, size, rng)]}
        ways |= {
            f"padded to {longest}": [(fill(texts, model.tokenizer.pad, longest), labels) for texts, labels in plain]
            for longest in (length.max(), LONGEST_OF_BOTH, BOOM)
        }
        seconds = {way: [] for way in ways}
        for turn in range(arguments.rounds + 1):
            for way, batches in ways.items():
                start = time.perf_counter()
                for batch in batches if turn else batches[:2]:  # the first turn warms up
                    network.zero_grad()
                    model.losses(network, *move_data_to_device(batch, torch.device(device))).mean().backward()
                if device == "cuda":
                    torch.cuda.synchronize()
                if turn:
                    seconds[way].append(time.perf_counter() - start)
        speed = {way: length.sum() / statistics.median(each) for way, each in seconds.items()}
        ours, *others = speed.items()
        print(f"{name}: {ours[0]} {ours[1]:.0f} tokens/s", end="")
        print("".join(f"; {way} {each:.0f} (ratio {ours[1] / each:.1f})" for way, each in others), flush=True)


if __name__ == "__main__":
    main()
