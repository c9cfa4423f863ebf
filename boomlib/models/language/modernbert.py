"""ModernBERT (Warner et al., arXiv 2412.13663) on SMILES: rotary positions, attention local in two of three layers."""

from typing import NotRequired, TypedDict

from transformers import ModernBertForMaskedLM

from boomlib.models.language.language_model import LanguageModel


class ModernBertSettings(TypedDict):
    """Keys of transformers' ModernBertConfig, whose defaults hold for what is not given."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    initializer_range: NotRequired[float]
    attention_dropout: NotRequired[float]
    embedding_dropout: NotRequired[float]
    mlp_dropout: NotRequired[float]
    local_attention: NotRequired[int]
    global_attn_every_n_layers: NotRequired[int]
    tie_word_embeddings: NotRequired[bool]


class ModernBERT(LanguageModel):
    """ModernBERT of transformers.

    Args:
        network: see :class:`ModernBertSettings`.
    """

    language_model = ModernBertForMaskedLM

    def __init__(self, *, network: ModernBertSettings, **common) -> None:
        super().__init__(network=network, **common)
