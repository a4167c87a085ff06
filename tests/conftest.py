"""One deterministic hypothesis profile for the whole suite, and one thread: the matrices are small."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports a matrix library
os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")  # a core each has been given to the processes of the tests
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["HF_HUB_OFFLINE"] = "1"  # no test waits for a network

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "modtrans", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("modtrans")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)  # the longest first, others beside them
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked:
        import torch

        if not torch.cuda.is_available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))
