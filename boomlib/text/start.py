"""What training starts from: the parameter ``pretrained`` of a model, and which models share a pretraining.

``null`` is from scratch, ``mlm`` the pipeline's own pretraining, ``{directory: path}`` a folder in the layout of the
Hugging Face hub, ``{hub: org/name, revision: commit}`` a repository there. A model whose descriptor has no such
parameter cannot start from a checkpoint.
"""

import re
from collections.abc import Mapping

from boomlib.files import ContractError

NEUTRAL = "names what training starts from, whose files count themselves"

OWN_FILES = "take all files of the tokenizer from the checkpoint's own revision"  # of an error's remedy

# parameters that masked-language-model training sees
SEEN = ("network", "notation", "isomeric", "enumeration", "pretraining")


def check_start(start: object, at: str) -> None:
    """Check the form of what training starts from; ``at`` is the place to name in an error.

    Raises:
        ContractError: it is none of the forms above, or the commit is not given by its 40 hexadecimal digits.
    """
    if start is None or start == "mlm":
        return
    values = start if isinstance(start, dict) else {}
    whole = set(values) in ({"directory"}, {"hub", "revision"}) and all(values.values())
    if not whole or not isinstance(values.get("directory", ""), str):
        raise ContractError(
            f"{at}: {start!r} is none of null (from scratch), mlm (pretraining on the train folds), "
            "{directory: path} and {hub: org/name, revision: commit}"
        )
    if "hub" in values:
        if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", str(values["hub"])):
            raise ContractError(f"{at}.hub: {values['hub']!r} is no repository of the hub, org/name")
        if not re.fullmatch(r"[0-9a-f]{40}", str(values["revision"])):
            raise ContractError(
                f"{at}.revision: {values['revision']!r} is not a commit's 40 hexadecimal digits, in quotes "
                "(a branch or a tag may move, and with it the weights)"
            )


def name_hub_folder(start: Mapping[str, str]) -> str:
    """The name of a checkpoint's folder, ``{org}--{name}@{revision}``; ``start`` is a repository of the hub."""
    return f"{start['hub'].replace('/', '--')}@{start['revision']}"


def select_pretraining(model: Mapping) -> dict:
    """The part of a descriptor that decides what pretraining makes; label, read-out and training do not."""
    parameters = {key: value for key, value in model["parameters"].items() if key in SEEN}
    return {"class": model["class"], "parameters": parameters}


def find_sharer(name: str, models: Mapping[str, Mapping]) -> str:
    """The first of ``models`` with the same pretraining as the model ``name``: they share its checkpoint."""
    wanted = select_pretraining(models[name])
    return next(each for each, model in models.items() if select_pretraining(model) == wanted)
