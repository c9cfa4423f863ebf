"""Adapter of rule screen."""

import os
from pathlib import Path

from boomlib.screening.screen import Asked, screen_file
from workflow_scripts.job import logged

if __name__ == "__main__":
    inputs, outputs, params = snakemake.input, snakemake.output, snakemake.params
    # as many processes as the rule has threads would share a GPU that it has not asked for; PyTorch asks as it starts
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    # one thread a process, whatever their number: another would round otherwise
    with logged(snakemake.log[0]):
        folders, n = [str(Path(path).with_suffix("")) for path in inputs.predictions], len(params.seeds)
        by_model = [folders[at : at + n] for at in range(0, len(folders), n)]
        screen_file(
            params.settings["file"],
            Asked(params.models, by_model, list(inputs.domains), list(inputs.uncertainty)),
            Path(outputs.summary).with_name("answers.sqlite"),
            [outputs.parquet, outputs.csv],
            outputs.rejects,
            outputs.summary,
            smiles_column=params.settings["smiles_column"],
            workers=snakemake.threads,
        )
