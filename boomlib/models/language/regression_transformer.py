"""Regression Transformer (Born & Manica, Nat. Mach. Intell. 5, 432, 2023, 10.1038/s42256-023-00639-z).

A property's value is written in tokens, one a digit and its place, before the SELFIES of the molecule; XLNet tells
them. Ours: the value is a standardised residual, with a sign and two digits before the point, so that values beyond
those of train can be told as well; and its digits are told one after the other, the first ones being shown, instead of
all at once, so that 1.999 and 2.000 do not mix; what is not told yet has a token of its own at each place.
"""

from typing import NotRequired, TypedDict

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel, XLNetLMHeadModel

from boomlib.files import ContractError
from boomlib.harness.interface import Molecules, Prediction
from boomlib.harness.network import Training
from boomlib.harness.ragged import send
from boomlib.models.language.language_model import LanguageModel, Texts
from boomlib.text.tokens import Tokenizer

PLACES = (1, 0, -1, -2, -3)  # powers of ten of the digits
SIGNS = (1, -1)
LENGTH = 1 + len(PLACES)  # a value is a sign and its digits
# ids of values: which property it is, what is not told yet at each place, a sign, ten digits of each place
PROPERTY, FIRST_UNTOLD = 0, 1
FIRST_SIGN = FIRST_UNTOLD + LENGTH
FIRST_DIGIT = FIRST_SIGN + len(SIGNS)
TOKENS = FIRST_DIGIT + 10 * len(PLACES)
# ids that may stand at each place: from, to
CHOICES = ((FIRST_SIGN, FIRST_DIGIT), *((FIRST_DIGIT + 10 * k, FIRST_DIGIT + 10 * k + 10) for k in range(len(PLACES))))
SMALLEST = 10.0 ** PLACES[-1]
LARGEST = 10.0 ** (PLACES[0] + 1) - SMALLEST


def write_value(z: Tensor) -> Tensor:
    """Values [n] -> their tokens, int64 [n, 6], counted from 0: a sign and the digits of |z|, at most 99.999."""
    units = (z.abs().double().clamp(max=LARGEST) / SMALLEST).round().long()
    digits = [units // 10 ** (place - PLACES[-1]) % 10 + FIRST_DIGIT + 10 * k for k, place in enumerate(PLACES)]
    return torch.stack([(z < 0).long() + FIRST_SIGN, *digits], dim=1)


def read_value(tokens: Tensor) -> Tensor:
    """Tokens int64 [n, 6], as :func:`write_value` makes them -> values, float64 [n]."""
    powers = torch.tensor([10.0**place for place in PLACES], dtype=torch.float64, device=tokens.device)
    size = ((tokens[:, 1:] - FIRST_DIGIT) % 10 * powers).sum(dim=1)
    return torch.where(tokens[:, 0] == FIRST_SIGN, size, -size)


def numerical_encodings(width: int) -> Tensor:
    """Encoding of each token of a value, float32 [59, width]: (−1)^j · v · 10^p / (j + 1), 0 of what is no digit.

    Born & Manica's float encoding, divided by the largest v · 10^p.
    """
    value = torch.cat([torch.zeros(FIRST_DIGIT), *(torch.arange(10) * 10.0**place for place in PLACES)])
    column = torch.arange(width)
    return (value / value.max())[:, None] * (1 - 2 * (column % 2)) / (column + 1)


class ValueTokens(nn.Module):
    """Tells the value of a molecule digit by digit.

    Args:
        language_model: XLNet whose last :data:`TOKENS` ids are those of values.
        padding: id of the padding.
    """

    def __init__(self, language_model: PreTrainedModel, padding: int) -> None:
        super().__init__()
        self.language_model, self.padding = language_model, padding
        self.first = language_model.config.vocab_size - TOKENS
        encodings = numerical_encodings(language_model.config.d_model)
        self.register_buffer("encodings", torch.cat([torch.zeros(self.first, encodings.shape[1]), encodings]))
        self.unparsed = 0
        """Values read so far of which some digit would not have been one, had any token been allowed."""

    def logits(self, value: Tensor, tokens: Tensor) -> Tensor:
        """Scores of every id at the places of a value, [texts, 6, ids].

        Args:
            value: ids of a sign and digits, or of what is not told, [texts, 6].
            tokens: ids of texts, [texts, longest].
        """
        name = torch.full_like(tokens[:, :1], self.first + PROPERTY)
        ids = torch.cat([name, value, tokens], dim=1)
        embedded = self.language_model.get_input_embeddings()(ids) + self.encodings[ids]
        present = (ids != self.padding).to(embedded.dtype)
        hidden = self.language_model.base_model(inputs_embeds=embedded, attention_mask=present).last_hidden_state
        return self.language_model.get_output_embeddings()(hidden[:, 1 : 1 + LENGTH])

    def untold(self, like: Tensor) -> Tensor:
        """Ids of a value of which nothing is told, int64 [6], on the device of ``like``."""
        return self.first + FIRST_UNTOLD + torch.arange(LENGTH, device=like.device)

    def losses(self, texts: Texts, z: Tensor) -> Tensor:
        """Mean cross entropy of the tokens that are not shown, after a random number of shown ones, [molecules]."""
        value = self.first + write_value(z)
        place = torch.arange(LENGTH, device=value.device)
        told = place >= send(torch.randint(LENGTH, (len(value), 1), device="cpu"), value.device)
        logits = self.logits(torch.where(told, self.untold(value), value), texts.tokens)
        entropy = nn.functional.cross_entropy(logits.flatten(0, 1).float(), value.flatten(), reduction="none")
        return (entropy.view_as(value) * told).sum(dim=1) / told.sum(dim=1)

    def forward(self, texts: Texts) -> Tensor:
        """Standardised residuals [molecules], the likeliest digit at each place; a molecule's texts averaged."""
        tokens = texts.tokens
        value = self.untold(tokens).repeat(len(tokens), 1)
        parsed = torch.ones(len(tokens), dtype=torch.bool, device=tokens.device)
        for place in range(LENGTH):
            logits = self.logits(value, tokens)[:, place]
            begin, end = CHOICES[place]
            value[:, place] = self.first + begin + logits[:, self.first + begin : self.first + end].argmax(dim=1)
            parsed &= logits.argmax(dim=1) == value[:, place]
        self.unparsed += int((~parsed).sum())
        read = read_value(value - self.first).to(self.encodings.dtype)
        return read.view(texts.molecules, -1).mean(dim=1)


class XLNetSettings(TypedDict):
    """Keys of transformers' XLNetConfig, whose defaults hold for what is not given."""

    d_model: int
    n_layer: int
    n_head: int
    d_inner: int
    dropout: NotRequired[float]
    ff_activation: NotRequired[str]
    initializer_range: NotRequired[float]


class RegressionTransformer(LanguageModel):
    """XLNet on SELFIES; ``facts`` count the values that did not parse.

    Args:
        network: see :class:`XLNetSettings`.
        training: see :class:`boomlib.harness.network.Training`; what is trained is no answer that could be compiled.
    """

    language_model = XLNetLMHeadModel

    def __init__(self, *, network: XLNetSettings, training: Training, **common) -> None:
        super().__init__(network=network, training=training, read_out="kind", **common)

    def make_config(self, tokenizer: Tokenizer) -> PretrainedConfig:
        """XLNet with the ids of values behind those of texts."""
        config = super().make_config(tokenizer)
        config.vocab_size += TOKENS
        return config

    def make_network(self, language_model: PreTrainedModel) -> nn.Module:
        """The language model is kept whole: its head tells the digits.

        Raises:
            ContractError: a checkpoint without ids for values.
        """
        if language_model.config.vocab_size != self.tokenizer.size + TOKENS:
            raise ContractError(
                f"{self.checkpoint}: vocab_size is {language_model.config.vocab_size}, not the "
                f"tokenizer's {self.tokenizer.size} and {TOKENS} for values; take a checkpoint of this pipeline"
            )
        return ValueTokens(language_model, self.tokenizer.pad)

    def losses(self, network: ValueTokens, x: Texts, z: Tensor) -> Tensor:
        """Those of :class:`ValueTokens`."""
        return network.losses(x, z)

    def predict(self, molecules: Molecules) -> Prediction:
        """Composition's part plus the value that is read."""
        self.network.unparsed = 0
        prediction = super().predict(molecules)
        self.facts = self.facts | {"unparsed": self.network.unparsed}
        print(f"{self.network.unparsed} of {len(molecules)} values did not parse: their likeliest digits were taken")
        return prediction
