"""One argument spoilt in each call that the examples of the theory's docstrings make.

The answer is finite and comes without a warning, or one line names an argument and says what is needed. The same
numbers in another form, such as a list, a tensor or a view, give the same answer. No argument is written to.
"""

import copy
import doctest
import functools
import importlib
import inspect
import pkgutil
import re
import warnings

import numpy as np
import pytest
import torch

from analysis import theory

MODULES = [module.name for module in pkgutil.iter_modules(theory.__path__) if module.name != "words"]  # of floats alone
NUMBERS = [np.nan, np.inf, -np.inf, 1e300, -1e300, 1e20, 1e-20, 1e-320, -1.0, -0.0, 0.0, 0.5, 1 - 2**-53, 1.0, 2, 10**6]
ONE_LINE = re.compile(r"[a-z][\w .,()-]*: .* (is|are) needed.*")


def same(numbers):
    """The same numbers in other forms."""
    yield from (numbers.astype(numbers.dtype.newbyteorder()), torch.tensor(numbers), np.ma.array(numbers), numbers[()])
    yield numbers.tolist()
    if numbers.ndim:
        yield from (np.asfortranarray(numbers), np.repeat(numbers, 2, axis=0)[::2], numbers[::-1].copy()[::-1])


def spoilt(numbers):
    """Other numbers, and other shapes."""
    for number in NUMBERS:
        yield np.where(np.arange(numbers.size).reshape(numbers.shape) == 0, number, numbers)
    yield from (np.zeros_like(numbers), numbers + 1j, numbers.astype(str), numbers[None], numbers[..., None])
    yield np.ma.array(numbers, mask=np.ones(numbers.shape, bool))
    if numbers.ndim:
        yield from (numbers[:0], numbers[:1], numbers[:-1], np.concatenate([numbers, numbers]), numbers[0])
    if numbers.ndim > 1:
        yield from (numbers[..., :0], numbers[..., :1])


def recorded(module):
    """The calls (function, its arguments by name) of the module's public functions that its examples make."""
    calls = []

    def recording(function):
        @functools.wraps(function)
        def worked(*arguments, **named):
            bound = inspect.signature(function).bind(*arguments, **named)
            bound.apply_defaults()
            if not any(map(callable, bound.arguments.values())):
                calls.append((function, copy.deepcopy(bound.arguments)))
            return function(*arguments, **named)

        return worked

    own = {
        name: recording(one)
        for name, one in vars(module).items()
        if inspect.isfunction(one) and one.__module__ == module.__name__ and not name.startswith("_")
    }
    for example in doctest.DocTestFinder().find(module, extraglobs={"np": np, **own}):
        doctest.DocTestRunner(verbose=False).run(example, out=lambda _: None)
    return calls


def called(function, arguments):
    """What a call says, and None if that is an answer; else what is wrong with its end, or "" if it is refused well."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return function(**arguments), None
        except ValueError as error:
            said = str(error)
            return None, "" if ONE_LINE.fullmatch(said) else said
        except Exception as error:
            return None, repr(error)


def leaves(answer):
    """The arrays and numbers of an answer, one after the other."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    elif hasattr(answer, "__dataclass_fields__"):
        answer = list(vars(answer).values())
    if isinstance(answer, list | tuple):
        return [leaf for one in answer for leaf in leaves(one)]
    return [np.asarray(answer)] if isinstance(answer, float | int | np.ndarray | np.generic) else []


def faults_of(function, arguments):
    """What a call does wrong with one of its arguments spoilt."""
    answer, _ = called(function, copy.deepcopy(arguments))
    known, told = leaves(answer), "NaN" in f"{function.__doc__}{type(answer).__doc__}"
    for which, given in arguments.items():
        if isinstance(given, str | bool) or np.asarray(given).dtype.kind not in "iuf" or not np.size(given):
            continue
        for alike, ones in ((True, same(np.asarray(given))), (False, spoilt(np.asarray(given)))):
            for one in ones:
                changed = {**copy.deepcopy(arguments), which: one}
                before = {name: value.copy() for name, value in changed.items() if isinstance(value, np.ndarray)}
                found, fault = called(function, changed)
                call = f"{function.__name__}({which}={one!r})"
                if fault or (alike and fault is not None):
                    yield f"{call}: {fault or 'refused'}"
                elif alike and not all(
                    np.allclose(*two, rtol=1e-6, equal_nan=True) for two in zip(known, leaves(found), strict=True)
                ):
                    yield f"{call}: {found!r}, not {answer!r}"
                if not told and any(np.isnan(leaf).any() for leaf in leaves(found) if leaf.dtype.kind == "f"):
                    yield f"{call}: NaN in {found!r}"
                if any(value.tobytes() != changed[name].tobytes() for name, value in before.items()):
                    yield f"{call}: writes to an argument"


def test_most_public_functions_have_an_example():
    modules = [importlib.import_module(f"{theory.__name__}.{name}") for name in MODULES]
    assert len({function for module in modules for function, _ in recorded(module)}) >= 60


@pytest.mark.parametrize("name", MODULES)
def test_a_spoilt_argument_is_refused_by_name_or_answered(name):
    calls = recorded(importlib.import_module(f"{theory.__name__}.{name}"))
    with np.printoptions(threshold=8, edgeitems=2, linewidth=1000):
        faults = {fault.replace("\n", "") for call in calls for fault in faults_of(*call)}
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(sorted(faults))
