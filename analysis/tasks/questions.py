"""Visual question answering by a translation: which answer lies nearest to where the picture is translated to.

Nothing is trained on questions. The translator knows the embeddings of `question answer` texts of its training items;
what it says of a picture is held against every answer that the question has had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modtrans_core.checks import refuse_unless
from modtrans_core.vectors import ROWS, real


@dataclass(frozen=True)
class Answers:
    """The answers that questions have had.

    Examples
    --------
    >>> texts = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> answers = Answers.of(["what color?"] * 3, ["red", "red", "blue"], texts)
    >>> answers.choose(np.array([[0.0, 0.1], [0.0, 9.0]]), ["what color?"] * 2).tolist()
    ['red', 'blue']
    """

    question: np.ndarray
    """(A,) the question of each"""
    answer: np.ndarray
    """(A,) the answer itself"""
    log_prior: np.ndarray
    """(A,) log of its share among its question's"""
    direction: np.ndarray
    """(A, d) its text's embedding less the mean of its question's: what the answer adds to the question"""

    @staticmethod
    def of(question: Sequence[str], answer: Sequence[str], vectors: np.ndarray) -> Answers:
        """Those among P questions and answers, of which the embeddings of both together are given (P, d)."""
        n = len(question)
        refuse_unless(n > 0, "question", n, "1 or more")
        refuse_unless(len(answer) == n, "answer", len(answer), f"one of each question, {n},")
        vectors = _rows("vectors", vectors, n)
        both = np.array([_texts("question", question), _texts("answer", answer)])
        named, first, count = np.unique(both, axis=1, return_index=True, return_counts=True)
        _, own = np.unique(named[0], return_inverse=True)
        total = np.bincount(own, count)
        mean = np.zeros((len(total), vectors.shape[1]))
        np.add.at(mean, own, vectors[first])
        mean /= np.bincount(own)[:, None]
        return Answers(named[0], named[1], np.log(count / total[own]), vectors[first] - mean[own])

    def choose(self, delta: np.ndarray, question: Sequence[str], weight: float = 1.0) -> np.ndarray:
        """The answer (Q,) with the largest log prior + weight <delta, direction>; "" to a question that is not known.

        Parameters
        ----------
        delta : (Q, d) zhat - mean of the training targets, of the picture that each question is about.
        weight : 0: the prior alone, the answer that the question has had most often.
        """
        delta, question = _rows("delta", delta, len(question), self.direction.shape[1]), _texts("question", question)
        refuse_unless(bool(np.isfinite(weight)), "weight", weight, "a finite number")
        said = np.full(len(question), "", dtype=self.answer.dtype)
        known, asked = rows_by(self.question), rows_by(np.asarray(question, dtype=np.str_))
        for one in asked.keys() & known.keys():
            answers = known[one]
            for start in range(0, len(asked[one]), ROWS):
                rows = asked[one][start : start + ROWS]
                scores = self.log_prior[answers] + weight * (delta[rows] @ self.direction[answers].T)
                said[rows] = self.answer[answers[scores.argmax(axis=1)]]
        return said


def rows_by(texts: np.ndarray) -> dict[str, np.ndarray]:
    """The rows, ascending, of each different text (n,).

    Examples
    --------
    >>> {text: rows.tolist() for text, rows in rows_by(np.array(["b", "a", "b"])).items()}
    {'a': [1], 'b': [0, 2]}
    """
    order = np.argsort(texts, kind="stable")
    different, starts = np.unique(texts[order], return_index=True)
    return dict(zip(different.tolist(), np.split(order, starts[1:]), strict=True))


def _rows(name: str, rows: np.ndarray, n: int, d: int | None = None) -> np.ndarray:
    """One finite vector a question, of any dimension or of d."""
    rows = real(name, rows)
    d = rows.shape[-1] if d is None and rows.ndim else d
    refuse_unless(rows.shape == (n, d), name, rows.shape, f"one vector a question, ({n}, {d}),")
    refuse_unless(bool(np.isfinite(rows).all()), name, "NaN or infinity", "finite vectors")
    return rows


def _texts(name: str, texts: Sequence[str]) -> list[str]:
    """Those that are texts, all of them: of NaN or of what is masked numpy would make one."""
    for one in texts:
        refuse_unless(isinstance(one, str), name, one, "a text")
    return list(texts)


def weight_of(answers: Answers, delta: np.ndarray, question: Sequence[str], answer: Sequence[str]) -> float:
    """The weight, of `WEIGHTS`, with the most right answers to questions that were not trained on; of equals the least.

    Parameters
    ----------
    delta, question : see `Answers.choose`.
    answer : (Q,) the right ones.
    """
    refuse_unless(len(answer) == len(question), "answer", len(answer), f"one of each question, {len(question)},")
    known = np.array(_texts("answer", answer))
    right = [(answers.choose(delta, question, weight) == known).mean() for weight in WEIGHTS]
    return WEIGHTS[int(np.argmax(right))]


WEIGHTS = (0.0, *(float(weight) for weight in np.round(10.0 ** np.arange(0, 4.25, 0.25), 3)))
"""of the inner product beside the log prior"""
