"""Greedy and beam search against every sequence that a small vocabulary has."""

import itertools

import numpy as np
import pytest
import torch

from analysis.tasks.captions.decoding import beam, greedy

WORDS, STOP, LONGEST = 5, (2,), 4


class Table:
    """A language of five words: the next one depends on all before it."""

    def __init__(self, seed=0, given=None):
        self.seed, self.given, self.known = seed, given or {}, {}
        self.read, self.first = [()], self.of(())

    def of(self, words):
        if words not in self.known:
            drawn = self.given.get(words, np.random.default_rng([self.seed, len(words), *words]).normal(size=WORDS))
            self.known[words] = torch.log_softmax(torch.tensor(drawn, dtype=torch.float64), 0)
        return self.known[words]

    def after(self, parents, tokens):
        self.read = [(*self.read[p], t) for p, t in zip(parents.tolist(), tokens.tolist(), strict=True)]
        return torch.stack([self.of(words) for words in self.read])

    def score(self, words):
        return float(sum(self.of(words[:i])[word] for i, word in enumerate(words)) / len(words))


def every_sequence():
    """Those that end with the stop, or are as long as they may be without one."""
    others = [word for word in range(WORDS) if word not in STOP]
    for length in range(1, LONGEST + 1):
        for words in itertools.product(others, repeat=length - 1):
            yield (*words, *STOP)
            if length == LONGEST:
                yield from ((*words, word) for word in others)


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_that_is_wide_enough_finds_what_all_sequences_hold(seed):
    table = Table(seed)
    ranked = sorted(every_sequence(), key=table.score, reverse=True)
    found = beam(table, STOP, width=WORDS**LONGEST, longest=LONGEST)
    assert len(found) == len(ranked) == 4**4 + 4**3 + 4**2 + 4 + 1
    assert [tuple(words) for words, _ in found[:20]] == ranked[:20]
    np.testing.assert_allclose([score for _, score in found], [table.score(words) for words in ranked], atol=1e-6)


def test_every_candidate_has_its_own_score_and_a_narrow_beam_no_better_one():
    worse = 0
    for seed in range(15):
        table = Table(seed)
        best = max(map(table.score, every_sequence()))
        found = beam(table, STOP, width=2, longest=LONGEST)
        assert len(found) == 2
        for words, score in found:
            assert score == pytest.approx(table.score(tuple(words)), abs=1e-6) and score <= best + 1e-6
        worse += found[0][1] < best - 1e-6
    assert 0 < worse < 15  # it is a search, no proof; and it is not blind


@pytest.mark.parametrize("seed", range(8))
def test_a_beam_of_one_is_greedy(seed):
    words = greedy(Table(seed), STOP, LONGEST)
    assert beam(Table(seed), STOP, width=1, longest=LONGEST) == [
        (words, pytest.approx(Table(seed).score(tuple(words))))
    ]
    assert len(words) == LONGEST or words[-1] in STOP


def test_two_candidates_find_what_the_likeliest_first_word_hides():
    """A garden path: word 0 is the likeliest first, and nothing likely follows it."""
    far = [0.0] * WORDS
    path = {(): [1.0, 0.9, -9, -9, -9], (0,): far, (1,): [-9, -9, 9, -9, -9]}
    assert beam(Table(given=path), STOP, width=2, longest=LONGEST)[0][0] == [1, 2]
    assert greedy(Table(given=path), STOP, LONGEST)[0] == 0


def test_candidates_are_kept_by_the_mean_of_their_log_probabilities():
    """[2] has the best sum of all, -1, and [1, 0] and [1, 3] the better means, log(.5): those stay."""
    given = {(): [-9.0, np.log(0.5), -1.0, -9, -9], (1,): [np.log(0.5), -9, -9, np.log(0.5), -9]}
    found = beam(Table(given=given), STOP, width=2, longest=2)
    assert sorted(words for words, _ in found) == [[1, 0], [1, 3]]


def test_what_has_ended_keeps_its_length_while_others_go_on():
    """Ended after one word, and likelier than all that go on: nothing is added to it, though token 0 is."""
    given = {(): [0.0, -9, 0.5, -9, -9]}
    found = beam(Table(given=given), STOP, width=2, longest=LONGEST)
    alone = next((words, score) for words, score in found if words[0] in STOP)
    assert alone == ([2], pytest.approx(Table(given=given).score((2,)), abs=1e-6))
    assert beam(Table(), (0, 1, 2, 3, 4), width=3)[0][0] == [int(Table().first.argmax())]
