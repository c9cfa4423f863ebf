"""How many molecules that are tested a corpus holds."""

import numpy as np
import pyarrow as pa

from boomlib import contracts
from boomlib.files import read_json
from boomlib.text.exposure import count_exposed


def test_molecules_count_in_any_spelling_and_apart_from_stereochemistry_and_isotopes(tmp_path):
    corpus, task, out = (tmp_path / name for name in ("corpus.parquet", "task.parquet", "out.json"))
    read = ["CO", "C[C@H](N)O", "F/C=C/F", "[2H]C"]
    contracts.write_table(pa.table({"smiles": read, "dataset": ["a"] * len(read)}), corpus, contracts.CORPUS)
    molecules = {
        "CO": "train",
        "F/C=C/F": "valid",
        "OC": "id",  # another spelling
        "C[C@@H](N)O": "id",  # the other enantiomer
        "CC": "id",
        "FC=CF": "ood",
        "F/C=C\\F": "ood",
        "[2H]C": "ood",
        "CCC": "ood",
    }
    table = {
        "molecule_id": np.arange(len(molecules)),
        "smiles": list(molecules),
        "fold": contracts.fold_array(list(molecules.values())),
        "y": pa.nulls(len(molecules), pa.float64()),
    }
    contracts.write_table(pa.table(table), task, contracts.TASK)
    count_exposed(corpus, task, out)
    assert read_json(out) == {
        "id": {"molecules": 3, "exposed": 1, "exposed_flat": 2},
        "ood": {"molecules": 4, "exposed": 1, "exposed_flat": 3},
    }
