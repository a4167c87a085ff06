"""The spectral stack: predictions of several bases, weighed against each other along the spectrum of the targets.

    delta = sum_b P_b V diag(w_b) V^T

P_b (n, d) is what basis b predicts of z - mean, V has the eigenvectors of the targets' covariance, and w_b is a
piecewise linear function of the logarithm of the eigenvalue's rank. A coordinate of much variance can be predicted from
few conditions far apart, one of little variance from near ones or not at all: so each has its own mixture (Wolpert
1992 and Breiman 1996 stack with one weight a prediction).

The weights are fitted to predictions of conditions that were left out, a fold of whole groups at a time. V has the
eigenvectors of the targets that were not. Left out one by one, queries would be ranked among targets that their maps
have seen, which gives other weights than targets that nobody has seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from modtrans_core.calibrated.held import Held
from modtrans_core.linear import few, principal

KNOTS = 3
"""of w_b as a function of the logarithm of the rank"""
SHRINKAGE = 1e-3
"""penalty of the weights, in units of their mean squared feature"""
FEW = 10.0
"""conditions' worth of penalty besides: of the weights' squares by what a target's coordinate has in the mean, and of
their distance from the weights of least squares in the ranking; of few conditions it counts, of many it does not"""
QUERIES = 512
"""conditions of a fold, at most, that are ranked against each other while weights are fitted to the ranking"""
STEPS = 25
"""of L-BFGS, at most"""
TEMPERATURE = 1 / 20
"""of the softmax, where its fit begins"""


@dataclass(frozen=True)
class Fold:
    """Predictions for conditions that are left out together, in the eigenvectors of all other targets."""

    rows: Tensor
    """which conditions these are (n,)"""
    vectors: Tensor
    """V (d, d), columns from the largest eigenvalue to the smallest"""
    predicted: Tensor
    """P V of every basis, (d, n, B)"""
    target: Tensor
    """(z - mean) V, (d, n), for the mean z of the unit targets of each condition"""
    mean: Tensor
    """mean V, (d, n), of the targets of all other folds"""
    item: Tensor
    """the item (n,) of each condition"""

    def delta(self, weights: Tensor) -> Tensor:
        """(d, n) of the weights (B, d)."""
        return (self.predicted @ weights.T[:, :, None])[:, :, 0]

    def at_most(self, conditions: int) -> Fold:
        """All conditions, or so many, evenly spaced."""
        n = len(self.rows)
        if n <= conditions:
            return self
        part = torch.arange(conditions, device=self.rows.device) * n // conditions
        predicted, target, mean = (given[:, part] for given in (self.predicted, self.target, self.mean))
        return Fold(self.rows[part], self.vectors, predicted, target, mean, self.item[part])


def folds(said: Sequence[Tensor], held: Held, mean: Tensor, moment: Tensor) -> list[Fold]:
    """The conditions, fold by fold.

    Parameters
    ----------
    said : what each basis says of z where the fold is left out, less the mean of all other targets, (n, d) each.
    mean : of the unit targets, (d,).
    moment : sum (z - mean)(z - mean)^T (d, d) over all pairs, with the mean z of each condition.
    """
    found, root, several = [], held.target * held.count.sqrt()[:, None], len(held.folds) > 1
    for rows in held.folds:
        own, rest = held.target[rows], torch.ones(len(root), dtype=torch.bool, device=root.device)
        rest[rows] = not several
        others = moment - (root[rows].T @ root[rows]).double() if several else moment
        V = spectrum(others, root[rest] if held.all else None)
        predicted = torch.stack([(one[rows] @ V).T for one in said], dim=2)
        less = held.others[rows]
        target, without = ((part @ V).T.contiguous() for part in (own - less, mean + less))
        found.append(Fold(rows, V, predicted, target, without, held.item[rows]))
    return found


def spectrum(moment: Tensor, rows: Tensor | None = None) -> Tensor:
    """The eigenvectors (d, d), float32, columns from the largest eigenvalue to the smallest.

    Parameters
    ----------
    rows : (n, d) whose moment it is, where they are at hand; of few rows they are found sooner.
    """
    if rows is not None and few(*rows.shape):
        return principal(rows)[1].flip(1)
    return torch.linalg.eigh(moment.float())[1].flip(1)


def knots(d: int) -> Tensor:
    """(KNOTS, d): the piecewise linear functions of the logarithm of the rank that are 1 at one knot, 0 at others."""
    at = torch.arange(1, d + 1).log() / max(math.log(d), 1e-30) * (KNOTS - 1)
    return (1 - (at - torch.arange(KNOTS)[:, None]).abs()).clamp_min(0)


def to_score(parts: Sequence[Fold]) -> Tensor:
    """The weights (B, d) of least squares between delta and z - mean: the translation of the best cosine."""
    d, _, B = parts[0].predicted.shape
    at = knots(d).to(parts[0].predicted.device)
    gram, cross = (torch.zeros(d, B, size, device=at.device) for size in (B, 1))
    square = sum(float(part.target.square().sum()) for part in parts) / (d * sum(len(part.rows) for part in parts))
    for part in parts:
        gram += part.predicted.mT @ part.predicted
        cross += part.predicted.mT @ part.target[:, :, None]
    A = torch.einsum("ad,dbc,ed->bace", at, gram, at).reshape(B * KNOTS, B * KNOTS).double()
    b = torch.einsum("ad,db->ba", at, cross[:, :, 0]).reshape(B * KNOTS, 1).double()
    A.diagonal().add_(max(SHRINKAGE * float(A.diagonal().mean()) + FEW * square, 1e-30))
    return torch.linalg.solve(A, b).float().reshape(B, KNOTS) @ at


def to_rank(parts: Sequence[Fold], start: Tensor) -> Tensor:
    """The weights (B, d) whose delta ranks best: an item's target before all others, by the cosine with z - mean.

    What is minimised is InfoNCE (van den Oord et al. 2018, arXiv 1807.03748), its temperature fitted too, less the mean
    cosine of mean + delta with z, which gives delta its length.

    Parameters
    ----------
    start : weights to begin with.
    """
    parts = [part.at_most(QUERIES) for part in parts]
    at = knots(start.shape[1]).to(start.device)
    first = start @ torch.linalg.pinv(at)  # w_b at the knots
    size = first.square().mean().clamp_min(1e-30)
    queries = sum(len(part.rows) for part in parts)
    products = [_products(part, at) for part in parts]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        given = torch.tensor(values, dtype=torch.float32, device=start.device, requires_grad=True)
        heights, sharpness = given[:-1], given[-1].exp()
        total = (SHRINKAGE + FEW / queries) * (heights - first.ravel()).square().mean() / size
        for with_gallery, own, with_each_other, with_mean, with_z, mean_square, mean_z in products:
            square = (with_each_other @ heights @ heights).clamp_min(1e-24)
            logits = sharpness * (heights @ with_gallery).view(len(own), -1) / square.sqrt()[:, None]
            length = (mean_square + 2 * (with_mean @ heights) + square).clamp_min(1e-24).sqrt()
            cosines = (mean_z + with_z @ heights) / length
            total = total + (cross_entropy(logits, own, reduction="sum") - cosines.sum()) / queries
        total.backward()
        assert given.grad is not None
        return total.item(), given.grad.double().cpu().numpy()

    begin = np.append(first.double().cpu().numpy().ravel(), -math.log(TEMPERATURE))
    with torch.enable_grad():
        found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    heights = torch.tensor(found.x[:-1], dtype=torch.float32, device=start.device).reshape(first.shape)
    return heights @ at


def _products(part: Fold, at: Tensor) -> tuple[Tensor, ...]:
    """What the ranking's loss is made of. Delta is the sum over bases and knots of a height times a vector f of each
    condition. Inner products of these p = B KNOTS vectors say all of it, so that no step of the fit looks at d numbers.

    Returns
    -------
    <f, g> (p, n items) for the directions g of the gallery, and the item (n,) of each condition; <f, f'> (n, p, p),
    <f, mean> and <f, z> (n, p); |mean|^2 and <mean, z> (n,).
    """
    d, n, B = part.predicted.shape
    f = torch.einsum("dnb,ad->nbad", part.predicted, at).reshape(n, B * len(at), d)
    directions, own = gallery(part)
    mean, z = part.mean.T, (part.target + part.mean).T  # (n, d)
    with_gallery = (f @ directions).transpose(0, 1).reshape(B * len(at), -1)
    with_mean, with_z = (f @ torch.stack([mean, z], dim=2)).unbind(2)
    return with_gallery, own, f @ f.mT, with_mean, with_z, mean.square().sum(1), (mean * z).sum(1)


def gallery(part: Fold) -> tuple[Tensor, Tensor]:
    """The directions (d, items) of the targets less their mean, each item once, and which is each condition's (n,)."""
    _, own = torch.unique(part.item, return_inverse=True)
    wanted = torch.zeros(len(part.target), int(own.max()) + 1, device=own.device)
    return normalize(wanted.index_add(1, own, part.target), dim=0), own


def left_out_deltas(parts: Sequence[Fold], weights: Tensor) -> Tensor:
    """delta (n, d) of the conditions, in their order, of the weights (B, d)."""
    n, d = sum(len(part.rows) for part in parts), len(parts[0].mean)
    found = weights.new_zeros(n, d)
    for part in parts:
        found[part.rows] = (part.vectors @ part.delta(weights)).T
    return found
