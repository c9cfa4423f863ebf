"""Adapter of the rules plot_heatmap and plot_ratio."""

from boomlib.report.figures import overview as figures
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        plot = {"heatmap": figures.plot_heatmap, "ratio": figures.plot_ratio}[snakemake.params.figure]
        plot(
            snakemake.input.csv,
            snakemake.output.figure,
            scheme=snakemake.wildcards.scheme,
            labels=snakemake.params.labels,
            controls=set(snakemake.params.controls),
        )
