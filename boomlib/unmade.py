"""What commands have set out to make and have not made: a hidden mark beside each such file, with the log of its job.

Snakemake forgets a failure: it removes what the job was to make, and lets that be missing for as long as older results
of what reads it exist.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boomlib.files import check_writable

if TYPE_CHECKING:
    from snakemake.dag import DAG

NEUTRAL = "tells what has to be made, and makes nothing"

# what a leaderboard stands on: never let be where it is gone
EVIDENCE = tuple(
    f"results/{each}"
    for each in (
        "predictions/",
        "metrics/",
        "resamples/",
        "notes/",
        "hardest/",
        "policy/",
        "domain/",
        "uncertainty/",
        "exposure/",
        "uncertainty.",
        "plots/",
        "screens/",
        "leaderboard.",
        "runs.",
    )
)


def locate_mark(file: str | Path) -> Path:
    """Where the mark of a file lies."""
    return Path(file).with_name(f".{Path(file).name}.unmade")


def mark_unmade(files: Iterable[str], log: str) -> None:
    """Mark files that a job is to make; ``log`` is its log."""
    for mark in map(locate_mark, files):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)  # it may be somebody else's, in one's own folder
        mark.write_text(log, encoding="utf-8")


def unmark(files: Iterable[str]) -> None:
    """Remove the marks of files that have been made."""
    for mark in map(locate_mark, files):
        mark.unlink(missing_ok=True)


def find_unmade(files: Iterable[str | Path]) -> str | None:
    """The log of the job that was to make the first of the files that is marked; None if none is."""
    marks = (mark for mark in map(locate_mark, files) if mark.is_file())
    return next((mark.read_text(encoding="utf-8") for mark in marks), None)


def find_outstanding(file: str | Path) -> str | None:
    """The log of the job that has yet to make a marked file; None if it is not marked or has been made since.

    Marks stay until the command that has made them ends: before that, dates tell.
    """
    path, mark = Path(file), locate_mark(file)
    if not mark.is_file() or (path.exists() and path.stat().st_mtime_ns >= mark.stat().st_mtime_ns):
        return None
    return mark.read_text(encoding="utf-8")


def find_failed(files: Iterable[str | Path], folder: str | Path = ".") -> str | None:
    """The log of the job that was to make the first of the marked files whose job has begun; None if none has.

    A log that is older than the mark tells of an earlier command. Logs are relative to ``folder``.
    """
    for mark in map(locate_mark, files):
        if mark.is_file():
            log = mark.read_text(encoding="utf-8")
            written = Path(folder, log)
            if written.is_file() and written.stat().st_mtime_ns >= mark.stat().st_mtime_ns:
                return log
    return None


def begin_jobs(dag: "DAG") -> None:
    """Mark the outputs of the jobs that a command begins with as unmade; of the others those that exist are made.

    Raises:
        ContractError: a folder to which one of the jobs writes belongs to somebody else.
    """
    begun = {job for job in dag.jobs if dag.needrun(job)}
    check_writable(*sorted({Path(file).parent for job in begun for file in (*job.output, *job.log)}))
    for job in dag.jobs:
        if job in begun:
            mark_unmade(job.output, next(iter(job.log), ""))
        else:
            unmark(path for path in job.output if Path(path).exists())


def end_jobs(dag: "DAG") -> None:
    """Remove the marks of what the jobs of a command have made."""
    for job in dag.finished_jobs:
        unmark(job.output)


class MakeAgain:
    """A rule's parameter that differs from the last time if a job must run again for a reason that Snakemake lacks."""

    WORDS = ("inputs as made", "inputs as made again")

    def __init__(
        self, read_recorded: Callable[[str], Sequence[str] | None], must_run: Callable[[Mapping[str, Any]], bool]
    ) -> None:
        """What the parameter goes by.

        Args:
            read_recorded: gives the parameters, as ``repr``, with which an output was made; None if not known.
            must_run: whether a job must run again, by its ``input`` and ``output``, paths.
        """
        self.read_recorded, self.must_run = read_recorded, must_run
        self.told: dict[str, str] = {}

    def __call__(self, wildcards: Mapping[str, str], **job: Any) -> str:
        """One word, the same for as long as this process runs: Snakemake asks before and after inputs are made.

        Args:
            wildcards: the wildcards of the job.
            job: what else Snakemake tells of it, among it ``input`` and ``output``, the paths. They are not named
                here, for Snakemake records no parameter of a function that names them, and could not compare it.
        """
        output: str = job["output"][0]
        if output not in self.told:
            recorded = self.read_recorded(output) or ()
            again = repr(self.WORDS[1]) in recorded
            self.told[output] = self.WORDS[again != self.must_run(job)]
        return self.told[output]


def has_lost_inputs(job: Mapping[str, Iterable[str]]) -> bool:
    """Whether a file that a job reads is lost: gone, and it matters; evidence always, others if a command has failed.

    Snakemake lets a missing file be while what was made from it exists. But a score without its predictions is no
    result, nor is a leaderboard without its scores. And what a failed command could not make again Snakemake takes for
    made, so that old results of what reads it would pass for new ones.
    """
    gone = [path for path in job["input"] if not Path(path).exists()]
    return find_unmade(gone) is not None or any(path.startswith(EVIDENCE) for path in gone)
