"""The one way from a corpus to a checkpoint that language models start from."""

import os
import shutil

import numpy as np

from boomlib.contracts import CORPUS, read_table
from boomlib.files import atomic_path, commit
from boomlib.harness.interface import STATE, Molecules, find_model_class
from boomlib.harness.job import forget_other_runs


def pretrain(
    corpus: str | os.PathLike, folder: str | os.PathLike, *, model: dict, settings: dict, threads: int = 1
) -> None:
    """Train a language model on masked SMILES and put its checkpoint into ``folder``, whole or not at all.

    One pretraining, with seed 0, serves all properties, kinds and seeds. It goes on after a kill where it was. What of
    the corpus the model cannot read is left out, and named in the log.

    Args:
        corpus: the corpus to read.
        folder: the checkpoint's folder; what it holds is replaced.
        model: the model's ``class`` and ``parameters``.
        settings: the part of ``model`` that decides the outcome, see :func:`boomlib.text.start.select_pretraining`.
        threads: processors for the job.

    Raises:
        ContractError: the corpus is missing or broken.
    """
    table = read_table(corpus, CORPUS)
    part = atomic_path(folder)
    part.mkdir(exist_ok=True)
    forget_other_runs(part, {"model": settings}, corpus)
    parameters = model["parameters"] | {"pretrained": None}
    language_model = find_model_class(model["class"])(kind="extensive", seed=0, threads=threads, **parameters)
    smiles = table["smiles"].to_numpy()
    corpus_molecules = Molecules(np.arange(len(smiles)), smiles, np.full(len(smiles), np.nan))
    unreadable = language_model.find_unreadable(corpus_molecules)
    if unreadable:
        print(f"left out, since the model cannot read them ({len(unreadable)}): {'; '.join(unreadable.values())}")
    read = np.delete(smiles, list(unreadable)).tolist()
    datasets = ", ".join(table["dataset"].unique().to_pylist())
    language_model.pretrain(read, part, f"MLM on {len(read):,} molecules of {datasets}")
    shutil.rmtree(part / STATE)
    shutil.rmtree(folder, ignore_errors=True)
    commit(folder)
