"""Adapter of rule check_screen."""

from boomlib.screening.screen import check_file
from workflow_scripts.job import logged

if __name__ == "__main__":
    settings = snakemake.params.settings
    with logged(snakemake.log[0]):
        check_file(
            settings["file"],
            snakemake.params.models,
            snakemake.output.checked,
            smiles_column=settings["smiles_column"],
        )
