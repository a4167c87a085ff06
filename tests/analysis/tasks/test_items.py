"""Which items of a file are no test of a translator."""

import numpy as np

from analysis.tasks.items import familiar
from modtrans_core import PairedEmbeddings, fit


def test_a_target_that_was_seen_makes_an_item_familiar_too(tmp_path):
    rng = np.random.default_rng(0)
    c, z = rng.normal(size=(2, 30, 6))
    translator = fit(PairedEmbeddings({"image": c[:20], "text": z[:20]}), preset="ridge", device="cpu")
    other = {
        "image": np.concatenate([c[:5], rng.normal(size=(5, 6)), c[20:]]),
        "text": np.concatenate([z[25:], z[:5], z[20:]]),
    }
    key = np.array([f"{name}{i}" for name, count in (("c", 5), ("z", 5), ("new", 10)) for i in range(count)])
    PairedEmbeddings(other, key=key).save(tmp_path / "pairs.npz")
    assert {name[0] for name in familiar(translator, tmp_path / "pairs.npz")} == {"c", "z"}
    assert len(familiar(translator, tmp_path / "pairs.npz")) == 10
