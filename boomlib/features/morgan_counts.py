"""Morgan atom environments of radius 0, 1 and 2 with their counts (Rogers & Hahn, J. Chem. Inf. Model. 2010).

The environments are RDKit's unfolded 32-bit identifiers, so that nothing collides here; a model chooses the
radius and fits its vocabulary on train. Folding is ``environment % size``, as in RDKit.
"""

from collections.abc import Sequence

import pyarrow as pa
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from boomlib.contracts import list_of

RADIUS = 2


def compute(smiles: Sequence[str]) -> dict[str, pa.Array]:
    """For each molecule three aligned lists, sorted by identifier: ``environment``, ``radius`` and ``count``."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS)
    extra = rdFingerprintGenerator.AdditionalOutput()
    extra.AllocateBitInfoMap()
    environments, radii, counts = [], [], []
    for text in smiles:
        generator.GetSparseCountFingerprint(Chem.MolFromSmiles(text), additionalOutput=extra)
        found = sorted(extra.GetBitInfoMap().items())
        environments.append([identifier for identifier, _ in found])
        radii.append([min(radius for _, radius in where) for _, where in found])
        counts.append([len(where) for _, where in found])
    return {
        "environment": pa.array(environments, list_of(pa.uint32())),
        "radius": pa.array(radii, list_of(pa.uint8())),
        "count": pa.array(counts, list_of(pa.uint16())),
    }
