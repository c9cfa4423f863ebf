"""ModernBERT (Warner et al., arXiv 2412.13663) on SMILES: rotary positions, attention local in two of three layers."""

from transformers import ModernBertForMaskedLM

from boomlib.models.language.language_model import LanguageModel


class ModernBERT(LanguageModel):
    """ModernBERT of transformers."""

    language_model = ModernBertForMaskedLM
