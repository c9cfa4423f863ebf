"""How many molecules of a task's test folds a corpus of pretraining holds."""

import os

from boomlib.contracts import CORPUS, TASK, locating, read_table
from boomlib.files import write_json
from boomlib.smiles import canonical_smiles, identify

FOLDS = ("id", "ood")


def count_exposed(corpus: str | os.PathLike, task: str | os.PathLike, out: str | os.PathLike) -> None:
    """Write how many molecules each of :data:`FOLDS` has, and how many of these a corpus holds.

    ``exposed`` are the same molecules, of which a corpus of ours has none (:func:`boomlib.text.corpus.make_corpus`);
    ``exposed_flat`` those that are the same but for stereochemistry and isotopes.

    Args:
        corpus: the corpus.
        task: the task table.
        out: the JSON to write, counts by fold.

    Raises:
        ContractError: a table is broken.
    """
    read = read_table(corpus, CORPUS)["smiles"].to_pylist()
    exact, flat = set(read), {flatten(text) for text in read}
    table, counts = read_table(task, TASK), {}
    smiles, fold = table["smiles"].to_pylist(), table["fold"].to_pylist()
    with locating(task):
        for each in FOLDS:
            tested = [text for text, of in zip(smiles, fold, strict=True) if of == each]
            counts[each] = {
                "molecules": len(tested),
                "exposed": sum(identify(text) in exact for text in tested),
                "exposed_flat": sum(flatten(text) in flat for text in tested),
            }
    write_json(out, counts)


def flatten(smiles: str) -> str:
    """What identifies a molecule if neither stereochemistry nor isotopes count."""
    return identify(canonical_smiles(smiles, isomeric=False))
