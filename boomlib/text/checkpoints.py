"""Checkpoints of language models: a configuration, weights and the tokenizer, in the files of the Hugging Face hub.

All is read as safetensors or JSON, so that nothing in a checkpoint can run. transformers makes the model from the
configuration and fills it; it is handed the weights, not the folder, so that no other file there matters, such as an
adapter's. What it lets pass with a warning is refused: weights that are missing, and would be random; that have no
place, or another shape; that differ although the configuration ties them, and would be untied. What it lets pass
without one is told here, from the names: weights that it takes for another name's, whose own they may displace.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from boomlib.contracts import listed
from boomlib.files import MAKE_ANEW, ContractError, read_json, scratch_folder
from boomlib.text.checkpoint_files import (
    CONFIG,
    RECORD,
    WEIGHTS,
    check_files,
    check_record,
    list_files,
    write_record,
)
from boomlib.text.tokens import Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

# What real checkpoints hold beyond a masked language model
SPARE = (
    r"(^|\.)pooler\.",  # BERT's sentence head: RoBERTa's checkpoints carry it, untrained
    r"(^|\.)position_ids$",  # 0, 1, 2, …: a stored buffer until transformers 4.31
)


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
        write_record(part, source)
        for file in set(list_files(folder)) - set(list_files(part)):
            (folder / file).unlink()
        for file in (*list_files(part), RECORD):
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
            another kind of model, or quantised; keys or shapes of the weights differ from the model's; the tokenizer
            does not fit.
    """
    folder = Path(folder)
    check_files(folder, str(folder))
    source = check_record(folder)
    config = read_config(folder / CONFIG, language_model)
    tokenizer = Tokenizer.load(folder)
    check_tokenizer(folder, tokenizer, config, exact=source is None)
    return read_model(folder / WEIGHTS, language_model, config), tokenizer, source or str(folder)


def read_config(path: Path, language_model: type["PreTrainedModel"]) -> "PreTrainedConfig":
    """The configuration, which must be of the model's kind."""
    content, kind = read_json(path), language_model.config_class.model_type
    found = content.get("model_type") if isinstance(content, dict) else None
    if found != kind:
        raise ContractError(
            f"{path}: model_type is {found!r}, but {language_model.__name__} reads {kind!r}; take a checkpoint of "
            "that kind, or the descriptor whose model this is"
        )
    if content.get("quantization_config"):
        raise ContractError(f"{path}: the weights are quantised; take the checkpoint that they were made from")
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


def read_model(path: Path, language_model: type["PreTrainedModel"], config: "PreTrainedConfig") -> "PreTrainedModel":
    """The model of a configuration with the weights of a file, in single precision and evaluation mode.

    Tied weights are one tensor under several names, of which the file may hold any; where it holds more than one, they
    must be equal.

    Raises:
        ContractError: keys are missing or extra, shapes differ, tied weights differ, or the file is not readable.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        weights = load(path.read_bytes())  # load_file maps the file: what is written there later would get in
    except SafetensorError as error:
        raise ContractError(
            f"{path}: not readable as safetensors, probably truncated ({error}); {MAKE_ANEW}"
        ) from error
    weights = {name: tensor for name, tensor in weights.items() if not any(re.search(key, name) for key in SPARE)}
    model, found = language_model.from_pretrained(
        None,
        config=config,
        state_dict=weights,
        dtype=torch.float32,
        local_files_only=True,
        ignore_mismatched_sizes=True,  # they are listed then
        output_loading_info=True,
    )
    for name, other in model.get_expanded_tied_weights_keys(all_submodels=True).items():
        if {name, other} <= weights.keys() and not torch.equal(weights[name], weights[other]):
            raise ContractError(
                f"{path}: {other} and {name} differ, but config.json ties them; set tie_word_embeddings to false "
                "there if they were trained apart"
            )
    remedy = f"the checkpoint is of another model than {language_model.__name__} with its config.json; take another"
    for problem, names in (
        ("missing", found["missing_keys"]),
        ("extra", weights.keys() - model.state_dict().keys()),
    ):
        if names:
            raise ContractError(f"{path}: {len(names)} {problem} keys ({listed(sorted(names))}); {remedy}")
    for name, shape, expected in sorted(found["mismatched_keys"]):
        raise ContractError(f"{path}: {name} has shape {list(shape)}, the model {list(expected)}; {remedy}")
    return model
