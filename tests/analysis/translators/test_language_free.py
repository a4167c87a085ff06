"""Methods that see no pair: which rows they read, and the posterior of a linear Gaussian model by two other ways."""

import numpy as np
import pytest
import torch
from scipy import stats

import modtrans_core as mt
from analysis.translators.c3 import C3Config
from analysis.translators.language_free import VARIANCES, GaussianConfig, Unpaired, halves, most_likely
from analysis.translators.learned_noise import LearnedNoiseConfig
from analysis.translators.moves import MoveConfig
from analysis.translators.perturbed import METHOD as PERTURBED
from analysis.translators.ridge import RidgeConfig
from modtrans_core.pairing import Pairing
from modtrans_core.train import TrainConfig
from modtrans_core.vectors import unit

D = 3
FREE = {
    **PERTURBED.presets,
    "LAFITE trained": LearnedNoiseConfig(width=8, train=TrainConfig(5, 16, 1e-2, ema=0.0)),
    "C3": C3Config(),
    "language-free Gaussian": GaussianConfig(),
    "CLIP-GEN": MoveConfig("identity"),
}


def model(n=4000, t=0.02, seed=0):
    """Vectors z ~ N(m_z, S), c = z + m_c - m_z + noise of variance t a coordinate; nearly of length 1, by a large mean
    in one more coordinate."""
    rng = np.random.default_rng(seed)
    root = np.array([[0.5, 0.2, 0.0], [0.0, 0.3, 0.1], [0.0, 0.0, 0.1]])
    z = rng.normal(size=(n, D)) @ root
    return z + np.sqrt(t) * rng.normal(size=(n, D)), z


@pytest.mark.parametrize("name", [*FREE, "ridge"])
def test_the_other_side_of_an_item_is_not_read(name, rng, fit):
    """Where one side of an item is read, noise stands in the other: no pair is left, and all but ridge see none."""
    config = FREE.get(name, RidgeConfig(1.0))
    c, z = rng.normal(size=(80, D)), rng.normal(size=(80, D)) + 1
    parts, destroyed = [], []
    for rows in (slice(60), slice(60, 80)):
        pairs = mt.PairedEmbeddings({"image": c[rows], "text": z[rows]})
        first, second = halves(Pairing(pairs, "image", "text"))
        assert abs(len(first) - len(second)) <= 1 and not set(first) & set(second)
        noise_c, noise_z = c[rows].copy(), z[rows].copy()
        noise_c[second], noise_z[first] = rng.normal(size=(2, len(first), D))
        parts.append((c[rows], z[rows]))
        destroyed.append((noise_c, noise_z))
    before, after = (fit(config, *train, held).translate(c) for train, held in (parts, destroyed))
    assert np.array_equal(before, after) == (name != "ridge")


def test_shuffling_one_side_changes_nothing(rng, fit):
    """Targets that are read change places with each other: which condition each had, nobody knew."""
    c, z = rng.normal(size=(64, D)), rng.normal(size=(64, D)) + 1
    held, shuffled = (c[48:], z[48:]), z[:48].copy()
    shuffled[1::2] = rng.permutation(shuffled[1::2])
    before, after = (fit(GaussianConfig(), c[:48], targets, held).translate(c) for targets in (z[:48], shuffled))
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert np.abs(fit(RidgeConfig(1.0), c[:48], shuffled, held).translate(c) - before).max() > 1e-2


def test_variants_of_an_item_are_on_one_side(rng):
    arrays = {"image": rng.normal(size=(12, D)), "text": rng.normal(size=(12, 2, D))}
    pairs = mt.PairedEmbeddings(arrays, group=np.repeat([7, 5, 3, 9], 3))
    first, second = halves(Pairing(pairs, "image", "text"))
    assert set(pairs.groups[first]) == {3, 7} and set(pairs.groups[second]) == {5, 9}
    c, z = Unpaired.of(Pairing(pairs, "image", "text"))
    assert c.shape == (6, D) and z.shape == (12, D)
    one = Pairing(mt.PairedEmbeddings(arrays, group=np.zeros(12, int)), "image", "text")
    with pytest.raises(ValueError, match="pairs: 'one group', two groups"):
        Unpaired.of(one, one)


def test_a_group_has_the_same_side_among_validation_pairs(rng):
    """Two of its items in two parts are as good as a pair; validation pairs of one group are no obstacle."""
    c, group = unit(rng.normal(size=(7, D))), np.array([1, 2, 3, 4, 2, 9, 1])
    pairs = mt.PairedEmbeddings({"image": c, "text": -c}, group=group)
    train, held = (Pairing(pairs.take(np.arange(*rows)), "image", "text") for rows in ((0, 4), (4, 7)))
    found = Unpaired.of(train, held)
    np.testing.assert_allclose(found.c, c[np.isin(group, (1, 3, 9)).nonzero()[0]], atol=1e-6)
    np.testing.assert_allclose(found.z, -c[np.isin(group, (2, 4)).nonzero()[0]], atol=1e-6)
    for n in (3, 4, 9):  # an eighth, one item, are validation pairs
        few = mt.PairedEmbeddings({"image": rng.normal(size=(n, D)), "text": rng.normal(size=(n, D))})
        assert mt.fit(few, config=C3Config(), device="cpu").translate(c).shape == (7, D)


class TestPosterior:
    def test_a_q_that_is_trained_on_the_evidence_lower_bound_converges_to_it(self, rng, fit):
        """An amortised normal q(z|c) = N(W (c - m_c) + b, L L^T), by gradient steps on the bound itself."""
        t = 0.05
        c, z = (unit(rng.normal(size=(400, D)) + np.array(mean)) for mean in ((2, 0, 0), (1, 1, 0)))
        fitted = fit(GaussianConfig(t), c, z)
        parts = (Pairing(mt.PairedEmbeddings({"image": a, "text": b}), "image", "text")
                 for a, b in ((c[:300], z[:300]), (c[300:], z[300:])))  # fmt: skip
        seen, targets = (torch.from_numpy(rows) for rows in Unpaired.of(*parts))
        prior = torch.distributions.MultivariateNormal(targets.mean(0), torch.cov(targets.T, correction=0))
        shift = seen.mean(0) - targets.mean(0)
        W, b, L = (torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in ((D, D), (D,), (D, D)))
        optimiser = torch.optim.LBFGS([W, b, L], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-15)

        def negative_bound():
            optimiser.zero_grad()
            tril = torch.tril(L, -1) + torch.diag(torch.diagonal(L).exp())
            q = torch.distributions.MultivariateNormal((seen - seen.mean(0)) @ W + b, scale_tril=tril)
            error = (seen - shift - q.mean).square().sum(1) + tril.square().sum()  # E_q |c - z - shift|^2
            bound = -error / (2 * t) - torch.distributions.kl_divergence(q, prior)
            (-bound.mean()).backward()
            return -bound.mean()

        optimiser.step(negative_bound)
        new = unit(np.random.default_rng(1).normal(size=(20, D)))
        trained = (torch.from_numpy(new).double() - seen.mean(0)) @ W + b
        np.testing.assert_allclose(fitted.translate(new), trained.detach().numpy(), atol=1e-5)
        assert np.abs(fitted.translate(new) - fit(GaussianConfig(1e-6), c, z).translate(new)).max() > 0.1

    def test_it_is_the_mean_shift_without_variance_and_constant_with_much(self, rng, fit):
        c, z = unit(rng.normal(size=(80, D)) + 1), unit(rng.normal(size=(80, D)) - 1)
        shift, constant = (fit(GaussianConfig(t), c, z).translate(c) for t in (1e-12, 1e12))
        np.testing.assert_allclose(shift - c, np.tile((shift - c)[0], (80, 1)), atol=1e-5)
        assert np.ptp(constant, axis=0).max() < 1e-5

    def test_conditions_alone_tell_the_variance(self):
        """Of 20,000 rows of the model the likelihood picks the right value, or the one beside it."""
        for t in (1e-3, 1e-1):
            c, z = model(20000, t)
            spectrum, axes = np.linalg.eigh(np.cov(z[1::2].T, bias=True))
            found = most_likely(spectrum, np.square((c[::2] - c[::2].mean(0)) @ axes).mean(0))
            assert abs(np.log10(found / t)) < 0.15
            assert found in VARIANCES

    def test_the_likelihood_is_that_of_a_normal_law(self, rng):
        spectrum, c = np.array([0.5, 0.1, 0.01]), 0.4 * rng.normal(size=(50, 3))
        logpdf = [stats.multivariate_normal(np.zeros(3), np.diag(spectrum + t)).logpdf(c).sum() for t in VARIANCES]
        assert most_likely(spectrum, np.square(c).mean(0)) == VARIANCES[int(np.argmax(logpdf))]

    def test_it_needs_no_pair_to_come_near_what_pairs_give(self, fit, mean_cosine):
        """Where the model holds, ridge on pairs is a little better, and the mean shift is far behind."""
        c, z = (unit(np.c_[rows, np.full(len(rows), height)])
                for rows, height in zip(model(600, 0.2), (1.0, -0.5), strict=True))  # fmt: skip
        free, ridge, shift = (
            mean_cosine(fit(config, c[:400], z[:400]), c[400:], z[400:])
            for config in (GaussianConfig(), RidgeConfig(), MoveConfig())
        )
        assert shift + 0.02 < free <= ridge + 0.005 and ridge - free < 0.03


def test_impossible_settings():
    with pytest.raises(ValueError, match="variance: -1.0"):
        GaussianConfig(-1.0)
