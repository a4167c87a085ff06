"""Classification by prompts where the answer is known, and against scikit-learn."""

import doctest

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from analysis.tasks import classification as task
from analysis.tasks.classification import CIFAR10, chosen, class_vectors, classified, pull
from modtrans_core.vectors import unit


def pulled(n=60, C=6, d=12, seed=0):
    """Translations m + delta, delta along the own class alone, of classes m + e_j, but for the first one, which is the
    mean's direction: it has the largest <m, g> by more than 2 max|delta|."""
    rng = np.random.default_rng(seed)
    m, e = 0.6 * np.eye(d)[0], np.eye(d)[1 : C + 1]
    classes = np.concatenate([m[None] / 0.6, m + 0.8 * e[1:]])
    label = rng.integers(1, C, n)
    return m + 0.1 * e[label], label, classes, m


def test_plain_fails_and_centered_is_right_where_one_class_lies_along_the_mean():
    zhat, label, classes, m = pulled()
    plain = classified(zhat, label, classes)
    assert plain["accuracy"] == plain["class_recall"] == 0.0 and plain["largest_class"] == 1.0
    centered = classified(zhat, label, classes, "centered", mean=m)
    assert centered["accuracy"] == centered["class_recall"] == 1.0
    assert centered["largest_class"] == np.bincount(label).max() / len(label)
    told = pull(zhat, classes, m)
    assert told["bonus"] > 1.0 and told["follows"] > 0.9 > pull(m + 9 * (zhat - m), classes, m)["follows"]


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.0])
def test_a_uniform_shift_of_all_class_vectors_changes_no_centered_answer(angle):
    """Unit classes cos(a) e_j + sin(a) s share a shift s that is orthogonal to them; centered they are e_j again."""
    rng = np.random.default_rng(0)
    e, s, label = np.eye(9)[:5], np.eye(9)[8], rng.integers(0, 5, 80)
    delta = 0.3 * e[label] + np.pad(rng.normal(scale=0.2, size=(80, 8)), ((0, 0), (0, 1)))
    shifted = np.cos(angle) * e + np.sin(angle) * s
    expected = classified(delta, label, e)
    assert 0.3 < expected["accuracy"] < 1.0
    assert classified(np.sin(angle) * s + delta, label, shifted, "centered", mean=np.sin(angle) * s) == {
        **expected, "score": "centered",
    }  # fmt: skip


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
@pytest.mark.parametrize(
    ("queries", "classes"), [(np.ones((100, 3)), np.eye(3)), (np.random.default_rng(0).normal(size=(100, 3)), None)]
)
def test_an_answer_that_says_nothing_is_drawn(queries, classes, order):
    label = np.repeat([0, 1, 2], [70, 20, 10])
    classes = np.ones((3, 3)) if classes is None else classes
    found = classified(queries, np.argsort(order)[label], classes[order])
    assert [found[name] for name in ("accuracy", "class_recall", "largest_class")] == pytest.approx([1 / 3] * 3)
    assert found["accuracy_5"] == 1.0


def test_scores_are_scikit_learns():
    rng = np.random.default_rng(0)
    queries, classes, label = rng.normal(size=(90, 5)), rng.normal(size=(8, 5)), rng.integers(0, 7, 90)  # 7 of 8 occur
    label[:5] = -1
    found = classified(queries, label, classes)
    kept, scores = label[5:], unit(queries[5:]) @ unit(classes).T
    said = scores.argmax(1)
    with pytest.warns(UserWarning, match="not in y_true"):
        assert found["class_recall"] == pytest.approx(balanced_accuracy_score(kept, said))
    assert found["accuracy"] == pytest.approx(accuracy_score(kept, said))
    assert found["accuracy_5"] == pytest.approx(top_k_accuracy_score(kept, scores, k=5, labels=np.arange(8)))
    assert found["queries"] == 85 and found["largest_class"] == np.bincount(said).max() / 85


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_what_says_nothing_is_right_as_often_as_chance(order):
    label, m = np.array(order)[np.repeat([0, 1, 2], [70, 20, 10])], np.array([0.5, 0.5, 0.5])
    for found in (
        classified(np.tile(m, (100, 1)), label, np.eye(3), "centered", mean=m),
        classified(np.ones((100, 3)), label, np.eye(3)),
        classified(np.random.default_rng(0).normal(size=(100, 3)), label, np.ones((3, 3))),
    ):
        for name, value in {
            "accuracy": 1 / 3,
            "accuracy_5": 1.0,
            "class_recall": 1 / 3,
            "largest_class": 1 / 3,
        }.items():
            assert found[name] == pytest.approx(value), name
    few = classified(np.ones((10, 7)), np.arange(10) % 7, np.eye(7))
    assert few["accuracy_5"] == pytest.approx(5 / 7) and few["accuracy"] == pytest.approx(1 / 7)


def test_equal_classes_are_followed_alike():
    rng = np.random.default_rng(0)
    zhat, mean = rng.standard_normal((500, 4)) + 0.3, np.array([0.5, 0.1, 0.2, 0.3])
    alone, twins = (pull(zhat, classes, mean)["follows"] for classes in (np.eye(4), np.repeat(np.eye(4), 2, axis=0)))
    assert twins == pytest.approx(alone)


def test_what_a_pull_is_not_defined_of_is_nan_or_refused():
    zhat, _, classes, m = pulled()
    still, one = pull(np.tile(m, (5, 1)), classes, m), pull(zhat, classes[:1], m)
    assert all(np.isnan(found["bonus"]) for found in (still, one)) and np.isnan(one["follows"])
    assert pull(zhat.tolist(), classes.tolist(), m.tolist()) == pull(zhat, classes, m)
    for more, message in (
        ((zhat * np.nan, classes, m), "^zhat: NaN or infinity in row 0"),
        ((0 * zhat, classes, m), "^zhat: a zero vector in row 0"),
        ((zhat[:, 1:], classes, m), "^zhat: .*, vectors of dimension 12, as those of the classes, is needed"),
        ((zhat, 2 * classes, m), "^classes: row 0 has length 2, 1 is needed"),
        ((zhat, np.nan * classes, m), "^classes: NaN or infinity in row 0"),
        ((zhat, classes, m[1:]), r"^mean: .*, a vector \(12,\) of finite numbers is needed"),
        ((zhat, classes, np.ma.array(m, mask=m > 0)), "^mean: 'masked numbers'"),
    ):
        with pytest.raises(ValueError, match=message):
            pull(*more)


def test_the_vector_of_a_class_is_the_direction_of_the_mean_of_its_unit_prompts():
    table = {"a cat": [3.0, 4.0], "the cat": [0.0, 2.0], "a dog": [5.0, 0.0], "the dog": [1.0, 0.0]}
    found = class_vectors(["cat", "dog"], ["a {}", "the {}"], lambda texts: np.array([table[text] for text in texts]))
    mean = (np.array([0.6, 0.8]) + np.array([0.0, 1.0])) / 2  # the long prompt weighs as much as the short one
    np.testing.assert_allclose(found, [mean / np.linalg.norm(mean), [1.0, 0.0]], atol=1e-6)


def test_cifar_10_has_eighteen_templates_for_the_source():
    from modtrans_core.embed.sources.cifar10 import _prompts

    assert len(set(CIFAR10)) == 18 and all(one.endswith("{}.") and one.startswith("a ") for one in CIFAR10)
    assert _prompts("|".join(CIFAR10)) == list(CIFAR10)
    assert "a photo of the small {}." in CIFAR10 and "a low contrast photo of a {}." in CIFAR10


def test_the_parameter_with_the_highest_accuracy_is_chosen():
    zhat, label, classes, _ = pulled()
    rng = np.random.default_rng(1)
    noisy = zhat + 0.05 * rng.normal(size=zhat.shape)
    by = {b: classified(noisy, label, classes, "dual", parameter=b)["accuracy"] for b in (5.0, 10.0, 20.0, 40.0, 80.0)}
    assert len(set(by.values())) > 1 and by[chosen(noisy, label, classes, "dual")] == max(by.values())
    assert classified(noisy, label, classes, "dual")["transductive"]


def test_what_has_no_class_is_refused():
    zhat, label, classes, _ = pulled()
    for bad, message in (
        (np.where(label == label[0], -5, label), r"^label: array\(\[-5.*, -1 to 5 is needed"),
        (np.where(label == label[0], 7, label), r"^label: array\(\[7.*, -1 to 5 is needed"),
        (np.full(60, -1), r"^label: array\(\[-1, .*, one from 0 to 5 or more is needed"),
        (label[:5], r"^label: \(5,\), one for each query, \(60,\)"),
        (label.astype(float), "^label: 'float64', an array of whole numbers is needed"),
        (np.ma.array(label, mask=label == label[0]), "^label: 'masked numbers', an array of integers is needed"),
    ):
        with pytest.raises(ValueError, match=message):
            classified(zhat, bad, classes)
    with pytest.raises(ValueError, match="^templates: 'a cat', '{}' where the class goes is needed"):
        class_vectors(["cat"], ["a cat"], len)
    with pytest.raises(ValueError, match="^classes"):
        class_vectors([], ["a {}"], len)


def test_the_examples():
    failed, attempted = doctest.testmod(task)
    assert attempted and not failed


def test_a_text_is_no_list_of_texts():
    for classes, templates, encode, message in (
        ("cat", ["a {}"], None, "^classes: 'cat', a list of texts is needed"),
        (["cat"], "a {}", None, "^templates: 'a {}', a list of texts is needed"),
        (["a", "b"], ["{}"], lambda texts: np.eye(3), r"^encode: \(3, 3\), one vector a prompt, \(2, d\), is needed"),
    ):
        with pytest.raises(ValueError, match=message):
            class_vectors(classes, templates, encode)
