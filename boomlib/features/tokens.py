"""Atom-level tokens of SMILES (Schwaller et al., Chem. Sci. 9, 6091, 2018, 10.1039/C8SC02339E), and their vocabulary.

Not a feature table: cutting a text is faster than reading its pieces from a file.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from boomlib.contracts import ContractError, read_json, write_json

# Schwaller's expression with dative bonds and ring closures of three digits, %(nnn), which RDKit reads as well
TOKEN = (
    r"\[[^\[\]]+\]|Br|Cl|[BCNOPSFI]|[bcnops]|\*"  # atoms
    r"|->|<-|[-=#$:~/\\.]|[()]"  # bonds, no bond, branches
    r"|%\([0-9]+\)|%[0-9]{2}|[0-9]"  # ring closures
)
TOKENS = re.compile(f"(?:{TOKEN})*")
PAD, UNK = "[PAD]", "[UNK]"
SPECIALS = (PAD, UNK)


def tokenise(smiles: str) -> list[str]:
    """The tokens of a SMILES: atoms (a bracket atom is one), bonds, branches and ring closures; they join to the text.

    Raises:
        ContractError: something in the text is none of these; the message gives its position (the first is 1).
    """
    end = TOKENS.match(smiles).end()
    if end < len(smiles):
        raise ContractError(
            f"SMILES {smiles!r}: no token at position {end + 1} ({smiles[end:][:10]!r}); "
            "correct the SMILES in the source, or remove the row"
        )
    return re.findall(TOKEN, smiles)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by their number: ``[PAD]`` is 0, ``[UNK]`` is 1, then the others, sorted.

    Attributes:
        tokens: all tokens, the special ones included; a token's place is its number.

    Raises:
        ContractError: the special tokens do not come first, or a token occurs twice.
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.tokens[: len(SPECIALS)] != SPECIALS or len(set(self.tokens)) != len(self.tokens):
            raise ContractError(f"a vocabulary starts with {', '.join(SPECIALS)} and has each token once")

    @classmethod
    def fit(cls, smiles: Iterable[str]) -> "Vocabulary":
        """The vocabulary of these molecules, which are train's: what train does not show becomes ``[UNK]``."""
        return cls((*SPECIALS, *sorted({token for text in smiles for token in tokenise(text)})))

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, smiles: Iterable[str]) -> list[np.ndarray]:
        """Numbers of the tokens of each molecule, int64 [tokens] each, without padding."""
        numbers = {token: number for number, token in enumerate(self.tokens)}
        unknown = numbers[UNK]
        return [np.array([numbers.get(token, unknown) for token in tokenise(text)], dtype=np.int64) for text in smiles]

    def save(self, path: str | os.PathLike) -> None:
        """Write the vocabulary as JSON."""
        write_json(path, {"tokens": self.tokens})

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Vocabulary":
        """Read what :meth:`save` wrote.

        Raises:
            ContractError: the file is truncated or holds no vocabulary.
        """
        content = read_json(path)
        if not isinstance(content, dict) or "tokens" not in content:
            raise ContractError(f"{path}: no vocabulary; delete it and train the model again")
        try:
            return cls(tuple(content["tokens"]))
        except ContractError as error:
            raise ContractError(f"{path}: {error}; delete it and train the model again") from error
