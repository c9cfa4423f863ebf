"""boomlib: the library behind the BOOM benchmark of out-of-distribution property prediction.

Data flows downhill: ``datasets`` -> ``features`` -> ``splits`` -> ``models`` -> ``evaluation`` -> ``report``.
The files that pass between those stages are defined in :mod:`boomlib.contracts`.
"""

from boomlib.version import VERSION

__version__ = VERSION
