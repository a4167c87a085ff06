"""The trained M beside the best response to F, and what the mean explains of F."""

import numpy as np
import pytest
import torch

from analysis.experiments.poster_parts import trained_parts
from analysis.experiments.synthetic import synthetic_pairs
from analysis.experiments.trial import Trial
from modtrans_core import PairedEmbeddings, PosterConfig, TrainConfig
from modtrans_core.vectors import unit

CONFIG = PosterConfig(
    width=48, depth=2, dropout=0.0, guidance=1.0, steps=1,
    train=TrainConfig(steps=600, batch=128, learning_rate=3e-3, weight_decay=0.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def trial():
    """Targets with a large common mean."""
    pairs, _ = synthetic_pairs(900, 8, 12, 0.7, 1, np.random.default_rng(0))
    text = unit(pairs.modality("text") + np.full(12, 0.4))
    return Trial.of(PairedEmbeddings({"image": pairs.modality("image"), "text": text}), "image", "text", 0)


@pytest.fixture(scope="module")
def poster(trial):
    return trial.fit(CONFIG)


def test_a_trained_map_is_near_the_best_response_and_the_mean_explains_more_than_a_uniform_direction(trial, poster):
    found = trained_parts(poster, trial, alpha=0.7)
    assert found["agreement"] > 0.5 and found["with_f_best"] > found["with_f"] - 0.02
    assert found["w"] > 0.8 and found["uniform"] < found["about_mean"]
    assert abs(found["about_mean"] - found["observed"]) < 0.7 * abs(found["uniform"] - found["observed"])
    translated = np.asarray(trial.test.c) @ poster.M.detach().numpy()
    assert found["alone"] == pytest.approx(trial.score(translated)["cosine"], abs=1e-5)


def test_another_map_is_not_the_best_response(trial, poster):
    before = poster.M.detach().clone()
    with torch.no_grad():
        poster.M.copy_(torch.randn(before.shape, generator=torch.Generator().manual_seed(0)))
        found = trained_parts(poster, trial, alpha=0.7)
        poster.M.copy_(before)
    assert abs(found["agreement"]) < 0.5 and found["with_f"] < found["with_f_best"] - 0.1
