"""YAML without its traps: a key that stands twice, a key that is no text, a mistake without its line."""

import json
from pathlib import Path
from typing import Any

import yaml

from boomlib.files import ContractError, StrPath

NEUTRAL = "what it reads reaches a stage as a parameter, which counts itself"

TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
ADVICE = "indent with blanks, close what is open, and put a text that holds ': ' or ' #' in quotes"
ONE_DOCUMENT = "keep one document, without the line --- that begins the next"


def read_yaml(path: StrPath) -> dict[str, Any]:
    """Read a mapping from a YAML file, or from a JSON file, which Snakemake takes for a configuration as well.

    Raises:
        ContractError: the file cannot be read, is no YAML in UTF-8, is no mapping, or has a key that stands twice or
            is no text; the message names the file and, as editors count, the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise ContractError(
            f"{path}, line {line}: not valid YAML: the byte {byte:#04x} is no UTF-8; save the file as UTF-8"
        ) from error
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}; it must be a file that you may read") from error
    try:
        value = yaml.load(without_tabs(text), Loader=StrictLoader)
    except ContractError as error:
        raise ContractError(f"{path}, {error}") from None
    except yaml.MarkedYAMLError as error:
        several = "another document" in str(error.problem)
        raise ContractError(f"{path}, {describe(error)}; {ONE_DOCUMENT if several else ADVICE}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ContractError(
            f"{path}, line {line}: not valid YAML: it holds the character U+{error.character:04X}; remove it"
        ) from error
    if not isinstance(value, dict):
        raise ContractError(f"{path}: expected a mapping of keys to values")
    return value


def write_inline(value: object) -> str:
    """A value as YAML in one line, as one would write it behind a key."""
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6).strip()


def without_tabs(text: str) -> str:
    """The text with its tabs made blanks if it is JSON, which may have them between its parts as YAML may not."""
    try:
        json.loads(text)
    except ValueError:
        return text
    return text.replace("\t", " ")


def describe(error: yaml.MarkedYAMLError) -> str:
    """What is wrong and on which line, and where what is wrong began."""
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}" if mark else "at its end"
    began = f", {error.context} of line {error.context_mark.line + 1}" if error.context and error.context_mark else ""
    return f"{place}: not valid YAML: {error.problem}{began}"


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which PyYAML takes the last, and a key that is no text."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping that begins here as it is written, before what it merges (``<<``) comes in.

        Raises:
            ContractError: see the class; the message begins with the line.
        """
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ContractError(
                    f"line {line}: a key in brackets; a key is a text, in quotes where it has brackets"
                )
            if key.tag not in (TEXT, MERGE):
                kind = key.tag.rpartition(":")[2]
                raise ContractError(
                    f"line {line}: the key {key.value} is no text to YAML ({kind}); put it in quotes: '{key.value}'"
                )
            if key.value in lines:
                raise ContractError(
                    f"line {line}: the key '{key.value}' stands on line {lines[key.value]} already; "
                    "keep one of the two"
                )
            lines[key.value] = line
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node.

        Raises:
            ContractError: it looks like a date or a number to YAML and is none; the message begins with the line.
        """
        try:
            return super().construct_object(node, deep)
        except ContractError:
            raise
        except ValueError as error:
            raise ContractError(
                f"line {node.start_mark.line + 1}: {str(node.value)[:40]} is no value ({error}); put a text in quotes"
            ) from error
