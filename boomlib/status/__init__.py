"""How far a configuration is: what is done, running, failed or pending, and what is left."""

NEUTRAL = "tells how far runs are"
