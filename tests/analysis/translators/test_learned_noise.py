"""LAFITE's learned perturbation: its network, and what contrast teaches it."""

import numpy as np
import pytest
import torch

from analysis.translators.learned_noise import METHOD, LearnedNoiseConfig, LearnedNoiseTranslator, loss
from modtrans_core.protocol import Facts
from modtrans_core.train import TrainConfig
from modtrans_core.vectors import unit


def test_the_networks_have_the_published_shape():
    with torch.device("meta"):
        model = LearnedNoiseTranslator(Facts("image", "text", 512, 512), METHOD.presets["LAFITE trained"])
    for one in (model.mu, model.log_deviation):
        shapes = [layer.weight.shape for layer in one if isinstance(layer, torch.nn.Linear)]
        assert shapes == [(1024, 512), (1024, 1024), (1024, 1024), (512, 1024)]


def test_the_loss_by_hand(rng):
    """Two rows, no learned move and no noise to speak of: the cross-entropy of two logits, both ways."""
    model = LearnedNoiseTranslator(Facts("image", "text", 2, 2), LearnedNoiseConfig(width=4))
    with torch.no_grad():
        for one in (model.mu, model.log_deviation):
            one[-1].weight.zero_()
            one[-1].bias.zero_()
        model.log_deviation[-1].bias.fill_(-30)
    c = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    found = loss(model, c, torch.full_like(c, torch.nan))["total"].item()
    assert found == pytest.approx(np.log1p(np.exp((0.6 - 1) / 0.1)), rel=1e-4)


def test_contrast_moves_conditions_off_their_common_mean(rng, fit):
    """Neighbours are told apart by what they do not share: what is common to all is left, and noise is driven out."""
    c = unit(rng.normal(size=(300, 8)) + 2)
    train = TrainConfig(150, 64, 1e-2, weight_decay=0.0, ema=0.0)
    zhat = fit(LearnedNoiseConfig(width=32, train=train), c, c).translate(c)
    start = fit(LearnedNoiseConfig(width=32, train=TrainConfig(0)), c, c).translate(c)
    assert np.linalg.norm(zhat.mean(0)) < np.linalg.norm(c.mean(0)) - 0.2
    off = unit(c - c.mean(0))
    assert (unit(zhat) * off).sum(1).mean() > (unit(start) * off).sum(1).mean() + 0.2


@pytest.mark.parametrize(("setting", "value"), [("temperature", 0.0), ("width", -1)])
def test_impossible_settings(setting, value):
    with pytest.raises(ValueError, match=f"{setting}: {value!r}"):
        LearnedNoiseConfig(**{setting: value})
