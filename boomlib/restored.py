"""Runs of a publication that were laid back into ``results/restored/``, in the grammar of ``results/``.

A run is restored, and not trained, if its record has the fingerprint that the run has here
(:mod:`boomlib.fingerprints`) and no run of that fingerprint was trained here. Nothing heavy is imported, as in
:mod:`boomlib.workflow`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from boomlib.files import StrPath, read_json
from boomlib.fingerprints import Fingerprints, read_run
from boomlib.runs import ADOPTED, Run
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
        """``must_keep`` says whether a run, by its wildcards, keeps its model, which no publication has.

        Raises:
            ContractError: a record that was laid back is broken. Said here: of an error in a function that is asked
                for inputs, Snakemake says nothing where the output exists.
        """
        self.fingerprints, self.must_keep = fingerprints, must_keep
        self.folder, self.results = Path(folder), Path(results)
        read = [*self.folder.rglob("predictions/**/run.json"), *self.folder.rglob("policy/**/*.json")]
        self.records: dict[Path, Any] = {path: read_json(path) for path in read}
        self.told: dict[Run, list[str]] = {}

    def find(self, wildcards: Wildcards) -> list[str]:
        """The files of :func:`list_run_files` of the run of a rule's wildcards; none if it has to be trained."""
        run = read_run(wildcards)
        if run not in self.told:
            answers_policy = bool(self.fingerprints.models[run.model].get("answers_policy"))
            files = [self.folder / each for each in list_run_files(run.stem, answers_policy)]
            counts = self.is_whole(files) and not self.must_keep(wildcards) and self.counts(run, files[1])
            self.told[run] = [str(each) for each in files] if counts else []
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

    def is_whole(self, files: list[Path]) -> bool:
        """Whether the files of a run are there, its policy's scores of this version, which cannot make them anew."""
        return all(each.is_file() for each in files) and all(
            self.records[each].get("version") == VERSION for each in files[2:3]
        )

    def counts(self, run: Run, record: Path) -> bool:
        """Whether a run that was laid back is of its fingerprint, and none of that was trained here."""
        fingerprint = self.fingerprints.fingerprint(run)
        if self.records[record].get("fingerprint") != fingerprint:
            return False
        made = self.results / "predictions" / run.stem
        if (made / ADOPTED).is_file() or not (made / "run.json").is_file():
            return True
        return bool(read_json(made / "run.json").get("fingerprint") != fingerprint)
