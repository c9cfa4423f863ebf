"""Tokens of molecules: atom-level SMILES (Schwaller et al., Chem. Sci. 9, 6091, 2018, 10.1039/C8SC02339E), SELFIES
(Krenn et al., Mach. Learn.: Sci. Technol. 1, 045024, 2020, 10.1088/2632-2153/aba947), and those of a checkpoint.

Not a feature table: cutting a text is faster than reading its pieces from a file.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boomlib.files import ContractError, MoleculeError, read_json, write_json, write_text
from boomlib.text.start import OWN_FILES

if TYPE_CHECKING:
    import tokenizers

# Schwaller's expression with dative bonds and ring closures of three digits, %(nnn), which RDKit reads as well
TOKEN = (
    r"\[[^\[\]]+\]|Br|Cl|[BCNOPSFI]|[bcnops]|\*"  # atoms
    r"|->|<-|[-=#$:~/\\.]|[()]"  # bonds, no bond, branches
    r"|%\([0-9]+\)|%[0-9]{2}|[0-9]"  # ring closures
)
TOKENS = re.compile(f"(?:{TOKEN})*")

SELFIES_TOKEN = r"\[[^\[\]]+\]|\."
PATTERNS = {"smiles": TOKEN, "selfies": SELFIES_TOKEN}
# The special tokens of a tokenizer in the order of their ids, by the name that tokenizer_config.json has for each
ROLES = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
BARE = ("pad_token", "unk_token")  # those that every text needs
# RoBERTa's, which the files of its tokenizers need not name (transformers, models/roberta/tokenization_roberta.py)
ROBERTA_ROLES = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "mask_token": "<mask>",
}


def tokenise(smiles: str) -> list[str]:
    """The tokens of a SMILES: atoms (a bracket atom is one), bonds, branches and ring closures; they join to the text.

    Raises:
        MoleculeError: something in the text is none of these; the message gives its position (the first is 1).
    """
    end = TOKENS.match(smiles).end()
    if end < len(smiles):
        raise MoleculeError(
            f"SMILES {smiles!r}: no token at position {end + 1} ({smiles[end:][:10]!r}); "
            "correct the SMILES in the source, or remove the row",
            [smiles],
        )
    return re.findall(TOKEN, smiles)


def to_selfies(smiles: str) -> str:
    """The molecule as SELFIES, atoms in the order of the SMILES; aromatic rings get alternating double bonds.

    Raises:
        MoleculeError: SELFIES cannot write it: wildcards, dative and quadruple bonds, chirality other than @ and @@,
            atom maps, ring closures of three digits or between fragments.
    """
    import selfies

    try:
        if ":" in smiles:  # the encoder would drop it
            raise selfies.EncoderError("':', an atom's map number or an aromatic bond, has no place in it")
        # The valences that `strict` checks are the decoder's: what is written does not depend on them, and by default
        # they forbid nitrogen of five bonds, with which 6,623 of the 10,206 molecules of csd10k write nitro groups
        return selfies.encoder(smiles, strict=False)
    except (selfies.EncoderError, IndexError) as error:  # the latter: C11
        reason = getattr(error.__cause__, "reason", str(error).partition("\n")[0] or "a ring closure without a number")
        raise MoleculeError(
            f"SMILES {smiles!r} cannot be written as SELFIES ({reason}); write it otherwise in the source, remove "
            "the row, or take a model that reads SMILES",
            [smiles],
        ) from error


def find_unwritable(smiles: Iterable[str], notation: str) -> dict[int, str]:
    """Why some molecules cannot be written in a notation, ``smiles`` or ``selfies``: their position and the reason."""
    write, reasons = to_selfies if notation == "selfies" else tokenise, {}
    for row, text in enumerate(smiles):
        try:
            write(text)
        except ContractError as error:
            reasons[row] = str(error).partition(";")[0]  # who asks has a remedy of its own
    return reasons


def tokenise_selfies(text: str) -> list[str]:
    """The tokens of SELFIES, brackets and the dots between fragments; they join to the text.

    Raises:
        ContractError: the text is no SELFIES.
    """
    tokens = re.findall(SELFIES_TOKEN, text)
    if "".join(tokens) != text:
        raise ContractError(f"{text!r} is no SELFIES; translate SMILES with to_selfies first")
    return tokens


class Tokenizer:
    """From SMILES to the ids that a network reads, by the tokenizers library, in the files of the hub.

    Args:
        backend: the library's tokenizer; its post-processor adds the first and the last special token.
        notation: what its texts are: ``smiles`` or ``selfies``.
        names: special tokens by role, see :data:`ROLES`; a role may be absent.

    Attributes:
        notation: the same.
        size: number of ids: an embedding needs as many rows.
    """

    def __init__(self, backend: "tokenizers.Tokenizer", notation: str, names: dict[str, str]) -> None:
        if notation not in PATTERNS:
            raise ContractError(f"a tokenizer's notation is one of {', '.join(PATTERNS)}, not {notation!r}")
        self.backend, self.notation, self.names = backend, notation, names
        self.size = 1 + max(backend.get_vocab().values(), default=-1)

    @classmethod
    def fit(cls, texts: Iterable[str], notation: str, *, bare: bool = False) -> "Tokenizer":
        """The tokenizer of these texts, which are train's and in that notation; other tokens become ``[UNK]``.

        Ids: ``[PAD]`` 0, ``[UNK]`` 1, ``[CLS]`` 2, ``[SEP]`` 3, ``[MASK]`` 4, then all tokens, sorted; if ``bare``,
        there are no special tokens but the first two.

        Raises:
            ContractError: a text is not in that notation.
        """
        import tokenizers

        cut = tokenise_selfies if notation == "selfies" else tokenise
        names = {role: token for role, token in ROLES.items() if role in BARE or not bare}
        tokens = (*names.values(), *sorted({token for text in texts for token in cut(text)}))
        ids = {token: number for number, token in enumerate(tokens)}
        backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token=ROLES["unk_token"]))
        backend.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(PATTERNS[notation]), "isolated")
        if not bare:
            ends = [ROLES["cls_token"], ROLES["sep_token"]]
            backend.post_processor = tokenizers.processors.TemplateProcessing(
                single=" $A ".join(ends), special_tokens=[(token, ids[token]) for token in ends]
            )
        backend.add_special_tokens(list(names.values()))
        return cls(backend, notation, names)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> "Tokenizer":
        """Read a tokenizer in the hub's layout: tokenizer.json, else the vocab.json and merges.txt of a RoBERTa.

        Special tokens are those of tokenizer_config.json and special_tokens_map.json.

        Raises:
            ContractError: neither is there, or a file is not what it should be.
        """
        import tokenizers

        folder = Path(folder)
        settings = {}
        for name in ("special_tokens_map.json", "tokenizer_config.json"):
            if (folder / name).is_file():
                settings |= read_json(folder / name)
        names = {role: settings[role] for role in ROLES if settings.get(role)}
        names = {role: name["content"] if isinstance(name, dict) else name for role, name in names.items()}
        files = [folder / name for name in ("vocab.json", "merges.txt")]
        if (folder / "tokenizer.json").is_file():
            backend = read_with(tokenizers.Tokenizer.from_file, folder / "tokenizer.json")
        elif all(file.is_file() for file in files):
            names = ROBERTA_ROLES | names
            backend = build_byte_level(*files, names, settings.get("add_prefix_space", False))
        else:
            raise ContractError(f"{folder}: neither tokenizer.json nor vocab.json and merges.txt; {OWN_FILES}")
        backend.no_padding()
        backend.no_truncation()
        unknown = names.get("unk_token")
        if isinstance(backend.model, tokenizers.models.BPE) and unknown and backend.token_to_id(unknown) is not None:
            backend.model.unk_token = unknown  # without one, BPE drops what it does not know
        found = "selfies" if any("Branch1" in token for token in backend.get_vocab()) else "smiles"
        return cls(backend, settings.get("notation", found), names)

    def save(self, folder: str | os.PathLike) -> None:
        """Write tokenizer.json and tokenizer_config.json, which transformers reads as well."""
        folder = Path(folder)
        write_text(folder / "tokenizer.json", self.backend.to_str(pretty=True) + "\n")
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "notation": self.notation}
        write_json(folder / "tokenizer_config.json", settings | self.names)

    def id_of(self, role: str) -> int:
        """The id of a special token.

        Raises:
            ContractError: the tokenizer has none.
        """
        number = self.backend.token_to_id(self.names[role]) if role in self.names else None
        if number is None:
            raise ContractError(
                f"the tokenizer has no {role}; name it in tokenizer_config.json, or take another checkpoint"
            )
        return number

    @property
    def pad(self) -> int:
        """The id that fills up shorter molecules of a batch."""
        return self.id_of("pad_token")

    @property
    def mask(self) -> int:
        """The id that stands for a hidden token."""
        return self.id_of("mask_token")

    @property
    def specials(self) -> list[int]:
        """The ids of all special tokens, ascending."""
        return sorted({self.id_of(role) for role in self.names})

    def encode(self, smiles: Iterable[str]) -> list[np.ndarray]:
        """Ids of each molecule, int64 [tokens] each, special tokens at the ends included, nothing padded or cut off.

        Raises:
            ContractError: a text is no SMILES, or cannot be written as SELFIES where that is the notation.
        """
        spell = to_selfies if self.notation == "selfies" else lambda text: "".join(tokenise(text))
        encoded = self.backend.encode_batch_fast([spell(text) for text in smiles])
        return [np.array(each.ids, dtype=np.int64) for each in encoded]


def read_with(read: Callable, *files: Path) -> Any:
    """What a reader of the tokenizers library makes of files; :class:`ContractError` if it cannot read them."""
    try:
        return read(*map(str, files))
    except Exception as error:  # the library raises nothing narrower
        raise ContractError(f"{files[0]}: not readable as a tokenizer ({error}); {OWN_FILES}") from error


def build_byte_level(
    vocabulary: Path, merges: Path, names: dict[str, str], add_prefix_space: bool
) -> "tokenizers.Tokenizer":
    """RoBERTa's byte-level BPE, as transformers builds it from the same files.

    Raises:
        ContractError: a file is not readable, or the vocabulary lacks the first or the last special token.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    ids, pairs = read_with(models.BPE.read_file, vocabulary, merges)
    ends = [names[role] for role in ("sep_token", "cls_token")]
    for name in ends:
        if name not in ids:
            raise ContractError(f"{vocabulary}: no special token {name!r}; {OWN_FILES}")
    backend = Tokenizer(models.BPE(ids, pairs))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.RobertaProcessing(
        *((name, ids[name]) for name in ends), add_prefix_space=add_prefix_space
    )
    backend.add_special_tokens([name for name in names.values() if name in ids])
    return backend
