"""ChemBERTa (Chithrananda et al., arXiv 2010.09885): RoBERTa on SMILES."""

from transformers import RobertaConfig, RobertaForMaskedLM

from boomlib.models.language.language_model import LanguageModel


class ChemBERTa(LanguageModel):
    """RoBERTa: learned positions, of which there are as many as its configuration says."""

    language_model = RobertaForMaskedLM

    def longest(self, config: RobertaConfig) -> int:
        """Positions are counted from behind the padding's id."""
        return config.max_position_embeddings - config.pad_token_id - 1
