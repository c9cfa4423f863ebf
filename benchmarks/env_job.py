"""One job of the workflow with the Python that runs this and its packages alone, Snakemake not among them.

    python -P benchmarks/env_job.py jobs.json 12    # in the folder of the results; the checkout on PYTHONPATH

The job's own script runs, of ``workflow_scripts``, and is handed what Snakemake would hand it. A training that keeps
its model then has it loaded, and asked again: the answer must be what the job has written, bit by bit.
benchmarks/envs.py writes jobs.json and starts this.
"""

import json
import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

SCRIPTS = Path(__file__).resolve().parent.parent / "workflow_scripts"


class Named(list):
    """A list some of whose members have names, as Snakemake's."""

    def __init__(self, described: dict) -> None:
        super().__init__(described["all"])
        self.__dict__.update(described["named"])

    def __getitem__(self, key: int | str) -> object:
        return self.__dict__[key] if isinstance(key, str) else super().__getitem__(key)

    def get(self, name: str, default: object = None) -> object:
        """The member of a name."""
        return self.__dict__.get(name, default)

    def items(self) -> list[tuple[str, object]]:
        """Names and members."""
        return list(self.__dict__.items())


def check_kept_model(job: SimpleNamespace) -> None:
    """Load the model that a training has kept, and predict with it what the training has predicted."""
    import numpy as np

    from boomlib.contracts import PREDICTED_FOLDS, property_values, read_molecules, read_predictions, read_table
    from boomlib.harness.interface import find_model_class
    from boomlib.harness.job import read_task

    params, truth = job.params, job.input.truth
    labels = property_values(read_molecules(truth), job.wildcards.property, truth) if truth else None
    features = dict(zip(params.feature_names, job.input.features, strict=True))
    molecules, fold = read_task(job.input.task, features, labels)
    model = find_model_class(params.model_class)(
        kind=params.kind,
        seed=int(job.wildcards.seed),
        observable=params.observable,
        threads=job.threads,
        **params.parameters,
    )
    model.load(Path(job.output.run).parent)
    predicted = model.predict(molecules.take(np.isin(fold, PREDICTED_FOLDS))).mean
    written = read_predictions(job.output.predictions, fold, read_table(job.input.task))["y_pred"].to_numpy()
    if predicted.tobytes() != written.tobytes():
        sys.exit("error: the loaded model does not predict what the trained one did")


def main() -> None:
    """Run the job; what it says goes to its log, and why it failed to this process' output."""
    told = os.fdopen(os.dup(2), "w", encoding="utf-8")
    description = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))[int(sys.argv[2])]
    lists = {name: Named(description[name]) for name in ("input", "output", "params", "wildcards")}
    job = SimpleNamespace(**description | lists)
    try:
        runpy.run_path(str(SCRIPTS / job.script), {"snakemake": job}, "__main__")
        if job.params.get("keep_model"):
            check_kept_model(job)
    except SystemExit as error:
        said = Path(job.log[0]).read_text(encoding="utf-8").splitlines()
        print(error.code if isinstance(error.code, str) else said[-1], file=told)
        raise


if __name__ == "__main__":
    main()
