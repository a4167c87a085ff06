"""A graph says what the translator says, of any number of conditions of any length."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from modtrans_core import PairedEmbeddings, fit
from modtrans_core.cli import VERBS, verb
from modtrans_core.layouts import onnx
from modtrans_core.scores import cosine

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

RNG = np.random.default_rng(0)
C = RNG.normal(size=(150, 8)).astype(np.float32)
TEXT = np.tanh(C @ RNG.normal(size=(8, 8))) + 0.3
PAIRS = PairedEmbeddings({"image": C, "text": TEXT}, metadata={"image": {"encoder": "timm:a/b"}})


def fitted(preset, **settings):
    return fit(PAIRS, preset=preset, settings=settings, device="cpu")


def run(path, **given):
    return runtime.InferenceSession(path).run(None, given)[0]


@pytest.mark.parametrize("preset", ["ridge", "kernel ridge", "calibrated"])
def test_closed_forms(tmp_path, preset):
    translator = fitted(preset)
    assert onnx.export(translator, tmp_path / "model.onnx") <= 1e-5
    for n in (1, 150):
        found = run(tmp_path / "model.onnx", c=5 * C[:n])
        np.testing.assert_allclose(found, translator.translate(C[:n]), atol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_the_rounding_of_float32_is_no_other_graph(tmp_path, monkeypatch):
    """Of conditions of few numbers its own translations, one by one and all at once, differ by more than 1e-5."""
    rng = np.random.default_rng(1)
    u = rng.normal(size=(300, 6))
    text = np.tanh(u @ rng.normal(size=(6, 8))) + 0.3 * rng.normal(size=(300, 8))
    image = (u @ rng.normal(size=(6, 16)))[:, None] + 0.7 * rng.normal(size=(300, 5, 16))
    translator = fit(PairedEmbeddings({"image": image, "text": text}), device="cpu")
    apart = onnx.export(translator, tmp_path / "model.onnx")
    assert 1e-5 < apart < 1e-3
    monkeypatch.setattr(onnx, "ROUNDING", 0)
    with pytest.raises(ValueError, match="export: .*, a graph that differs by at most 1e-05 is needed"):
        onnx.export(translator, tmp_path / "other.onnx")
    found = run(tmp_path / "model.onnx", c=image[:, 0].astype(np.float32))
    cosines = cosine(found, translator.translate(image[:, 0].astype(np.float32)))
    assert cosines.min() > 1 - 1e-6


@pytest.mark.parametrize("length", [1e-30, 1e25, 3e37])
def test_conditions_of_any_length(tmp_path, length):
    translator = fitted("ridge")
    onnx.export(translator, tmp_path / "model.onnx")
    found = run(tmp_path / "model.onnx", c=C[:5] * np.float32(length))
    np.testing.assert_allclose(found, translator.translate(C[:5]), atol=1e-5)


def test_the_poster_at_a_fixed_number_of_steps(tmp_path):
    translator = fitted("poster", **{"train.steps": 20, "width": 16, "train.learning_rate": 0.01})
    onnx.export(translator, tmp_path / "model.onnx", steps=2, guidance=1.5)
    noise = torch.randn(150, 8, generator=torch.Generator().manual_seed(1))
    expected = translator.translate(C, steps=2, guidance=1.5, noise=noise)
    found = run(tmp_path / "model.onnx", c=C, noise=noise.numpy())
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - translator.translate(C, steps=1, noise=noise)).max() > 1e-3
    held = runtime.InferenceSession(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map
    said = json.loads(held["modtrans"])
    assert said["method"] == "poster" and said["encoders"]["image"]["encoder"] == "timm:a/b" and said["k"] == 8
    assert said["settings"] == {"steps": 2, "guidance": 1.5}


def test_a_graph_that_says_something_else_is_not_kept(tmp_path, monkeypatch):
    translator = fitted("ridge")
    zhat = type(translator).zhat
    monkeypatch.setattr(type(translator), "zhat", lambda self, c: zhat(self, c) * torch.where(c > 9, c, c + 1))
    translate = lambda self, c: zhat(self, c / c.norm(dim=1, keepdim=True))  # noqa: E731
    monkeypatch.setattr(type(translator), "translate", translate)
    with pytest.raises(ValueError, match=r"export: .*, a graph that differs by at most 1e-05 is needed"):
        onnx.export(translator, tmp_path / "model.onnx")
    assert not [*tmp_path.iterdir()]


class Linear(onnx._Graph):
    """A graph without its kernel."""

    def __init__(self, translator, settings):
        M = translator.M.clone()
        M[translator.facts.k : -1] = 0
        super().__init__(dataclasses.replace(translator, M=M), settings)


def test_a_graph_is_tried_where_a_kernel_says_something(tmp_path, monkeypatch):
    """Conditions that have much in common, as of many an encoder: in most directions the kernel is nothing."""
    translator = fit(PairedEmbeddings({"image": C + 6, "text": TEXT}), device="cpu")
    monkeypatch.setattr(onnx, "_Graph", Linear)
    with pytest.raises(ValueError, match=r"export: .*, a graph that differs by at most .* is needed"):
        onnx.export(translator, tmp_path / "model.onnx")


def test_what_has_no_graph_is_refused(tmp_path, monkeypatch):
    translator = fitted("ridge")
    monkeypatch.setattr(type(translator), "zhat", lambda self, c: c if c.sum() > 0 else -c)
    monkeypatch.setattr(type(translator), "translate", lambda self, c: c)
    with pytest.raises(ValueError, match=r"export: 'ridge' has no ONNX graph \(") as refused:
        onnx.export(translator, tmp_path / "model.onnx")
    assert "\n" not in str(refused.value)
    monkeypatch.setattr(type(translator), "row_by_row", False)
    with pytest.raises(ValueError, match="export: 'ridge', a method that translates row by row is needed"):
        onnx.export(translator, tmp_path / "model.onnx")
    assert not [*tmp_path.iterdir()]


def test_the_verb(tmp_path, monkeypatch, capsys):
    """What it refuses, it refuses before torch traces anything; what it writes is above."""
    monkeypatch.chdir(tmp_path)
    fitted("ridge").save("run")
    monkeypatch.setattr(onnx, "export", lambda translator, path, **settings: 2e-7)
    for arguments, status, words in (
        (["run", "model.onnx"], 0, "model.onnx: image 8 -> text 8, within 2e-07 of the run where both were tried"),
        (["run", "model.pt"], 1, "OUT: 'model.pt', a name that ends in .onnx is needed"),
        (["run", "model.onnx", "--steps", "3"], 1, "steps: 3, a translator that samples is needed"),
        (["run", "there.onnx"], 1, "there.onnx: exists"),
    ):
        (tmp_path / "there.onnx").touch()
        assert verb.run(VERBS, "modtrans", "", ["export", *arguments]) == status
        assert words in capsys.readouterr().err
