"""Languages, speech and questions on pair sets with a known answer, and the controls that must fail."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from analysis.experiments import modalities
from analysis.experiments.modalities import controlled, languages, left_out, questions, shuffle, there
from analysis.experiments.translation import ONE
from modtrans_core import PairedEmbeddings, Pairing, preset


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Trials one after the other, without processes: they are tested elsewhere."""
    from analysis.experiments.trial import Trial

    def alone(work, pairs, routes, seeds, report=None):
        loaded = PairedEmbeddings.load(pairs)
        return [work(Trial.of(loaded, *route, seed)) for seed in range(seeds) for route in routes]

    monkeypatch.setattr(modalities, "every_trial", alone)
    monkeypatch.setattr(
        modalities, "_preset", lambda name, *_: preset(name, {"landmarks": 0} if name == "calibrated" else {})
    )


def test_one_space_is_found_and_another_is_not(tmp_path):
    """One language is the other with noise, and one a rotation of it: the multiple of the identity tells them apart."""
    rng = np.random.default_rng(0)
    c, noise = rng.normal(size=(300, 8)), 0.3 * rng.normal(size=(2, 300, 8))
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    PairedEmbeddings({"text-en": c, "text-fr": c + noise[0], "text-ja": c @ turn + noise[1]}).save(tmp_path / "a.npz")
    found = languages(tmp_path / "a.npz", seeds=2).set_index(["route", "method"])
    french, japanese = "text-en → text-fr", "text-en → text-ja"
    assert (found.loc[(french, "identity"), "cosine"] > 0.9).all()
    assert (found.loc[(japanese, "identity"), "cosine"] < 0.4).all()
    assert (found.loc[(japanese, "ridge"), "cosine"] > 0.9).all()
    assert (found.loc[(french, "ridge towards tI"), "t"] > 0.7).all() and found.loc[(french, "ridge"), "t"].isna().all()
    assert set(found.groupby(level=1).size()) == {4}


@pytest.mark.parametrize("own", [None, np.repeat([0, 1, 2], [168, 24, 48])])  # which keeps groups together
def test_copies_leak_by_item_and_shuffled_pairs_rank_at_chance(own):
    """Each group is four near-copies of a pair at random: nothing can be learned but which group an item is of."""
    rng = np.random.default_rng(0)
    c, z = (np.repeat(rng.normal(size=(60, d)), 4, axis=0) + 0.1 * rng.normal(size=(240, d)) for d in (80, 12))
    pairs = PairedEmbeddings({"audio": c, "text": z}, group=np.repeat(np.arange(60), 4), own_split=own)
    found = controlled(pairs, "audio", "text", seeds=3, methods=["ridge"])
    recall = found.groupby(["split", "training"])["recall_at_10"].mean()
    chance = found["chance"].mean()
    assert recall["by item", "paired"] > 0.9
    for name in ("by group", "paired"), ("by item", "shuffled"), ("by group", "shuffled"):
        assert recall[name] < chance + 0.12, name
    assert chance == pytest.approx(10 / 48, abs=0.02)


def test_rows_that_repeat_are_torn_apart_by_item():
    """Of a set without groups these would be found again, so that both ways to split were one."""
    rng = np.random.default_rng(0)
    c, z = np.repeat(rng.normal(size=(60, 80)), 4, axis=0), rng.normal(size=(60, 12))
    pairs = PairedEmbeddings({"audio": c, "text": np.repeat(z, 4, axis=0) + 0.1 * rng.normal(size=(240, 12))})
    found = controlled(pairs, "audio", "text", seeds=1, methods=["ridge"]).groupby(["split", "training"])
    recall = found["recall_at_10"].mean()
    assert recall["by item", "paired"] > 0.9 > 0.5 > recall["by group", "paired"]


def test_what_is_learned_by_group_is_no_leak():
    rng = np.random.default_rng(1)
    c = np.repeat(rng.normal(size=(60, 6)), 4, axis=0) + 0.5 * rng.normal(size=(240, 6))
    z = c @ rng.normal(size=(6, 6))
    pairs = PairedEmbeddings({"audio": c, "text": z}, group=np.repeat(np.arange(60), 4))
    found = controlled(pairs, "audio", "text", seeds=2, methods=["ridge"]).groupby(["split", "training"])[
        "recall_at_10"
    ]
    assert found.mean()["by group", "paired"] > 0.95
    assert found.mean()["by group", "shuffled"] < 0.45


def test_shuffled_pairs_keep_both_sides_and_lose_the_pairs():
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings(
        {"image": rng.normal(size=(50, 3)), "text": rng.normal(size=(50, 2, 4))}, {"text": rng.integers(1, 3, 50)}
    )
    before = Pairing(pairs, "image", "text")
    after = shuffle(before, rng)
    np.testing.assert_array_equal(after.c, before.c)
    np.testing.assert_allclose(after.mean(), before.mean(), atol=1e-6)
    assert len(after.z) == len(before.z)
    assert (after.targets[:, 0] == before.targets[:, 0]).all(1).sum() < 10


def shown(rng, n=240, informative=True):
    """Pictures of a color and a shape, two questions each; yes and no lie where they lie whatever is asked."""
    colors, shapes = np.array(["red", "blue", "green"]), np.array(["circle", "square"])
    color, shape = rng.integers(3, size=n), rng.integers(2, size=n)
    image = np.concatenate([np.eye(3)[color], np.eye(2)[shape], np.ones((n, 1))], axis=1) + 0.1 * rng.normal(
        size=(n, 6)
    )
    place = {word: rng.normal(size=16) for word in ("what color?", "what shape?", "is it red?", *colors, *shapes)}
    place |= {"yes": np.zeros(16), "no": np.zeros(16)}
    texts, vectors = {}, []
    for i in range(n):
        said = (color[i], shape[i]) if informative else (rng.integers(3), rng.integers(2))
        own = {"what color?": colors[said[0]], "what shape?": shapes[said[1]]}
        own["is it red?"] = "yes" if said[0] == 0 else "no"
        texts[f"k{i}"] = tuple(f"{question} {answer}" for question, answer in own.items())
        vectors.append([place[question] + place[answer] for question, answer in own.items()])
    keys = np.array(list(texts))
    return PairedEmbeddings({"image": image, "text": np.array(vectors)}, key=keys), texts


def test_questions_are_answered_where_answers_move_the_text():
    found = questions(*shown(np.random.default_rng(0)), seeds=2)
    accuracy = found.groupby(["method", "kind"])["accuracy"].mean()
    assert accuracy["ridge", "what"] > 0.95 and accuracy["calibrated", "what"] > 0.9
    assert accuracy["prior", "what"] < 0.6 and accuracy["ridge, shuffled", "what"] < 0.65
    assert accuracy["ridge", "yes/no"] == accuracy["prior", "yes/no"], "yes and no do not move the text"
    sizes = found[["questions", "pictures"]].drop_duplicates()
    assert sorted(sizes["questions"]) == [48, 96, 144] and set(sizes["pictures"]) == {48}


def test_pictures_that_say_nothing_answer_nothing():
    found = questions(*shown(np.random.default_rng(3), informative=False), seeds=3)
    accuracy = found.groupby(["method", "kind"])["accuracy"].mean()
    assert accuracy["ridge", "what"] < accuracy["prior", "what"] + 0.1


def test_packages_that_are_not_there_are_named(tmp_path):
    (tmp_path / "iconify-json-noto-1.2.9.tgz").touch()
    assert there(["twemoji", "noto"], tmp_path) == ["noto"] and there(["noto"], "") == []
    assert left_out(["twemoji", "noto"], tmp_path) == {"twemoji": "npm pack @iconify-json/twemoji"}
    assert list(left_out(["twemoji", "noto"], "")) == ["twemoji", "noto"]


def test_table4_has_a_row_a_crossing_method_and_score(monkeypatch):
    """Every number is the mean over splits of what `cross_domain` says; the floor is that of who trained away."""
    rows = []
    for crossing in ("OpenMoji to lines", "lines to OpenMoji"):
        for route in ("image → text", "text → image"):
            for method, trained, seed in product((ONE, "calibrated", "ridge"), ("home", "away"), range(3)):
                value = len(crossing) / 100 + seed / 1000 + (trained == "home") / 10
                scores = {"cosine": value, "floor": value / 2, "centered_recall_at_10": 0.25, "gallery": 40, "n": 99}
                names = {"crossing": crossing, "route": route, "method": method, "trained": trained, "seed": seed}
                rows.append(names | scores)
    monkeypatch.setattr(modalities, "emoji_by_artist", lambda folder, items: {})
    monkeypatch.setattr(modalities, "cross_domain", lambda *args, **settings: pd.DataFrame(rows))
    found = modalities.table4_rows(None, 3)
    assert len(found) == 2 * 2 * 2 and {row.score for row in found} == {"Sim_txt", "Sim_img"}
    first = next(row for row in found if row.row == "lines to OpenMoji: calibrated" and row.score == "Sim_txt")
    assert (first.ours, first.floor, first.sd) == pytest.approx((0.171, 0.0855, 0.001))
    assert (first.splits, first.gallery, first.poster) == (3, 40, None) and "0.271" in first.why
