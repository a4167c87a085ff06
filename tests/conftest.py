"""One deterministic hypothesis profile for the whole suite, and one thread: the matrices are small."""

import os
import signal
import sys

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
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it
sys.modules["rfc3987_syntax"] = None  # seconds, in which jsonschema makes a grammar of addresses that no notebook has

LONGEST = (
    "test_paper.py", "test_poster_paper.py", "test_notebooks.py", "test_fuzz.py", "test_engines.py",
    "test_distributed.py", "test_wheel.py", "test_trial.py", "test_killed.py"
)  # fmt: skip
"""files that begin first, the others beside them: none of these is waited for at the end"""


@pytest.fixture(autouse=True)
def figures_end_with_their_test():
    """The next test's `plt.gca()` is not the axes that this one left."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked:
        import torch

        if not torch.cuda.is_available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason="needs a GPU"))
