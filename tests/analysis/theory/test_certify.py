"""Certificates: what each says, that its statements are right together, and what is refused."""

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy import stats

from analysis.theory.certify import certify, certify_cosines
from analysis.theory.confidence import lower_limit
from analysis.theory.premises import TranslatedPairs
from analysis.theory.sphere import AlignmentLaw
from analysis.theory.survival import survival_band

FALSE_ALARM = 1e-6  # of one statistical assertion; the seeds are fixed, so a test that passes once always does


def unit_rows(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


class TestCertificate:
    def test_from_cosines(self):
        certificate = certify_cosines(np.array([0.2, 0.6, 0.7, 0.9]), 0.6, 0.9)
        assert certificate.each == pytest.approx(0.95)  # two statements
        assert (certificate.successes, certificate.pairs) == (3, 4)
        assert certificate.lower_limit == lower_limit(3, 4, certificate.each)
        assert certificate.premises is None
        assert "bound" not in certificate.text()

    def test_everything_in_one_place(self, orthogonal_parts):
        p, f, z = orthogonal_parts(400, 10, 0.7, np.random.default_rng(9))
        certificate = certify(p, f, 0.5, z, 0.6, 0.95)
        assert certificate.each == pytest.approx(0.99)  # five statements
        assert certificate.band.confidence == pytest.approx(0.99)
        assert certificate.premises.dominance.level == pytest.approx(0.01)
        plain = json.loads(json.dumps(certificate.to_dict()))
        assert plain["premises"]["dominance"]["verdict"] == "undecided"
        assert plain["observed"] == certificate.successes / 400
        for words in ("HOLDS", "UNDECIDED", "NOT REFUTED", f"at least {certificate.lower_limit:.4f}"):
            assert words in certificate.text()

    def test_every_number_of_the_text(self):
        """1,000 cosines from -.499 to .5: the guaranteed ones follow from half width sqrt(log(40) / 2000) = .0429."""
        certificate = certify_cosines(np.arange(-499, 501) / 1000, 0.25, 0.9)
        band = survival_band(np.arange(-499, 501) / 1000, 0.95)
        half, most = band.guaranteed_cosine(0.5), band.guaranteed_cosine(0.9)
        low = stats.binomtest(251, 1000, alternative="greater").proportion_ci(0.95).low
        assert certificate.text().split("\n") == [
            "1000 independent held-out pairs, of 1000 rows. With confidence 0.9 all of this is right.",
            "Guaranteed, whatever the translator is:",
            f"  P(cos >= 0.25) is at least {low:.4f}; observed is 0.2510.",
            f"  Half of all pairs reach a cosine of {half:.4f}, nine in ten {most:.4f}; the true curve is nowhere"
            f" farther than {band.farthest:.4f} from the observed one.",
        ]
        assert certificate.to_dict() == {
            "alpha": 0.25,
            "confidence": 0.9,
            "each": pytest.approx(0.95),
            "rows": 1000,
            "pairs": 1000,
            "successes": 251,
            "lower_limit": pytest.approx(low),
            "observed": 0.251,
            "band_half_width": band.farthest,
            "guaranteed_cosine": {"0.5": half, "0.9": most},
            "premises": None,
            "expectation": None,
        }

    def test_too_few_pairs_for_a_curve(self):
        few = certify_cosines(cosine=np.array([0.9, 0.8]), alpha=0.5)
        assert few.confidence == 0.95
        nothing = "-1 (these pairs are too few for more)"
        assert f"reach a cosine of {nothing}, nine in ten {nothing};" in few.text()

    def test_the_ends_of_alpha_are_allowed(self):
        cosine = np.array([-1.0, 0.0, 1.0])
        assert [certify_cosines(cosine, alpha).successes for alpha in (-1.0, 1.0)] == [3, 1]
        for alpha in (-1.5, -1.0001, 1.0001):
            with pytest.raises(ValueError, match=f"alpha: {alpha}"):
                certify_cosines(cosine, alpha)

    def test_a_certificate_is_not_edited(self, orthogonal_parts):
        p, f, z = orthogonal_parts(20, 5, 0.7, np.random.default_rng(37))
        certificate = certify(p, f, 0.5, z, 0.6)
        premises = certificate.premises
        for record, name in (
            (certificate, "lower_limit"),
            (certificate.band, "lower"),
            (premises, "misjudged"),
            (premises.bound, "probability"),
            (premises.dominance, "verdict"),
            (TranslatedPairs.of(p, f, 0.5, z), "gamma"),
        ):
            with pytest.raises(FrozenInstanceError):
                setattr(record, name, 1.0)

    @pytest.mark.parametrize(
        ("shift", "verdict", "words"),
        [(0.3, "supported", "borne out"), (-0.3, "refuted", "worse than a random one")],
    )
    def test_verdicts_in_words(self, orthogonal_parts, shift, verdict, words):
        rng = np.random.default_rng(10)
        u = np.tanh(AlignmentLaw(19).rvs(500, rng) + shift)
        p, f, z = orthogonal_parts(500, 20, 0.7, rng, u)
        certificate = certify(p, f, 0.5, z, 0.6)
        assert certificate.premises.dominance.verdict == verdict
        assert words in certificate.text()

    def test_one_row_of_each_group(self):
        """Five groups, one of 96 rows: it decides once, not 96 times."""
        cosine = np.concatenate([np.full(96, 0.9), [0.1, 0.2, 0.3, 0.4]])
        group = np.concatenate([np.zeros(96), [1, 2, 3, 4]])
        certificate = certify_cosines(cosine, 0.5, group=group, rng=np.random.default_rng(11))
        assert (certificate.rows, certificate.pairs, certificate.successes) == (100, 5, 1)

    def test_the_row_is_drawn_uniformly(self):
        rng, cosine, group = (
            np.random.default_rng(12),
            np.array([0.0, 1.0, 1.0, 1.0, 0.0]),
            np.array([0, 0, 0, 0, 1]),
        )
        drawn = sum(certify_cosines(cosine, 0.5, group=group, rng=rng).successes for _ in range(2000))
        assert stats.binomtest(drawn, 2000, 0.75).pvalue > FALSE_ALARM

    def test_one_caption_of_each_item(self, orthogonal_parts):
        """Captions z and -z: every certificate sees one of them, each half the time."""
        p, f, z = orthogonal_parts(1000, 5, 0.9, np.random.default_rng(13))
        captions = np.stack([z, -z, np.full_like(z, np.nan)], axis=1)
        certificate = certify(p, f, 0.1, captions, 0.5, counts=np.full(1000, 2), rng=np.random.default_rng(14))
        assert stats.binomtest(certificate.successes, 1000, 0.5).pvalue > FALSE_ALARM

    def test_items_with_one_caption(self, orthogonal_parts):
        p, f, z = orthogonal_parts(40, 5, 0.9, np.random.default_rng(25))
        captions = np.stack([z, np.full_like(z, np.nan)], axis=1)
        rng = np.random.default_rng(26)
        assert certify(p, f, 0.1, captions, 0.5, counts=np.ones(40, int), rng=rng).successes == 40

    def test_every_caption_is_drawn_where_counts_are_not_given(self):
        """Captions at angles of cosine 1, .8 and 0 to p: each is met by a third of 3,000 items."""
        z = np.array([[1.0, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 1.0, 0, 0]])
        p, f = np.tile(0.5 * np.eye(4)[0], (3000, 1)), np.tile(np.eye(4)[3], (3000, 1))
        cosine = certify(p, f, 0.0, np.tile(z, (3000, 1, 1)), 0.5, rng=np.random.default_rng(38)).band.cosine
        assert set(cosine.round(9)) == {0.0, 0.8, 1.0}
        for value in (0.0, 0.8, 1.0):
            assert stats.binomtest(int(np.isclose(cosine, value).sum()), 3000, 1 / 3).pvalue > FALSE_ALARM

    def test_float32_and_lengths_do_not_matter(self, orthogonal_parts):
        p, f, z = orthogonal_parts(100, 10, 0.7, np.random.default_rng(15))
        exact = certify(p, f, 0.5, z, 0.6)
        single = certify(p.astype(np.float32), f.astype(np.float32), 0.5, (3 * z).astype(np.float32), 0.6)
        assert single.successes == exact.successes
        assert single.premises.exact.probability == pytest.approx(exact.premises.exact.probability, abs=1e-5)
        assert single.premises.perpendicular


class TestExpectedCosines:
    def test_exact_expectations_are_refuted_as_seldom_as_said(self):
        """Cosines of two values around what was expected: the interval misses 0 in a share of 1 - each at most."""
        rng, trials, refuted = np.random.default_rng(44), 300, 0
        for _ in range(trials):
            expected = rng.uniform(0.2, 0.8, 60)
            cosine = expected + 0.2 * rng.choice([-1, 1], 60)
            refuted += certify_cosines(cosine, 0.5, 0.7, expected=expected, rng=rng).expectation.refuted
        assert stats.binom.sf(refuted - 1, trials, 0.1) > FALSE_ALARM

    def test_few_pairs_and_bad_ones(self):
        rng = np.random.default_rng(45)
        certificate = certify_cosines(np.array([0.4, 0.6]), 0.5, expected=np.array([0.5, 0.5]), rng=rng)
        assert certificate.expectation.error is None and "tenths" not in certificate.text()
        with pytest.raises(ValueError, match=r"expected: 1.5, a number in"):
            certify_cosines(np.array([0.4, 0.6]), 0.5, expected=np.array([0.5, 1.5]), rng=rng)
        with pytest.raises(ValueError, match="rng: none.*expected cosines are given"):
            certify_cosines(np.array([0.4, 0.6]), 0.5, expected=np.array([0.5, 0.5]))


class TestCoverageOfTheWholeCertificate:
    """Grouped data with a known truth: all statements together are right as often as promised."""

    def simulate(self, orthogonal_parts, rng):
        """80 groups of 1 to 4 rows; rows of a group are copies. u = uniform + .05, so dominance is true."""
        groups = 80
        u = np.clip(AlignmentLaw(9).rvs(groups, rng) + 0.05, -1.0, 1.0)
        parts = orthogonal_parts(groups, 10, 0.7, rng, u)
        labels = np.repeat(np.arange(groups), rng.integers(1, 5, groups))
        return *(part[labels] for part in parts), labels

    def test_all_statements_together(self, orthogonal_parts):
        trials, alpha, confidence = 150, 0.6, 0.8
        rng = np.random.default_rng(16)
        geometry = 0.7, 0.8
        reach = (alpha * np.hypot(*geometry) - 0.49) / (0.8 * np.sqrt(0.51))
        truth = AlignmentLaw(9).sf(reach - 0.05)
        right = 0
        for _ in range(trials):
            p, f, z, group = self.simulate(orthogonal_parts, rng)
            certificate = certify(p, f, 0.8, z, alpha, confidence, group=group, rng=rng)
            premises = certificate.premises
            band = certificate.band
            u = (band.cosine * np.hypot(*geometry) - 0.49) / (0.8 * np.sqrt(0.51))
            curve = AlignmentLaw(9).sf(u - 0.05)
            right += (
                certificate.lower_limit <= truth
                and (band.lower[:-1] <= curve).all()
                and (curve <= band.upper[1:]).all()
                and premises.dominance.verdict != "refuted"
                and not premises.bound.refuted
            )
        assert stats.binom.cdf(right, trials, confidence) > FALSE_ALARM

    def test_rows_for_pairs_would_break_it(self):
        """The must-fail twin: the limit from all rows of 12 large groups, as if they were independent."""
        rng, trials, wrong_of_rows, wrong_of_groups = np.random.default_rng(17), 400, 0, 0
        for _ in range(trials):
            cosine, group = np.repeat(rng.random(12), 20), np.repeat(np.arange(12), 20)
            wrong_of_rows += certify_cosines(cosine, 0.5, 0.9).lower_limit > 0.5
            wrong_of_groups += certify_cosines(cosine, 0.5, 0.9, group=group, rng=rng).lower_limit > 0.5
        assert stats.binom.sf(wrong_of_groups - 1, trials, 0.05) > FALSE_ALARM
        assert stats.binom.sf(wrong_of_rows - 1, trials, 0.05) < FALSE_ALARM


class TestBadInput:
    p, f, z = unit_rows(np.random.default_rng(18).standard_normal((3, 6, 4)))

    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"alpha": 1.5}, "alpha: 1.5"),
            ({"confidence": 1.0}, "confidence: 1.0"),
            ({"direction": f * np.array([[1, 1, 1, 0.5, 1, 1.2]]).T}, "direction: row 3 has length 0.5"),
            ({"direction": f[:5]}, "rows: projection 6, direction 5"),
            ({"gamma": -1.0}, "gamma: negative"),
            ({"target": z[:, :3]}, r"one \(n, d\)"),
            ({"projection": z}, "a row equals its target"),
            ({"projection": np.zeros_like(p), "gamma": 0.0}, "a row is zero"),
            ({"target": 0 * z}, "target: row 0 is zero"),
            ({"target": np.where(np.eye(6, 4) > 0, np.inf, z)}, "target: row 0"),
            (
                {"group": np.zeros(6)},
                "rng: none, a numpy.random.Generator is needed where rows come in groups",
            ),
            ({"group": np.zeros(5)}, "group: shape"),
            ({"target": z[:, None].repeat(2, 1)}, "rng: none.*several targets"),
            ({"target": z[:, None], "counts": np.full(6, 2), "rng": np.random.default_rng(0)}, "counts"),
            ({"target": z[:, None], "counts": np.zeros(6, int), "rng": np.random.default_rng(0)}, "counts"),
            (
                {"target": z[:, None], "counts": np.ones(5, int), "rng": np.random.default_rng(0)},
                r"counts: shape \(5,\)",
            ),
            (
                {"target": z[:, None], "counts": np.ones(7, int), "rng": np.random.default_rng(0)},
                r"counts: shape \(7,\)",
            ),
            ({"target": z[:, None, None]}, "target: shape"),
            ({"alpha": -1.5}, "alpha: -1.5"),
            ({"confidence": 0.0}, "confidence: 0.0"),
            ({"group": np.zeros(7)}, "group: shape"),
        ],
    )
    def test_one_line_that_names_the_field(self, changed, words):
        arguments = {"projection": self.p, "direction": self.f, "gamma": 0.5, "target": self.z, "alpha": 0.5}
        with pytest.raises(ValueError, match=words) as raised:
            certify(**(arguments | changed))
        assert "\n" not in str(raised.value)


def test_a_projection_of_length_one_to_rounding_is_still_possible():
    """|p| = 1 in float32 may come out as 1 + 6e-8; the bound of such a pair must not be decided by that."""
    rng = np.random.default_rng(0)
    projection = np.zeros((200, 16), np.float32)
    projection[:, :8] = rng.standard_normal((200, 8))
    projection /= np.linalg.norm(projection, axis=1, keepdims=True).astype(np.float32)
    direction = np.zeros((200, 16))
    direction[:, 8:] = rng.standard_normal((200, 8))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    target = rng.standard_normal((200, 16))
    target[:, :8] += 3 * projection[:, :8]
    lengths = np.linalg.norm(projection.astype(np.float64), axis=1)
    assert (lengths > 1).any() and (lengths <= 1).any()
    premises = certify(projection, direction, 0.3, target, 0.6).premises
    assert premises.bound.probability == 1.0  # rho = 0: cos = 1 / sqrt(1.09), whatever f is


@pytest.mark.parametrize("values", [[3.0, 0.2], [-1.5, 0.2]])
def test_cosines_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match=r"cosine: .* -1 to 1 is needed"):
        certify_cosines(np.array(values), 0.5)
