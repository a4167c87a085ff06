"""An estimator among scikit-learn's: its own checks, its pipelines, its cross-validation and its searches."""

import doctest

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from analysis.translators import estimator
from analysis.translators.estimator import EmbeddingTranslator
from modtrans_core import PairedEmbeddings, fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 8))
Y = np.tanh(X @ RNG.normal(size=(8, 5))) + 0.3


class Labels(EmbeddingTranslator):
    """The targets of scikit-learn's checks are mostly labels from 0 on: 0, which has no direction, is moved away."""

    def fit(self, X, y, groups=None):
        return super().fit(X, moved(y), groups)

    def score(self, X, y, sample_weight=None):
        return super().score(X, moved(y), sample_weight)


def moved(y):
    try:
        labels = np.asarray(y, float)
    except (TypeError, ValueError):
        return y
    whole = labels.size and np.isfinite(labels).all() and (labels % 1 == 0).all()
    return labels + 1 if whole and labels.min() == 0 else y


EXPECTED = {"check_estimators_dtypes": "one of its rows is zero, which has no direction and is refused"}


@pytest.mark.filterwarnings("ignore")
def test_its_own_checks():
    ran = check_estimator(Labels("ridge", device="cpu"), on_skip=None, on_fail=None)
    failed = {one["check_name"]: one["exception"] for one in ran if one["status"] == "failed"}
    assert len(ran) > 40 and {*failed} == {*EXPECTED}, failed


def test_it_is_the_translator_that_fit_makes():
    made = EmbeddingTranslator("calibrated", {"goal": "cosine"}, device="cpu").fit(X, Y)
    expected = fit(PairedEmbeddings({"X": X, "y": Y}), "X", "y", settings={"goal": "cosine"}, device="cpu")
    np.testing.assert_allclose(made.predict(X), expected.translate(X), atol=1e-6)
    cosine = np.sum(made.predict(X) * Y, 1) / np.linalg.norm(made.predict(X), axis=1) / np.linalg.norm(Y, axis=1)
    weights = np.arange(150)
    assert made.score(X, Y) == pytest.approx(cosine.mean(), abs=1e-6)
    assert made.score(X, Y, weights) == pytest.approx(np.average(cosine, weights=weights), abs=1e-6)
    for wrong, words in ((np.zeros(150), "sample_weight: .* above 0"), (weights[:, None], "sample_weight: .* above 0"),
                         (-weights, "[Nn]egative"), (weights[:9], "inconsistent")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            made.score(X, Y, wrong)
    assert made.translator_.expected_cosine(X).shape == (150,)
    assert made.predict(X.astype(np.float32)).dtype == np.float32


def test_its_example():
    failed, attempted = doctest.testmod(estimator, extraglobs={"np": np})
    assert attempted and not failed


def test_groups_stay_together():
    """Near copies: equal rows would be a group without being told."""
    c, z = (np.repeat(rows, 2, 0) for rows in (X, RNG.normal(size=(150, 5))))
    c, z = (rows + 1e-3 * RNG.normal(size=rows.shape) for rows in (c, z))
    groups = np.repeat(np.arange(150), 2)
    together = fit(PairedEmbeddings({"X": c, "y": z}, group=groups), "X", "y", preset="ridge", device="cpu")
    found = EmbeddingTranslator("ridge", device="cpu").fit(c, z, groups)
    np.testing.assert_allclose(found.predict(X), together.translate(X), atol=1e-6)
    apart = EmbeddingTranslator("ridge", device="cpu").fit(c, z)
    assert found.translator_.penalty == together.penalty != apart.translator_.penalty


def test_pipelines_searches_and_clones():
    pipeline = make_pipeline(PCA(6), EmbeddingTranslator("ridge", {"penalty": 0.5}, "cpu"))
    again = clone(pipeline)
    assert again[-1].get_params() == {"preset": "ridge", "settings": {"penalty": 0.5}, "device": "cpu"}
    scores = cross_val_score(pipeline, X, Y, cv=GroupKFold(3), groups=np.arange(150) // 2)
    assert len(scores) == 3 and scores.min() > 0.6
    search = GridSearchCV(EmbeddingTranslator(device="cpu"), {"preset": ["constant mean", "ridge"]}, cv=3).fit(X, Y)
    assert search.best_params_ == {"preset": "ridge"}


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_only_directions_count_at_any_length(scale):
    made = EmbeddingTranslator("ridge", device="cpu").fit(X, Y)
    far = EmbeddingTranslator("ridge", device="cpu").fit(scale * X, scale * Y)
    np.testing.assert_allclose(far.predict(scale * X), made.predict(X), atol=1e-5)
    assert far.score(scale * X, scale * Y) == pytest.approx(made.score(X, Y), abs=1e-6)
    masked = np.ma.array(X, mask=X > 1)
    for ask in (lambda: made.predict(masked), lambda: made.score(masked, Y)):
        with pytest.raises(ValueError, match="^X: 'masked numbers', an array of real numbers is needed"):
            ask()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": Y[:, 0]}, "Expected 2D array, got 1D array instead"),
        ({"y": Y * (np.arange(150) > 0)[:, None]}, r"y: a zero vector in row 0"),
        ({"y": Y[:9]}, "inconsistent numbers of samples"),
        ({"y": np.ma.array(Y, mask=Y > 1)}, "y: 'masked numbers', an array of real numbers is needed"),
        ({"X": np.ma.array(X, mask=X > 1)}, "X: 'masked numbers', an array of real numbers is needed"),
        ({"preset": "rigde"}, "preset: 'rigde', one of "),
        ({"settings": {"penaltie": 1.0}}, "penaltie"),
    ],
)
def test_what_it_cannot_fit_is_refused(change, words):
    given = {"X": X, "y": Y, "preset": "ridge", "settings": None} | change
    with pytest.raises(ValueError, match=words):
        EmbeddingTranslator(given["preset"], given["settings"]).fit(given["X"], given["y"])


def test_a_score_says_what_is_no_test(recwarn):
    """Five captions of a picture as rows: plain folds tear them apart, and those by groups do not."""
    rng = np.random.default_rng(0)
    image, groups = np.repeat(rng.normal(size=(60, 8)), 5, 0), np.repeat(np.arange(60), 5)
    text = image @ rng.normal(size=(8, 6)) + rng.normal(size=(300, 6))
    order = rng.permutation(300)
    image, text, groups = image[order], text[order], groups[order]
    model = EmbeddingTranslator("ridge", device="cpu")
    with pytest.warns(UserWarning, match=r"100 of 100 rows are no test .*; cv=GroupKFold\(\) keeps rows that repeat"):
        cross_val_score(model, image, text, cv=3)
    recwarn.clear()
    found = PairedEmbeddings({"X": image, "y": text}).grouped().groups
    assert len(set(zip(found, groups, strict=True))) == len(set(found)) == len(set(groups))
    cross_val_score(model, image, text, cv=GroupKFold(3), groups=found)
    model.fit(image, text).score(image, text)  # of the training, as it is meant
    names = np.eye(6)[np.arange(300) % 6]  # of classes: of a list, which every fold has
    cross_val_score(model, rng.normal(size=(300, 8)), names, cv=3)
    assert not recwarn.list
    names = np.eye(100)[np.arange(6000) % 100]  # of more classes than any list of few, each of many rows
    cross_val_score(model, rng.normal(size=(6000, 8)), names, cv=5)
    assert not recwarn.list
    pictures = np.repeat(rng.normal(size=(25, 8)), 5, 0)[rng.permutation(125)]  # a fold has as few as a list has
    with pytest.warns(UserWarning, match="25 of 25 rows are no test of the translator: 0 with a condition"):
        cross_val_score(model, rng.normal(size=(125, 8)), pictures, cv=5)
    few = EmbeddingTranslator("ridge", device="cpu").fit(X[:18], Y[:18])
    with pytest.warns(UserWarning, match="10 of 10 rows are no test"):
        few.score(X[20:30], Y[:10])
    with pytest.warns(UserWarning, match="20 of 20 rows are no test"):  # each pair is there twice
        cross_val_score(model, np.tile(image[:50], (2, 1)), np.tile(text[:50], (2, 1)), cv=5)
