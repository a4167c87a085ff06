"""What embedding costs: the operations are those of the architecture, the times those of the clock."""

import numpy as np
import pytest
import torch

from analysis.cost import Device
from analysis.embedding_cost import SAMPLES, Cost, measure, table
from modtrans_core.embed.encoders import Encoder
from modtrans_core.embed.sources.reading import read


class Matrix(Encoder):
    """A picture of 8 x 8 times a matrix; its operations can be told by heart."""

    name, modality, dimension, normalised, batch_size = "test:matrix/none", "image", 5, False, 16

    def __init__(self):
        self.device = torch.device("cpu")
        self.matrix = torch.ones(192, 5)

    def prepare(self, item):
        return item[:8, :8].reshape(-1) / np.float32(255)

    def forward(self, prepared):
        return torch.from_numpy(np.stack(prepared)) @ self.matrix

    def facts(self):
        return {}


def test_operations_and_times_of_an_encoder():
    cost = measure(Matrix(), 4)
    assert cost.operations == 2 * 192 * 5
    assert cost.preparation > 0 and 0 < cost.seconds < 1


@pytest.mark.parametrize(
    ("preparation", "operations", "seconds", "limit"),
    [(0.008, 1e9, 0.0005, "preparation"), (0.008, 1e12, 0.01, "network")],
)
def test_the_slower_of_preparation_and_network_is_the_limit(preparation, operations, seconds, limit):
    device = Device(bfloat16=2e14, matrix_share=0.5)
    assert Cost("e", "image", 1.0, preparation, operations).on_gpu(device, cpus=16) == (pytest.approx(seconds), limit)


def test_the_table_states_times_in_words():
    lines = table([Cost("e", "image", 0.36, 0.016, 1e9), Cost("f", "text", 1e-4, 1e-6, 1e6)]).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| `e` | image | 10 h | 1 | 16 | 100 s |") and lines[3].startswith(
        "| `f` | text | 10 s "
    )


def test_made_up_pictures_are_photographs_in_size():
    value = SAMPLES["image"](np.random.default_rng(0))
    assert read("image", value).shape == (480, 640, 3) and 50_000 < len(value) < 200_000
