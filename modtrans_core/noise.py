"""Noise that belongs to a row: the same for a condition wherever it stands, whatever stands beside it.

The generator is counter-based: number e of a row is a function of (row, seed, e) alone, so that a batch draws all its
numbers at once, on its device, and keeps no state.

Rows of few dimensions share their noise: comparisons of coordinates tell few of their directions apart. Of 4,000 random
directions `keys` makes 520 keys in 2 dimensions, 1,220 in 3, 2,880 in 4, 3,997 in 6 and 4,000 in 8, by three seeds.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from modtrans_core.checks import refuse_unless

BITS = 512
"""comparisons of two coordinates that a row is told apart by, at least"""
_WEYL = 0x9E3779B97F4A7C15 - 2**64  # the odd integer next to 2^64 over the golden ratio, as int64
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def keys(rows: Tensor) -> Tensor:
    """A 64-bit key (n,) of each row's direction.

    A bit of a row c says whether c_i < w c_j, for fixed coordinates i and j and a fixed factor w > 0. Scaling a row by
    a positive number changes no comparison, rounding aside. The key is the sum, modulo 2^64, of one random integer for
    each bit that is set.

    Parameters
    ----------
    rows : (n, k), float32, on any device.
    """
    shifts, w, value = _comparisons(rows.shape[1], rows.device)
    other = torch.cat([rows.roll(shift, 1) for shift in shifts], dim=1)
    return torch.where(rows.repeat(1, len(shifts)) < w * other, value, 0).sum(1)


def normal(key: Tensor, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Standard normal numbers (n, *shape), float32, row i a function of key i and the seed alone.

    SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number generators", figure 14), started at the key,
    gives 64 bits at a time. The upper 23 of each half are a uniform number, and the inverse distribution function makes
    it normal.

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
    ok = isinstance(seed, int | np.integer) and -(2**63) <= seed < 2**63
    refuse_unless(ok, "seed", seed, "an integer of 64 bits")
    size = math.prod(shape)
    counter = torch.arange(1, (size + 1) // 2 + 1, device=key.device)
    start = _mixed(key ^ _mixed(torch.full_like(key, seed)))
    bits = _mixed(start[:, None] + counter * _WEYL)  # (n, size / 2)
    halves = torch.stack([bits >> 41, bits >> 9], dim=2).flatten(1)[:, :size]
    uniform = halves.bitwise_and_(0x7FFFFF).float().add_(0.5).mul_(2.0**-22).sub_(1)  # in (-1, 1), symmetric, exact
    return uniform.erfinv_().mul_(math.sqrt(2)).view(len(key), *shape)


@lru_cache
def _comparisons(k: int, device: torch.device) -> tuple[list[int], Tensor, Tensor]:
    """By how many places a row is rotated to be compared with itself, several times for a short one; and for each
    comparison the factor w and the integer that it adds to the key. The same everywhere, for one k."""
    rng, times = np.random.default_rng(0), -(-BITS // k)
    shifts = rng.integers(1, max(k, 2), times)
    w = np.exp(rng.uniform(-1, 1, times * k)).astype(np.float32)
    value = rng.integers(-(2**63), 2**63 - 1, times * k, endpoint=True)
    return shifts.tolist(), torch.from_numpy(w).to(device), torch.from_numpy(value).to(device)


def _mixed(bits: Tensor) -> Tensor:
    """SplitMix64's output function: a bijection of int64 that changes half of all bits with every bit."""
    bits = (bits ^ _shifted(bits, 30)).mul_(_MIX[0])
    bits = bits.bitwise_xor_(_shifted(bits, 27)).mul_(_MIX[1])
    return bits.bitwise_xor_(_shifted(bits, 31))


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Logical shift to the right: torch's own repeats the sign."""
    return (bits >> by).bitwise_and_((1 << (64 - by)) - 1)
