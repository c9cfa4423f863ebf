"""Property models behind one interface (:mod:`boomlib.models.base`), one file or folder a model.

A model is registered by its descriptor ``config/models/{model}.yaml``, which names its class.
"""
