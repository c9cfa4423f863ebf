"""Files of molecules -> predictions of kept models, with intervals and flags; in parts, and each molecule once."""
