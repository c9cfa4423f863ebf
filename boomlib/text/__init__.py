"""Molecules as text: spellings, tokens, and the checkpoints that language models start from."""
