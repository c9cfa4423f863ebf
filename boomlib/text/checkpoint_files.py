"""The files of a checkpoint, in the layout of the Hugging Face hub, and the record that they belong together.

Where this pipeline made or downloaded a folder, ``checkpoint.json`` says from what, and has the sha256 of every file.
Nothing heavy is imported: the workflow asks for the files when it is read.
"""

import os
from pathlib import Path

from boomlib.files import ContractError, read_json, sha256, write_json

CONFIG, WEIGHTS = "config.json", "model.safetensors"
RECORD = "checkpoint.json"
FILES = (
    CONFIG,
    WEIGHTS,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)


def list_files(folder: str | os.PathLike) -> list[str]:
    """The names of :data:`FILES` that a folder has."""
    return [name for name in FILES if Path(folder, name).is_file()]


def checkpoint_files(folder: str | os.PathLike) -> list[str]:
    """Paths of all files that :func:`boomlib.text.checkpoints.load_checkpoint` reads: what a job depends on.

    Raises:
        ContractError: the folder has no weights, no configuration or no tokenizer.
    """
    check_files(folder, str(folder))
    record = [RECORD] if Path(folder, RECORD).is_file() else []
    return [f"{folder}/{name}" for name in list_files(folder) + record]


def check_files(folder: str | os.PathLike, where: str) -> None:
    """Raise :class:`ContractError` unless the folder has weights, configuration and tokenizer."""
    found = list_files(folder)
    if not {CONFIG, WEIGHTS} <= set(found):
        missing = " and no ".join(name for name in (CONFIG, WEIGHTS) if name not in found)
        raise ContractError(
            f"{where}: no {missing}. Weights are read as one file of safetensors alone, since a pickle "
            "(pytorch_model.bin) can run code: take a revision that has them, often the pull request of the hub's "
            "conversion bot (SFconvertbot), or convert them where that can do no harm"
        )
    if not ("tokenizer.json" in found or {"vocab.json", "merges.txt"} <= set(found)):
        raise ContractError(
            f"{where}: no tokenizer, which is tokenizer.json, or vocab.json with merges.txt; a checkpoint is read "
            "with its own alone: add the files that belong to it, or take another checkpoint"
        )


def write_record(folder: str | os.PathLike, source: str) -> None:
    """Write ``checkpoint.json`` of the files that the folder has; ``source`` says how they were made."""
    hashes = {name: sha256(Path(folder, name)) for name in list_files(folder)}
    write_json(Path(folder, RECORD), {"source": source, "files": hashes})


def check_record(folder: str | os.PathLike) -> str | None:
    """The source in ``checkpoint.json``; None where there is no such file.

    Raises:
        ContractError: the files are not those that it lists, or it is no record.
    """
    path = Path(folder, RECORD)
    if not path.is_file():
        return None
    content = read_json(path)
    if not (isinstance(content, dict) and {"source", "files"} <= set(content)):
        raise ContractError(f"{path}: no record of a checkpoint; delete the folder and rerun")
    expected, found = content["files"], list_files(folder)
    for name in sorted({*expected, *found}):
        file = Path(folder, name)
        if name not in found or expected.get(name) != sha256(file):
            raise ContractError(
                f"{file}: not the file that {RECORD} lists, so weights and tokenizer may not belong together; delete "
                f"the folder and rerun, or, if the change is meant, copy the folder without {RECORD} and name the "
                "copy in the descriptor: `pretrained: {directory: …}`"
            )
    return content["source"]
