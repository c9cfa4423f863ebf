"""Networks that read a molecule as text."""
