"""The weights of several predictions along the spectrum of the targets, where the best ones are known."""

import numpy as np
import torch
from torch.nn.functional import normalize

from modtrans_core.calibrated import stack
from modtrans_core.calibrated.held import Held
from modtrans_core.vectors import unit

D = 16


def made(target, said, item=None, folds=5):
    n = len(target)
    item = np.arange(n) if item is None else item
    dealt = np.random.default_rng(0).permutation(item.max() + 1)[item] % folds
    rows = [torch.from_numpy(np.flatnonzero(dealt == fold)) for fold in range(folds)]
    group, of = item, torch.arange(n)
    held = Held(
        target, target, torch.zeros_like(target), torch.ones(n), torch.from_numpy(item), group, rows, target, of, True
    )
    mean = torch.full((D,), 0.1)
    moment = (target.T @ target).double()
    return stack.folds(said, held, mean, moment)


def truth(n=600, seed=0):
    """Targets whose variance falls along the axes, and two predictions: one right in the first half of the axes, one in
    the second, each nothing but noise elsewhere."""
    rng = np.random.default_rng(seed)
    scales = np.geomspace(1, 0.05, D)
    z = rng.standard_normal((n, D)) * scales
    noise = rng.standard_normal((2, n, D)) * scales
    first = np.arange(D) < D // 2
    said = [np.where(first, z, noise[0]), np.where(first, noise[1], z)]
    return torch.from_numpy(z).float(), [torch.from_numpy(one).float() for one in said]


def test_each_coordinate_takes_the_prediction_that_knows_it():
    z, said = truth()
    parts = made(z, said)
    weights = stack.to_score(parts)
    assert weights.shape == (2, D)
    assert weights[0, 0] > 0.9 > 0.1 > weights[1, 0] and weights[1, -1] > 0.6 > 0.4 > weights[0, -1]
    delta = stack.left_out_deltas(parts, weights)
    alone = [float((one - z).square().mean()) for one in said]
    flat = torch.stack(said).mean(0)
    assert (delta - z).square().mean() < 0.7 * min(*alone, float((flat - z).square().mean()))


def test_the_weights_are_those_of_least_squares(monkeypatch):
    """Against numpy's lstsq of the whole design: every hat function of the rank times every prediction."""
    monkeypatch.setattr(stack, "SHRINKAGE", 1e-9)
    monkeypatch.setattr(stack, "FEW", 0)
    z, said = truth(60)
    parts = made(z, said)
    at = stack.knots(D).numpy()
    design = np.concatenate(
        [np.einsum("dnb,kd->dnbk", part.predicted, at).reshape(-1, 2 * stack.KNOTS) for part in parts]
    )
    wanted = np.concatenate([part.target.numpy().ravel() for part in parts])
    heights = np.linalg.lstsq(design.astype(np.float64), wanted, rcond=None)[0].reshape(2, stack.KNOTS)
    np.testing.assert_allclose(stack.to_score(parts), heights @ at, atol=2e-4)


def test_hat_functions_add_up_to_one_and_are_one_at_their_knots():
    for d in (1, 2, 7, 384):
        at = stack.knots(d)
        assert at.shape == (stack.KNOTS, d) and at[0, 0] == 1
        torch.testing.assert_close(at.sum(0), torch.ones(d))
    assert abs(float(stack.knots(385)[1, 18]) - 1) < 0.02  # rank 19 of 385 is half way on the logarithm


def test_the_eigenvectors_of_a_fold_do_not_know_its_targets():
    z, said = truth(100)
    parts = made(z, said)
    assert sorted(torch.cat([part.rows for part in parts]).tolist()) == list(range(100))
    for part in parts:
        rows = part.rows.numpy()
        others = np.setdiff1d(np.arange(100), rows)
        moment = z[others].double().T @ z[others].double()
        rotated = part.vectors.double().T @ moment @ part.vectors.double()
        values = torch.linalg.eigvalsh(moment).flip(0)
        torch.testing.assert_close(rotated, torch.diag(values), atol=1e-4, rtol=0)
        torch.testing.assert_close(part.predicted[:, :, 1].T, said[1][rows] @ part.vectors)


def test_the_ranking_takes_what_tells_targets_apart():
    """A prediction that shrinks small coordinates scores; one that keeps them ranks. The weights find the latter."""
    z, _ = truth(800, seed=1)
    generator = torch.Generator().manual_seed(0)
    noise = 0.3 * torch.randn(z.shape, generator=generator) * z.std(0)
    said = [z + noise, (z + noise) * (torch.arange(D) < 2)]
    parts = made(z, said)
    scoring = stack.to_score(parts)
    ranking = stack.to_rank(parts, scoring)

    def mean_rank(weights):
        delta = normalize(stack.left_out_deltas(parts, weights), dim=1)
        similarity = delta @ normalize(z, dim=1).T
        return float((similarity > similarity.diagonal()[:, None]).sum(1).float().mean())

    first_two = torch.tensor([[0.0], [1.0]]).expand(2, D)
    assert mean_rank(ranking) <= mean_rank(scoring) < mean_rank(first_two)
    assert ranking[0, -1] > scoring[0, -1]  # small coordinates count in a cosine of directions more than in squares


def test_an_item_is_no_rival_of_itself():
    """Five conditions of one item have one target, which is once in the gallery."""
    z, said = truth(40)
    item = np.arange(200) // 5
    several = [one[item] for one in (z, *said)]
    parts = made(several[0], several[1:], item)
    for part in parts:
        wanted, own = stack.gallery(part)
        assert wanted.shape == (D, len(np.unique(part.item)))
        torch.testing.assert_close(wanted[:, own], normalize(part.target, dim=0))
    found = stack.to_rank(parts, stack.to_score(parts))
    assert torch.isfinite(found).all()


def test_conditions_at_most_are_spread_over_all():
    z, said = truth(300)
    part, *_ = made(z, said)
    few = part.at_most(10)
    assert len(few.rows) == 10 and few.rows[0] == part.rows[0] and few.rows[-1] > part.rows[-10]
    assert few.predicted.shape == (D, 10, 2) and part.at_most(1000) is part


def test_two_folds_are_enough():
    z = torch.from_numpy(unit(np.random.default_rng(0).standard_normal((6, D))))
    parts = made(z, [z], folds=2)
    assert len(parts) == 2 and torch.isfinite(stack.to_rank(parts, stack.to_score(parts))).all()
