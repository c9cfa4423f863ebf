"""One conformer a molecule that anybody can make from its SMILES, also where the source has a geometry.

Made and told as in :mod:`boomlib.features.conformers`: ETKDG, then MMFF94.
"""

from collections.abc import Sequence

import pyarrow as pa

from boomlib.features import conformers

CHUNK = conformers.CHUNK


def compute(smiles: Sequence[str], max_embedding_attempts: int = conformers.ATTEMPTS) -> dict[str, pa.Array]:
    """The columns of :func:`boomlib.features.conformers.compute` without any geometry."""
    return conformers.compute(smiles, None, max_embedding_attempts)
