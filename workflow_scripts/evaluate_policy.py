"""Adapter of the rule evaluate_policy."""

import shutil

from boomlib.evaluation.policy import score_policy_file
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        if snakemake.input.restored:
            shutil.copyfile(snakemake.input.restored[0], snakemake.output.policy)
        else:
            score_policy_file(
                snakemake.input.molecules,
                snakemake.input.split,
                snakemake.input.policy,
                snakemake.input.pairs,
                snakemake.output.policy,
                name=snakemake.wildcards.property,
                unit=snakemake.params.unit,
            )
