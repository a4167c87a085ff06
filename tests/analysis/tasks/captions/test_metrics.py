"""COCO's metrics on captions whose scores are known."""

import doctest
import math

import pytest

from analysis.tasks.captions import metrics
from analysis.tasks.captions.metrics import has_java, score_captions, tokenize

CAPTIONS = ["a cat on the mat", "a man plays tennis"]
REFERENCES = [["a cat sits on the mat", "a cat is on the mat"], ["a man plays tennis", "a tennis player hits a ball"]]
needs_java = pytest.mark.skipif(not has_java(), reason="needs Java")


def test_known_answers():
    found = score_captions(CAPTIONS, REFERENCES, tokenized=True)
    assert found["bleu_1"] == pytest.approx(math.exp(1 - 10 / 9), abs=1e-6)  # all words are there; 9 of 10 in number
    known = {"bleu_1": 0.8948, "bleu_2": 0.8285, "bleu_3": 0.7169, "bleu_4": 0.5758, "rouge_l": 0.9472, "cider": 4.956}
    assert {name: found[name] for name in known} == pytest.approx(known, abs=5e-4)
    precision, recall, beta = 1.0, 5 / 6, 1.2
    first = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    assert found["rouge_l"] == pytest.approx((first + 1) / 2)
    assert found["tokens"] == "given" and "meteor" not in found


def test_the_example_is_true():
    assert doctest.testmod(metrics).failed == 0


def test_bleu_is_of_the_whole_set_and_no_mean_of_items():
    whole = score_captions(CAPTIONS, REFERENCES, tokenized=True)["bleu_1"]
    alone = [score_captions([c], [r], tokenized=True)["bleu_1"] for c, r in zip(CAPTIONS, REFERENCES, strict=True)]
    assert abs(whole - sum(alone) / 2) > 0.01


@needs_java
def test_penn_treebank_tokens_drop_capitals_and_punctuation(capfd, monkeypatch):
    texts = ["A cat, on the\nmat.", "It's “one” (of two)!", "a\u2028b", "🙂", ""]
    found, by = tokenize(texts)
    assert by == "PTB" and found[0] == "a cat on the mat" and found[1].startswith("it 's") and len(found) == 5
    assert capfd.readouterr() == ("", "")
    with monkeypatch.context() as broken, pytest.raises(ValueError, match="java: .*, one that runs Stanford's"):
        broken.setenv("JAVA_TOOL_OPTIONS", "-Xnone")
        tokenize(texts)
    assert score_captions(["A cat on the Mat."], [["a cat, on the mat"]])["bleu_4"] > 0.99


@needs_java
def test_meteor_is_what_its_jar_says():
    found = score_captions(CAPTIONS[:1], [REFERENCES[0][:1]], tokenized=True, meteor=True)
    assert found["meteor"] == pytest.approx(0.3900, abs=5e-5)


def test_without_java_texts_are_cut_into_words_and_the_scores_say_so(monkeypatch):
    monkeypatch.setattr(metrics, "has_java", lambda: False)
    found = score_captions(["A cat, on the mat."], [["a cat on the mat"]])
    assert found["tokens"] == "words" and found["bleu_4"] > 0.99
    with pytest.raises(ValueError, match="meteor: True, Java is needed"):
        score_captions(CAPTIONS, REFERENCES, meteor=True)


@pytest.mark.parametrize(
    ("captions", "references", "words"),
    [
        ([], [], "captions: 0, at least 1"),
        (["a"], [["a"], ["b"]], "references: 2, one list a caption, 1, is needed"),
        ("ab", [["a"], ["b"]], "captions: 'ab', a list of texts is needed"),
        ([None], [["a"]], "captions: .None., a list of texts is needed"),
        (["a cat"], ["a cat"], "references: 'a cat', a list of texts is needed"),
        (["a cat"], [[1.0]], "references: .1.0., a list of texts is needed"),
        (["a"], [[]], "references: 'none of item 0', at least 1"),
        (["a", "b"], [["c"], ["...", ""]], r"references: \['...', ''\], a word in one of item 1's is needed"),
    ],
)
def test_what_cannot_be_scored_is_refused(captions, references, words):
    with pytest.raises(ValueError, match=words):
        score_captions(captions, references)
