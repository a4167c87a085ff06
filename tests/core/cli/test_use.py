"""`modtrans evaluate` and `modtrans translate`: results on stdout or in files, what they are of on stderr."""

import json

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings, evaluate, load

SCORES = [
    "cosine", "floor", "ceiling", "skill", "recall_at_1", "recall_at_10",
    "centered_recall_at_1", "centered_recall_at_10", "gallery",
]  # fmt: skip


@pytest.fixture
def run(folder, modtrans, poster):
    assert modtrans("train", "pairs.npz", "--out", "run", *poster)[0] == 0


@pytest.fixture
def calibrated(folder, modtrans):
    assert modtrans("train", "pairs.npz", "--out", "calibrated", "--device", "cpu")[0] == 0


def test_evaluate_scores_the_test_part(run, modtrans):
    status, out, err = modtrans("evaluate", "run", "pairs.npz", "--json")
    scores = json.loads(out)
    assert status == 0 and "16 items of 80 that were kept for the test" in err
    assert list(scores) == SCORES
    test = PairedEmbeddings.load("pairs.npz").split(0)[2]
    assert scores == pytest.approx(evaluate(load("run"), test)) and scores["ceiling"] is None
    assert json.loads(modtrans("evaluate", "run", "pairs.npz", "--json", "--limit", "5")[1])["gallery"] == 5
    status, out, err = modtrans("evaluate", "run", "pairs.npz", "--split", "all")
    assert status == 0 and "of 80 items" in out and "floor" in out and "these scores are not a test" in err


def test_evaluate_samples_as_asked(run, modtrans):
    scores = [
        json.loads(modtrans("evaluate", "run", "pairs.npz", "--json", *more)[1])["cosine"]
        for more in ([], ["--steps", "1"], ["--steps", "20"], ["--guidance", "1"])
    ]
    assert scores[0] == scores[1]
    test = PairedEmbeddings.load("pairs.npz").split(0)[2]
    for found, settings in ((scores[2], {"steps": 20}), (scores[3], {"guidance": 1.0})):
        assert found == pytest.approx(evaluate(load("run"), test, **settings)["cosine"])


def test_evaluate_on_pairs_that_were_never_seen_uses_all_of_them(run, modtrans):
    PairedEmbeddings.load("pairs.npz").take(np.arange(40)).save("other.npz")
    _, out, err = modtrans("evaluate", "run", "other.npz", "--json")
    assert json.loads(out)["gallery"] == 40 and "scored on all 40 items: not the pairs that the run was" in err


def test_evaluate_of_a_run_without_split_uses_all(folder, modtrans, calibrated):
    load("calibrated").save("saved")
    assert json.loads(modtrans("evaluate", "saved", "pairs.npz", "--json")[1])["gallery"] == 80
    status, _, err = modtrans("evaluate", "saved", "pairs.npz", "--split", "test")
    assert status == 1 and "saved: has no split, --split all is needed" in err


def test_translate_an_array(run, modtrans):
    assert modtrans("translate", "run", "c.npy", "z.npy")[0] == 0
    translated = np.load("z.npy")
    assert translated.shape == (80, 6) and translated.dtype == np.float32
    np.testing.assert_allclose(translated, load("run").translate(np.load("c.npy")), atol=1e-6)
    assert modtrans("translate", "run", "c.npy", "z.npy")[0] == 1
    np.testing.assert_array_equal(np.load("z.npy"), translated)
    assert modtrans("translate", "run", "c.npy", "z.npy", "--overwrite", "--seed", "1")[0] == 0
    assert np.abs(np.load("z.npy") - translated).max() > 1e-3


def test_samples_and_the_expected_cosine(folder, calibrated, run, modtrans):
    assert modtrans("translate", "calibrated", "c.npy", "m.npy", "--expected-cosine", "s.npy")[0] == 0
    np.testing.assert_allclose(np.load("s.npy"), np.linalg.norm(np.load("m.npy"), axis=1).clip(max=1), rtol=1e-6)
    for name in ("calibrated", "run"):
        status, _, err = modtrans("translate", name, "c.npy", f"{name}.npy", "--samples", "3", "--seed", "2")
        assert status == 0 and "80 text vectors, 3 each, of dimension 6" in err
        np.testing.assert_allclose(np.load(f"{name}.npy"), load(name).draw(np.load("c.npy"), 3, seed=2), atol=1e-6)
    assert modtrans("translate", "calibrated", "c.npy", "new.npy", "--expected-cosine", "s.npy")[0] == 1
    assert not (folder / "new.npy").exists()


def test_what_a_method_does_not_know_is_refused(folder, calibrated, run, modtrans):
    for arguments, words in (
        (
            ["translate", "calibrated", "c.npy", "z.npy", "--steps", "3"],
            "steps: 3, a translator that samples",
        ),
        (["translate", "calibrated", "c.npy", "z.npy", "--seed", "3"], "seed: 3, a translator that samples"),
        (
            ["evaluate", "calibrated", "pairs.npz", "--guidance", "3"],
            "guidance: 3.0, a translator that samples",
        ),
        (["translate", "run", "c.npy", "z.npy", "--expected-cosine", "s.npy"], "method 'poster' cannot do it"),
    ):
        status, out, err = modtrans(*arguments)
        message = [line for line in err.splitlines() if line.startswith(f"modtrans {arguments[0]}: ")]
        assert status == 1 and not out and len(message) == 1 and words in message[0]
    assert not (folder / "z.npy").exists() and not (folder / "s.npy").exists()


def test_translate_takes_and_gives_pair_sets(run, modtrans):
    assert modtrans("translate", "run", "pairs.npz", "z.npz")[0] == 0
    assert modtrans("translate", "run", "c.npy", "z.npy")[0] == 0
    pairs = PairedEmbeddings.load("z.npz")
    np.testing.assert_array_equal(pairs.modality("text"), np.load("z.npy"))
    status, _, err = modtrans("translate", "run", "z.npz", "again.npz")
    assert status == 1 and "z.npz: has text but no image, which the run translates" in err
    status, _, err = modtrans("translate", "run", "pairs.npz", "indexed")
    assert status == 0 and "indexed: 80 text vectors" in err
    assert modtrans("translate", "run", "pairs.npz", "indexed")[0] == 1
    assert modtrans("translate", "run", "pairs.npz", "indexed", "--overwrite", "--seed", "3")[0] == 0
    assert len(PairedEmbeddings.load("indexed")) == 80


def test_another_encoder_is_refused(folder, modtrans, poster):
    given = PairedEmbeddings.load("pairs.npz")
    for name, encoder in (("one", "open_clip:RN50/openai"), ("other", "timm:vit/dino")):
        PairedEmbeddings(given.arrays, metadata={"image": {"encoder": encoder}}).save(f"{name}.npz")
    assert modtrans("train", "one.npz", "--out", "run", *poster)[0] == 0
    for arguments in (["evaluate", "run", "other.npz"], ["translate", "run", "other.npz", "z.npz"]):
        status, _, err = modtrans(*arguments)
        assert status == 1 and "encoder timm:vit/dino, but the translator was trained on open_clip:RN50/openai" in err
    assert not (folder / "z.npz").exists()


def test_only_what_is_expected_to_reach_a_cosine_is_translated(folder, calibrated, modtrans):
    translator, c = load("calibrated"), np.load("c.npy")
    expected = translator.expected_cosine(c)
    threshold = float(np.median(expected))
    accepted = translator.accept(c, threshold)
    assert accepted.dtype == bool and 0 < accepted.sum() < 80
    np.testing.assert_array_equal(accepted, expected >= threshold)
    for given in ("c.npy", "pairs.npz"):
        status, _, err = modtrans("translate", "calibrated", given, "z.npz", "--accept", threshold, "--overwrite")
        assert status == 0 and f"{accepted.sum()} of 80 items are accepted" in err
        found = PairedEmbeddings.load("z.npz")
        assert found.key.tolist() == np.flatnonzero(accepted).astype(str).tolist()
        np.testing.assert_allclose(found.modality("text"), translator.translate(c)[accepted], atol=1e-6)
    named = PairedEmbeddings.load("pairs.npz")
    PairedEmbeddings(named.arrays, key=np.array([f"k{row}" for row in range(80)])).save("named.npz")
    assert modtrans("translate", "calibrated", "named.npz", "named-z.npz", "--accept", threshold)[0] == 0
    assert PairedEmbeddings.load("named-z.npz").key.tolist() == [f"k{row}" for row in np.flatnonzero(accepted)]


def test_what_cannot_be_accepted_is_refused(folder, calibrated, run, modtrans):
    rng = np.random.default_rng(0)
    PairedEmbeddings({"image": rng.normal(size=(9, 2, 8))}).save("several.npz")
    for arguments, words in (
        (["calibrated", "c.npy", "z.npy", "--accept", 0.1], "z.npy: an array does not say which rows were accepted"),
        (["calibrated", "c.npy", "z.npz", "--accept", 1.1], "accept: 1.1, at most "),
        (["calibrated", "several.npz", "z.npz", "--accept", 0.1], "one vector an item is needed"),
        (["run", "c.npy", "z.npz", "--accept", 0.1], "expected_cosine: method 'poster' cannot do it"),
    ):
        status, _, err = modtrans("translate", *arguments)
        assert status == 1 and words in err
    assert not (folder / "z.npz").exists() and not (folder / "z.npy").exists()
