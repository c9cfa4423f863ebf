"""MolFormer: a masked language model of SMILES with rotary positions and linear attention.

Ross et al., Nat. Mach. Intell. 4, 1256 (2022), arXiv 2106.09553. Positions are RoFormer's (Su et al., arXiv
2104.09864), attention is Katharopoulos et al.'s (ICML 2020, arXiv 2006.16236) with the generalised random features of
Choromanski et al. (ICLR 2021, arXiv 2009.14794, sections 2.2 and 2.4). Configuration and names of weights are those of
``ibm/MoLFormer-XL-both-10pct`` on the hub, so that its ``config.json`` and ``model.safetensors`` can be read as they
are; entries of the former that no one here reads (``max_position_embeddings``, a classifier's) are carried along. One
thing differs from IBM's code: evaluation keeps the random features that were drawn last, whatever
``deterministic_eval`` says. It is false in IBM's file, and there the same molecule gets another answer each time.
"""

from typing import ClassVar, NotRequired, TypedDict

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput

from boomlib.models.language.language_model import LanguageModel

ROTARY_BASE = 10_000.0  # Su et al., section 3.2.2


@strict
class MolformerConfig(PretrainedConfig):
    """Sizes and rates, with IBM's names and defaults.

    Args:
        vocab_size: number of tokens.
        hidden_size: features of a token.
        num_hidden_layers: layers.
        num_attention_heads: attention heads; features of a token come in as many parts of even size.
        intermediate_size: width of the feed-forward networks.
        hidden_act: their activation, by its name in transformers.
        hidden_dropout_prob: dropout after attention and feed-forward networks.
        embedding_dropout_prob: dropout of the embedded tokens.
        initializer_range: standard deviation of new weights.
        layer_norm_eps: added to the variance in layer norms.
        linear_attention_eps: least sum of attention that a token's weights are divided by.
        num_random_features: random features of a query or key.
        feature_map_kernel: activation that makes them, by its name in transformers.
        pad_token_id: id of padding.
        bos_token_id: id of the first token.
        eos_token_id: id of the last token.
        tie_word_embeddings: whether tokens are embedded and predicted with the same weights.

    Raises:
        huggingface_hub.errors.StrictDataclassError: a value of another type, or heads that do not divide the features
            of a token into parts of even size.
    """

    model_type = "molformer"

    vocab_size: int = 2362
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 768
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.1
    embedding_dropout_prob: float | int = 0.2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    linear_attention_eps: float = 1e-6
    num_random_features: int = 32
    feature_map_kernel: str = "relu"
    pad_token_id: int = 2
    bos_token_id: int | None = 0
    eos_token_id: int | None = 1
    tie_word_embeddings: bool = True

    def validate_architecture(self) -> None:
        """Called by transformers after construction."""
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of 2 · num_attention_heads "
                f"({self.num_attention_heads}): rotary positions turn pairs of features of a head"
            )


def rotation(tokens: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles by which positions turn pairs of features (Su et al., eq. 15).

    Args:
        tokens: number of positions, from 0.
        width: features of a head.
        like: gives precision and device.

    Returns:
        Both [tokens, width / 2].
    """
    pairs = torch.arange(0, width, 2, dtype=like.dtype, device=like.device)
    positions = torch.arange(tokens, dtype=like.dtype, device=like.device)
    angles = torch.outer(positions, ROTARY_BASE ** (-pairs / width))
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn features i and i + width / 2 by the i-th angle of their token, [..., tokens, width] -> the same shape.

    Su et al., eq. 34, but for which features make a pair: IBM's are half a head apart.
    """
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class RandomFeatures(nn.Module):
    """φ(x) = f(x W), W drawn anew at each call in training and kept in evaluation.

    Columns of W are orthogonal, in blocks of as many as rows, and as long as standard normal vectors. They are drawn
    from torch's own generator. W is saved and loaded with the weights.

    Args:
        width: features of a head.
        features: random features.
        kernel: f, by its name in transformers.
    """

    def __init__(self, width: int, features: int, kernel: str) -> None:
        super().__init__()
        self.kernel = ACT2FN[kernel]
        self.register_buffer("weight", torch.empty(width, features))

    def draw(self) -> Tensor:
        """A new W, [width, features]."""
        width, features = self.weight.shape
        blocks = []
        for _ in range(0, features, width):
            normal = torch.randn(width, width, dtype=self.weight.dtype, device=self.weight.device)
            # the signs stay as QR leaves them: IBM's weights were trained so
            blocks.append(torch.linalg.qr(normal).Q * torch.linalg.vector_norm(normal, dim=1))
        return torch.cat(blocks, dim=1)[:, :features]

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Both with the same W, [..., width] -> [..., features]."""
        if self.training:
            self.weight = self.draw()  # not in place: an earlier call may still need its own for the gradient
        return self.kernel(query @ self.weight), self.kernel(key @ self.weight)


class LinearAttention(nn.Module):
    """Attention in time linear in the number of tokens.

    ::

        a_m = Σ_n φ(R_m q_m)·φ(R_n k_n) v_n / Σ_n φ(R_m q_m)·φ(R_n k_n)

    R_m turns by position m. Turning comes before the random features, as published (RoFormer does it after), so that
    R_m q_m·R_n k_n depends on m - n alone, but the weight of attention for one W does not.
    """

    def __init__(self, config: MolformerConfig) -> None:
        super().__init__()
        self.heads, self.eps = config.num_attention_heads, config.linear_attention_eps
        width = config.hidden_size
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.feature_map = RandomFeatures(width // self.heads, config.num_random_features, config.feature_map_kernel)

    def forward(self, hidden: Tensor, real: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """What each token gathers from the real ones.

        Args:
            hidden: [batch, tokens, width].
            real: 1 for a token, 0 for padding, [batch, tokens], any type.
            cosine: see :func:`rotation`.
            sine: likewise.

        Returns:
            [batch, tokens, width].
        """
        query, key, value = (
            project(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [batch, heads, tokens, width / heads]
            for project in (self.query, self.key, self.value)
        )
        query, key = self.feature_map(rotate(query, cosine, sine), rotate(key, cosine, sine))
        key = key * real[:, None, :, None].to(key.dtype)
        gathered = query @ (key.transpose(-1, -2) @ value)
        total = query @ key.sum(dim=-2).unsqueeze(-1)
        return (gathered / total.clamp(min=self.eps)).transpose(1, 2).flatten(-2)


class AddAndNorm(nn.Module):
    """LayerNorm(x + Dropout(W y + b)): how a sub-layer's output y joins its input x.

    Args:
        config: of the model.
        width: features of y.
    """

    def __init__(self, config: MolformerConfig, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """[batch, tokens, width] and [batch, tokens, hidden_size] -> [batch, tokens, hidden_size]."""
        return self.LayerNorm(x + self.dropout(self.dense(y)))


class Layer(nn.Module):
    """Attention, then a feed-forward network."""

    def __init__(self, config: MolformerConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.attention = nn.ModuleDict({"self": LinearAttention(config), "output": AddAndNorm(config, width)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.activation = ACT2FN[config.hidden_act]
        self.output = AddAndNorm(config, inner)

    def forward(self, hidden: Tensor, real: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Arguments and shapes as in :class:`LinearAttention`."""
        gathered = self.attention["self"](hidden, real, cosine, sine)
        hidden = self.attention["output"](gathered, hidden)
        return self.output(self.activation(self.intermediate["dense"](hidden)), hidden)


class MolformerPreTrainedModel(PreTrainedModel):
    """What the models have in common: configuration, names and first weights."""

    config_class = MolformerConfig
    base_model_prefix = "molformer"

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, RandomFeatures):
            init.copy_(module.weight, module.draw())


class MolformerModel(MolformerPreTrainedModel):
    """Embedded tokens, layers and a layer norm.

    Args:
        config: sizes and rates.
    """

    def __init__(self, config: MolformerConfig) -> None:
        super().__init__(config)
        words = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.embeddings = nn.ModuleDict({"word_embeddings": words})
        self.dropout = nn.Dropout(config.embedding_dropout_prob)
        layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> BaseModelOutput:
        """Tokens in context.

        Args:
            input_ids: [batch, tokens], int64. Positions count from the first column, so padding goes last.
            attention_mask: 1 for a token, 0 for padding, [batch, tokens]; padding changes no token's features.

        Returns:
            ``last_hidden_state`` is [batch, tokens, hidden_size].
        """
        hidden = self.dropout(self.embeddings["word_embeddings"](input_ids))
        width = self.config.hidden_size // self.config.num_attention_heads
        cosine, sine = rotation(input_ids.shape[1], width, like=hidden)
        for layer in self.encoder["layer"]:
            hidden = layer(hidden, attention_mask, cosine, sine)
        return BaseModelOutput(last_hidden_state=self.LayerNorm(hidden))


class MolformerForMaskedLM(MolformerPreTrainedModel):
    """The model with a head that says which token was masked.

    Args:
        config: sizes and rates.
    """

    _tied_weights_keys: ClassVar = {"lm_head.decoder.weight": "molformer.embeddings.word_embeddings.weight"}

    def __init__(self, config: MolformerConfig) -> None:
        super().__init__(config)
        self.molformer = MolformerModel(config)
        width = config.hidden_size
        norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        transform = nn.ModuleDict({"dense": nn.Linear(width, width), "LayerNorm": norm})
        decoder = nn.Linear(width, config.vocab_size, bias=False)
        self.lm_head = nn.ModuleDict({"transform": transform, "decoder": decoder})
        self.activation = ACT2FN[config.hidden_act]
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> MaskedLMOutput:
        """Arguments as in :class:`MolformerModel`; ``logits`` is [batch, tokens, vocab_size]."""
        hidden = self.molformer(input_ids, attention_mask).last_hidden_state
        transform = self.lm_head["transform"]
        hidden = transform["LayerNorm"](self.activation(transform["dense"](hidden)))
        return MaskedLMOutput(logits=self.lm_head["decoder"](hidden))


class MolformerSettings(TypedDict):
    """Keys of :class:`MolformerConfig`, whose defaults hold for what is not given."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    num_random_features: NotRequired[int]
    feature_map_kernel: NotRequired[str]
    hidden_act: NotRequired[str]
    hidden_dropout_prob: NotRequired[float]
    embedding_dropout_prob: NotRequired[float]
    initializer_range: NotRequired[float]
    tie_word_embeddings: NotRequired[bool]


class MolFormer(LanguageModel):
    """MolFormer from scratch, after pretraining, or with IBM's weights.

    Args:
        network: see :class:`MolformerSettings`.
    """

    language_model = MolformerForMaskedLM

    def __init__(self, *, network: MolformerSettings, **common) -> None:
        super().__init__(network=network, **common)
