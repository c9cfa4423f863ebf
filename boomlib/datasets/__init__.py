"""Source files -> the molecules table; one module a kind of dataset, each with a function ``read``."""
