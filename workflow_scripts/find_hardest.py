"""Adapter of rule find_hardest."""

import logging
from pathlib import Path

from boomlib.evaluation.hardest import find_hardest
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        predictions = {}
        for path in map(Path, snakemake.input.predictions):
            if path.parent.name not in snakemake.params.left_out:
                predictions.setdefault(path.parent.name, []).append(path)
        hardest = find_hardest(
            snakemake.input.molecules,
            snakemake.input.split,
            predictions,
            snakemake.output.hardest,
            property_name=snakemake.wildcards.property,
        )
        for each in hardest:
            if each["doubted"]:
                logging.getLogger("boomlib").warning(f"suspect label: {each['name']}, {each['smiles']}")
