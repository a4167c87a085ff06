"""Any preset as an estimator of scikit-learn, for its pipelines, its cross-validation and its searches."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from modtrans_core.checks import refuse_unless
from modtrans_core.methods import fit
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import silent
from modtrans_core.repeats import is_listed, numbers
from modtrans_core.scores import cosine

FLOATS = [np.float64, np.float32]


class EmbeddingTranslator(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A translator of vectors X (n, k) into vectors y (n, d), whose score is the mean cosine.

    Only the directions of X and y count: rows are scaled to unit length, and a zero row is refused. Rows that repeat,
    as five captions of a picture do, belong in one fold: `cv=GroupKFold()` with
    `groups=PairedEmbeddings({"X": X, "y": y}).grouped().groups`.

    Parameters
    ----------
    preset : name of a preset of any method, such as `calibrated`, `ridge` or `poster`.
    settings : values that take the place of the preset's, by dotted paths.
    device : Default: a GPU when there is one.

    Attributes
    ----------
    translator_ : modtrans_core.Translator
        What was fitted, with all that it can do besides.
    n_samples_fit_ : int
        The rows that it was fitted to.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> rng = np.random.default_rng(0)
    >>> image = rng.normal(size=(120, 6))
    >>> text = image @ rng.normal(size=(6, 4))
    >>> bool(cross_val_score(EmbeddingTranslator("ridge"), image, text).mean() > 0.99)
    True
    """

    def __init__(
        self, preset: str = "calibrated", settings: Mapping[str, Any] | None = None, device: str | None = None
    ) -> None:
        self.preset, self.settings, self.device = preset, settings, device

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Fit to pairs, row i of X (n, k) and of y (n, d).

        Parameters
        ----------
        groups : (n,) integers; rows of one group are never on two sides where the method leaves some out to choose by.

        Raises
        ------
        ValueError
            Arrays that do not go together, with gaps or with a zero row; an impossible setting.
        """
        _refuse_masked(X=X, y=y)
        c, z = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=FLOATS, ensure_min_samples=2)
        c, z = _near_unit(c), _near_unit(check_array(z, dtype=FLOATS, input_name="y"))
        group = None if groups is None else np.asarray(groups)
        pairs = PairedEmbeddings({"X": c, "y": z}, group=group)
        self.translator_ = fit(
            pairs, "X", "y", preset=self.preset, settings=self.settings, device=self.device, progress=silent
        )
        self.n_samples_fit_, self._targets = len(c), np.unique(numbers(z))
        return self

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Translations (n, d) of X (n, k); their length means something to some methods, their direction to all."""
        check_is_fitted(self)
        _refuse_masked(X=X)
        return self._translated(validate_data(self, X, reset=False, dtype=FLOATS))

    def _translated(self, c: np.ndarray) -> np.ndarray:
        return self.translator_.translate(_near_unit(c)).astype(c.dtype)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """The mean cosine of the translations with y (n, d), weighted if weights (n,) are given.

        Warns
        -----
        UserWarning
            It was fitted to some of the conditions or targets; none where these are the rows of the training.
        """
        check_is_fitted(self)
        _refuse_masked(X=X, y=y)
        c, z = validate_data(self, X, reset=False, dtype=FLOATS), check_array(y, dtype=FLOATS, input_name="y")
        found = cosine(self._translated(c), z)
        self._warn_of_seen(_near_unit(c), _near_unit(z))
        weights = None
        if sample_weight is not None:
            weights = check_array(sample_weight, ensure_2d=False, ensure_non_negative=True, input_name="sample_weight")
            check_consistent_length(found, weights)
            fits = weights.ndim == 1 and weights.sum() > 0
            refuse_unless(fits, "sample_weight", weights, "a vector (n,) with a number above 0")
        return float(np.average(found, weights=weights))

    def _warn_of_seen(self, c: np.ndarray, z: np.ndarray) -> None:
        facts = self.translator_.facts
        if facts.seen is None:
            return
        known = facts.seen.look(PairedEmbeddings({"X": c, "y": z}), "X", "y")
        different, n = len(np.union1d(self._targets, numbers(z))), self.n_samples_fit_
        from_list = len(self._targets) < n and is_listed(different, n + len(z))  # such as names of classes
        several = int(known.left_out(not from_list).sum())
        training = len(c) == n and (known.condition & known.target).all()
        if several and not training:
            warnings.warn(
                f"{several} of {len(c)} rows are no test of the translator: {known.in_words(not from_list)};"
                " cv=GroupKFold() keeps rows that repeat on one side, by groups=",
                stacklevel=3,
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = False
        tags.regressor_tags.poor_score = True  # R² on one target is not what it is for
        return tags


def _near_unit(rows: np.ndarray) -> np.ndarray:
    """The rows (n, d) in float32, times powers of two, which are exact: it holds their directions at any length."""
    exponent = np.frexp(np.abs(rows).max(axis=1, keepdims=True))[1]
    return np.ldexp(rows, -exponent).astype(np.float32)


def _refuse_masked(**given: ArrayLike) -> None:
    for name, rows in given.items():
        refuse_unless(not np.ma.is_masked(rows), name, "masked numbers", "an array of real numbers")
