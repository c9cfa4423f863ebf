"""ChemBERTa (Chithrananda et al., arXiv 2010.09885): RoBERTa on SMILES."""

from typing import NotRequired, TypedDict

from transformers import RobertaConfig, RobertaForMaskedLM

from boomlib.models.language.language_model import LanguageModel


class RobertaSettings(TypedDict):
    """Keys of transformers' RobertaConfig, whose defaults hold for what is not given."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    hidden_act: NotRequired[str]
    hidden_dropout_prob: NotRequired[float]
    attention_probs_dropout_prob: NotRequired[float]
    initializer_range: NotRequired[float]
    layer_norm_eps: NotRequired[float]
    tie_word_embeddings: NotRequired[bool]


class ChemBERTa(LanguageModel):
    """RoBERTa: learned positions, of which there are as many as its configuration says.

    Args:
        network: see :class:`RobertaSettings`.
    """

    language_model = RobertaForMaskedLM

    def __init__(self, *, network: RobertaSettings, **common) -> None:
        super().__init__(network=network, **common)

    def longest(self, config: RobertaConfig) -> int:
        """Positions are counted from behind the padding's id."""
        return config.max_position_embeddings - config.pad_token_id - 1
