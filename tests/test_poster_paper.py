"""`modtrans paper poster-tables` end to end, on a few synthetic pairs of modalities of any name, without packages."""

import json
from dataclasses import replace

import numpy as np
import pymupdf
import pytest

from analysis.experiments.synthetic import synthetic_pairs
from analysis.paper import make as paper
from modtrans_core import PairedEmbeddings

SMALLER = ('15_poster_tables.tables="6"', "18_migration.draws=40", "19_other_modalities.steps=2")


def test_the_second_paper_is_made_without_packages_and_names_what_is_left_out(tmp_path):
    pairs = synthetic_pairs(300, 16, 24, 0.5, 3, np.random.default_rng(0))[0]
    key = np.array([f"{item:04}" for item in range(len(pairs))])
    words = np.where(pairs.modality("text") > 0, [f"w{i}" for i in range(24)], [f"v{i}" for i in range(24)])
    said = {name: [" ".join(one[:6]) for one in several] for name, several in zip(key.tolist(), words, strict=True)}
    named = PairedEmbeddings({"drawing": pairs.modality("image"), "title": pairs.modality("text")}, group=pairs.group)
    replace(named, key=key, metadata={"captions": said}).save(tmp_path / "pairs.npz")
    pdf = paper.make(tmp_path / "out", "smoke", tmp_path / "pairs.npz", SMALLER, "poster-tables")
    numbers = json.loads((tmp_path / "out" / "numbers.json").read_text())
    text = " ".join(page.get_text() for page in pymupdf.open(pdf))
    assert "69.7" in text and "85.1" in text  # of Table 6, which nothing here measures
    assert f"gallery of {numbers['16_retrieval']['gallery']:.0f}" in text
    left_out = numbers["15_poster_tables"]["left_out"]
    assert len(left_out) > 3 and all(name in text for name in left_out)


@pytest.mark.parametrize("metadata", [{}, {"captions": {"0": ["a", "b"]}}], ids=["none", "of one item"])
def test_pairs_without_the_captions_that_a_notebook_reads_are_refused_before_any_runs(tmp_path, metadata):
    vectors = np.eye(80)
    pairs = PairedEmbeddings({"image": vectors, "text": vectors}, key=np.arange(80).astype(str), metadata=metadata)
    pairs.save(tmp_path / "pairs.npz")
    options = {"profile": "smoke", "pairs": tmp_path / "pairs.npz", "paper": "poster-tables"}
    with pytest.raises(ValueError, match=r"pairs.npz: captions: .* by 17_downstream; the others run by --only"):
        paper.make(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
