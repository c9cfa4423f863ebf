"""Predictions that others have made, as a descriptor names them: where files lie, and which splits they answer."""

import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boomlib.files import ContractError
from boomlib.given import is_given
from boomlib.signatures import suggestion

NEUTRAL = "says where files lie, which reach a stage as parameters"

FAMILY = "external"
CLASS = "external.External"
FIELDS = ("dataset", "property", "scheme", "seed")
FIELD = re.compile(r"\{([^{}]*)\}")
TASK = re.compile(r"(?P<dataset>\w+)/(?P<property>\w+)/(?P<scheme>\w+)")
HASH = re.compile("[0-9a-f]{12}")
SHIPPED = "external"
"""The folder of the predictions that are under git."""
SHIPPED_FILE = re.compile(rf"(?P<model>[^/]+)/{TASK.pattern}/seed(?P<seed>\d+)\.(csv|csv\.gz|parquet)")
LARGEST = 2_000_000  # bytes of one such file
UNPACKED = 20 * LARGEST  # bytes of its content
MOST_CELLS = 1_000_000


def is_external(model: Mapping[str, Any]) -> bool:
    """Whether a descriptor is of a model whose predictions alone are known."""
    return bool(model["family"] == FAMILY)


def check_external(model: Mapping[str, Any], at: str) -> None:
    """Check the descriptor of an external model, beyond the signature of its class; ``at`` is named as the place.

    Raises:
        ContractError: family and class do not belong together; or the pattern of files has an unknown field, lies
            where the workflow writes, or is one file for two tasks; or under ``splits`` stands no task or no hash.
    """
    if is_external(model) != (model["class"] == CLASS):
        raise ContractError(f"{at}: `family: {FAMILY}` and `class: {CLASS}` belong together; write both or neither")
    if not is_external(model):
        return
    pattern, splits = model["parameters"]["predictions"], model["parameters"]["splits"]
    where = f"{at}: parameters.predictions: {pattern}"
    for field in FIELD.findall(pattern):
        if field not in FIELDS:
            raise ContractError(f"{where}: unknown field {{{field}}}; {suggestion(field, FIELDS)}")
    if not is_given(pattern):
        raise ContractError(
            f"{where}: the workflow makes what is in results/, and may overwrite or remove it; keep the files "
            "elsewhere, as in external/"
        )
    tasks: dict[str, str] = {}
    for task, split in splits.items():
        place = TASK.fullmatch(task)
        if place is None:
            raise ContractError(f"{at}: parameters.splits: '{task}' is no task; write dataset/property/scheme")
        if not HASH.fullmatch(split):
            raise ContractError(
                f"{at}: parameters.splits.{task}: '{split}' is no hash of a split; copy `split` of "
                f"results/tasks/{task}.json, in quotes"
            )
        other = tasks.setdefault(fill_in(pattern, {"seed": "0", **place.groupdict()}), task)
        if other != task:
            raise ContractError(
                f"{where}: one file for {other} and {task}; tell them apart by {{dataset}}, {{property}} or {{scheme}}"
            )


def fill_in(pattern: str, wildcards: Mapping[str, object]) -> str:
    """The pattern with its fields filled in."""
    return FIELD.sub(lambda field: str(wildcards[field[1]]), pattern)


def find_predictions(model: Mapping[str, Any], wildcards: Mapping[str, object]) -> str:
    """The file of an external model's predictions of one run, relative to the checkout.

    Args:
        model: the descriptor.
        wildcards: ``model``, its name, and the run's :data:`FIELDS`.

    Raises:
        ContractError: the descriptor does not say which split of the task they answer, or there is no such file.
    """
    task, name = "{dataset}/{property}/{scheme}".format(**wildcards), wildcards["model"]
    pattern, splits = model["parameters"]["predictions"], model["parameters"]["splits"]
    if task not in splits:
        raise ContractError(
            f"external model '{name}': its descriptor's `splits` lack {task} (known: {', '.join(splits) or 'none'}); "
            f"add predictions of results/tasks/{task}.parquet and the hash in the .json beside it, which `snakemake "
            f"--cores 4 results/tasks/{task}.json` makes, or leave the model or the task out"
        )
    path = fill_in(pattern, wildcards)
    if not Path(path).is_file():
        raise ContractError(
            f"external model '{name}': no file {path} in {Path.cwd()}, seed {wildcards['seed']} of {task} by its "
            f"descriptor's `predictions: {pattern}`; bring the file there, correct the pattern, or leave the seed or "
            "the model out"
        )
    return path


def list_shipped(models: Mapping[str, Mapping[str, Any]], folder: str = SHIPPED) -> list[dict[str, str]]:
    """The runs whose predictions are under git, each by ``model`` and :data:`FIELDS`.

    Args:
        models: descriptors by name.
        folder: where the files are, ``{model}/{dataset}/{property}/{scheme}/seed{seed}.csv``.

    Raises:
        ContractError: a file lies or is named otherwise, is a link or too large, or no descriptor names it; or the
            descriptor does not say where the model is described and under which licence its predictions are.
    """
    found = []
    for path in sorted(path for path in Path(folder).rglob("*") if not path.is_dir() or path.is_symlink()):
        place = SHIPPED_FILE.fullmatch(path.relative_to(folder).as_posix())
        if place is None or path.is_symlink():
            raise ContractError(
                f"{path}: not {folder}/{{model}}/{{dataset}}/{{property}}/{{scheme}}/seed{{seed}}.csv, .csv.gz or "
                ".parquet, or a link; rename it"
            )
        run = place.groupdict()
        model, descriptor = models.get(run["model"]), f"config/models/{run['model']}.yaml"
        if model is None or not is_external(model):
            raise ContractError(f"{path}: no {descriptor} of `family: {FAMILY}`; add it")
        if find_predictions(model, run) != path.as_posix():
            raise ContractError(f"{path}: another file than {descriptor} names; correct `predictions` there")
        check_size(path)
        for key in ("citation", "licence"):
            if key not in model:
                raise ContractError(f"{descriptor}: no `{key}`, which readers of a public page need; add it")
        found.append(run)
    return found


def check_size(path: Path) -> None:
    """Raise :class:`ContractError` if a file that strangers hand in is large, or would be in memory."""
    if path.stat().st_size > LARGEST:
        raise ContractError(f"{path}: more than {LARGEST:,} bytes; write fewer digits, or pack it (.csv.gz)")
    if path.suffix == ".gz":
        try:
            with gzip.open(path) as stream:
                size = len(stream.read(UNPACKED + 1))
        except (OSError, EOFError) as error:
            raise ContractError(f"{path}: not readable as gzip ({error}); pack it anew") from error
        if size > UNPACKED:
            raise ContractError(f"{path}: more than {UNPACKED:,} bytes unpacked; write the columns needed alone")
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            described = pq.read_metadata(path)
        except (pa.ArrowException, OSError) as error:
            raise ContractError(f"{path}: not readable as Parquet ({error}); write it anew") from error
        if described.num_rows * described.num_columns > MOST_CELLS:
            raise ContractError(f"{path}: more than {MOST_CELLS:,} cells; write the columns and rows needed alone")
