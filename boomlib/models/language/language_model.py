"""What all language models share: spelling, tokens, pretraining, training, prediction. A model adds its network."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import joblib
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PretrainedConfig, PreTrainedModel

from boomlib.files import ContractError
from boomlib.harness.batches import epoch_batches, padded, sorted_batches
from boomlib.harness.design import element_counts
from boomlib.harness.interface import Model, Molecules, Prediction, write_epochs
from boomlib.harness.references import References
from boomlib.harness.training import Regression, fit_module
from boomlib.models.language.masked_tokens import MaskedTokens
from boomlib.text.checkpoints import load_checkpoint, write_checkpoint
from boomlib.text.spellings import canonical, enumerated
from boomlib.text.tokens import Tokenizer, to_selfies

READ_OUTS = {  # of extensive and of intensive properties
    "kind": ("sum", "mean"),
    "crossed": ("mean", "sum"),
    "sum": ("sum", "sum"),
    "mean": ("mean", "mean"),
}
HELD_OUT = 0.05  # share of the corpus by which pretraining chooses its epoch


class Batch(NamedTuple):
    """Molecules of similar length: tokens int64 [molecules · spellings, longest], labels float32 [molecules]."""

    tokens: Tensor
    z: Tensor


class TokenReadOut(nn.Module):
    """A number of each token by its last hidden state, summed or averaged over a text.

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

    def forward(self, tokens: Tensor) -> Tensor:
        """Standardised labels [texts] of tokens int64 [texts, longest]."""
        present = tokens != self.padding
        hidden = self.backbone(input_ids=tokens, attention_mask=present.long()).last_hidden_state
        # a sum over tokens does not bear bfloat16
        with torch.autocast(tokens.device.type, enabled=False):
            each = self.head(hidden.to(self.head[0].weight.dtype))[..., 0] * present
        return each.sum(dim=1) if self.read_out == "sum" else each.sum(dim=1) / present.sum(dim=1)

    def losses(self, batch: Batch) -> Tensor:
        """Squared errors, [molecules]."""
        return (self(batch.tokens) - batch.z).square()


class LanguageModel(Model):
    """A transformer that reads a molecule's SMILES, on labels without what the composition explains.

    Args:
        network: keys of the configuration of :attr:`language_model`, by transformers' names.
        notation: ``smiles`` or ``selfies``.
        isomeric: whether the SMILES tell stereochemistry and isotopes.
        enumeration: 0: each molecule is read in its canonical spelling. k > 0: training reads another random spelling
            in each epoch, prediction averages over k.
        reference: ``elements``, ``mean`` or ``none``, see :class:`boomlib.harness.references.References`.
        read_out: over tokens: ``sum``, ``mean``, or ``kind``: a sum for an extensive property, a mean for an intensive
            one; ``crossed``: the other way round, for an ablation.
        pretrained: None, ``mlm``, or where a checkpoint is; the files themselves come as :attr:`pretrained`. A
            checkpoint brings its own ``network`` and ``notation``.
        pretraining: ``batch``, ``epochs``, ``clip``, ``learning_rate``, ``weight_decay``, ``warm_up`` of ``mlm``.
        training: the same of the training on labels, and ``patience`` if it may end early.
    """

    language_model: ClassVar[type[PreTrainedModel]]
    """A class of transformers, with a head for masked tokens."""

    def __init__(
        self,
        *,
        network: dict,
        notation: str,
        isomeric: bool,
        enumeration: int,
        reference: str,
        read_out: str,
        pretrained: object,
        pretraining: dict,
        training: dict,
        **common,
    ) -> None:
        super().__init__(**common)
        self.network_arguments, self.notation, self.isomeric = network, notation, isomeric
        self.enumeration, self.references = enumeration, References(reference)
        self.read_out = READ_OUTS[read_out][self.kind == "intensive"]
        self.starts_from, self.pretraining, self.training = pretrained, pretraining, dict(training)
        self.batch, self.epochs, self.clip = (self.training.pop(name) for name in ("batch", "epochs", "clip"))
        self.patience = self.training.pop("patience", None)

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
        """What is trained on labels: tokens -> standardised labels, and ``losses`` of a :class:`Batch`."""
        return TokenReadOut(language_model, self.tokenizer.pad, self.read_out)

    def longest(self, config: PretrainedConfig) -> int | None:
        """Tokens of the longest text that the network can read; None: any."""
        return None

    # -- texts -------------------------------------------------------------------------------------------

    def spell(self, smiles: Sequence[str], seed: int | None) -> list[list[str]]:
        """Spellings of each molecule: the canonical one, or with a seed ``enumeration`` random ones."""
        if seed is None:
            return [[text] for text in canonical(smiles, self.isomeric)]
        return enumerated(smiles, self.enumeration, seed, self.isomeric)

    def encode(self, smiles: Sequence[str], seed: int | None = None) -> list[list[np.ndarray]]:
        """Tokens of each spelling of each molecule, int64 [tokens] each.

        Raises:
            ContractError: a text is longer than the network can read; the message names it.
        """
        spelled = self.spell(smiles, seed)
        flat = iter(self.tokenizer.encode([text for texts in spelled for text in texts]))
        tokens = [[next(flat) for _ in texts] for texts in spelled]
        limit = self.longest(self.config)
        for text, each in zip(smiles, tokens, strict=True):
            if limit is not None and max(map(len, each)) > limit:
                raise ContractError(
                    f"SMILES {text}: {max(map(len, each))} tokens, but the network reads {limit} at most; raise "
                    "max_position_embeddings in the model's descriptor, or take a checkpoint with more positions"
                )
        return tokens

    def encode_for_prediction(self, molecules: Molecules) -> list[list[np.ndarray]]:
        """Tokens of each molecule's spellings, which depend on the molecule and the run's seed alone."""
        return self.encode(molecules.smiles, self.seed if self.enumeration else None)

    def make_batches(self, tokens: list[list[np.ndarray]], z: np.ndarray, rows: list[np.ndarray]) -> list[Batch]:
        """Batches of the molecules at these positions."""
        z = torch.as_tensor(z, dtype=torch.float32)
        return [
            Batch(padded([each for row in part for each in tokens[row]], self.tokenizer.pad), z[part]) for part in rows
        ]

    # -- pretraining -------------------------------------------------------------------------------------

    def pretrain(self, smiles: Sequence[str], folder: Path, source: str) -> None:
        """Train a language model to tell masked tokens, from scratch, and leave it as a checkpoint.

        Args:
            smiles: the corpus; 5 % of it, drawn by the seed, choose the epoch.
            folder: the checkpoint; history and a killed training's state go there too.
            source: what the leaderboard says of it.
        """
        torch.set_num_threads(self.threads)
        language_model = self.start_from_scratch(smiles)
        settings = dict(self.pretraining)
        batch, epochs, clip = (settings.pop(name) for name in ("batch", "epochs", "clip"))
        drawn = np.random.default_rng(self.seed).permutation(len(smiles))
        held_out, shown = np.split(drawn, [max(1, round(HELD_OUT * len(smiles)))])
        tokens = [first for first, *_ in self.encode(smiles)]
        length = np.array([len(each) for each in tokens])
        module = MaskedTokens(language_model, self.tokenizer, steps=epochs * math.ceil(len(shown) / batch), **settings)

        def batches(epoch: int) -> DataLoader:
            rng = np.random.default_rng([self.seed, epoch])
            texts = tokens
            if self.enumeration:
                texts = [first for first, *_ in self.encode(smiles, epoch_seed(self.seed, epoch))]
            return pad([[texts[row] for row in shown[rows]] for rows in epoch_batches(length[shown], batch, rng)])

        def pad(parts: list[list[np.ndarray]]) -> DataLoader:
            return DataLoader([padded(part, self.tokenizer.pad) for part in parts], None)

        valid = pad([[tokens[row] for row in held_out[rows]] for rows in sorted_batches(length[held_out], batch)])
        fit_module(
            module, batches, lambda: valid, folder, epochs=epochs, seed=self.seed, clip=clip, monitor="valid_loss"
        )
        write_checkpoint(folder, language_model, self.tokenizer, source)

    def start_from_scratch(self, smiles: Sequence[str]) -> PreTrainedModel:
        """A language model with the run's initial weights, over the tokens of these molecules."""
        spelled = self.spell(smiles, None)
        if self.enumeration:
            spelled = [[*texts, *more] for texts, more in zip(spelled, self.spell(smiles, self.seed), strict=True)]
        texts = [text for texts in spelled for text in texts]
        if self.notation == "selfies":
            texts = [to_selfies(text) for text in texts]
        self.tokenizer = Tokenizer.fit(texts, self.notation)
        self.config = self.make_config(self.tokenizer)
        torch.manual_seed(self.seed)
        return self.language_model(self.config)

    def start_from_checkpoint(self) -> PreTrainedModel:
        """The language model in :attr:`pretrained`.

        Raises:
            ContractError: the descriptor asks for a checkpoint and there is none: training never starts from scratch
                instead. See also :func:`boomlib.text.checkpoints.load_checkpoint`.
        """
        if self.pretrained is None:
            raise ContractError(
                f"the descriptor says `pretrained: {self.starts_from}`, but no checkpoint came with it; "
                "run the model by the workflow, which makes or fetches it"
            )
        model, self.tokenizer, source = load_checkpoint(self.pretrained, self.language_model)
        self.config, self.facts = model.config, {"pretrained": source}
        return model

    # -- training and prediction -------------------------------------------------------------------------

    def composition(self, molecules: Molecules) -> np.ndarray:
        """Atoms of each element, or for an intensive property their fraction, float64 [molecules, elements]."""
        counts = element_counts(molecules)
        return counts if self.kind == "extensive" else counts / counts.sum(axis=1, keepdims=True)

    def fit(self, train: Molecules, valid: Molecules, folder: Path) -> None:
        """Train; ``epochs.parquet`` gets each epoch's predictions of the molecules in :attr:`unlabelled`."""
        torch.set_num_threads(self.threads)
        self.facts = {"pretrained": None}
        start = self.start_from_scratch(train.smiles) if self.starts_from is None else self.start_from_checkpoint()
        torch.manual_seed(self.seed)
        self.network = self.make_network(start).train()  # transformers hands over checkpoints ready for prediction
        self.references.fit(self.composition(train), train.y)
        z, z_valid = (self.references.transform(self.composition(part), part.y) for part in (train, valid))
        tokens = self.encode(train.smiles)
        length = np.array([len(each[0]) for each in tokens])
        valid_tokens, unlabelled = self.encode_for_prediction(valid), self.unlabelled or valid
        valid_batches = self.make_batches(valid_tokens, z_valid, by_length(valid_tokens, self.batch))
        valid_loader = DataLoader(valid_batches, None)
        followed = self.encode_for_prediction(unlabelled)
        composition = self.composition(unlabelled)

        def batches(epoch: int) -> DataLoader:
            rng = np.random.default_rng([self.seed, epoch])
            read = tokens
            if self.enumeration:
                spelled = self.encode(train.smiles, epoch_seed(self.seed, epoch))
                read = [texts[:1] for texts in spelled]
            return DataLoader(self.make_batches(read, z, epoch_batches(length, self.batch, rng)), None)

        module = Regression(
            self.network,
            self.network.losses,
            lambda batch: (self.average(batch.tokens, len(batch.z)) - batch.z).square(),
            spread=self.references.spread,
            steps=self.epochs * math.ceil(len(train) / self.batch),
            **self.training,
        )
        history = fit_module(
            module,
            batches,
            lambda: valid_loader,
            folder,
            epochs=self.epochs,
            seed=self.seed,
            clip=self.clip,
            follow=lambda: self.outcome(followed, composition),
            patience=self.patience,
        )
        write_epochs(folder, unlabelled.molecule_id, history)
        self.freeze()

    def average(self, tokens: Tensor, molecules: int) -> Tensor:
        """Mean over each molecule's spellings, [molecules], of tokens [molecules · spellings, longest]."""
        return self.network(tokens).view(molecules, -1).mean(dim=1)

    def freeze(self) -> None:
        """Ready the network for prediction, in double precision: what else is in a batch then changes nothing."""
        self.network.double().eval()

    @torch.no_grad()
    def outcome(self, tokens: list[list[np.ndarray]], composition: np.ndarray) -> np.ndarray:
        """The property by the network as it is, native units, float64 [molecules]."""
        device = next(self.network.parameters()).device
        z = np.empty(len(tokens))
        for rows in by_length(tokens, self.batch):
            (batch,) = self.make_batches(tokens, z, [rows])
            z[rows] = self.average(batch.tokens.to(device), len(rows)).double().cpu().numpy()
        return self.references.inverse(composition, z)

    def predict(self, molecules: Molecules) -> Prediction:
        """Composition's part plus the network's."""
        return Prediction(self.outcome(self.encode_for_prediction(molecules), self.composition(molecules)))

    def save(self, folder: Path) -> None:
        """Write configuration, tokenizer, weights and references (with joblib, a pickle: load only your own)."""
        self.config.save_pretrained(folder)
        self.tokenizer.save(folder)
        torch.save(self.network.state_dict(), folder / "weights.pt")
        joblib.dump(self.references, folder / "references.joblib")

    def load(self, folder: Path) -> None:
        """Read them."""
        self.config = self.language_model.config_class.from_pretrained(folder)
        self.tokenizer = Tokenizer.load(folder)
        self.references = joblib.load(folder / "references.joblib")
        self.network = self.make_network(self.language_model(self.config))
        self.network.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
        self.freeze()


def epoch_seed(seed: int, epoch: int) -> int:
    """Seed of an epoch's spellings, below 2^31 − 1."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0] >> 2)


def by_length(tokens: list[list[np.ndarray]], batch: int) -> list[np.ndarray]:
    """Batches for prediction: positions of molecules, by the length of their longest spelling."""
    return sorted_batches(np.array([max(map(len, texts)) for texts in tokens]), batch)
