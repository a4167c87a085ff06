"""The pairs of the bench: what is known about them is true."""

import numpy as np
import torch

from analysis.bench.contenders import Preset
from analysis.bench.task import synthetic_task

CPU = torch.device("cpu")


def test_conditions_fill_the_intrinsic_dimensions_and_no_more():
    task = synthetic_task((96, 24, 20), 16, 4, 0, CPU)
    singular = np.linalg.svd(task.conditions(96).numpy(), compute_uv=False)
    assert singular[3] > 0.1 and singular[4] < 1e-4


def test_the_optimum_is_that_of_the_unrotated_pairs_and_no_translator_beats_it():
    task = synthetic_task((4000, 200, 4000), 16, 4, 0, CPU)
    linear = Preset("calibrated", landmarks=0)
    linear.fit(task, 0, 0)
    reached = task.score(lambda c: linear.translate(c, 1), 500)["cosine"]
    assert task.optimum - 0.1 < reached < task.optimum + 0.01  # the optimum is of the same test pairs


def test_several_captions_are_several_pairs_and_a_few_items_are_a_part_of_them():
    task = synthetic_task((40, 20, 20), 16, 4, 0, CPU, captions=5)
    assert len(task.pairing) == 200 and len(task.few(8).pairing) == 40 and len(task.few(8).held.pairs) == 8
    assert np.array_equal(task.few(8).train.modality("image"), task.train.modality("image")[:8])
    assert task.conditions(50).shape == (50, 16)
