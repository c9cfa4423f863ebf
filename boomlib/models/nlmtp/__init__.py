"""NL-MTP: one transformer that predicts a property and what it would be on average under do: mass += δ.

Read in this order: ``encoder`` (molecules -> tensors), ``backbone`` (layers, mask, fast weights), ``network``
(sequence and heads), ``losses``, ``module`` (training), ``model`` (the benchmark's interface).
"""
