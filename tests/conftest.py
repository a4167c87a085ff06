"""One deterministic hypothesis profile for the whole suite, and one thread: the matrices are small."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports a matrix library
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test waits for a network

from hypothesis import HealthCheck, settings

settings.register_profile(
    "modtrans", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("modtrans")
