"""Adapter of rule fit_domain."""

from boomlib.evaluation.applicability import FEATURES, fit_domain
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        fit_domain(
            snakemake.input.molecules,
            snakemake.input.split,
            {name: snakemake.input[name] for name in FEATURES},
            snakemake.output.domain,
            snakemake.output.scores,
            property_name=snakemake.wildcards.property,
        )
