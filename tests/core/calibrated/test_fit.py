"""That the fit uses all pairs, what is chosen where they are left out, and what the translator can then do."""

from importlib import import_module

import numpy as np
import pytest
import torch

import modtrans_core
from modtrans_core import CalibratedConfig, PairedEmbeddings, Pairing
from modtrans_core.calibrated import held as held_out
from modtrans_core.calibrated.fit import ENOUGH, expected_cosine
from modtrans_core.calibrated.held import Held
from modtrans_core.calibrated.model import expected_length
from modtrans_core.scores import cosine
from modtrans_core.vectors import unit

module = import_module("modtrans_core.calibrated.fit")  # the package's name is the function's


def data(n=120, k=6, d=5, seed=0):
    """Unit pairs whose targets bend with the condition."""
    rng, map_ = np.random.default_rng(seed), np.random.default_rng(99)
    c = unit(rng.standard_normal((n, k)))
    bent = np.tanh(3 * c @ map_.standard_normal((k, 8))) @ map_.standard_normal((8, d))
    return PairedEmbeddings({"image": c, "text": unit(bent + 1 + 0.2 * rng.standard_normal((n, d)))})


def fit(pairs, goal="cosine", landmarks=4096, **settings):
    return modtrans_core.fit(pairs, config=CalibratedConfig(landmarks, goal), device="cpu", **settings)


def test_several_goals_together_are_what_each_is_alone():
    pairs = data()
    alone = [fit(pairs, goal) for goal in ("cosine", "balanced", "retrieval")]
    facts, config = alone[0].facts, alone[0].config
    pairing, goals = Pairing(pairs, "image", "text"), [one.config.goal for one in alone]
    for one, other in zip(module.fit_goals(pairing, None, facts, config, alone[0].device, goals), alone, strict=True):
        assert one.config == other.config
        assert all(torch.equal(value, other.tensors()[name]) for name, value in one.tensors().items())


def test_without_a_ranking_the_translation_of_the_best_cosine_is_the_same(monkeypatch):
    pairs = data()
    whole = fit(pairs)
    monkeypatch.setattr(module.stack, "to_rank", None)
    pairing, goals = Pairing(pairs, "image", "text"), ("cosine", "balanced")
    for one in module.fit_goals(pairing, None, whole.facts, whole.config, whole.device, goals, ranks=False):
        assert torch.equal(one.M, whole.M) and torch.equal(one.expected, whole.expected)
        assert not torch.equal(one.N, whole.N)
        assert one.rank(pairs.modality("image"), pairs.modality("text"), k=3)[0].shape == (120, 3)


def arrays(pairs):
    return [pairs.modality(name).astype(np.float64) for name in ("image", "text")]


def shared_space(n, d=40, seed=0):
    """A target near the condition plus a gap, with noise: ranking and cosine part ways."""
    rng = np.random.default_rng(seed)
    c = unit(rng.standard_normal((n, d)))
    z = unit(0.25 * c + 0.8 * unit(np.ones((1, d))) + 0.11 * rng.standard_normal((n, d)))
    return PairedEmbeddings({"image": c, "text": z})


def test_every_pair_counts(monkeypatch):
    """Those to validate on as well: the fit to two parts is that to both, and every item moves the translation."""
    pairs, fresh = data(), data(20, seed=1).modality("image")
    whole = fit(pairs)
    parts = fit(pairs.take(np.arange(90)), validation=pairs.take(np.arange(90, 120)))
    np.testing.assert_allclose(parts.translate(fresh), whole.translate(fresh), atol=1e-4)
    np.testing.assert_allclose(whole.mean, pairs.modality("text").mean(0), atol=1e-6)
    for item in (0, 60, 119):
        without = fit(pairs.take(np.delete(np.arange(120), item)))
        own = pairs.modality("image")[item : item + 1]
        assert np.abs(without.translate(own) - whole.translate(own)).max() > 1e-3


def test_what_is_left_out_says_what_new_pairs_will_show():
    """The cosine that is chosen by is that of new pairs, and that on the pairs of the fit is above both."""
    pairs, new = data(300, k=30, d=20), data(3000, k=30, d=20, seed=5)
    fitted = fit(pairs)
    seen, unseen = (
        cosine(fitted.translate(part.modality("image")), part.modality("text")).mean() for part in (pairs, new)
    )
    said = fitted.expected_cosine(new.modality("image")).mean()
    assert abs(said - unseen) < 0.015 and seen > unseen + 0.01


def test_it_bends_where_a_linear_map_cannot():
    pairs = data(390)
    fitted = fit(pairs.take(np.arange(300)))
    c, z = arrays(pairs.take(np.arange(300)))
    fresh, truth = arrays(data(500, seed=7))
    straight = np.linalg.lstsq(np.hstack([c, np.ones((300, 1))]), z, rcond=None)[0]
    linear = cosine(np.hstack([fresh, np.ones((500, 1))]) @ straight, truth).mean()
    assert cosine(fitted.translate(fresh), truth).mean() > linear + 0.02


def test_a_condition_that_is_all_there_is_to_know():
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((1000, 20)))
    pairs = PairedEmbeddings({"image": c, "text": c @ np.linalg.qr(rng.standard_normal((20, 20)))[0]})
    fitted = fit(pairs.take(np.arange(900)))
    assert cosine(fitted.translate(c[900:]), pairs.modality("text")[900:]).min() > 0.99


def test_goals_lie_between_the_best_cosine_and_the_best_ranking():
    pairs, new = shared_space(640), shared_space(400, seed=1)
    found = {goal: fit(pairs, goal) for goal in ("cosine", "balanced", 0.5, "retrieval")}
    ends = [found[goal].M for goal in ("cosine", "retrieval")]
    torch.testing.assert_close(found[0.5].M, (ends[0] + ends[1]) / 2, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ends[1], found["cosine"].N)
    scores = {goal: modtrans_core.evaluate(one, new) for goal, one in found.items()}
    assert scores["cosine"]["cosine"] >= scores["balanced"]["cosine"] > scores["retrieval"]["cosine"]
    assert scores["balanced"]["cosine"] > scores["cosine"]["cosine"] - 2.5 * module.COSINE_GIVEN_UP
    assert scores["retrieval"]["recall_at_1"] > scores["cosine"]["recall_at_1"] + 0.05
    assert len({one["own_recall_at_1"] for one in scores.values()}) == 1  # `rank` ranks best with any goal
    assert scores["cosine"]["own_recall_at_1"] > scores["cosine"]["recall_at_1"] + 0.05


def test_groups_are_left_out_whole():
    """Copies in one group: had each been left out alone, its copies would have told its target."""
    rng = np.random.default_rng(0)
    c, z = unit(rng.standard_normal((60, 8))), unit(rng.standard_normal((60, 5)) + 1)  # nothing to learn
    copies = {"image": np.repeat(c, 4, 0), "text": np.repeat(z, 4, 0)}
    new = unit(rng.standard_normal((200, 8)))
    told = fit(PairedEmbeddings(copies, group=np.arange(240))).expected_cosine(new).mean()
    assert fit(PairedEmbeddings(copies)).expected_cosine(new).mean() < told - 0.02  # nobody said that they are alone
    honest = fit(PairedEmbeddings(copies, group=np.repeat(np.arange(60), 4))).expected_cosine(new).mean()
    truth = cosine(np.tile(z.mean(0), (5000, 1)), unit(rng.standard_normal((5000, 5)) + 1)).mean()
    assert abs(honest - truth) < 0.05 and told > honest + 0.02


def test_only_so_many_conditions_are_left_out_and_their_groups_are_whole(monkeypatch):
    monkeypatch.setattr(held_out, "LEFT_OUT", 50)
    group = np.concatenate([np.zeros(60, dtype=int), np.arange(1, 61) // 3 + 1])
    pairs = Pairing(PairedEmbeddings(data().arrays, group=group), "image", "text")
    held = Held.of([pairs], torch.zeros(5), np.random.default_rng(0))
    assert 40 < len(held.c) <= 50 and 0 not in held.group  # the group of 60 does not fit
    for label in np.unique(held.group):
        assert (held.group == label).sum() == (group == label).sum()
    assert sorted(torch.cat(held.folds).tolist()) == list(range(len(held.c)))
    assert sum(len(np.unique(held.group[rows])) for rows in held.folds) == len(np.unique(held.group))  # none is split
    one = Pairing(PairedEmbeddings(data().arrays, group=np.zeros(120, dtype=int)), "image", "text")
    parts = Held.of([one], torch.zeros(5), np.random.default_rng(0))
    assert len(parts.c) == len(np.unique(parts.group)) == 50  # one group, and its items are left out


def test_a_mean_that_leaves_a_fold_out_is_that_of_all_others():
    """Every item weighing the same, whatever its conditions and targets."""
    rng = np.random.default_rng(0)
    arrays = {"image": rng.standard_normal((40, 3, 6)), "text": rng.standard_normal((40, 2, 5)) + 1}
    counts, group = {"image": rng.integers(1, 4, 40), "text": rng.integers(1, 3, 40)}, np.arange(40) // 3
    pairing = Pairing(PairedEmbeddings(arrays, counts, group=group), "image", "text")
    mean = torch.from_numpy(pairing.mean()).float()
    held = Held.of([pairing], mean, np.random.default_rng(0))
    for rows in held.folds:
        rest = pairing.take(np.setdiff1d(np.arange(40), held.item[rows])).mean()
        np.testing.assert_allclose(mean + held.others[rows], np.tile(rest, (len(rows), 1)), atol=1e-6)


@pytest.mark.parametrize("n", [100, 400])
def test_nothing_is_made_of_nothing(n):
    """Targets without a condition: one that is in the mean could be told from what leaves it out."""
    rng = np.random.default_rng(0)
    made = {"image": rng.standard_normal((n + 1000, 32)), "text": rng.standard_normal((n + 1000, 24)) + 0.8}
    pairs = PairedEmbeddings(made)
    fitted, new = fit(pairs.take(np.arange(n)), "balanced"), pairs.take(np.arange(n, n + 1000))
    found = modtrans_core.evaluate(fitted, new)
    assert found["cosine"] > found["floor"] - 0.03
    assert abs(fitted.expected_cosine(new.modality("image")).mean() - found["cosine"]) < 0.03


@pytest.mark.parametrize("labels", [1, 2])
def test_few_conditions_that_repeat_say_the_mean_of_theirs(labels):
    rng = np.random.default_rng(0)
    c, z = rng.standard_normal((labels, 64))[np.arange(300) % labels], rng.standard_normal((300, 8)) + 1
    fitted = fit(PairedEmbeddings({"image": c, "text": z}), "balanced")
    found = modtrans_core.evaluate(fitted, PairedEmbeddings({"image": c, "text": z}))
    assert found["cosine"] > found["floor"] - 0.01
    assert abs(fitted.expected_cosine(c).mean() - found["cosine"]) < 0.02


@pytest.mark.parametrize(("k", "goal"), [(4, "cosine"), (6, "balanced"), (4, "retrieval"), (6, 0.5)])
def test_of_one_condition_the_mean_is_all_there_is_to_say(k, goal):
    z = np.random.default_rng(0).standard_normal((140, 6)) + 0.2
    pairs = PairedEmbeddings({"image": np.ones((140, k)), "text": z})
    fitted, new = fit(pairs.take(np.arange(100)), goal), pairs.take(np.arange(100, 140))
    found = modtrans_core.evaluate(fitted, new)
    assert abs(found["cosine"] - found["floor"]) < 1e-6 and found["own_recall_at_1"] < 0.1
    assert fitted.draw(new.modality("image")[:2], 3).shape == (2, 3, 6)


@pytest.mark.parametrize("spread", [0.1, 1e-2, 1e-3, 1e-4])
def test_conditions_in_a_narrow_cone(spread):
    """Places of one city, as directions in space: their squared distances are below what float32 products tell."""
    rng = np.random.default_rng(0)
    at = rng.standard_normal((900, 3))
    z = np.tanh(at @ rng.standard_normal((3, 8))) + 0.3 * rng.standard_normal((900, 8))
    pairs = PairedEmbeddings({"image": np.array([1.0, 2.0, 3.0]) + spread * at, "text": z})
    fitted, new = fit(pairs.take(np.arange(600)), "balanced"), pairs.take(np.arange(600, 900))
    found = modtrans_core.evaluate(fitted, new)["cosine"]
    assert found > 0.5
    assert abs(fitted.expected_cosine(new.modality("image")).mean() - found) < 0.03


def test_no_longer_translation_is_expected_to_be_worse():
    """Cosines that fall with the length, by chance or not: the mean of all is expected of each."""
    rng = np.random.default_rng(0)
    u, s = unit(rng.standard_normal((300, 20))), torch.from_numpy(rng.uniform(0.3, 0.9, (300, 1))).float()
    u = torch.from_numpy(u)
    np.testing.assert_allclose(expected_cosine(s * u, (1 - s) * u)[:3], [1 - s.mean(), 0, 0], atol=1e-5)
    y = 0.3 + 1.2 * s - s**2  # falls from .6 on
    _, q1, q2, low, high = found = expected_cosine(s * u, y * u).tolist()
    assert min(q1 + 2 * q2 * end for end in (low, high)) >= -1e-5 and high == pytest.approx(0.6, abs=0.01)
    lengths = expected_length(s * u, torch.tensor(found)).norm(dim=1)
    assert float(lengths.mean()) == pytest.approx(float(y.mean()), abs=1e-5)


def test_targets_that_equal_the_mean_are_scored():
    pairs = PairedEmbeddings({"image": np.random.default_rng(0).standard_normal((60, 4)), "text": np.ones((60, 3))})
    found = modtrans_core.evaluate(fit(pairs), pairs)
    assert found["cosine"] == pytest.approx(1) and found["own_recall_at_1"] == pytest.approx(1 / 60)


def test_pairs_in_pieces_are_as_good_as_all_at_once(monkeypatch):
    """Where some are never left out the sums are gathered chunk by chunk; with these it is the same map."""
    pairs, fresh = data(), data(20, seed=1).modality("image")
    whole = fit(pairs)
    monkeypatch.setattr(held_out, "LEFT_OUT", 119)
    np.testing.assert_allclose(fit(pairs).translate(fresh), whole.translate(fresh), atol=0.05)
    held = Held.of([Pairing(pairs, "image", "text")], torch.zeros(5), np.random.default_rng(0))
    assert len(held.c) == 119 and not held.all
    sums = [torch.zeros(()), torch.zeros(())]
    for _, total, count in module._sums([Pairing(pairs, "image", "text")], torch.zeros(5)):
        sums = [sums[0] + count.sum(), sums[1] + total.sum()]
    np.testing.assert_allclose(sums, [120, pairs.modality("text").sum()], rtol=1e-5)


def test_items_without_groups_in_two_parts_are_not_taken_for_each_other():
    parts = [Pairing(data(30, seed=seed), "image", "text") for seed in (0, 1)]
    held = Held.of(parts, torch.zeros(5), np.random.default_rng(0))
    assert len(held.c) == 60 and len(np.unique(held.group)) == 60 and held.item.tolist() == list(range(60))


def test_the_length_of_the_whole_is_the_cosine_to_expect():
    """Where the cosine is a quadratic of the length, the quadratic is found; beyond the lengths seen it stays level."""
    rng = np.random.default_rng(0)
    u, s = unit(rng.standard_normal((300, 20))), rng.uniform(0.3, 0.9, 300)
    cosines = 0.2 + 1.2 * s - 0.6 * s**2
    apart = unit(rng.standard_normal((300, 20)))
    apart = unit(apart - (apart * u).sum(1, keepdims=True) * u)
    z = torch.from_numpy(cosines[:, None] * u + np.sqrt(1 - cosines**2)[:, None] * apart).float()
    zhat = torch.from_numpy(s[:, None] * u).float()
    expected = expected_cosine(zhat, z)
    np.testing.assert_allclose(expected, [0.2, 1.2, -0.6, s.min(), s.max()], atol=1e-4)
    far = expected_length(torch.tensor([[0.5, 0], [2, 0], [0, -0.1]]), expected)
    at = np.array([0.5, s.max(), s.min()])
    np.testing.assert_allclose(far.norm(dim=1), 0.2 + 1.2 * at - 0.6 * at**2, atol=1e-5)
    few = slice(ENOUGH - 1)
    at, y = s[few], cosines[few]
    once = [0, (at @ y) / (at @ at), 0, at.min(), at.max()]
    np.testing.assert_allclose(expected_cosine(zhat[few], z[few]), once, atol=1e-5)


def test_one_length_for_all_expects_the_mean_cosine():
    u = torch.nn.functional.normalize(torch.randn(200, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    expected = expected_cosine(0.4 * u, 0.7 * u)
    np.testing.assert_allclose(expected_length(0.4 * u, expected).norm(dim=1), 0.7, atol=1e-4)


def test_the_seed_chooses_landmarks_and_nothing_is_left_to_chance():
    first, again, other = (
        modtrans_core.fit(data(200), config=CalibratedConfig(20, seed=seed), device="cpu") for seed in (0, 0, 1)
    )
    for a, b in zip(first.tensors().values(), again.tensors().values(), strict=True):
        assert torch.equal(a, b)
    assert len(first.landmarks) == 20 and not torch.equal(first.landmarks, other.landmarks)


@pytest.mark.parametrize("n", [2, 3, 7])
def test_a_small_pair_set_is_enough(n):
    """More unknowns than pairs, and fewer landmarks than asked for."""
    found = modtrans_core.fit(data(n), device="cpu")
    new = data(9)
    assert np.isfinite(found.translate(new.modality("image"))).all()
    assert np.isfinite(found.rank(new.modality("image"), new.modality("text"), k=9)[1]).all()


@pytest.mark.parametrize(("source", "target"), [("image", "text"), ("text", "image")])
def test_several_captions_in_either_direction(source, target):
    rng = np.random.default_rng(0)
    z = data(300).modality("text")
    several = unit(z[:, None] + 0.1 * rng.standard_normal((300, 3, 5)))
    counts = rng.integers(1, 4, 300)
    pairs = PairedEmbeddings({"image": data(300).modality("image"), "text": several}, {"text": counts})
    found = modtrans_core.fit(pairs.take(np.arange(200)), source, target, device="cpu")
    scores = modtrans_core.evaluate(found, pairs.take(np.arange(200, 300)))
    assert scores["skill"] > 0.3 and scores["gallery"] == 100


def test_progress_counts_the_passes():
    seen = []
    modtrans_core.fit(data(), device="cpu", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, module.PASSES) for done in range(1, module.PASSES + 1)]
