"""Noise that belongs to a row: the same for a condition wherever it stands, whatever stands beside it.

The generator is counter-based: number e of a row is a function of (row, seed, e) alone, so that a batch draws all its
numbers at once, on its device, and keeps no state.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

BITS = 512
"""comparisons of two coordinates that a row is told apart by, at least one a coordinate"""
_WEYL = 0x9E3779B97F4A7C15 - 2**64  # the odd integer next to 2^64 over the golden ratio, as int64
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def keys(rows: Tensor) -> Tensor:
    """A 64-bit key (n,) of each row's direction.

    Bit r of a row c says whether c_i < w c_j, for fixed coordinates i, j and a fixed factor w > 0. Scaling a row by a
    positive number changes no comparison, rounding aside. The key is the sum, modulo 2^64, of one random integer for
    each bit that is set.

    Parameters
    ----------
    rows : (n, k), float32, on any device.
    """
    i, j, w, value = _comparisons(rows.shape[1], rows.device)
    return torch.where(rows[:, i] < w * rows[:, j], value, 0).sum(1)


def normal(key: Tensor, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Standard normal numbers (n, *shape), float32, row i a function of key i and the seed alone.

    Uniform numbers are the upper 23 bits of SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number
    generators", figure 14), started at the key; the inverse distribution function makes them normal.

    Parameters
    ----------
    key : (n,) int64, of `keys`.
    seed : another seed gives independent numbers.

    Examples
    --------
    >>> import torch
    >>> key = keys(torch.eye(3))
    >>> torch.equal(normal(key, (2, 5))[1:], normal(key[1:], (2, 5)))
    True
    """
    counter = torch.arange(1, math.prod(shape) + 1, device=key.device)
    start = _mixed(key ^ _mixed(torch.full_like(key, seed)))
    bits = _mixed(start[:, None] + counter * _WEYL)
    uniform = ((bits >> 41) & 0x7FFFFF).float().add_(0.5).mul_(2.0**-22).sub_(1)  # in (-1, 1), symmetric, exact
    return (math.sqrt(2) * torch.erfinv(uniform)).view(len(key), *shape)


@lru_cache
def _comparisons(k: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each bit: coordinates i and j, the factor w, and the integer that it adds to the key; the same everywhere."""
    rng, bits = np.random.default_rng(0), max(BITS, k)
    i = np.arange(bits) % k
    j = (i + rng.integers(1, max(k, 2), -(-bits // k)).repeat(k)[:bits]) % k  # each coordinate is a j as often as an i
    w = np.exp(rng.uniform(-1, 1, bits)).astype(np.float32)
    value = rng.integers(-(2**63), 2**63 - 1, bits, endpoint=True)
    first, second, factor, added = (torch.from_numpy(table).to(device) for table in (i, j, w, value))
    return first, second, factor, added


def _mixed(bits: Tensor) -> Tensor:
    """SplitMix64's output function: a bijection of int64 that changes half of all bits with every bit."""
    bits = (bits ^ _shifted(bits, 30)) * _MIX[0]
    bits = (bits ^ _shifted(bits, 27)) * _MIX[1]
    return bits ^ _shifted(bits, 31)


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Logical shift to the right: torch's own repeats the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
