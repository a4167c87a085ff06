"""Certificates of translators: what they are asked for, and what they get."""

import json
from dataclasses import replace

import numpy as np
import pytest

import modtrans_core as mt
from analysis.experiments.synthetic import synthetic_pairs
from analysis.theory.betting import item_lower_limit
from analysis.theory.certify import GIVEN, THESE, share_of_items
from analysis.translators.certify import certify_translator, largest_in, observe, recall_of
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.protocol import Facts
from modtrans_core.scores import cosine


class LinearTranslator:
    """What `certify_translator` needs of a translator, with no network: p = c, f along the first axis."""

    facts, row_by_row = Facts("text", "image", 5, 5), True

    def __init__(self, gamma=0.25):
        self.gamma = gamma

    def parts(self, c):
        return c, np.tile(np.eye(c.shape[1], dtype=np.float32)[0], (len(c), 1)), self.gamma


class TestTranslator:
    rng = np.random.default_rng(22)
    text, image = rng.standard_normal((30, 3, 5)), rng.standard_normal((30, 5))
    counts = rng.integers(1, 4, 30)
    pairs = PairedEmbeddings({"text": text, "image": image}, {"text": counts}, group=np.arange(30) // 2)

    def test_every_condition_of_an_item_and_the_first_of_a_group(self):
        observed = observe(LinearTranslator(), self.pairs)
        c, item = self.pairs.rows("text")
        np.testing.assert_allclose(
            observed.cosine, cosine(c + 0.25 * np.eye(5)[0], self.pairs.arrays["image"][item]), atol=1e-6
        )
        np.testing.assert_array_equal(observed.item, item)
        assert (observed.pairs, observed.items, observed.groups) == (self.counts.sum(), 30, 15)
        np.testing.assert_allclose(observed.parts.projection, self.pairs.arrays["text"][::2, 0], atol=1e-6)
        certificate = certify_translator(LinearTranslator(), self.pairs, 0.1, 0.9)
        assert list(certificate.statements) == ["items", "groups", "cosines", "premises"]
        assert certificate.statements["premises"].pairs == 15

    def test_a_gamma_of_zero_has_no_premises_and_leaves_the_others_more(self):
        certificate = certify_translator(LinearTranslator(0.0), self.pairs, 0.1, 0.9)
        assert list(certificate.statements) == ["items", "groups", "cosines"]
        assert certificate.each == pytest.approx(1 - 0.1 / 3)
        assert "bound" not in certificate.text()

    def test_where_the_largest_group_comes_from(self):
        part = self.pairs.take(np.arange(0, 30, 2))  # one item a group
        translator = LinearTranslator()
        for settings, size, source in (
            ({}, 1, THESE),
            ({"whole": self.pairs}, 2, "the largest of the whole pair set"),
            ({"whole": self.pairs, "largest_group": 7}, 7, GIVEN),
        ):
            observed = observe(translator, part, **settings)
            assert (observed.largest_group, observed.largest_from) == (size, source)
            certificate = certify_translator(translator, part, 0.1, **settings)
            assert (certificate.largest_group, certificate.largest_from) == (size, source)
        assert largest_in(self.pairs) == 2
        for settings in ({}, {"whole": self.pairs}):
            with pytest.raises(ValueError, match="largest_group: 1, at least 2"):
                observe(translator, self.pairs, largest_group=1, **settings)
        with pytest.raises(ValueError, match="largest_group: 1, at least 2"):
            observe(translator, part, whole=self.pairs, largest_group=1)  # it is contradicted by what was not held out

    def test_a_translator_that_does_not_know_what_it_was_fitted_to(self):
        certificate = certify_translator(LinearTranslator(), self.pairs, 0.1)
        assert certificate.left_out is None and certificate.to_dict()["left_out"] is None
        assert "Whether the translator was trained on any of these items is not known." in certificate.text()

    def test_the_sizes_of_the_groups_that_were_not_held_out(self):
        group = np.repeat(np.arange(11), [1] * 8 + [2, 8, 12])
        whole = PairedEmbeddings({"text": self.text[:, 0], "image": self.image}, group=group)
        part = whole.take(np.flatnonzero(np.isin(group, [0, 1, 2, 8, 9])))
        observed = observe(LinearTranslator(), part, whole=whole)
        assert sorted(observed.sizes) == [1, 1, 1, 1, 1, 12]
        plain = observe(LinearTranslator(), part, largest_group=12)
        assert plain.sizes is None and observe(LinearTranslator(), whole, whole=whole).sizes is None
        unnumbered = replace(part, group=None)  # which groups of the whole set these rows are is not known
        assert observe(LinearTranslator(), unnumbered, whole=whole).sizes is None
        at = float(np.quantile(observed.cosine, 0.1))
        one, other = (share_of_items(x, at, 0.6).limit for x in (observed, plain))
        expected = item_lower_limit(
            observed.cosine >= at, observed.group, 0.6, largest_group=12, sizes=[1, 1, 1, 1, 1, 12]
        )
        assert one == expected > other > 0.0


class TestSeen:
    pairs = synthetic_pairs(300, 6, 12, 0.7, 2, np.random.default_rng(44))[0]

    def test_items_that_were_fitted_to_are_left_out_and_counted(self):
        train, validation, test = self.pairs.split(0)
        for preset in ("calibrated", "ridge"):
            translator = mt.fit(train, preset=preset, validation=validation, device="cpu")
            whole, alone = (certify_translator(translator, pairs, 0.5) for pairs in (self.pairs, test))
            assert (whole.left_out, alone.left_out) == (len(train) + len(validation), 0)
            assert whole.statements["items"] == alone.statements["items"] and whole.items == len(test)
            assert f"{whole.left_out} other items were left out. The translator was fitted to them" in whole.text()
            assert (
                "left out" not in alone.text()
                and "not known" not in alone.text()
                and whole.to_dict()["left_out"] == 240
            )
            with pytest.raises(ValueError, match="was fitted to all 210 items"):
                certify_translator(translator, train, 0.5)

    def test_recall_is_of_the_items_that_were_not_fitted_to(self):
        train, validation, test = self.pairs.split(0)
        translator = mt.fit(train, validation=validation, device="cpu")
        whole, alone = (recall_of(translator, pairs, 5)(confidence=0.9) for pairs in (self.pairs, test))
        assert whole == alone and whole.gallery == len(test) < len(self.pairs)

    def test_targets_from_a_list(self):
        names = np.random.default_rng(45).normal(size=(3, 12))[np.arange(300) % 3]
        train, validation, test = PairedEmbeddings({"image": self.pairs.modality("image"), "text": names}).split(0)
        translator = mt.fit(train, validation=validation, device="cpu")
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
        assert list(certificate.statements) == ["items", "cosines", "expectation"]
        z = self.pairs.arrays["text"]
        found = (np.einsum("nd,nmd->nm", self.mean, z) / np.linalg.norm(self.mean, axis=1)[:, None]) / np.linalg.norm(
            z, axis=2
        )
        limit = item_lower_limit((found >= 0.5).mean(1), None, 1 - 0.05 / 3)
        assert certificate.statements["items"].limit == pytest.approx(limit, abs=1e-3)
        text = certificate.text()
        assert not any(word in text.lower() for word in ("bound", "dominat", "premise", "direction"))
        assert "come true on average: NOT REFUTED" in text
        found = json.loads(json.dumps(certificate.to_dict()))["statements"]["expectation"]
        assert not found["refuted"] and found["low"] < 0.0 < found["high"]
        assert found["observed"] == pytest.approx(found["expected"], abs=0.02) and found["high"] - found["low"] < 0.06
        assert found["error"] < 2 * found["error_by_chance"]

    @pytest.mark.parametrize(("spoilt", "word"), [(0.06, "high"), (-0.06, "low")])
    def test_spoilt_expectations_are_refuted(self, spoilt, word):
        certificate = certify_translator(ConditionalMean(self.pairs, self.mean, spoilt), self.pairs, 0.5)
        assert certificate.statements["expectation"].refuted
        assert f"REFUTED, they are too {word}" in certificate.text()


class TestThreeMethods:
    """What certificates of real translators say, and of what they are silent."""

    pairs = synthetic_pairs(400, 6, 12, 0.7, 2, np.random.default_rng(44))[0]

    @pytest.mark.parametrize(
        ("name", "settings", "names"),
        [
            ("ridge", {}, ["items", "cosines"]),
            ("calibrated", {}, ["items", "cosines", "expectation"]),
            ("poster", {"train.steps": 3, "steps": 1}, ["items", "cosines", "premises"]),
            ("poster", {"train.steps": 3, "steps": 1, "gamma": 0.0}, ["items", "cosines"]),
        ],
    )
    def test_statements(self, name, settings, names):
        train, validation, test = self.pairs.split(0)
        config = mt.preset(name, settings)
        translator = mt.fit(train, "image", "text", config, validation=validation, device="cpu")
        certificate = certify_translator(translator, test, 0.6, whole=self.pairs)
        assert list(certificate.statements) == names
        value = cosine(translator.translate(test.arrays["image"]), test.arrays["text"]).mean()
        assert observe(translator, test).cosine.mean() == pytest.approx(value, abs=1e-5)
