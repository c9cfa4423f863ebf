"""Models on design matrices."""
