"""Checkpoints of language models in the layout of the Hugging Face hub: one folder with config.json, model.safetensors
and the tokenizer's files. Where this pipeline made or downloaded a folder, ``checkpoint.json`` says from what, and has
the sha256 of every file.

All is read as safetensors or JSON, so that nothing in a checkpoint can run. transformers' ``from_pretrained`` would
fill gaps with random weights, untie what disagrees and rename keys, with a warning at most, and leaves buffers that no
file holds to ``_init_weights``; here weights go into a model made from its configuration, each into its own place.
"""

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from boomlib.contracts import listed
from boomlib.files import ContractError, atomic_path, commit, read_json, scratch_folder, sha256, write_json
from boomlib.text.tokens import Tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

WEIGHTS = "model.safetensors"
RECORD = "checkpoint.json"
FILES = (
    "config.json",
    WEIGHTS,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
# What real checkpoints hold beyond a masked language model
SPARE = (
    r"(^|\.)pooler\.",  # BERT's sentence head: RoBERTa's checkpoints carry it, untrained
    r"(^|\.)position_ids$",  # 0, 1, 2, …: a stored buffer until transformers 4.31
)


def download_checkpoint(
    hub: str, revision: str, folder: str | os.PathLike, mirror: str | os.PathLike | None = None
) -> None:
    """Bring the files of a checkpoint at one commit here, all or nothing.

    Args:
        hub: ``organisation/name`` on the hub.
        revision: the commit, 40 hexadecimal digits.
        folder: where to put it; what is there goes.
        mirror: a folder whose ``{organisation}--{name}@{revision}`` is taken instead if there is one; None = the
            environment's ``BOOM_MIRROR``, if set.

    Raises:
        ContractError: the revision is no commit, the hub cannot be reached or has no such commit, or the checkpoint
            lacks weights as safetensors, a configuration or a tokenizer.
    """
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", hub):
        raise ContractError(f"pretrained: {hub!r} is no hub id; write organisation/name")
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ContractError(
            f"pretrained: revision {revision!r} of {hub} is no commit; a branch or tag can move, so give the 40 "
            "hexadecimal digits that the hub shows under Files, History"
        )
    source = f"{hub}@{revision}"
    name = source.replace("/", "--")
    mirror = mirror or os.environ.get("BOOM_MIRROR")
    part = atomic_path(folder)
    shutil.rmtree(part, ignore_errors=True)
    if mirror and (Path(mirror) / name).is_dir():
        verify(Path(mirror) / name)
        part.mkdir()
        for file in stored(Path(mirror) / name):
            shutil.copyfile(Path(mirror) / name / file, part / file)
    else:
        fetch_snapshot(hub, revision, part, f"{mirror or '(the folder that `mirror:` or BOOM_MIRROR names)'}/{name}")
    check_files(part, source)
    record(part, source)
    shutil.rmtree(folder, ignore_errors=True)
    commit(folder)


def fetch_snapshot(hub: str, revision: str, folder: Path, mirrored: str) -> None:
    """Download :data:`FILES`, as far as the hub has them."""
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(hub, revision=revision, local_dir=folder, allow_patterns=list(FILES))
    except Exception as error:  # of the network, the hub or its client, which share no narrower class
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ContractError(
            f"cannot download {hub} at revision {revision} from the hub ({reason}); without network, put its files "
            f"into {mirrored}, or anywhere and name the folder in the descriptor: `pretrained: {{directory: …}}`"
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes


def write_checkpoint(folder: str | os.PathLike, model: "PreTrainedModel", tokenizer: Tokenizer, source: str) -> None:
    """Write a checkpoint into a folder, which may hold other files; equal weights make equal bytes.

    Args:
        folder: the folder; a checkpoint in it is replaced, its record last, so that a mixture is never taken for one.
        model: the language model.
        tokenizer: its tokenizer.
        source: how it was made, for the leaderboard.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder / "checkpoint") as part:
        model.save_pretrained(part)
        tokenizer.save(part)
        record(part, source)
        for file in set(stored(folder)) - set(stored(part)):
            (folder / file).unlink()
        for file in (*stored(part), RECORD):
            (part / file).replace(folder / file)


def load_checkpoint(
    folder: str | os.PathLike, language_model: type["PreTrainedModel"]
) -> tuple["PreTrainedModel", Tokenizer, str]:
    """Read a checkpoint: every weight is used and every weight of the model is given, and the tokenizer is its own.

    Args:
        folder: the checkpoint.
        language_model: the class of the model, a ``…ForMaskedLM``.

    Returns:
        The model in single precision and evaluation mode, its tokenizer, and the source for the leaderboard: what
        checkpoint.json says, else the folder's path.

    Raises:
        ContractError: a file is missing, unreadable or not the one that checkpoint.json lists; the checkpoint is of
            another kind of model; keys or shapes of the weights differ from the model's; the tokenizer does not fit.
    """
    folder = Path(folder)
    check_files(folder, str(folder))
    source = verify(folder)
    config = read_config(folder / "config.json", language_model)
    tokenizer = Tokenizer.load(folder)
    check_tokenizer(folder, tokenizer, config, exact=source is None)
    model = language_model(config)
    fill(model, folder / WEIGHTS)
    return model.eval(), tokenizer, source or str(folder)


# -- files -----------------------------------------------------------------------------------------------


def stored(folder: Path) -> list[str]:
    """Those of :data:`FILES` that a folder has."""
    return [name for name in FILES if (folder / name).is_file()]


def check_files(folder: Path, where: str) -> None:
    """Raise :class:`ContractError` unless the folder has weights, configuration and tokenizer."""
    found = stored(folder)
    if not {"config.json", WEIGHTS} <= set(found):
        missing = " and no ".join(name for name in ("config.json", WEIGHTS) if name not in found)
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


def record(folder: Path, source: str) -> None:
    """Write checkpoint.json."""
    write_json(folder / RECORD, {"source": source, "files": {name: sha256(folder / name) for name in stored(folder)}})


def verify(folder: Path) -> str | None:
    """The source in checkpoint.json, whose files these must be; None where there is no checkpoint.json."""
    path = folder / RECORD
    if not path.is_file():
        return None
    content = read_json(path)
    if not (isinstance(content, dict) and {"source", "files"} <= set(content)):
        raise ContractError(f"{path}: no record of a checkpoint; delete the folder and rerun")
    expected = content["files"]
    for name in sorted({*expected, *stored(folder)}):
        if not (folder / name).is_file() or expected.get(name) != sha256(folder / name):
            raise ContractError(
                f"{folder / name}: not the file that {RECORD} lists, so weights and tokenizer may not belong "
                "together; delete the folder and rerun, or, if the change is meant, copy the folder without "
                f"{RECORD} and name the copy in the descriptor: `pretrained: {{directory: …}}`"
            )
    return content["source"]


# -- contents --------------------------------------------------------------------------------------------


def read_config(path: Path, language_model: type["PreTrainedModel"]) -> "PreTrainedConfig":
    """The configuration, which must be of the model's kind."""
    content, kind = read_json(path), language_model.config_class.model_type
    found = content.get("model_type") if isinstance(content, dict) else None
    if found != kind:
        raise ContractError(
            f"{path}: model_type is {found!r}, but {language_model.__name__} reads {kind!r}; take a checkpoint of "
            "that kind, or the descriptor whose model this is"
        )
    return language_model.config_class.from_dict(content)


def check_tokenizer(folder: Path, tokenizer: Tokenizer, config: "PreTrainedConfig", exact: bool) -> None:
    """Raise :class:`ContractError` unless the tokenizer's ids are those of the configuration.

    Args:
        folder: the checkpoint.
        tokenizer: its tokenizer.
        config: its configuration.
        exact: whether the embedding must have no row to spare: some have, but without a record of where the files
            are from nothing else tells a foreign tokenizer.
    """
    remedy = "the tokenizer is not this checkpoint's own; take all files from one revision"
    if tokenizer.size > config.vocab_size or (exact and tokenizer.size < config.vocab_size):
        raise ContractError(
            f"{folder}: the tokenizer has {tokenizer.size} ids, but config.json's vocab_size is {config.vocab_size}; "
            f"{remedy}" + (" by `pretrained: {hub: …, revision: …}`, which admits rows to spare" if exact else "")
        )
    for role in ("pad", "mask"):
        expected = getattr(config, f"{role}_token_id", None)
        if role == "pad" or expected is not None:
            try:
                found = getattr(tokenizer, role)
            except ContractError as error:
                raise ContractError(f"{folder}: {error}") from error
            if found != expected:
                raise ContractError(
                    f"{folder}: the tokenizer's {role} is {found}, but config.json's {role}_token_id is {expected}; "
                    f"{remedy}"
                )


def fill(model: "PreTrainedModel", path: Path) -> None:
    """Load weights; each must have a place, and each of the model's parameters and buffers one that is its own.

    Tied weights are one tensor under several names, of which a file may hold any; where it holds more than one, they
    must be equal.

    Raises:
        ContractError: keys are missing or extra, shapes differ, tied weights differ, or the file is not readable.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ContractError(
            f"{path}: not readable as safetensors, probably truncated ({error}); delete it and bring it here anew"
        ) from error
    weights = {name: tensor for name, tensor in weights.items() if not any(re.search(key, name) for key in SPARE)}
    own = model.state_dict()
    for group in tied_names(own):
        given = [name for name in group if name in weights]
        for name in given[1:]:
            if not torch.equal(weights[given[0]], weights[name]):
                raise ContractError(
                    f"{path}: {given[0]} and {name} differ, but config.json ties them; set tie_word_embeddings to "
                    "false there if they were trained apart"
                )
        if given:
            weights |= dict.fromkeys(group, weights[given[0]])
    remedy = f"the checkpoint is of another model than {type(model).__name__} with its config.json; take another"
    for problem, names in (("missing", own.keys() - weights.keys()), ("extra", weights.keys() - own.keys())):
        if names:
            raise ContractError(f"{path}: {len(names)} {problem} keys ({listed(sorted(names))}); {remedy}")
    for name, tensor in own.items():
        if weights[name].shape != tensor.shape:
            raise ContractError(
                f"{path}: {name} has shape {list(weights[name].shape)}, the model {list(tensor.shape)}; {remedy}"
            )
    model.load_state_dict(weights)


def tied_names(state: dict[str, "torch.Tensor"]) -> list[list[str]]:
    """Names that share one tensor, a list for each tensor that has several."""
    groups = {}
    for name, tensor in state.items():
        groups.setdefault((tensor.data_ptr(), tensor.shape), []).append(name)
    return [names for names in groups.values() if len(names) > 1]
