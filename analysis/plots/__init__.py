"""Axes-level figures: arrays in, `ax=None` accepted, the Axes returned."""
