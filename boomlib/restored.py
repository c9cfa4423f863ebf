"""Runs of a publication that were laid back into ``results/restored/``, in the grammar of ``results/``.

A run is restored, and not trained, if its record has the fingerprint that the run has here
(:mod:`boomlib.fingerprints`) and it was not trained here already. Nothing heavy is imported, as in
:mod:`boomlib.workflow`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from boomlib.files import StrPath, read_json
from boomlib.fingerprints import Fingerprints, read_run
from boomlib.runs import Run
from boomlib.version import VERSION

NEUTRAL = "what it finds reaches a stage as an input"

RESTORED = "results/restored"
Wildcards = Mapping[str, str]


def list_run_files(stem: str, answers_policy: bool) -> list[str]:
    """What a publication holds of a run's answers, relative to ``results/``: predictions and record first."""
    files = [f"predictions/{stem}.parquet", f"predictions/{stem}/run.json"]
    return files + ([f"policy/{stem}.json", f"plots/policy/{stem}.png"] if answers_policy else [])


class RestoredRuns:
    """Which runs are restored, the same for as long as this process lives: Snakemake asks before a job and after.

    Attributes:
        folder: what was laid back.
        results: what the workflow makes.
    """

    def __init__(
        self,
        fingerprints: Fingerprints,
        must_keep: Callable[[Wildcards], bool],
        folder: StrPath = RESTORED,
        results: StrPath = "results",
    ) -> None:
        """``must_keep`` says whether a run, by its wildcards, keeps its model, which no publication has."""
        self.fingerprints, self.must_keep = fingerprints, must_keep
        self.folder, self.results = Path(folder), Path(results)
        self.told: dict[Run, list[str]] = {}

    def find(self, wildcards: Wildcards) -> list[str]:
        """The files of :func:`list_run_files` of the run of a rule's wildcards; none if it has to be trained."""
        run = read_run(wildcards)
        if run not in self.told:
            answers_policy = bool(self.fingerprints.models[run.model].get("answers_policy"))
            files = [str(self.folder / each) for each in list_run_files(run.stem, answers_policy)]
            self.told[run] = files if not self.must_keep(wildcards) and self.counts(run, files) else []
        return self.told[run]

    def unless(self, get_files: Callable[[Wildcards], str | list[str]]) -> Callable[[Wildcards], str | list[str]]:
        """An input that a training alone reads: the files of ``get_files``, none of a run that is restored."""
        return lambda wildcards: [] if self.find(wildcards) else get_files(wildcards)

    def find_scores(self, wildcards: Wildcards) -> list[str]:
        """The scores of the policy of a run that is restored."""
        return self.find(wildcards)[2:3]

    def find_figure(self, wildcards: Wildcards) -> list[str]:
        """The figure of the policy of a run that is restored."""
        return self.find(wildcards)[3:4]

    def counts(self, run: Run, files: Sequence[str]) -> bool:
        """Whether a run's ``files`` are there, of its fingerprint, and no other run was made here."""
        if not all(Path(each).is_file() for each in files):
            return False
        record = Path(files[1])
        if read_json(record).get("fingerprint") != self.fingerprints.fingerprint(run):
            return False
        # a policy is published by its scores, which another version of the benchmark cannot make anew
        if any(read_json(each).get("version") != VERSION for each in files[2:3]):
            return False
        made = self.results / "predictions" / run.stem / "run.json"
        return not made.is_file() or made.read_bytes() == record.read_bytes()
