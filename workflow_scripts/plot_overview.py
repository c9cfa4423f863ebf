"""Adapter of the rules plot_heatmap and plot_ratio."""

import importlib

from workflow_scripts.job import logged

if __name__ == "__main__":
    kind = snakemake.params.figure
    with logged(snakemake.log[0]):
        # imported by name, for the code of one figure is not the other's
        plot = getattr(importlib.import_module(f"boomlib.report.figures.{kind}"), f"plot_{kind}")
        plot(
            snakemake.input.csv,
            snakemake.output.figure,
            scheme=snakemake.wildcards.scheme,
            labels=snakemake.params.labels,
            controls=set(snakemake.params.controls),
        )
