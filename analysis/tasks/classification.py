"""Classification by prompts: a class is the mean direction of prompts that name it, and a query goes to the nearest.

Raw, a query is the embedding of a picture in the space of the prompts; translated, it is zhat of another embedding.
The protocol is that of LAION's CLIP_benchmark [1]_, with the scores of `analysis.tasks.retrieval` besides the cosine.

Why a translation classifies worse than it could. With zhat = m + delta the score of class j is <m, g_j> + <delta, g_j>:
whatever the picture shows, classes near the mean of the texts have a bonus. Regression shrinks delta, and not m, so
that the bonus decides more often the less a translation knows (`pull`).

References
----------
.. [1] A. Radford and others, Learning transferable visual models from natural language supervision, arXiv:2103.00020,
   section 3.1.4; the code is github.com/LAION-AI/CLIP_benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from analysis.tasks.retrieval import CANDIDATES, USUAL, rows_of, vectors
from analysis.theory.arrays import unit_directions
from modtrans_core.checks import refuse_unless
from modtrans_core.scores import hits
from modtrans_core.vectors import TIE, integers, real, refuse_bad_rows, unit

CIFAR10 = (
    *(f"a {kind}photo of {article} {{}}." for kind in (
        "", "blurry ", "black and white ", "low contrast ", "high contrast ", "bad ", "good ",
    ) for article in ("a", "the")),
    *(f"a photo of {article} {size} {{}}." for article in ("a", "the") for size in ("big", "small")),
)  # fmt: skip
"""the 18 templates of CIFAR-10; joined by `|` they are the setting `templates` of the source `cifar10`"""


def class_vectors(
    classes: Sequence[str], templates: Sequence[str], encode: Callable[[Sequence[str]], np.ndarray]
) -> np.ndarray:
    """The unit vectors (C, d) of the classes: the direction of the mean of each one's unit prompt embeddings.

    Parameters
    ----------
    classes : names, C of them.
    templates : `{}` in each is where the name goes.
    encode : texts -> vectors (n, d), such as `modtrans_core.embed.load_encoder(name, "text").encode`.

    Raises
    ------
    ValueError
        No class; a template without `{}`; prompts whose mean is zero.

    Examples
    --------
    >>> class_vectors(["cat", "dog"], ["a {}", "the {}"], lambda texts: np.array([[len(t), 1.0 * ("dog" in t)]
    ...     for t in texts])).round(2)
    array([[1.  , 0.  ],
           [0.99, 0.17]], dtype=float32)
    """
    for field, texts in (("classes", classes), ("templates", templates)):
        refuse_unless(not isinstance(texts, str), field, texts, "a list of texts")
    refuse_unless(len(classes) > 0, "classes", list(classes), "a name or more")
    for template in templates:
        refuse_unless("{}" in template, "templates", template, "'{}' where the class goes")
    refuse_unless(len(templates) > 0, "templates", list(templates), "a template or more")
    prompts = [template.replace("{}", name) for name in classes for template in templates]
    each = unit(encode(prompts))
    fits = each.ndim == 2 and len(each) == len(prompts)
    refuse_unless(fits, "encode", each.shape, f"one vector a prompt, ({len(prompts)}, d),")
    return unit(each.reshape(len(classes), len(templates), -1).mean(axis=1, dtype=np.float64))


def classified(
    queries: np.ndarray,
    label: np.ndarray,
    classes: np.ndarray,
    score: str = "cosine",
    *,
    mean: np.ndarray | None = None,
    bank: np.ndarray | None = None,
    parameter: float | None = None,
) -> dict[str, Any]:
    """How well the class of the highest score is the true one.

    Parameters
    ----------
    queries : (n, d), embeddings or translations.
    label : (n,) the true class of each, an index into `classes`; a query of -1 is left out.
    classes : (C, d), such as `class_vectors` gives.
    score, mean, bank, parameter : as for `analysis.tasks.retrieval.rank`, the classes being its gallery.

    Returns
    -------
    `score`, `parameter`, `transductive`; `accuracy`; `accuracy_5`, the share whose class is among the first five;
    `class_recall`, the mean over the classes that occur of the share of each that is found; `largest_class`, the share
    of the queries that go to the class which most go to; and `queries`, their number. Ties are broken at random, in
    expectation.

    Raises
    ------
    ValueError
        A label out of range or none at all; what `rank` refuses.

    Examples
    --------
    >>> found = classified(np.array([[1, 0.1], [0.2, 1], [1, 0.9]]), np.array([0, 1, 1]), np.eye(2))
    >>> round(found["accuracy"], 3), found["class_recall"], round(found["largest_class"], 3)
    (0.667, 0.75, 0.667)
    """
    queries, classes, label = rows_of("queries", queries), rows_of("classes", classes), integers("label", label)
    C = len(classes)
    refuse_unless(label.shape == (len(queries),), "label", label.shape, f"one for each query, ({len(queries)},),")
    refuse_unless(label.dtype.kind in "iu", "label", str(label.dtype), "an array of whole numbers")
    there = label >= 0
    refuse_unless(bool(there.any()), "label", label, f"one from 0 to {C - 1} or more")
    outside = label[(label < -1) | (label >= C)]
    refuse_unless(not outside.size, "label", outside, f"-1 to {C - 1}")
    label = label[there]
    q, g = vectors(queries[there], classes, score, mean=mean, bank=bank, parameter=parameter)
    right, among_5 = hits(q, g[:, None], np.ones(C, dtype=np.int64), label, (1, 5))
    named = first(q @ g.T)
    sizes, found = np.bincount(label, minlength=C), np.bincount(label, right, minlength=C)
    return {
        "score": score,
        "parameter": USUAL[score] if parameter is None else parameter,
        "transductive": score == "dual",
        "accuracy": float(right.mean()),
        "accuracy_5": float(among_5.mean()),
        "class_recall": float((found[sizes > 0] / sizes[sizes > 0]).mean()),
        "largest_class": float(named.sum(axis=0).max() / len(label)),
        "queries": len(label),
    }


def first(scores: np.ndarray) -> np.ndarray:
    """The probability (n, C) of each class to be named, by scores (n, C) of which equal ones are drawn from.

    Examples
    --------
    >>> first(np.array([[0.1, 0.3, 0.3], [0.9, 0.2, 0.1]]))
    array([[0. , 0.5, 0.5],
           [1. , 0. , 0. ]])
    """
    best = scores.max(axis=1, keepdims=True)
    top = scores >= best - TIE
    return top / top.sum(axis=1, keepdims=True)


def chosen(queries: np.ndarray, label: np.ndarray, classes: np.ndarray, score: str, **needs: Any) -> float:
    """The parameter of the score with the highest accuracy on validation queries; the first of equals.

    Parameters
    ----------
    needs : `mean` and `bank`, as for `classified`.
    """
    by = {number: classified(queries, label, classes, score, parameter=number, **needs) for number in CANDIDATES[score]}
    return max(by, key=lambda number: by[number]["accuracy"])


def pull(zhat: np.ndarray, classes: np.ndarray, mean: np.ndarray) -> dict[str, float]:
    """How far the mean decides the class of a translation by cosine.

    Parameters
    ----------
    zhat : translations (n, d), of their own length.
    classes : unit vectors (C, d), as `class_vectors` gives.
    mean : (d,) of the unit training targets.

    Returns
    -------
    `bonus`, the standard deviation over the classes of <m, g_j> as a multiple of that of <delta, g_j>, the mean over
    the translations zhat = m + delta; and `follows`, the rank correlation over the classes of <m, g_j> with how many
    translations go to the class, of equal ones by shares. NaN where it is not defined, as of one class.

    Raises
    ------
    ValueError
        A vector that is zero or not finite, a class whose length is not 1, or other dimensions.

    Examples
    --------
    Two classes, and a mean that is near the first; both translations go there:

    >>> found = pull(np.array([[0.5, 0.1], [0.5, 0.2]]), np.eye(2), np.array([0.5, 0.0]))
    >>> round(found["bonus"], 2), round(found["follows"], 2)
    (3.33, 1.0)
    """
    zhat, classes, mean = rows_of("zhat", zhat), rows_of("classes", classes), real("mean", mean)
    d = classes.shape[1]
    refuse_unless(zhat.shape[1] == d, "zhat", zhat.shape, f"vectors of dimension {d}, as those of the classes,")
    fits = mean.shape == (d,) and bool(np.isfinite(mean).all())
    refuse_unless(fits, "mean", mean, f"a vector ({d},) of finite numbers")
    for name, rows in (("zhat", zhat), ("classes", classes)):
        refuse_bad_rows(name, rows)
    unit_directions("classes", classes)
    bonus, delta = classes @ mean, (zhat - mean) @ classes.T
    spread = float(delta.std(axis=1).mean())
    named = first(unit(zhat) @ classes.T).sum(axis=0)
    ranks = rankdata(bonus), rankdata(named.round(9))
    varies = all(np.ptp(one) > 0 for one in ranks)
    return {
        "bonus": float(bonus.std() / spread) if spread > 0 else float("nan"),
        "follows": float(np.corrcoef(*ranks)[0, 1]) if varies else float("nan"),
    }
