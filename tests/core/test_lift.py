"""The map of the lifted condition against scikit-learn's kernel ridge regression."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.gaussian_process.kernels import RBF, DotProduct
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import KernelCenterer

from modtrans_core import lift
from modtrans_core.config import Config, LiftConfig, preset
from modtrans_core.evaluate import cosine, unit
from modtrans_core.lift import LiftedMap, lifted
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.translator import Translator

ALL = torch.arange(90)


def data(n=120, k=6, d=5, seed=0):
    """Unit pairs whose targets bend with the condition."""
    rng, map_ = np.random.default_rng(seed), np.random.default_rng(99)
    c = unit(rng.standard_normal((n, k)))
    bent = np.tanh(3 * c @ map_.standard_normal((k, 8))) @ map_.standard_normal((8, d))
    return torch.from_numpy(c), torch.from_numpy(unit(bent + 1 + 0.2 * rng.standard_normal((n, d))))


def fit(c, z, goal="cosine", landmarks=200):
    return LiftedMap.fit(c[:90], z[:90], ALL, ALL, c[90:], z[90:], LiftConfig(landmarks, goal), seed=0)


def translate(fitted, c):
    return lifted(c, fitted.landmarks, fitted.bandwidth) @ fitted.M


def test_with_every_landmark_it_is_kernel_ridge_regression(monkeypatch):
    for name, value in (("BANDWIDTHS", (1.0,)), ("PENALTIES", (0.3,)), ("JITTER", 1e-10)):
        monkeypatch.setattr(lift, name, value)
    c, z = data()
    fitted = fit(c, z)
    kernel = DotProduct(sigma_0=0) + RBF(float(fitted.bandwidth) ** 0.5)
    train, held = c[:90].double().numpy(), c[90:].double().numpy()
    centre = KernelCenterer().fit(kernel(train))
    mean = z[:90].double().numpy().mean(0)
    model = KernelRidge(alpha=0.3, kernel="precomputed").fit(centre.transform(kernel(train)), z[:90].numpy() - mean)
    expected = mean + model.predict(centre.transform(kernel(held, train)))
    np.testing.assert_allclose(translate(fitted, c[90:]), expected, atol=2e-4)


def test_repeated_conditions_count_as_often_as_they_occur():
    c, z = data()
    twice = torch.cat([ALL, ALL[:30]])
    held, config = (c[90:], z[90:]), LiftConfig(200, "cosine")
    short = LiftedMap.fit(c[:90], z[:90], twice, twice, *held, config, seed=0)
    plain = fit(c, z)
    assert not torch.allclose(translate(short, c[90:]), translate(plain, c[90:]), atol=1e-3)
    everywhere = torch.cat([ALL, ALL])
    doubled = LiftedMap.fit(c[:90], z[:90], everywhere, everywhere, *held, config, seed=0)
    difference = cosine(translate(doubled, c[90:]).numpy(), translate(plain, c[90:]).numpy())
    assert difference.mean() > 0.999  # the same problem with another scale of the penalty


def test_it_bends_where_a_linear_map_cannot():
    c, z = data(n=390)
    rows = torch.arange(300)
    fitted = LiftedMap.fit(c[:300], z[:300], rows, rows, c[300:], z[300:], LiftConfig(400, "cosine"), seed=0)
    design = torch.cat([c[:300], torch.ones(300, 1)], 1).double().numpy()
    linear = np.linalg.lstsq(design, z[:300].double().numpy(), rcond=None)[0]
    fresh, truth = data(n=500, seed=7)
    straight = np.hstack([fresh.numpy(), np.ones((500, 1))]) @ linear
    assert (
        cosine(translate(fitted, fresh).numpy(), truth.numpy()).mean() > cosine(straight, truth.numpy()).mean() + 0.02
    )


def test_each_goal_is_best_by_its_own_measure():
    """One dimension on both sides and a target near the condition plus a gap: ranking and cosine part ways."""
    rng = np.random.default_rng(0)
    c = unit(rng.standard_normal((120, 40)))
    z = unit(0.25 * c + 0.8 * unit(np.ones((1, 40))) + 0.06 * rng.standard_normal((120, 40)))
    c_, z_ = torch.from_numpy(c), torch.from_numpy(z)
    measured = {}
    for goal in ("cosine", "balanced", "retrieval"):
        fitted = fit(c_, z_, goal)
        mean = z_[:90].double().mean(0)
        measured[goal] = lift._judge(translate(fitted, c_[90:]).double(), z_[90:].double(), mean)
    assert (
        measured["cosine"][0] >= measured["balanced"][0] - 1e-5 >= measured["cosine"][0] - lift.COSINE_GIVEN_UP - 2e-5
    )
    assert measured["cosine"][1] <= measured["balanced"][1] <= measured["retrieval"][1]


def test_the_preset_trains_saves_and_loads(tmp_path):
    c, z = data(300)
    pairs = PairedEmbeddings({"image": c.numpy(), "text": z.numpy()})
    fitted = Translator.fit(pairs, config=preset("calibrated"), out=tmp_path / "run")
    expected = fitted.translate(c.numpy())
    np.testing.assert_array_equal(Translator.load(tmp_path / "run").translate(c.numpy()), expected)
    several = fitted.translate(c.numpy(), samples=3)
    np.testing.assert_array_equal(several, np.repeat(expected[:, None], 3, 1))  # a mean, not a sample


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="gamma: 1.0, 0 where"):
        replace(preset("calibrated"), gamma=1.0)
    with pytest.raises(ValueError, match=r"train.steps: 2000, 0 where"):
        Config(gamma=0.0, lift=LiftConfig(landmarks=9))
    with pytest.raises(ValueError, match="goal: 'both', one of"):
        LiftConfig(goal="both")  # type: ignore[arg-type]
