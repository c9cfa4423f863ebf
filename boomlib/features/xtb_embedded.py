"""What :mod:`boomlib.features.xtb` tells, at the conformer that anybody can make, whatever the source has."""

from collections.abc import Sequence

import pyarrow as pa

from boomlib.features import xtb

CHUNK = xtb.CHUNK


def compute(smiles: Sequence[str], embedded: pa.Table | None = None) -> dict[str, pa.Array]:
    """The columns of :func:`boomlib.features.xtb.compute` at the conformers of the feature ``embedded``."""
    return xtb.compute(smiles, embedded)
