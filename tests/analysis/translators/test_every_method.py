"""What holds for every method of the room: fits by preset, run folders, scores, and the same rules for conditions."""

import numpy as np
import pytest
import torch

import modtrans_core as mt
from analysis.translators import LANGUAGE_FREE, NEED_ONE_DIMENSION, SIMPLE, SLOWER, applicable, not_applicable
from analysis.translators.certify import certify_translator
from modtrans_core import methods
from modtrans_core.vectors import unit

SMALL = {
    **{name: {"width": 16, "every": 5, "train.steps": 20} for name in ("MLP", "MLP InfoNCE", "residual MLP")},
    "LAFITE trained": {"width": 8, "train.steps": 5},
    "kernel ridge": {"landmarks": 20},
    "released": {"width": 16, "depth": 2, "steps": 2, "reconstruction_steps": 2, "train.steps": 3, "train.batch": 16},
}
EVERY = (*SIMPLE, *SLOWER, *LANGUAGE_FREE, "released")


def made(k, d, n=60):
    rng = np.random.default_rng(k + 10 * d)
    return mt.PairedEmbeddings({"image": rng.normal(size=(n, k)), "text": rng.normal(size=(n, d)) + 1})


@pytest.fixture(scope="module", params=EVERY)
def translator(request):
    return mt.fit(made(6, 6), preset=request.param, settings=SMALL.get(request.param), device="cpu")


def test_every_preset_of_the_room_is_registered():
    assert set(methods.presets()) >= {*EVERY, "calibrated", "poster"}


class TestEach:
    def test_saved_and_loaded_it_translates_the_same(self, translator, tmp_path):
        translator.save(tmp_path / "run")
        again = mt.load(tmp_path / "run", device="cpu")
        assert type(again) is type(translator) and again.config == translator.config and again.facts == translator.facts
        c = made(6, 6).modality("image")
        np.testing.assert_array_equal(again.translate(c), translator.translate(c))

    def test_it_is_evaluated_and_says_who_it_is(self, translator):
        scores = mt.evaluate(translator, made(6, 6))
        assert -1 <= scores["cosine"] <= 1 and scores["gallery"] == 60
        assert "image 6 -> text 6" in repr(translator)
        assert translator.method in methods.names()

    def test_tensors_give_tensors_and_length_does_not_matter(self, translator):
        c = made(6, 6).modality("image")[:5].astype(np.float32)
        before = c.copy()
        zhat = translator.translate(c)
        assert zhat.shape == (5, 6) and np.isfinite(zhat).all() and zhat.dtype == np.float32
        np.testing.assert_array_equal(translator.translate(torch.from_numpy(c)).numpy(), zhat)
        np.testing.assert_allclose(translator.translate(7 * c), zhat, atol=1e-4)
        np.testing.assert_array_equal(c, before)

    @pytest.mark.parametrize(("c", "message"), [(np.ones((1, 5)), r"\(n, 6\) is needed"), (np.zeros((2, 6)), "row 0")])
    def test_impossible_conditions_are_refused(self, translator, c, message):
        with pytest.raises(ValueError, match=message):
            translator.translate(c)

    def test_a_row_does_not_depend_on_the_rows_beside_it_or_says_so(self, translator):
        c = made(6, 6).modality("image")
        alone, among = translator.translate(c[:1]), translator.translate(c)[:1]
        assert (np.abs(alone - among).max() < 1e-5) == translator.row_by_row

    def test_a_run_folder_is_written_and_a_finished_run_is_read(self, translator, tmp_path):
        settings = {"device": "cpu", "out": tmp_path / "run", "config": translator.config}
        fitted = mt.fit(made(6, 6), **settings)
        again = mt.fit(made(6, 6), **settings, resume=True)
        c = made(6, 6).modality("image")
        np.testing.assert_array_equal(fitted.translate(c), again.translate(c))


class TestCertificates:
    def test_cosines_alone_or_a_refusal(self, translator):
        pairs = made(6, 6, 90)
        if not translator.row_by_row:
            with pytest.raises(ValueError, match="method: 'released', .* independent"):
                certify_translator(translator, pairs, 0.1)
            return
        certificate = certify_translator(translator, pairs, 0.1)
        pairs = pairs.take(np.arange(60, 90))  # it was fitted to conditions of the others
        cosine = (unit(translator.translate(pairs.modality("image"))) * unit(pairs.modality("text"))).sum(1)
        assert "premises" not in certificate.statements
        assert certificate.statements["items"].observed == pytest.approx((cosine >= 0.1).mean())


class TestWhichApply:
    def test_one_dimension(self):
        assert applicable(8, 8, SIMPLE) == ["constant mean", "identity", "mean shift", "procrustes", "ridge"]
        assert applicable(8, 8) == [*SIMPLE, *SLOWER]
        assert not_applicable(8, 8) == {}

    def test_two_dimensions(self):
        assert applicable(9, 8, SIMPLE) == ["constant mean", "procrustes", "ridge"]
        assert applicable(9, 8) == ["constant mean", "procrustes", "ridge", *SLOWER[1:]]
        assert set(not_applicable(9, 8, EVERY)) == set(NEED_ONE_DIMENSION)
        assert "9 and 8" in not_applicable(9, 8)["identity"]

    @pytest.mark.parametrize("name", EVERY)
    @pytest.mark.parametrize(("k", "d"), [(6, 9), (9, 6), (1, 4), (4, 1)])
    def test_exactly_those_that_apply_translate(self, name, k, d):
        if (name, d) == ("released", 1):
            return
        settings = {"preset": name, "settings": SMALL.get(name), "device": "cpu"}
        if name in not_applicable(k, d, EVERY):
            with pytest.raises(ValueError, match=f"{name}: .*one dimension is needed"):
                mt.fit(made(k, d), **settings)
            return
        zhat = mt.fit(made(k, d), **settings).translate(made(k, d).modality("image")[:5])
        assert zhat.shape == (5, d) and np.isfinite(zhat).all()


def test_each_wins_where_its_assumption_holds(rng, mean_cosine):
    """Shift only, turn only, any linear map: the simplest method that can follow is exact, simpler ones are not.

    Conditions are points of a torus in the unit sphere; so are the targets, whichever of the three maps makes them.
    """
    angle = rng.uniform(0, 2 * np.pi, (400, 3))
    torus = np.concatenate([np.cos(angle), np.sin(angle)], axis=1) / np.sqrt(3)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    stretch = np.tile(np.sqrt([2.4, 0.5, 0.1]), 2)
    c = np.c_[0.8 * torus, np.full(400, 0.6)]
    tasks = {
        "mean shift": np.c_[0.8 * torus, np.full(400, -0.6)],
        "procrustes": np.c_[0.6 * torus @ turn, np.full(400, 0.8)],
        "ridge": np.c_[0.8 * torus * stretch, np.full(400, 0.6)],
    }
    for exact, z in tasks.items():
        parts = [mt.PairedEmbeddings({"image": c[part], "text": z[part]}) for part in (slice(200), slice(200, 300))]
        for name in applicable(7, 7, SIMPLE):
            fitted = mt.fit(parts[0], preset=name, validation=parts[1], device="cpu")
            score = mean_cosine(fitted, c[300:], unit(z[300:]))
            if SIMPLE.index(name) < SIMPLE.index(exact):
                assert score < 0.99, (exact, name)
            else:
                assert score > 0.9999, (exact, name)
