"""Source files -> the molecules table; one module a reader, with a function ``read``."""
