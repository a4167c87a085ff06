"""Axes-level figures: arrays in, `ax=None` accepted, the Axes returned."""

import os
from contextlib import suppress

from modtrans_core.checks import refuse

if os.environ.get("MPLBACKEND"):
    with suppress(ImportError):  # which is said where a figure is drawn
        try:
            import matplotlib  # noqa: F401
        except ValueError:
            refuse("MPLBACKEND", os.environ["MPLBACKEND"], "a backend of matplotlib, such as agg,")
