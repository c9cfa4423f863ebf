"""What all language models share: spelling, tokens, pretraining. A model adds its network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from boomlib.files import ContractError, MoleculeError
from boomlib.harness.batches import Batches, draw_batches, sort_into_batches
from boomlib.harness.interface import Molecules
from boomlib.harness.network import NetworkModel
from boomlib.harness.optimisers import Rates, make_adamw
from boomlib.harness.ragged import Ragged
from boomlib.harness.store import place
from boomlib.harness.training import fit_module
from boomlib.models.language.masked_tokens import MaskedTokens
from boomlib.smiles import canonical_smiles
from boomlib.text.checkpoints import load_checkpoint, write_checkpoint
from boomlib.text.spellings import draw_spellings, epoch_seed
from boomlib.text.tokens import Tokenizer, find_unwritable, to_selfies

READ_OUTS = {  # of extensive and of intensive properties
    "kind": ("sum", "mean"),
    "crossed": ("mean", "sum"),
    "sum": ("sum", "sum"),
    "mean": ("mean", "mean"),
}
HELD_OUT = 0.05  # share of the corpus by which pretraining chooses its epoch


class Pretraining(Rates):
    """How ``mlm`` is trained; see :class:`boomlib.harness.network.Training`."""

    batch: int
    epochs: int
    clip: float | None


@dataclass(frozen=True)
class TokenStore:
    """Tokens of molecules.

    Attributes:
        tokens: of each spelling, int64; those of a molecule behind each other.
        spellings: of each molecule.
        padding: what fills up shorter texts of a batch.
    """

    tokens: Ragged
    spellings: int
    padding: int

    @classmethod
    def of(cls, tokens: Sequence[Sequence[np.ndarray]], padding: int) -> "TokenStore":
        """Of each molecule's spellings, int64 [tokens] each, as many of every molecule."""
        texts = [text for each in tokens for text in each]
        flat = torch.from_numpy(np.concatenate([np.empty(0, np.int64), *texts]))
        return cls(Ragged.of(flat, np.array([len(text) for text in texts])), len(tokens[0]) if tokens else 1, padding)

    def __len__(self) -> int:
        return len(self.tokens) // self.spellings

    @property
    def longest(self) -> np.ndarray:
        """Tokens of each molecule's longest spelling, int64 [molecules]."""
        return self.tokens.length.reshape(-1, self.spellings).max(axis=1)

    def take(self, rows: np.ndarray) -> "Texts":
        """A batch of the molecules at these positions."""
        texts = (np.asarray(rows)[:, None] * self.spellings + np.arange(self.spellings)).ravel()
        return Texts(self.tokens.pad(texts, self.padding), len(rows))

    def to(self, device: torch.device) -> "TokenStore":
        """The same on another device."""
        return replace(self, tokens=self.tokens.to(device))


class Texts(NamedTuple):
    """Molecules of similar length: tokens int64 [molecules · spellings, longest], and how many molecules."""

    tokens: Tensor
    molecules: int


class TokenReadOut(nn.Module):
    """A number of each token by its last hidden state, summed or averaged over a text; a molecule's texts averaged.

    Args:
        language_model: its head for masked tokens is not used.
        padding: id of the padding, which counts for nothing.
        read_out: ``sum`` or ``mean``.
    """

    def __init__(self, language_model: PreTrainedModel, padding: int, read_out: str) -> None:
        super().__init__()
        self.backbone, self.padding, self.read_out = language_model.base_model, padding, read_out
        width = language_model.config.hidden_size
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        # training starts from what the reference explains
        nn.init.zeros_(self.head[2].weight)
        nn.init.zeros_(self.head[2].bias)

    def forward(self, texts: Texts) -> Tensor:
        """Standardised residuals, [molecules]."""
        tokens = texts.tokens
        present = tokens != self.padding
        hidden = self.backbone(input_ids=tokens, attention_mask=present.long()).last_hidden_state
        # a sum over tokens does not bear bfloat16
        with torch.autocast(tokens.device.type, enabled=False):
            each = self.head(hidden.to(self.head[0].weight.dtype))[..., 0] * present
        read = each.sum(dim=1) if self.read_out == "sum" else each.sum(dim=1) / present.sum(dim=1)
        return read.view(texts.molecules, -1).mean(dim=1)


@contextmanager
def blaming(smiles: Sequence[str], spelled: Sequence[Sequence[str]]) -> Iterator[None]:
    """Let a :class:`MoleculeError` about spellings be about the molecules that are spelled so."""
    try:
        yield
    except MoleculeError as error:
        wrong = [text for text, texts in zip(smiles, spelled, strict=True) if not set(error.smiles).isdisjoint(texts)]
        raise MoleculeError(str(error), wrong) from error


class LanguageModel(NetworkModel):
    """A transformer that reads a molecule's SMILES, on labels without what the composition explains.

    Args:
        network: keys of the configuration of :attr:`language_model`, by transformers' names; a model lists its own.
        notation: ``smiles`` or ``selfies``.
        isomeric: whether the SMILES tell stereochemistry and isotopes.
        enumeration: 0: each molecule is read in its canonical spelling. k > 0: training reads another random spelling
            in each epoch, prediction averages over k.
        reference: see :class:`boomlib.harness.references.References`.
        read_out: over tokens: ``sum``, ``mean``, or ``kind``: a sum for an extensive property, a mean for an intensive
            one; ``crossed``: the other way round, for an ablation.
        pretrained: None, ``mlm``, or where a checkpoint is; the files themselves come as :attr:`checkpoint`. A
            checkpoint brings its own ``network`` and ``notation``.
        pretraining: see :class:`Pretraining`.
        training: see :class:`boomlib.harness.network.Training`.
    """

    language_model: ClassVar[type[PreTrainedModel]]
    """A class of transformers, with a head for masked tokens."""

    bfloat16 = True

    def __init__(
        self,
        *,
        network: dict,
        notation: Literal["smiles", "selfies"],
        isomeric: bool,
        enumeration: int,
        read_out: Literal["kind", "crossed", "sum", "mean"],
        pretrained: str | dict | None,
        pretraining: Pretraining,
        **common,
    ) -> None:
        super().__init__(**common)
        self.network_arguments, self.notation, self.isomeric = network, notation, isomeric
        self.enumeration, self.read_out = enumeration, READ_OUTS[read_out][self.kind == "intensive"]
        self.starts_from, self.pretraining = pretrained, pretraining

    # -- what a model adds -------------------------------------------------------------------------------

    def make_config(self, tokenizer: Tokenizer) -> PretrainedConfig:
        """Configuration of a language model from scratch."""
        first, last = tokenizer.id_of("cls_token"), tokenizer.id_of("sep_token")
        return self.language_model.config_class(
            vocab_size=tokenizer.size,
            pad_token_id=tokenizer.pad,
            bos_token_id=first,
            cls_token_id=first,
            eos_token_id=last,
            sep_token_id=last,
            **self.network_arguments,
        )

    def make_network(self, language_model: PreTrainedModel) -> nn.Module:
        """What is trained on labels: :class:`Texts` -> standardised residuals, [molecules]."""
        return TokenReadOut(language_model, self.tokenizer.pad, self.read_out)

    def longest(self, config: PretrainedConfig) -> int | None:
        """Tokens of the longest text that the network can read; None: any."""
        return None

    # -- texts -------------------------------------------------------------------------------------------

    def spell(self, smiles: Sequence[str], seed: int | None) -> list[list[str]]:
        """Spellings of each molecule: the canonical one, or with a seed ``enumeration`` random ones."""
        if seed is None:
            return [[canonical_smiles(text, self.isomeric)] for text in smiles]
        return draw_spellings(smiles, self.enumeration, seed, self.isomeric)

    def find_unreadable(self, molecules: Molecules) -> dict[int, str]:
        """Those that cannot be written in the notation; a token that the vocabulary lacks is an unknown one."""
        notation = self.notation if self.checkpoint is None else Tokenizer.load(self.checkpoint).notation
        return find_unwritable((texts[0] for texts in self.spell(molecules.smiles, None)), notation)

    def encode_smiles(self, smiles: Sequence[str], seed: int | None = None) -> list[list[np.ndarray]]:
        """Tokens of each spelling of each molecule, int64 [tokens] each.

        Raises:
            MoleculeError: a text is longer than the network can read, or has no tokens; the message names it.
        """
        spelled = self.spell(smiles, seed)
        with blaming(smiles, spelled):
            flat = iter(self.tokenizer.encode([text for texts in spelled for text in texts]))
        tokens = [[next(flat) for _ in texts] for texts in spelled]
        limit = self.longest(self.config)
        for text, each in zip(smiles, tokens, strict=True):
            if limit is not None and max(map(len, each)) > limit:
                raise MoleculeError(
                    f"SMILES {text}: {max(map(len, each))} tokens, but the network reads {limit} at most; raise "
                    "max_position_embeddings in the model's descriptor, or take a checkpoint with more positions",
                    [text],
                )
        return tokens

    def encode(self, molecules: Molecules) -> TokenStore:
        """Tokens of each molecule's spellings, which depend on the molecule and the run's seed alone."""
        tokens = self.encode_smiles(molecules.smiles, self.seed if self.enumeration else None)
        return TokenStore.of(tokens, self.tokenizer.pad)

    def collate(self, store: TokenStore, rows: np.ndarray) -> Texts:
        """Spellings below each other, padded."""
        return store.take(rows)

    def group(self, store: TokenStore, batch: int) -> list[np.ndarray]:
        """Rows of batches without gradients, by the length of a molecule's longest spelling."""
        return sort_into_batches(store.longest, batch)

    def plan_epochs(self, train: Molecules) -> Callable[[int], tuple[TokenStore, list[np.ndarray]]]:
        """Batches of similar length; with ``enumeration`` each epoch reads another spelling of each molecule."""
        canonical = TokenStore.of(self.encode_smiles(train.smiles), self.tokenizer.pad)
        length, store = canonical.longest, None if self.enumeration else place(canonical)

        def plan(epoch: int) -> tuple[TokenStore, list[np.ndarray]]:
            rows = draw_batches(length, self.training["batch"], np.random.default_rng([self.seed, epoch]))
            return place(self.respell(train.smiles, epoch)) if store is None else store, rows

        return plan

    def respell(self, smiles: Sequence[str], epoch: int) -> TokenStore:
        """Tokens of one random spelling of each molecule, another one in each epoch."""
        tokens = self.encode_smiles(smiles, epoch_seed(self.seed, epoch))
        return TokenStore.of([texts[:1] for texts in tokens], self.tokenizer.pad)

    # -- pretraining -------------------------------------------------------------------------------------

    def pretrain(self, smiles: Sequence[str], folder: Path, source: str) -> None:
        """Train a language model to tell masked tokens, from scratch, and leave it as a checkpoint.

        Args:
            smiles: the corpus; 5 % of it, drawn by the seed, choose the epoch.
            folder: the checkpoint; history and a killed training's state go there too.
            source: what the leaderboard says of it.

        Raises:
            ContractError: the corpus has a single molecule.
        """
        if len(smiles) < 2:
            raise ContractError(
                f"the corpus has {len(smiles)} molecule, but pretraining needs one to train on and another to choose "
                "its epoch by; add datasets to `corpus:` of the config"
            )
        torch.set_num_threads(self.threads)
        language_model, given = self.start_from_scratch(smiles), self.pretraining
        drawn = np.random.default_rng(self.seed).permutation(len(smiles))
        held_out, shown = np.split(drawn, [max(1, round(HELD_OUT * len(smiles)))])
        store = place(TokenStore.of(self.encode_smiles(smiles), self.tokenizer.pad))
        length = store.longest

        def batches(epoch: int) -> Batches:
            rows = draw_batches(length[shown], given["batch"], np.random.default_rng([self.seed, epoch]))
            texts = place(self.respell(smiles, epoch)) if self.enumeration else store
            return Batches(rows, lambda each: texts.take(shown[each]).tokens)

        steps = given["epochs"] * len(batches(0))
        fit_module(
            MaskedTokens(
                language_model, lambda network: make_adamw(network.parameters(), given, steps), self.tokenizer
            ),
            batches,
            lambda: Batches(
                sort_into_batches(length[held_out], given["batch"]), lambda each: store.take(held_out[each]).tokens
            ),
            folder,
            epochs=given["epochs"],
            seed=self.seed,
            clip=given["clip"],
            monitor="valid_loss",
            bfloat16=True,
        )
        write_checkpoint(folder, language_model, self.tokenizer, source)

    def start_from_scratch(self, smiles: Sequence[str]) -> PreTrainedModel:
        """A language model with the run's initial weights, over the tokens of these molecules."""
        spelled = self.spell(smiles, None)
        if self.enumeration:
            spelled = [[*texts, *more] for texts, more in zip(spelled, self.spell(smiles, self.seed), strict=True)]
        texts = [text for texts in spelled for text in texts]
        with blaming(smiles, spelled):
            if self.notation == "selfies":
                texts = [to_selfies(text) for text in texts]
            self.tokenizer = Tokenizer.fit(texts, self.notation)
        self.config = self.make_config(self.tokenizer)
        torch.manual_seed(self.seed)
        return self.language_model(self.config)

    def start_from_checkpoint(self) -> PreTrainedModel:
        """The language model in :attr:`checkpoint`.

        Raises:
            ContractError: the descriptor asks for a checkpoint and there is none: training never starts from scratch
                instead. See also :func:`boomlib.text.checkpoints.load_checkpoint`.
        """
        if self.checkpoint is None:
            raise ContractError(
                f"the descriptor says `pretrained: {self.starts_from}`, but no checkpoint came with it; "
                "run the model by the workflow, which makes or fetches it"
            )
        model, self.tokenizer, source = load_checkpoint(self.checkpoint, self.language_model)
        self.config, self.facts = model.config, {"pretrained": source}
        return model

    def start(self, train: Molecules) -> nn.Module:
        """The language model that training starts from, with a read-out."""
        self.facts = {"pretrained": None}
        language_model = (
            self.start_from_scratch(train.smiles) if self.starts_from is None else self.start_from_checkpoint()
        )
        torch.manual_seed(self.seed)
        return self.make_network(language_model).train()  # transformers hands over checkpoints ready for prediction

    def save_start(self, folder: Path) -> None:
        """Write configuration and tokenizer."""
        self.config.save_pretrained(folder)
        self.tokenizer.save(folder)

    def load_start(self, folder: Path) -> nn.Module:
        """Read them."""
        self.config = self.language_model.config_class.from_pretrained(folder)
        self.tokenizer = Tokenizer.load(folder)
        return self.make_network(self.language_model(self.config))
