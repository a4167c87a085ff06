"""`modtrans evaluate` and `modtrans translate`: results on stdout or in files, what they are of on stderr."""

import json
import re
from dataclasses import replace
from io import BytesIO, TextIOWrapper

import numpy as np
import pytest
import torch

from modtrans_core import PairedEmbeddings, evaluate, fit, load
from modtrans_core.cli import VERBS, verb
from modtrans_core.store.names import read_items

SCORES = [
    "cosine", "floor", "ceiling", "skill", "recall_at_1", "recall_at_10",
    "centered_recall_at_1", "centered_recall_at_10", "own_recall_at_1", "own_recall_at_10", "gallery",
]  # fmt: skip


@pytest.fixture
def run(trained, poster):
    trained("run", *poster)


@pytest.fixture
def calibrated(trained):
    trained("calibrated", "--device", "cpu")


def test_evaluate_scores_the_test_part(run, modtrans):
    status, out, err = modtrans("evaluate", "run", "pairs.npz", "--json")
    scores = json.loads(out)
    assert status == 0 and "used the 16 items of 80 that the run was not fitted to" in err
    assert list(scores) == SCORES
    test = PairedEmbeddings.load("pairs.npz").split(0)[2]
    assert scores == pytest.approx(evaluate(load("run"), test)) and scores["ceiling"] is None
    assert json.loads(modtrans("evaluate", "run", "pairs.npz", "--json", "--limit", "5")[1])["gallery"] == 5
    rankings = json.loads(modtrans("evaluate", "run", "pairs.npz", "--json", "--ranking")[1])["rankings"]
    for name, expected in evaluate(load("run"), test, ranking=True)["rankings"].items():
        assert rankings[name] == pytest.approx(expected)
    assert rankings["own"]["recall_at_10"] == pytest.approx(scores["own_recall_at_10"])
    printed = modtrans("evaluate", "run", "pairs.npz", "--ranking")[1].splitlines()
    assert [line.split()[0] for line in printed[-5:]] == ["ranking", "plain", "centered", "own", "hubs:"]
    assert f"{rankings['centered']['mrr']:.3f}" in printed[-3] and "median rank" in printed[-5]
    status, out, err = modtrans("evaluate", "run", "pairs.npz", "--split", "all")
    assert (
        status == 0
        and "of 80 items" in out
        and "floor" in out
        and "64 of them seen in training or akin to such: no test" in err
    )


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
    rng = np.random.default_rng(1)
    PairedEmbeddings({"image": rng.normal(size=(40, 8)), "text": rng.normal(size=(40, 6))}).save("other.npz")
    _, out, err = modtrans("evaluate", "run", "other.npz", "--json")
    assert json.loads(out)["gallery"] == 40 and "used the 40 items of 40 that the run was not fitted to\n" in err


def test_a_translator_saved_again_knows_what_it_was_fitted_to(folder, modtrans, calibrated):
    load("calibrated").save("saved")
    assert json.loads(modtrans("evaluate", "saved", "pairs.npz", "--json")[1])["gallery"] == 16
    made = load("saved")
    replace(made, facts=made.facts._replace(seen=None)).save("own")
    status, out, err = modtrans("evaluate", "own", "pairs.npz", "--json")
    assert json.loads(out)["gallery"] == 80 and "all 80 items: own does not say what it was fitted to" in err
    status, _, err = modtrans("evaluate", "own", "pairs.npz", "--split", "test")
    assert status == 1 and "split: 'test', but own does not say what it was fitted to; auto or all is needed" in err


def test_translate_an_array(run, modtrans):
    assert modtrans("translate", "run", "c.npy", "z.npy")[0] == 0
    translated = np.load("z.npy")
    assert translated.shape == (80, 6) and translated.dtype == np.float32
    np.testing.assert_allclose(translated, load("run").translate(np.load("c.npy")), atol=1e-6)
    assert modtrans("translate", "run", "c.npy", "z.npy")[0] == 1
    np.testing.assert_array_equal(np.load("z.npy"), translated)
    assert modtrans("translate", "run", "c.npy", "z.npy", "--overwrite", "--seed", "1")[0] == 0
    assert np.abs(np.load("z.npy") - translated).max() > 1e-3


@pytest.mark.parametrize(("given", "out"), [("c.npy", "z.npy"), ("pairs.npz", "z.npz"), ("pairs.npz", "z")])
def test_translations_that_are_not_finite_are_not_written(folder, modtrans, given, out):
    made = fit(PairedEmbeddings.load("pairs.npz"), preset="ridge", device="cpu")
    replace(made, A=torch.full_like(made.A, 3e38)).save("large")
    status, _, err = modtrans("translate", "large", given, out)
    assert status == 1 and re.search("ridge .*: NaN or infinity for item [0-9]+, finite numbers are needed", err), err
    assert not (folder / out).exists()


def test_translate_in_a_pipe(folder, calibrated, capsysbinary, monkeypatch):
    """Both streams are bytes."""

    def called(given, *arguments):
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(given)))
        status = verb.run(VERBS, "modtrans", "", ["translate", "calibrated", *map(str, arguments)])
        return (status, *capsysbinary.readouterr())

    before, given = sorted(folder.iterdir()), (folder / "c.npy").read_bytes()
    status, out, err = called(given, "-", "-", "--device", "cpu")
    assert status == 0 and b"standard output: 80 text vectors, of dimension 6" in err
    found = np.load(BytesIO(out))
    np.testing.assert_allclose(found, load("calibrated").translate(np.load("c.npy")), atol=1e-6)
    for bad, arguments, words in (
        (given[:500], ["-", "-"], b"modtrans translate: -: "),
        ((folder / "pairs.npz").read_bytes(), ["-", "-"], b"-: image: 'an .npz', a .npy array is needed"),
        (given, ["-", "-", "--json"], b"json: True, a file as OUT is needed"),
        (given, ["-", "-", "--accept", 0.1], b"-: an array does not say which rows were accepted"),
        (given, ["-", "-", "--device", "gpu"], b"device: 'gpu', cpu, cuda or cuda:N is needed"),
    ):
        status, out, err = called(bad, *arguments)
        assert status == 1 and not out and words in err and err.count(b"\n") == 1
    assert sorted(folder.iterdir()) == before


def test_translate_for_a_program(calibrated, run, modtrans):
    for name, expects in (("calibrated", True), ("run", False)):
        status, out, _ = modtrans("translate", name, "c.npy", f"{name}-z.npy", "--json")
        found = json.loads(out)
        assert status == 0 and found["file"] == f"{name}-z.npy" and found["shape"] == [80, 6]
        if expects:
            mean = load(name).expected_cosine(np.load("c.npy")).mean()
            assert found["expected_cosine"] == pytest.approx(mean, abs=1e-6)
        else:
            assert found["expected_cosine"] is None


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


def changed(pairs, **arrays):
    return PairedEmbeddings({**pairs.arrays, **arrays})


def extended(pairs):
    rng = np.random.default_rng(3)
    return PairedEmbeddings({name: np.concatenate([x, rng.normal(size=x.shape)]) for name, x in pairs.arrays.items()})


COPIES = {
    "in float16": (lambda pairs: pairs.save("copy.npz", "float16"), "copy.npz", 16),
    "reordered": (lambda pairs: pairs.take(np.arange(80)[::-1]).save("copy.npz"), "copy.npz", 16),
    "extended": (lambda pairs: extended(pairs).save("copy.npz"), "copy.npz", 96),
    "without two items": (lambda pairs: pairs.take(np.arange(2, 80)).save("copy.npz"), "copy.npz", None),
    "rescaled": (
        lambda pairs: changed(pairs, image=pairs.modality("image") * 7, text=pairs.modality("text") / 3).save("c.npz"),
        "c.npz",
        16,
    ),
    "as safetensors": (lambda pairs: pairs.save("copy.safetensors"), "copy.safetensors", 16),
    "with other targets": (
        lambda pairs: changed(pairs, text=np.random.default_rng(4).normal(size=(80, 6))).save("copy.npz"),
        "copy.npz",
        16,
    ),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_scored_on_what_was_not_seen(folder, modtrans, calibrated, copy):
    write, path, left = COPIES[copy]
    pairs = PairedEmbeddings.load("pairs.npz")
    write(pairs)
    train, validation, test = pairs.split(0)
    if left is None:
        left = sum(len(np.flatnonzero((row == pairs.modality("audio")[2:]).all(1))) for row in test.modality("audio"))
    status, out, err = modtrans("evaluate", "calibrated", path, "--json")
    assert status == 0 and json.loads(out)["gallery"] == left, err
    assert f"used the {left} items of" in err and ". Left out " in err
    if copy in ("in float16", "reordered", "rescaled"):
        expected = evaluate(load("calibrated"), test)
        assert json.loads(out)["cosine"] == pytest.approx(expected["cosine"], rel=1e-3)
        for part, known in (("train", train), ("validation", validation)):
            _, out, err = modtrans("evaluate", "calibrated", path, "--split", part, "--json")
            assert json.loads(out)["gallery"] == len(known) and "no test" in err
            assert part in modtrans("evaluate", "calibrated", path, "--split", part)[1].splitlines()[0]


def test_a_converted_copy_is_scored_on_what_was_not_seen(folder, modtrans, calibrated):
    pytest.importorskip("pyarrow")
    for arguments in (["indexed"], ["half.npz", "--dtype", "float16"], ["shards", "--layout", "shards"]):
        assert modtrans("convert", "pairs.npz", *arguments)[0] == 0
        status, out, err = modtrans("evaluate", "calibrated", arguments[0], "--json")
        assert status == 0 and json.loads(out)["gallery"] == 16, err


def test_where_few_targets_are_new_the_other_way_is_said(folder, modtrans):
    """Sentences that many pictures share: seven of eight test items have one that was trained on."""
    rng = np.random.default_rng(5)
    said = rng.normal(size=(30, 6))[rng.integers(0, 30, 300)]
    pairs = PairedEmbeddings({"image": rng.normal(size=(300, 8)), "text": said}, group=np.arange(300))
    own = pairs.dealt(0) == 2
    said[np.flatnonzero(own)[:6]] = rng.normal(size=(6, 6))
    pairs = replace(pairs, arrays={**pairs.arrays, "text": said})
    pairs.save("shared.npz")
    assert modtrans("train", "shared.npz", "--out", "shared", "--preset", "ridge")[0] == 0
    _, _, err = modtrans("evaluate", "shared", "shared.npz")
    assert "used the 6 items of 300" in err and "; --split test leaves out seen conditions alone, and uses 60\n" in err
    assert "used the 60 items of 300" in modtrans("evaluate", "shared", "shared.npz", "--split", "test")[2]


def test_where_nothing_unseen_is_left_it_refuses(folder, modtrans, calibrated):
    pairs = PairedEmbeddings.load("pairs.npz")
    pairs.split(0)[0].save("train.npz")
    status, out, err = modtrans("evaluate", "calibrated", "train.npz")
    assert status == 1 and not out and "calibrated: was fitted to all 56 items or others of their groups" in err
    assert "--split test" not in err
    test = pairs.split(0)[2]
    test.save("test.npz")
    status, _, err = modtrans("evaluate", "calibrated", "test.npz", "--split", "train")
    assert status == 1 and "split: 'train', of which 16 items have none; another part is needed" in err


def test_targets_from_a_list_of_names(folder, modtrans):
    """Eight classes, each with one target: every target was seen, and no condition of the test part."""
    rng = np.random.default_rng(5)
    c = rng.normal(size=(80, 8))
    PairedEmbeddings({"image": c, "text": rng.normal(size=(8, 6))[np.arange(80) % 8]}).save("classes.npz")
    _, _, err = modtrans("train", "classes.npz", "--out", "run", "--device", "cpu")
    assert "note: 16 of 16 test items equal one to train on: 0 in image, 16 in text." in err
    status, _, err = modtrans("evaluate", "run", "classes.npz")
    assert status == 1 and "other pairs are needed; --split test leaves out seen conditions alone" in err
    status, out, err = modtrans("evaluate", "run", "classes.npz", "--split", "test", "--json")
    assert status == 0 and json.loads(out)["gallery"] == 16 and "16 of these have a target that it was fitted to" in err


def test_only_what_is_expected_to_reach_a_cosine_is_translated(folder, calibrated, modtrans):
    translator, c = load("calibrated"), np.load("c.npy")
    expected = translator.expected_cosine(c)
    threshold = float(np.median(expected))
    accepted = translator.accept(c, threshold)
    with pytest.raises(ValueError, match="threshold: 60, a cosine from -1 to 1 is needed"):
        translator.accept(c, 60)
    assert accepted.dtype == bool and 0 < accepted.sum() < 80
    np.testing.assert_array_equal(accepted, expected >= threshold)
    beyond = np.nextafter(np.float64(np.sort(expected)[20]), 2.0)  # float32 would round it down to that one
    more = expected > np.sort(expected)[20]
    np.testing.assert_array_equal(translator.accept(c, float(beyond)), more)
    short = next(one for one in np.sort(expected) if float(str(one)) > float(one))  # float32, as it is written
    np.testing.assert_array_equal(translator.accept(c, short), expected > short)
    _, _, err = modtrans("translate", "calibrated", "c.npy", "z.npz", "--accept", float(beyond))
    assert f"{more.sum()} of 80 items are accepted" in err
    for given in ("c.npy", "pairs.npz"):
        status, _, err = modtrans("translate", "calibrated", given, "z.npz", "--accept", threshold, "--overwrite")
        assert status == 0 and f"{accepted.sum()} of 80 items are accepted" in err
        found = PairedEmbeddings.load("z.npz")
        assert found.key.tolist() == [f"{given}:{row}" for row in np.flatnonzero(accepted)]
        np.testing.assert_allclose(found.modality("text"), translator.translate(c)[accepted], atol=1e-6)
    named = PairedEmbeddings.load("pairs.npz")
    PairedEmbeddings(named.arrays, key=np.array([f"k{row}" for row in range(80)])).save("named.npz")
    assert modtrans("translate", "calibrated", "named.npz", "named-z.npz", "--accept", threshold)[0] == 0
    assert PairedEmbeddings.load("named-z.npz").key.tolist() == [f"k{row}" for row in np.flatnonzero(accepted)]


def test_captions_go_along_from_any_layout_into_any_other(folder, trained, modtrans):
    pytest.importorskip("pyarrow")
    trained("run", "--preset", "ridge")
    pairs = PairedEmbeddings.load("pairs.npz")
    texts = [["a cat", f"cat {item}"] for item in range(80)]
    for key in (None, [f"item {item}" for item in range(80)]):
        held = replace(pairs, key=key, metadata={"captions": texts}).take(np.arange(8))
        held.save("in.npz")
        assert modtrans("convert", "in.npz", "in", "--layout", "shards", "--overwrite")[0] == 0
        assert modtrans("convert", "in.npz", "flat", "--overwrite")[0] == 0
        names = read_items("in.npz")
        for given, several in (("in.npz", texts), ("in", texts), ("flat", [one[:1] for one in texts])):
            for out in ("z.npz", "z.safetensors", "zs"):
                assert modtrans("translate", "run", given, out, "--overwrite")[0] == 0
                found = read_items(out)
                assert found["key"] == names["key"], (given, out)
                assert found["caption"].to_pylist() == [one[: 1 if out == "zs" else 2] for one in several[:8]], given


def test_what_cannot_be_accepted_is_refused(folder, calibrated, run, modtrans):
    rng = np.random.default_rng(0)
    PairedEmbeddings({"image": rng.normal(size=(9, 2, 8))}).save("several.npz")
    for arguments, words in (
        (["calibrated", "c.npy", "z.npy", "--accept", 0.1], "z.npy: an array does not say which rows were accepted"),
        (["calibrated", "c.npy", "z.npz", "--accept", 1.1], "accept: 1.1, at most "),
        (["calibrated", "several.npz", "z.npz", "--accept", 0.1], "one vector an item is needed"),
        (
            ["run", "c.npy", "z.npz", "--accept", 0.1],
            "accept: run is 'poster', which expects no cosines; a calibrated run",
        ),
    ):
        status, _, err = modtrans("translate", *arguments)
        assert status == 1 and words in err
    assert not (folder / "z.npz").exists() and not (folder / "z.npy").exists()
