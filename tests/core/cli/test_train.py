"""`modtrans train`: which settings, which items, and what is refused."""

import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings, fit, load
from modtrans_core import run as runs
from modtrans_core.store.locks import LOCK, claimed


def test_the_default_is_calibrated(folder, modtrans):
    status, out, err = modtrans("train", "pairs.npz", "--out", "run")
    assert status == 0 and not out
    assert "56 to train, 8 to validate, 16 kept for the test" in err
    assert "run: done. Next: modtrans evaluate run pairs.npz" in err
    found = runs.description("run")
    assert found["method"] == "calibrated" and found["config"]["goal"] == "balanced"
    assert found["split"]["seed"] == 0 and found["split"]["fractions"] == [0.7, 0.1, 0.2]


def test_what_comes_next_can_be_copied(folder, modtrans):
    (folder / "pairs.npz").rename(folder / "-a b.npz")
    err = modtrans("train", "./-a b.npz", "--preset", "ridge", "--out", "./-run")[2]
    assert "Next: modtrans evaluate ./-run './-a b.npz'" in err


@pytest.mark.filterwarnings("ignore:.*the constant mean:UserWarning")
def test_the_other_direction_and_other_modalities(folder, modtrans, poster):
    for source, target in (("text", "image"), ("audio", "text")):
        out = f"{source}-{target}"
        assert modtrans("train", "pairs.npz", "--source", source, "--target", target, "--out", out, *poster)[0] == 0
        assert load(out).facts[:2] == (source, target)
        assert json.loads(modtrans("evaluate", out, "pairs.npz", "--json")[1])["gallery"] == 16


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["pairs.npz", "--out", "run"], "run: already holds a translator"),
        (["pairs.npz", "--out", "new", "--resume"], "new: not a run folder, no run was begun in it"),
        (["pairs.npz", "--out", "run", "--resume", "--overwrite"], "overwrite: True, False where a run is resumed"),
        (["pairs.npz", "--out", "pairs.npz"], "pairs.npz: a file, a folder is needed"),
        (["pairs.npz", "--out", "linked"], "linked: a link, and nothing is written through links"),
        (["pairs.npz", "--out", "new", "--target", "txt"], "modality 'txt': not in this pair set, which has image, "),
        (["image=c.npy,text=c.npy,key=k.npy", "--out", "new", "--source", "key"], "which has image, text"),
        (["pairs.npz", "--out", "new", "--target", "image"], "target: 'image', another modality than the source"),
    ],
)
def test_what_the_command_line_decides_is_refused_before_the_pairs_are_read(
    folder, modtrans, trained, monkeypatch, given, words
):
    trained("run", "--preset", "ridge")
    (folder / "linked").symlink_to(folder / "run")
    monkeypatch.setattr("modtrans_core.layouts.arrays.load_pairs", None)
    monkeypatch.setattr(PairedEmbeddings, "fingerprint", None)
    status, _, err = modtrans("train", *given)
    assert status == 1 and words in err and err.count("\n") == 1 and not (folder / "new").exists()
    out = {"out": given[2], "resume": "--resume" in given, "overwrite": "--overwrite" in given}
    names = {name[2:]: given[given.index(name) + 1] for name in ("--source", "--target") if name in given}
    with pytest.raises(ValueError, match=words.split(": ")[0]):
        fit(PairedEmbeddings.load("pairs.npz"), **names, **out)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "run: was started with method ridge, not calibrated; resume it as it was"),
        (
            ["--preset", "ridge", "--set", "penalty=.5"],
            "run: was started with config.penalty 0.0, not 0.5;",
        ),
        (["--preset", "ridge", "--split-seed", "9"], "run: was started with split.seed 0, not 9; resume it as it was"),
        (
            ["--preset", "ridge", "--fractions", ".8", ".1", ".1"],
            "run: was started with split.fractions [0.7, 0.1, 0.2],",
        ),
        (
            ["--preset", "ridge", "--target", "audio"],
            "run: was started with facts.target text, not audio;",
        ),
        (["--preset", "ridge"], "run: process 7 on mars, since noon, writes it; wait for it to end, or"),
    ],
)
def test_what_cannot_be_resumed_is_refused_before_the_pairs_are_read(
    folder, modtrans, trained, monkeypatch, given, words
):
    trained("run", "--preset", "ridge")
    monkeypatch.setattr("modtrans_core.layouts.arrays.load_pairs", None)
    with claimed(folder / "run" / LOCK) if "mars" in words else nullcontext():
        if "mars" in words:
            (folder / "run" / LOCK).write_text("process 7 on mars, since noon,\n")
        status, _, err = modtrans("train", "pairs.npz", "--out", "run", "--resume", *given)
    assert status == 1 and words in err and err.count("\n") == 1


def test_each_goal_trains(folder, modtrans):
    for goal, kept in (("cosine", "cosine"), ("retrieval", "retrieval"), ("0.3", 0.3)):
        assert modtrans("train", "pairs.npz", "--goal", goal, "--out", goal, "--device", "cpu")[0] == 0
        assert runs.description(goal)["config"]["goal"] == kept
    assert modtrans("train", "pairs.npz", "--set", "goal=cosine", "landmarks=9", "--out", "set")[0] == 0
    assert runs.description("set")["config"] == {"landmarks": 9, "goal": "cosine", "network": True, "seed": 0}


@pytest.mark.parametrize("option", ["--train-steps", "--steps"])
def test_steps_are_those_of_the_optimiser(folder, modtrans, option):
    settings = ["width=16", "depth=1", "gamma=0.5", "steps=4"]
    arguments = ["--preset", "poster", option, "5", "--seed", "3", "--set", *settings]
    assert modtrans("train", "pairs.npz", "--out", "run", *arguments)[0] == 0
    config = runs.description("run")["config"]
    assert (config["train"]["steps"], config["train"]["seed"]) == (5, 3)
    assert (config["steps"], config["gamma"], config["width"]) == (4, 0.5, 16)


def test_the_seed_is_the_methods(folder, modtrans):
    modtrans("train", "pairs.npz", "--out", "run", "--seed", "3")
    assert runs.description("run")["config"]["seed"] == 3 and runs.description("run")["split"]["seed"] == 0
    modtrans("train", "pairs.npz", "--out", "other", "--split-seed", "3", "--set", "seed=5")
    assert runs.description("other")["config"]["seed"] == 5 and runs.description("other")["split"]["seed"] == 3


def test_everything_may_be_used_to_train(folder, modtrans):
    pairs = PairedEmbeddings.load("pairs.npz")
    PairedEmbeddings(pairs.arrays, own_split=np.arange(80) % 3).save("own.npz")
    for name in ("pairs", "own"):
        status, _, err = modtrans("train", f"{name}.npz", "--out", name, "--fractions", "0.9", "0.1", "0")
        assert status == 0 and "72 to train, 8 to validate, none kept for a test" in err
        status, out, err = modtrans("evaluate", name, f"{name}.npz")
        assert status == 1 and not out
        assert (
            f"modtrans evaluate: {name}: was fitted to all 80 items or others of their groups; other pairs are" in err
        )
        assert modtrans("evaluate", name, f"{name}.npz", "--split", "test")[0] == 1
        status, out, err = modtrans("evaluate", name, f"{name}.npz", "--split", "all", "--json")
        assert (
            status == 0
            and json.loads(out)["gallery"] == 80
            and "80 of them seen in training or akin to such: no test" in err
        )


def test_other_shares(folder, modtrans):
    status, _, err = modtrans("train", "pairs.npz", "--out", "run", "--fractions", "0.5", "0.25", "0.25")
    assert status == 0 and "40 to train, 20 to validate, 20 kept for the test" in err
    assert json.loads(modtrans("evaluate", "run", "pairs.npz", "--json")[1])["gallery"] == 20


def test_the_data_sets_own_split_is_followed_and_found_again(folder, modtrans, poster):
    pairs = PairedEmbeddings.load("pairs.npz")
    own = np.array([-1, -1, *[0] * 60, *[2] * 18])
    group = np.where(np.arange(80) == 79, 2, np.arange(80))  # the last, of the test, with the first to train on
    PairedEmbeddings(pairs.arrays, group=group, own_split=own).save("own.npz")
    status, _, err = modtrans("train", "own.npz", "--out", "own", *poster)
    assert status == 0 and "52 to train, 8 to validate, 18 kept for the test, 2 left out" in err
    assert "note: the data set's own split tears 1 of 79 groups apart" in err
    assert "own_split" not in err
    status, out, err = modtrans("evaluate", "own", "own.npz", "--json")
    assert json.loads(out)["gallery"] == 17 and "17 items of 80 that the run was not fitted to" in err
    assert "1 of the group of such an item, 2 in no test part of the data set" in err
    for option in (["--split-seed", "7"], ["--fractions", "0.5", "0.25", "0.25"]):
        err = modtrans("train", "own.npz", "--out", "own", "--overwrite", "--preset", "ridge", *option)[2]
        assert "own_split: the data set's own parts are followed" in err and "18 kept for the test" in err
    assert modtrans("train", "own.npz", "--out", "own", "--overwrite", *poster)[0] == 0
    status, _, err = modtrans("train", "own.npz", "--out", "dealt", "--no-own-split", *poster)
    assert status == 0 and "own_split" not in err
    assert json.loads(modtrans("evaluate", "dealt", "own.npz", "--json")[1])["gallery"] == 16
    status, _, err = modtrans("train", "own.npz", "--out", "own", "--resume", "--no-own-split", *poster)
    assert status == 1 and "own: was started with" in err


def test_a_finished_run_may_be_resumed(folder, modtrans, poster):
    assert modtrans("train", "pairs.npz", "--out", "run", *poster)[0] == 0
    before = (folder / "run" / runs.MODEL).read_bytes()
    assert modtrans("train", "pairs.npz", "--out", "run", "--resume", *poster)[0] == 0
    assert (folder / "run" / runs.MODEL).read_bytes() == before


def test_a_translator_without_skill_is_noted(folder, modtrans, poster):
    rng = np.random.default_rng(0)
    PairedEmbeddings({"image": rng.normal(size=(90, 8)), "text": 5 + rng.normal(size=(90, 6))}).save("far.npz")
    status, _, err = modtrans("train", "far.npz", "--out", "run", *poster, "gamma=0")
    assert status == 0 and "note: poster (image 8 -> text 6): skill -" in err
    assert "the constant mean translates better" in err


def flattened(groups=False):
    """Forty pictures with five captions each, as 200 rows."""
    rng = np.random.default_rng(7)
    image, text = rng.normal(size=(40, 16)), rng.normal(size=(200, 12))
    picture = np.repeat(np.arange(40), 5)
    return PairedEmbeddings({"image": image[picture], "text": text}, group=picture if groups else None)


def test_duplicates_across_the_split_are_counted_and_kept_together_where_that_is_asked_for(folder, modtrans):
    alone = replace(flattened(), group=np.arange(200))
    alone.save("flat.npz")
    _, _, err = modtrans("train", "flat.npz", "--out", "torn", "--device", "cpu")
    train, validation, test = alone.split(0)
    known = {row.tobytes() for row in train.modality("image")}
    for name, part in (("test", test), ("validation", validation)):
        equal = sum(row.tobytes() in known for row in part.modality("image"))
        assert f"note: {equal} of {len(part)} {name} items equal one to train on: {equal} in image, 0 in text." in err
        assert equal > len(part) / 2 and "--group-duplicates keeps equal ones in one part" in err
    status, _, err = modtrans("train", "flat.npz", "--out", "whole", "--group-duplicates", "--device", "cpu")
    assert (
        status == 0 and "equal one to train on" not in err and "200 items are in 40 groups of items that belong" in err
    )
    _, out, err = modtrans("evaluate", "whole", "flat.npz", "--json")
    grouped = flattened(groups=True).split(0)[2]
    assert json.loads(out)["gallery"] == len(grouped) == 40 and "used the 40 items of 200" in err


def test_of_pairs_without_duplicates_nothing_is_noted(folder, modtrans):
    _, _, err = modtrans("train", "pairs.npz", "--out", "run", "--device", "cpu")
    assert "equal one to train on" not in err and "groups" not in err


def test_rows_of_one_picture_are_one_group(folder, modtrans):
    """Clip-retrieval's own folders have a row a caption and repeat the path of the picture."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pairs = flattened()
    for name, modality in (("img_emb", "image"), ("text_emb", "text")):
        (folder / "flat" / name).mkdir(parents=True)
        np.save(folder / "flat" / name / f"{name}_0.npy", pairs.modality(modality))
    (folder / "flat" / "metadata").mkdir()
    paths = pa.table({"image_path": [f"/data/{number // 5}.jpg" for number in range(200)]})
    pq.write_table(paths, folder / "flat" / "metadata" / "metadata_0.parquet")
    _, _, err = modtrans("train", "flat", "--out", "run", "--device", "cpu")
    assert "the 200 items are in 40 groups of items that belong together" in err and "equal one to" not in err
    _, out, err = modtrans("evaluate", "run", "flat", "--json")
    assert "used the 40 items of 200 that the run was not fitted to, in 8 groups of items that belong together" in err
    test = json.loads(out)
    assert test["gallery"] == 40 and test["cosine"] < 0.5  # captions of random numbers cannot be told from a picture
