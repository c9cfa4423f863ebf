"""Adapter of the rules plot_heatmap and plot_ratio."""

from boomlib.report.figures.heatmap import plot_heatmap
from boomlib.report.figures.ratio import plot_ratio
from workflow_scripts.job import logged

if __name__ == "__main__":
    with logged(snakemake.log[0]):
        plot = {"heatmap": plot_heatmap, "ratio": plot_ratio}[snakemake.params.figure]
        plot(
            snakemake.input.csv,
            snakemake.output.figure,
            scheme=snakemake.wildcards.scheme,
            labels=snakemake.params.labels,
            controls=set(snakemake.params.controls),
        )
