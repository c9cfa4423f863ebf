"""Tables of all runs -> Markdown and figures; reads files and computes no metric."""
