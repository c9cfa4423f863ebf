"""Molecules table -> folds; one module a scheme. Everything here is deterministic."""
