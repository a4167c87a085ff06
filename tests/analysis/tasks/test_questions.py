"""Answers to questions by translation: priors, known answers, and a naive loop."""

import re
import tracemalloc

import numpy as np
import pytest

from analysis.tasks.questions import WEIGHTS, Answers, weight_of


@pytest.fixture
def asked():
    rng = np.random.default_rng(0)
    question = rng.choice(["what color?", "what shape?", "is it red?"], 300)
    possible = {
        "what color?": ["red", "blue", "green"],
        "what shape?": ["circle", "square"],
        "is it red?": ["no", "yes"],
    }
    answer = np.array([rng.choice(possible[one]) for one in question])
    place = {text: rng.normal(size=6) for text in sorted({f"{q} {a}" for q, a in zip(question, answer, strict=True)})}
    vectors = np.array([place[f"{q} {a}"] for q, a in zip(question, answer, strict=True)])
    return question, answer, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_prior_alone_is_the_most_frequent_answer(asked):
    question, answer, _ = asked
    said = Answers.of(*asked).choose(np.zeros((300, 6)), question, weight=0.0)
    for one in np.unique(question):
        names, counts = np.unique(answer[question == one], return_counts=True)
        assert set(said[question == one]) == {names[counts.argmax()]}


def test_choices_are_those_of_a_naive_loop(asked):
    question, answer, vectors = asked
    delta = np.random.default_rng(1).normal(size=(300, 6))
    said = Answers.of(*asked).choose(delta, question, weight=0.7)
    for i in range(300):
        own = question == question[i]
        texts = {a: vectors[own & (answer == a)][0] for a in set(answer[own])}
        mean = sum(texts.values()) / len(texts)
        score = {a: np.log((answer[own] == a).mean()) + 0.7 * delta[i] @ (v - mean) for a, v in texts.items()}
        assert said[i] == max(score, key=score.__getitem__)


def test_the_true_texts_answer_everything_and_a_large_weight_is_chosen(asked):
    question, answer, vectors = asked
    answers = Answers.of(*asked)
    weight = weight_of(answers, vectors, question, answer)
    assert weight >= 1 and (answers.choose(vectors, question, weight) == answer).all()


def test_noise_gets_no_weight(asked):
    """A delta that points away from every right answer: anything but the prior is worse."""
    question, answer, vectors = asked
    assert weight_of(Answers.of(*asked), -vectors, question, answer) == WEIGHTS[0] == 0


def test_what_all_answers_share_does_not_count(asked):
    """A constant along the question alone changes no answer: directions are centred question by question."""
    question = asked[0]
    answers = Answers.of(*asked)
    for one in np.unique(question):
        np.testing.assert_allclose(answers.direction[answers.question == one].sum(0), 0, atol=1e-12)
        assert np.exp(answers.log_prior[answers.question == one]).sum() == pytest.approx(1)


def test_memory_is_in_proportion_to_texts_and_not_to_their_square():
    n = 4000
    question, answer = [f"q{i // 2}" for i in range(n)], [f"a{i % 2}" for i in range(n)]
    vectors = np.random.default_rng(0).normal(size=(n // 2, 1, 4)) * [[[1], [-1]]]
    vectors = vectors.reshape(n, 4)
    tracemalloc.start()
    answers = Answers.of(question, answer, vectors)
    said = answers.choose(vectors, question, 100.0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < n * n and said.tolist() == answer  # n^2/2 of an array of truths, questions by answers


def test_a_question_that_was_never_asked_has_no_answer(asked):
    assert Answers.of(*asked).choose(np.zeros((1, 6)), ["why?"]).tolist() == [""]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda *given: Answers.of([], [], np.ones((0, 6))), "question: 0, 1 or more is needed"),
        (lambda q, a, x: Answers.of(q, a[:9], x), "answer: 9, one of each question, 300, is needed"),
        (lambda q, a, x: Answers.of(q, a, x[:1]), "vectors: (1, 6), one vector a question, (300, 6), is needed"),
        (lambda q, a, x: Answers.of(q[:9], a[:9], x), "vectors: (300, 6), one vector a question, (9, 6), is needed"),
        (lambda q, a, x: Answers.of(q, a, x).choose(x[:1], q), "delta: (1, 6), one vector a question, (300, 6),"),
        (lambda q, a, x: Answers.of(q, a, x).choose(x[:, :1], q), "delta: (300, 1), one vector a question"),
        (lambda q, a, x: Answers.of(q, a, x).choose(x * np.nan, q), "delta: 'NaN or infinity', finite vectors"),
        (lambda q, a, x: Answers.of(q, a, x).choose(x, q, np.nan), "weight: nan, a finite number is needed"),
        (lambda q, a, x: weight_of(Answers.of(q, a, x), x, q, a[:1]), "answer: 1, one of each question, 300,"),
        (lambda q, a, x: Answers.of(q, [*a[1:], np.nan], x), "answer: nan, a text is needed"),
        (lambda q, a, x: Answers.of([*q[1:], None], a, x), "question: None, a text is needed"),
        (lambda q, a, x: Answers.of(q, np.ma.array(a, mask=a == "red"), x), "answer: masked, a text is needed"),
        (lambda q, a, x: Answers.of(q, a, np.ma.array(x, mask=x > 0)), "vectors: 'masked numbers', an array of real"),
        (lambda q, a, x: Answers.of(q, a, x[0, 0]), "vectors: (), one vector a question"),
        (lambda q, a, x: Answers.of(q, a, x).choose(np.ma.array(x, mask=x > 0), q), "delta: 'masked numbers', an"),
        (lambda q, a, x: Answers.of(q, a, x).choose(x, [*q[1:], None]), "question: None, a text is needed"),
        (lambda q, a, x: weight_of(Answers.of(q, a, x), x, q, [*a[1:], 3]), "answer: 3, a text is needed"),
    ],
)
def test_rows_that_do_not_belong_together_are_refused(asked, call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call(*asked)
