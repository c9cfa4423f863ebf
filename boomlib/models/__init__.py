"""Property models behind one interface (:mod:`boomlib.harness.interface`), one folder a kind of model.

A model is registered by its descriptor ``config/models/{model}.yaml``, which names its class.
"""
