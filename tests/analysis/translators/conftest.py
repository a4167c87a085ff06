"""Fits to arrays: translators whose pairs a test makes by hand."""

import numpy as np
import pytest

import modtrans_core as mt
from modtrans_core.pairing import Pairing


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def fit():
    """fit(config, c, z): a closed form is fitted to all rows, as the last quarter is for validation; or to (c, z) and
    `held` together."""

    def fitted(config, c, z, held=None, **options):
        if held is None:
            cut = 3 * len(c) // 4
            (c, held_c), (z, held_z) = np.split(c, [cut]), np.split(z, [cut])
            held = held_c, held_z
        train, validation = (mt.PairedEmbeddings({"image": image, "text": text}) for image, text in ((c, z), held))
        return mt.fit(train, "image", "text", config, validation=validation, device="cpu", **options)

    return fitted


@pytest.fixture
def pairing():
    return lambda c, z, counts=None: Pairing(
        mt.PairedEmbeddings({"image": c, "text": z}, {} if counts is None else {"text": counts}), "image", "text"
    )


@pytest.fixture
def mean_cosine():
    return lambda translator, c, z: float(mt.score(translator.translate(c), z, mean=z.mean(0))["cosine"])
