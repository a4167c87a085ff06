"""Fits the calibrated translator: several ridge regressions, and two mixtures of them.

Every regression is fitted to all pairs. What is chosen, the mixtures, the expected cosine and the law of the residual,
is chosen by what the regressions say of conditions that were left out, a fold of whole groups at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from modtrans_core import distributed
from modtrans_core.calibrated import network, stack
from modtrans_core.calibrated.held import Held, labels
from modtrans_core.calibrated.model import CalibratedConfig, CalibratedTranslator, expected_length
from modtrans_core.calibrated.regression import (
    LINEAR,
    RADIAL,
    Basis,
    Regression,
    kernel_ridge,
    left_out,
    squared_distances,
)
from modtrans_core.calibrated.residual import residual_root
from modtrans_core.linear import gram
from modtrans_core.pairing import Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts
from modtrans_core.ranking import Known, chosen
from modtrans_core.run import Run
from modtrans_core.vectors import unit

SPACED = 2048
"""landmarks, at most, between which the median squared distance is taken"""
SAME = 1e-12
"""squared distance up to which two unit conditions, float32, are the same"""
COSINE_GIVEN_UP = 0.002
"""cosine that `balanced` gives up, at most"""
SHARES = 41
"""points between the best cosine and the best ranking that `balanced` looks at"""
ENOUGH = 100
"""conditions left out from which on the expected cosine is fitted to them"""
BANK = 2048
"""queries, at most, that rankings are corrected by"""
PASSES = len(RADIAL) + 3
"""steps that `fit` reports"""


def fit(
    pairing: Pairing,
    validation: Pairing | None,
    facts: Facts,
    config: CalibratedConfig,
    device: torch.device,
    run: Run | None = None,
    report: Progress = silent,
) -> CalibratedTranslator:
    """The whole fit, in passes of bounded memory.

    Parameters
    ----------
    pairing, validation : pairs to fit to, all of them.
    run : not used; there are no steps to resume from.
    report : called with (passes done, `PASSES`).
    """
    return fit_goals(pairing, validation, facts, config, device, (config.goal,), report)[0]


def fit_goals(
    pairing: Pairing,
    validation: Pairing | None,
    facts: Facts,
    config: CalibratedConfig,
    device: torch.device,
    goals: Sequence[str | float],
    report: Progress = silent,
    *,
    ranks: bool = True,
) -> list[CalibratedTranslator]:
    """What `fit` gives with each of several goals in place of the config's, in little more time than one takes.

    Parameters
    ----------
    ranks : fit a ranking, which takes up to a third of the time. Without it every goal is `cosine`, and ranked by that.
    """
    rng = np.random.default_rng([config.seed, 3])
    parts = [pairing] if validation is None else [pairing, validation]
    mean = _mean(parts).to(device)
    held = Held.of(parts, mean.float(), rng)
    landmarks = _landmarks(parts, config.landmarks, rng).to(device)
    rows = held.target * held.count.sqrt()[:, None] if held.all else None
    moment = _moment(parts, mean.float()) if rows is None else gram(rows).double()
    bases = [Basis.at(landmarks[:0])]
    if len(landmarks):
        near = landmarks[:: -(-len(landmarks) // SPACED)]
        apart = squared_distances(near, near)
        apart = apart[apart > SAME]
        spacing = float(apart.median()) if len(apart) else 1.0
        dual = held.all and len(landmarks) == len(held.c)  # every condition is a landmark: by `kernel_ridge`
        if dual:
            landmarks, distances = held.c, squared_distances(held.c, held.c)
        bases += [(Basis.plain if dual else Basis.at)(landmarks, factor * spacing) for factor, _ in RADIAL]

    maps: list[Map] = []
    said: list[Tensor] = []  # what each says of z where its fold is left out, less the mean of the others
    for number, (basis, penalties) in enumerate(zip(bases, (LINEAR, *(given for _, given in RADIAL)), strict=False)):
        if len(basis.landmarks) and not len(basis.root):
            kernel = distances.div(-2 * basis.bandwidth).exp_()
            for penalty in penalties:
                W, predicted = kernel_ridge(kernel, held.target, held.count, penalty, held.folds)
                maps.append(Map(number, W))
                said.append(predicted - held.others)
            report(number + 1, PASSES)
            continue
        x = basis.coordinates(held.c)
        regression = Regression(basis, facts.d)
        if held.all:
            regression.add(x, held.target * held.count[:, None], held.count)
        else:
            _add(regression, parts, mean.float())
        for penalty in penalties:
            ridge = regression.solve(penalty)
            maps.append(Map(number, ridge.W.float()))
            said.append(left_out(ridge, x, held.target, held.count, held.folds) - held.others)
        report(number + 1, PASSES)
    if facts.k == facts.d:  # of two modalities in one space a condition itself is a guess
        centre = _mean([Pairing(part.pairs, part.target, part.source) for part in parts]).to(device).float()
        maps.append(Map(0, torch.cat([torch.eye(facts.k, device=device), -centre[None]])))
        said.append(held.c - centre)

    without = mean.float() + held.others
    folds = stack.folds(said, held, mean.float(), moment)
    weights = [stack.to_score(folds)]
    weights.append(stack.to_rank(folds, weights[0]) if ranks else weights[0])
    constant = not bool(((held.c - held.c[0]).square().sum(1) > SAME).any())  # the mean is all that there is to learn
    weights = [one * (not constant) for one in weights]
    scored, ranked = (stack.left_out_deltas(folds, one) for one in weights)
    report(PASSES - 1, PASSES)
    z, scored = held.target + mean.float(), scored + without
    M, N = _mixed(bases, maps, weights, stack.spectrum(moment, rows))
    M[-1] += mean.float()
    N[-1] += mean.float() * constant
    bank, corrections = _corrections(held, folds, normalize(ranked, dim=1), rng)
    bandwidths = torch.tensor([basis.bandwidth for basis in bases[1:]], device=device)
    found = []
    for goal in goals:
        share = 0.0 if constant or not ranks else _share(goal, scored, ranked, z)
        zhat = torch.lerp(scored, ranked, share)
        learned = None
        if config.network and len(pairing.c) >= network.ENOUGH:
            learned = _network(pairing, facts, replace(config, goal=share), network.Held(held.c, z, zhat), held.group)
            zhat = zhat if learned is None else learned(held.c, zhat).detach()
        expected = expected_cosine(zhat, z)
        root = _root(held, expected_length(zhat, expected), folds[0].rows)
        found.append(CalibratedTranslator(
            facts, replace(config, goal=goal), mean, M=torch.lerp(M, N, share), N=N, landmarks=landmarks,
            bandwidths=bandwidths, expected=expected, root=root, bank=bank, corrections=corrections, network=learned,
        ))  # fmt: skip
    report(PASSES, PASSES)
    return found


def _network(
    pairing: Pairing, facts: Facts, config: CalibratedConfig, held: network.Held, label: np.ndarray
) -> network.Network | None:
    """The network that `network.learn` trains on the pairs of other groups, if it gains enough.

    Parameters
    ----------
    label : the group (n,) of each condition that is held out.
    """
    device, known = held.c.device, labels([pairing])[0]
    rest = pairing.take(np.flatnonzero(~np.isin(known, label)))
    if not np.isin(known, label).any() or len(np.unique(rest.pairs.groups)) < 2:
        return None

    def base(part: Pairing) -> network.Predict:
        alone = replace(config, network=False)
        return fit_goals(part, None, facts, alone, device, (config.goal,), ranks=config.goal != 0.0)[0].base

    found = network.learn(rest, base, held, device, config.seed)
    return None if found is None else found.network


class Map(NamedTuple):
    """One regression, or the identity."""

    basis: int
    """the number of its basis"""
    W: Tensor
    """(p + 1, d), of [x(c), 1]"""


def _mean(parts: Sequence[Pairing]) -> Tensor:
    """(d,) float64, of the unit targets of all items."""
    items = [len(part.pairs) for part in parts]
    return torch.from_numpy(np.average([part.mean() for part in parts], axis=0, weights=items))


def _landmarks(parts: Sequence[Pairing], most: int, rng: np.random.Generator) -> Tensor:
    """Some unit conditions (L, k), L = `most` or all."""
    sizes = [len(part.c) for part in parts]
    chosen = np.sort(rng.choice(sum(sizes), min(most, sum(sizes)), replace=False))
    ends = np.cumsum(sizes)
    rows = [
        unit(part.c[chosen[(end - size <= chosen) & (chosen < end)] - (end - size)])
        for part, size, end in zip(parts, sizes, ends, strict=True)
    ]
    return torch.from_numpy(np.concatenate(rows))


def _add(regression: Regression, parts: Sequence[Pairing], mean: Tensor) -> None:
    """All pairs, their targets less the mean, of which each process adds its share."""
    for c, total, count in _sums(parts, mean):
        regression.add(regression.basis.coordinates(c), total, count)
    regression.equations.all_reduce()


def _moment(parts: Sequence[Pairing], mean: Tensor) -> Tensor:
    """sum (z - mean)(z - mean)^T (d, d), float64, over all pairs, with the mean z of each condition."""
    moment = mean.new_zeros(len(mean), len(mean), dtype=torch.float64)
    for _, total, count in _sums(parts, mean):
        moment += gram(total / count.sqrt()[:, None])
    distributed.all_reduce(moment)
    return moment


def _sums(parts: Sequence[Pairing], mean: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """`Pairing.sums` of this process' share of all parts, of z - mean."""
    for c, total, count in chain.from_iterable(part.sums(mean.device) for part in parts):
        yield c, total - count[:, None] * mean, count


def _share(goal: str | float, scored: Tensor, ranked: Tensor, z: Tensor) -> float:
    """How far translations are on the way from the best cosine, 0, to the best ranking, 1.

    Parameters
    ----------
    scored, ranked : the translations of both ends (n, d).
    z : mean of the unit targets of each condition (n, d).
    """
    if goal != "balanced":
        return {"cosine": 0.0, "retrieval": 1.0}[goal] if isinstance(goal, str) else goal
    least, found = None, 0.0
    for share in np.linspace(0, 1, SHARES):
        cosine = float((normalize(torch.lerp(scored, ranked, float(share)), dim=1) * z).sum(1).mean())
        least = cosine - COSINE_GIVEN_UP if least is None else least
        if cosine < least:
            break
        found = float(share)
    return found


def expected_cosine(zhat: Tensor, z: Tensor) -> Tensor:
    """(q0, q1, q2, low, high) of `expected_length`: the cosine by least squares as a quadratic of s = |zhat|, and the
    range of s. A longer translation is never expected to be worse: the quadratic is level where it would fall, or it is
    the line or the mean where that is nearer. With fewer than `ENOUGH` conditions it is a multiple of s.

    Parameters
    ----------
    zhat : (n, d).
    z : mean of the unit targets of each condition, (n, d).
    """
    s = zhat.double().norm(dim=1).clamp_min(1e-30)
    y = ((z * zhat).sum(1).double() / s).cpu().numpy()
    low, high = float(s.min()), float(s.max())
    if len(s) < ENOUGH:
        at = s.cpu().numpy()
        return zhat.new_tensor([0.0, float(y @ at / (at @ at)), 0.0, low, high])
    at, found = s.cpu().numpy(), []
    for degree in (2, 1) if high - low > 1e-6 else ():
        q0, q1, q2 = np.append(np.polynomial.Polynomial.fit(at, y, degree).convert().coef, np.zeros(2))[:3]
        peak = -q1 / (2 * q2) if q2 else np.inf
        ends = (low, min(high, peak)) if q2 < 0 else (max(low, peak) if q2 else low, high)
        if ends[0] >= ends[1] or q1 + q2 * sum(ends) < 0:  # it falls all the way
            continue
        left = y - np.polynomial.Polynomial([q0, q1, q2])(at.clip(*ends))
        found.append((float(left.var()), (q0 + float(left.mean()), q1, q2, *ends)))
    found.append((float(y.var()), (float(y.mean()), 0.0, 0.0, low, high)))
    return zhat.new_tensor(min(found)[1])


def _root(held: Held, m: Tensor, choosing: Tensor) -> Tensor:
    """`residual_root` of the pairs of the conditions that were left out, to whose translations m (n, d) belong."""
    chooses = torch.zeros(len(m), dtype=torch.bool, device=m.device)
    chooses[choosing] = True
    return residual_root(normalize(held.z - m[held.of_c], dim=1), chooses[held.of_c])


def _mixed(bases: Sequence[Basis], maps: Sequence[Map], weights: Sequence[Tensor], V: Tensor) -> list[Tensor]:
    """The maps of [c, phi_1(c), ..., phi_B(c), 1], (k + B L + 1, d), that are the mixtures of these weights (B, d)."""
    rotated = [one.W @ V for one in maps]
    found = []
    for weight in weights:
        blocks, constant = [], V.new_zeros(len(V), dtype=torch.float64)
        for number, basis in enumerate(bases):
            own = [W * w for one, W, w in zip(maps, rotated, weight, strict=True) if one.basis == number]
            block = basis.on_features((torch.stack(own).sum(0) @ V.T).double())
            blocks.append(block[:-1])
            constant = constant + block[-1]
        found.append(torch.cat([*blocks, constant[None]]).float())
    return found


def _corrections(
    held: Held, folds: Sequence[stack.Fold], directions: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """The bank (Q, d), and kind and parameter of the corrections (2, 2), from the directions (n, d) ranked by.

    A fold's targets are a gallery that its queries' maps have not seen. Alone, half of its groups are ranked, and the
    queries of the other half are the bank: one that none of the gallery belongs to, as it is with new pairs.
    """
    alone, together = [], []
    for fold in folds:
        wanted, own = stack.gallery(fold)
        gallery, queries = (fold.vectors @ wanted).T, directions[fold.rows]
        together.append(Known(queries, gallery, own, bank=queries))
        _, group = np.unique(held.group[fold.rows.cpu().numpy()], return_inverse=True)
        odd = torch.from_numpy(group % 2 == 1).to(own.device)
        for half in (odd, ~odd):
            items, found = torch.unique(own[half], return_inverse=True)
            alone.append(Known(queries[half], gallery[items], found, queries[~half]))
    corrections = [chosen(alone), chosen(together)]
    kept = torch.from_numpy(np.sort(rng.permutation(len(directions))[:BANK])).to(directions.device)
    return directions[kept], directions.new_tensor([list(one) for one in corrections])
