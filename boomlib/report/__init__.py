"""Tables of all runs -> Markdown and figures; reads files and computes no metric."""

NEUTRAL = "shows numbers that are there"
