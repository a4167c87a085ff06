"""The examples in the theory's docstrings are true."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

from analysis import theory


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(theory.__path__)])
def test_every_example_is_true(name):
    module = importlib.import_module(f"{theory.__name__}.{name}")
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0
