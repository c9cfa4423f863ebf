"""Molecules -> feature tables; one module a feature, each with a function ``compute(smiles) -> columns``."""
