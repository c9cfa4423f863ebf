"""Adapter of rule make_split."""

from boomlib.split import make_split
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        counts = make_split(
            snakemake.input.molecules,
            dict(zip(snakemake.params.feature_names, snakemake.input.features, strict=True)),
            snakemake.output.split,
            snakemake.output.task,
            properties=snakemake.params.properties,
            name=snakemake.wildcards.property,
            scheme=snakemake.wildcards.scheme,
            settings=snakemake.params.settings,
        )
        print(", ".join(f"{name} {count}" for name, count in counts.items()))
