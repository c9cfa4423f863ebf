"""Adapter of rule make_corpus."""

from itertools import islice

from boomlib.text.corpus import make_corpus
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        properties, splits = snakemake.params.properties, iter(snakemake.input.splits)
        make_corpus(
            dict(zip(properties, snakemake.input.molecules, strict=True)),
            {dataset: list(islice(splits, len(names))) for dataset, names in properties.items()},
            snakemake.output.corpus,
        )
