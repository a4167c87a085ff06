"""Certificates of translators: what they are asked for, and what they get."""

import json

import numpy as np
import pytest

from analysis.experiments.synthetic import synthetic_pairs
from analysis.theory.confidence import lower_limit
from analysis.translators.certify import certify_translator
from modtrans_core.methods import fit
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.protocol import Facts


class LinearTranslator:
    """What `certify_translator` needs of a translator, with no network: p = c, f along the first axis."""

    facts, row_by_row = Facts("text", "image", 5, 5), True

    def parts(self, c):
        self.seen = c
        return c, np.tile(np.eye(c.shape[1], dtype=np.float32)[0], (len(c), 1)), 0.25


class TestTranslator:
    def test_one_condition_one_target_one_item_of_a_group(self):
        rng = np.random.default_rng(22)
        text, image = rng.standard_normal((30, 3, 5)), rng.standard_normal((30, 5))
        counts = rng.integers(1, 4, 30)
        pairs = PairedEmbeddings({"text": text, "image": image}, {"text": counts}, group=np.arange(30) // 2)
        translator = LinearTranslator()
        certificate = certify_translator(translator, pairs, 0.1, 0.9)
        assert (certificate.rows, certificate.pairs) == (30, 15)
        distance = np.abs(translator.seen[:, None] - text).max(axis=2)
        assert (distance.min(axis=1) < 1e-6).all()
        assert (distance.argmin(axis=1) < counts).all()
        assert certificate.to_dict() == certify_translator(translator, pairs, 0.1, 0.9).to_dict()

    def test_the_draws_come_from_the_generator(self):
        """None is a generator with seed 0, as documented; another seed draws other captions."""
        rng = np.random.default_rng(39)
        text, image = rng.standard_normal((40, 3, 5)), rng.standard_normal((40, 5))
        pairs = PairedEmbeddings({"text": text, "image": image}, {"text": np.full(40, 3)}, group=np.arange(40) // 2)

        def cosines(rng):
            certificate = certify_translator(translator=LinearTranslator(), pairs=pairs, alpha=0.1, rng=rng)
            assert certificate.confidence == 0.95
            return certificate.band.cosine

        np.testing.assert_array_equal(cosines(None), cosines(np.random.default_rng(0)))
        assert (cosines(None) != cosines(np.random.default_rng(1))).any()


class TestSeen:
    pairs = synthetic_pairs(300, 6, 12, 0.7, 2, np.random.default_rng(44))[0]

    def test_rows_that_were_fitted_to_are_left_out_and_counted(self):
        train, validation, test = self.pairs.split(0)
        for preset in ("calibrated", "ridge"):
            translator = fit(train, preset=preset, validation=validation, device="cpu")
            whole, alone = (certify_translator(translator, pairs, 0.5) for pairs in (self.pairs, test))
            assert (whole.left_out, alone.left_out) == (len(train) + len(validation), 0)
            assert whole.lower_limit == alone.lower_limit and whole.pairs == len(test)
            assert f"{whole.left_out} rows left out, as the translator was fitted to them" in whole.text()
            assert "left out" not in alone.text()
            with pytest.raises(ValueError, match="was fitted to all 210 items"):
                certify_translator(translator, train, 0.5)

    def test_targets_from_a_list(self):
        names = np.random.default_rng(45).normal(size=(3, 12))[np.arange(300) % 3]
        train, validation, test = PairedEmbeddings({"image": self.pairs.modality("image"), "text": names}).split(0)
        translator = fit(train, validation=validation, device="cpu")
        with pytest.raises(ValueError, match="fitted to all 60 items"):
            certify_translator(translator, test, 0.5)
        assert certify_translator(translator, test, 0.5, seen_targets=True).pairs == 60


class ConditionalMean:
    """What `certify_translator` needs of a calibrated translator: here the known E[z|c] of each condition."""

    row_by_row = True

    def __init__(self, pairs, mean, spoilt=0.0):
        self.facts = Facts.of(pairs, "image", "text")
        self.known = {row.tobytes(): m for row, m in zip(pairs.arrays["image"], mean, strict=True)}
        self.spoilt = spoilt

    def translate(self, c):
        return np.array([self.known[row.tobytes()] for row in c])

    def expected_cosine(self, c):
        return np.clip(np.linalg.norm(self.translate(c), axis=1) + self.spoilt, 0.0, 1.0)


class TestCalibrated:
    pairs, mean = synthetic_pairs(1000, 6, 12, 0.7, 2, np.random.default_rng(43))

    def test_it_speaks_of_what_was_observed_and_expected_alone(self):
        certificate = certify_translator(ConditionalMean(self.pairs, self.mean), self.pairs, 0.5)
        assert certificate.premises is None and certificate.each == pytest.approx(1 - 0.05 / 3)
        assert certificate.lower_limit == lower_limit(certificate.successes, 1000, certificate.each)
        text = certificate.text()
        assert not any(word in text.lower() for word in ("bound", "dominat", "premise", "direction"))
        assert "come true on average: NOT REFUTED" in text
        plain = json.loads(json.dumps(certificate.to_dict()))
        found = plain["expectation"]
        assert plain["premises"] is None and not found["refuted"] and found["low"] < 0.0 < found["high"]
        assert found["observed"] == pytest.approx(found["expected"], abs=0.02) and found["high"] - found["low"] < 0.06
        assert found["error"] < 2 * found["error_by_chance"]

    @pytest.mark.parametrize(("spoilt", "word"), [(0.06, "high"), (-0.06, "low")])
    def test_spoilt_expectations_are_refuted(self, spoilt, word):
        certificate = certify_translator(ConditionalMean(self.pairs, self.mean, spoilt), self.pairs, 0.5)
        assert certificate.expectation.refuted and f"REFUTED, they are too {word}" in certificate.text()

    def test_two_calls_agree(self):
        translator = ConditionalMean(self.pairs, self.mean)
        one, other = (certify_translator(translator, self.pairs, 0.5).to_dict() for _ in range(2))
        assert one == other
