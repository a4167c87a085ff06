"""One deterministic hypothesis profile for the whole suite."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "modtrans", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("modtrans")
os.environ.setdefault("MPLBACKEND", "Agg")
