"""What masked-language-model pretraining may read: molecules that no task of any dataset validates or tests on."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from boomlib.contracts import CORPUS, PREDICTED_FOLDS, locate, read_molecules, read_split, write_table
from boomlib.files import DATASET_ENTRY, ContractError, MoleculeError
from boomlib.smiles import identify


def make_corpus(
    molecules: Mapping[str, str | os.PathLike],
    splits: Mapping[str, Sequence[str | os.PathLike]],
    out: str | os.PathLike,
) -> None:
    """Write the corpus of one scheme, ``smiles`` (as :func:`identify` has it) and ``dataset``, and print counts.

    One checkpoint serves all tasks, so that a molecule must be in train of every property that it has, and none that
    is in valid, id or ood of any property of any dataset may come in by way of another dataset. Of a molecule that
    several datasets have, the first dataset's is kept. Rows are in the order of the datasets and of their molecules.

    Args:
        molecules: the molecules table, by dataset.
        splits: the splits of all properties, by dataset.
        out: the corpus to write.

    Raises:
        ContractError: a SMILES cannot be parsed, a split is of another number of molecules than its dataset, or no
            molecule is left.
    """
    smiles = {dataset: read_identities(path) for dataset, path in molecules.items()}
    trained = {dataset: find_trained(splits[dataset], len(each)) for dataset, each in smiles.items()}
    seen = {text for dataset, each in smiles.items() for text in each[~trained[dataset]]}
    kept = {}
    for dataset, each in smiles.items():
        before = len(kept)
        for text in each[trained[dataset]]:
            if text not in seen:
                kept.setdefault(text, dataset)
        print(
            f"{dataset}: {len(kept) - before:,} of {len(each):,} molecules; "
            f"{trained[dataset].sum():,} are held out by none of its properties"
        )
    print(f"{len(kept):,} molecules in all")
    if not kept:
        raise ContractError(
            f"{out}: every molecule of {', '.join(molecules)} is held out by a property of its dataset or of "
            "another; add datasets to `corpus:` of the config, or lower `split.ood_size`, `split.id_fraction` "
            f"or `split.valid_fraction` of these in {DATASET_ENTRY}"
        )
    table = {"smiles": pa.array(list(kept), pa.string()), "dataset": pa.array(list(kept.values()), pa.string())}
    write_table(pa.table(table), out, CORPUS)


def read_identities(path: str | os.PathLike) -> np.ndarray:
    """What identifies the molecules of a molecules table, str [n]."""
    table = read_molecules(path)
    try:
        return np.array([identify(text) for text in table["smiles"].to_pylist()], dtype=object)
    except MoleculeError as error:  # no such molecule was let in
        where = locate(table, error.smiles)
        raise ContractError(f"{path}: {where}: {error}; then delete the file and rerun") from error


def find_trained(splits: Sequence[str | os.PathLike], n: int) -> np.ndarray:
    """Which of ``n`` molecules are in train of all splits that have them, bool [n]."""
    everywhere = np.ones(n, dtype=bool)
    for path in splits:
        fold, _ = read_split(path)
        if len(fold) != n:
            raise ContractError(f"{path}: {len(fold)} molecules, but the dataset has {n}; delete the file and rerun")
        everywhere &= ~np.isin(fold, PREDICTED_FOLDS)
    return everywhere
