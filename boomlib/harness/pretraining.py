"""The one way from a corpus to a checkpoint that language models start from."""

import os
import shutil

from boomlib.contracts import CORPUS, read_table
from boomlib.files import atomic_path, commit
from boomlib.harness.interface import STATE, find_model_class
from boomlib.harness.job import forget_other_runs


def pretrain(
    corpus: str | os.PathLike, folder: str | os.PathLike, *, model: dict, settings: dict, threads: int = 1
) -> None:
    """Train a language model on masked SMILES and put its checkpoint into ``folder``, whole or not at all.

    One pretraining, with seed 0, serves all properties, kinds and seeds. It goes on after a kill where it was.

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
    datasets = ", ".join(table["dataset"].unique().to_pylist())
    source = f"MLM on {table.num_rows:,} molecules of {datasets}"
    language_model.pretrain(table["smiles"].to_pylist(), part, source)
    shutil.rmtree(part / STATE)
    shutil.rmtree(folder, ignore_errors=True)
    commit(folder)
