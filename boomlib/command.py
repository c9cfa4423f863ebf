"""What a command line gives to Snakemake, as Snakemake does not read it by itself."""

from collections.abc import Iterable, Mapping, Sequence

import yaml

from boomlib.files import ContractError

NEUTRAL = "what it reads reaches a stage as a parameter, which counts itself"


def read_scalars(value: object) -> object:
    """The value of a key on the command line: Snakemake leaves what a list or a mapping there holds as text."""
    if isinstance(value, Mapping):
        return {key: read_scalars(each) for key, each in value.items()}
    if isinstance(value, list):
        return [read_scalars(each) for each in value]
    if not isinstance(value, str):
        return value
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return value if isinstance(read, Mapping | list) else read


def check_command(words: Sequence[str], pairs: Iterable[str]) -> None:
    """Raise :class:`ContractError` if a command gives something twice of which Snakemake takes the last alone.

    Args:
        words: the command.
        pairs: what it gives to ``--config``, ``key=value`` each.
    """
    for names in (("--config", "-C"), ("--configfile", "--configfiles")):
        options = [word for word in words if word.partition("=")[0] in names]
        if len(options) > 1:
            raise ContractError(
                f"{' and '.join(options)}: Snakemake takes the last of them alone; give all behind one {names[0]}"
            )
    seen: dict[str, str] = {}
    for pair in pairs:
        key = pair.partition("=")[0]
        if key in seen:
            raise ContractError(f"--config {seen[key]} {pair}: the key '{key}' is given twice; keep one of the two")
        seen[key] = pair
