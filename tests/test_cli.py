"""The core's verbs as a user runs them: results on stdout, one line on stderr for what goes wrong, exit 0, 1 or 2."""

import json

import numpy as np
import pytest

from analysis.cli import VERBS_HERE
from modtrans_core import PairedEmbeddings
from modtrans_core.cli.verb import run

FAST = ["--device", "cpu", "--steps", "3", "--set", "network.width=16", "network.depth=1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    c = rng.normal(size=(80, 8))
    pairs = PairedEmbeddings({"image": c, "text": c @ rng.normal(size=(8, 6)), "audio": rng.normal(size=(80, 4))})
    pairs.save("pairs.npz")
    np.save("c.npy", c.astype(np.float32))
    return tmp_path


def modtrans(capsys, *arguments):
    """Exit status, stdout, stderr."""
    try:
        status = run(VERBS_HERE, "modtrans", "", [str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    return (status, *capsys.readouterr())


def test_train_evaluate_translate_certify(folder, capsys):
    assert modtrans(capsys, "train", "pairs.npz", "--out", "run", *FAST)[0] == 0
    status, out, err = modtrans(capsys, "evaluate", "run", "pairs.npz", "--json")
    scores = json.loads(out)
    assert status == 0 and "16 items of 80 that were kept for the test" in err
    assert list(scores) == [
        "cosine", "floor", "ceiling", "skill", "recall_at_1", "recall_at_10",
        "centered_recall_at_1", "centered_recall_at_10", "gallery",
    ]  # fmt: skip
    assert scores["gallery"] == 16 and scores["ceiling"] is None
    assert json.loads(modtrans(capsys, "evaluate", "run", "pairs.npz", "--json", "--limit", "5")[1])["gallery"] == 5
    status, out, _ = modtrans(capsys, "evaluate", "run", "pairs.npz", "--split", "all")
    assert status == 0 and "of 80 items" in out and "floor" in out

    assert modtrans(capsys, "translate", "run", "c.npy", "z.npy")[0] == 0
    translated = np.load("z.npy")
    assert translated.shape == (80, 6) and translated.dtype == np.float32
    assert modtrans(capsys, "translate", "run", "c.npy", "z.npy")[0] == 1
    np.testing.assert_array_equal(np.load("z.npy"), translated)
    assert modtrans(capsys, "translate", "run", "c.npy", "z.npy", "--overwrite", "--seed", "1")[0] == 0
    assert np.abs(np.load("z.npy") - translated).max() > 1e-3

    status, out, _ = modtrans(capsys, "certify", "run", "pairs.npz", "--alpha", "0.2", "--json")
    assert status == 0 and 0 <= json.loads(out)["lower_limit"] <= 1


def test_the_other_direction_and_other_modalities(folder, capsys):
    for source, target, gallery in (("text", "image", 16), ("audio", "text", 16)):
        out = f"{source}-{target}"
        arguments = ["--source", source, "--target", target, "--out", out, *FAST]
        assert modtrans(capsys, "train", "pairs.npz", *arguments)[0] == 0
        assert json.loads(modtrans(capsys, "evaluate", out, "pairs.npz", "--json")[1])["gallery"] == gallery


def test_each_goal_trains(folder, capsys):
    for goal in ("cosine", "retrieval"):
        arguments = ["--preset", "calibrated", "--goal", goal, "--out", goal, "--device", "cpu"]
        assert modtrans(capsys, "train", "pairs.npz", *arguments)[0] == 0
        assert json.loads((folder / goal / "translator.json").read_text())["config"]["lift"]["goal"] == goal
    status, out, _ = modtrans(capsys, "certify", "retrieval", "pairs.npz", "--alpha", "0.2", "--json")
    assert status == 0 and json.loads(out)["premises"] is None and "refuted" in json.loads(out)["expectation"]


def test_samples_and_the_expected_cosine(folder, capsys):
    assert modtrans(capsys, "train", "pairs.npz", "--preset", "calibrated", "--out", "run", "--device", "cpu")[0] == 0
    assert modtrans(capsys, "translate", "run", "c.npy", "m.npy", "--expected-cosine", "s.npy")[0] == 0
    np.testing.assert_allclose(np.load("s.npy"), np.linalg.norm(np.load("m.npy"), axis=1).clip(max=1), rtol=1e-6)
    status, _, err = modtrans(capsys, "translate", "run", "c.npy", "z.npy", "--samples", "3")
    assert status == 0 and "80 text vectors, 3 each, of dimension 6" in err and np.load("z.npy").shape == (80, 3, 6)
    assert modtrans(capsys, "translate", "run", "c.npy", "new.npy", "--expected-cosine", "s.npy")[0] == 1
    assert not (folder / "new.npy").exists()


def test_evaluate_on_pairs_that_were_never_seen_uses_all_of_them(folder, capsys):
    modtrans(capsys, "train", "pairs.npz", "--out", "run", *FAST)
    PairedEmbeddings.load("pairs.npz").take(np.arange(40)).save("other.npz")
    assert json.loads(modtrans(capsys, "evaluate", "run", "other.npz", "--json")[1])["gallery"] == 40


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["train", "none.npz", "--out", "new"], 1, "none.npz: no such file or folder"),
        (["train", "torn.npz", "--out", "new"], 1, "torn.npz: damaged or cut short"),
        (["train", "nan.npz", "--out", "new"], 1, "image: NaN or infinity in row 3"),
        (["train", "zero.npz", "--out", "new"], 1, "image: a zero vector in row 3"),
        (["train", "lengths.npz", "--out", "new"], 1, "text: 79 items, but another modality has 80"),
        (["train", "pairs.npz", "--out", "new", "--target", "sound"], 1, "modality 'sound': not in this pair set"),
        (["train", "pairs.npz", "--out", "new", "--preset", "best"], 1, "preset: 'best', one of poster"),
        (["train", "pairs.npz", "--out", "new", "--set", "network.widht=3"], 1, "'network.widht' is not a setting"),
        (["train", "pairs.npz", "--out", "new", "--set", "gamma=-1"], 1, "gamma: -1"),
        (["train", "pairs.npz", "--out", "new", "--goal", "cosine"], 1, "--preset calibrated is needed"),
        (["train", "pairs.npz", "--out", "new", "--preset", "calibrated", "--goal", "fame"], 2, "fame"),
        (["train", "pairs.npz", "--out", "run"], 1, "run: already holds a translator"),
        (["train", "pairs.npz", "--out", "run", "--resume", "--seed", "5"], 1, "was started with config"),
        (["train", "pairs.npz"], 2, "out"),
        (["train", "pairs.npz", "--out", "new", "--stepz", "3"], 2, "--stepz"),
        (["train", "pairs.npz", "--out", "new", "--steps", "many"], 2, "many"),
        (["evaluate", "nowhere", "pairs.npz"], 1, "nowhere: not a run folder"),
        (["evaluate", "run", "pairs.npz", "--limit", "0"], 1, "limit: 0, at least 1 is needed"),
        (["evaluate", "run", "wide.npz"], 1, "image: dimension 9, but the translator was trained on 8"),
        (["translate", "run", "none.npy", "z.npy"], 1, "none.npy: no such file"),
        (["translate", "run", "torn.npy", "z.npy"], 1, "torn.npy: "),
        (["translate", "run", "int.npy", "z.npy"], 1, "int.npy: image: int64 of shape"),
        (["translate", "run", "wide.npy", "z.npy"], 1, "image: dimension 9, but the translator was trained on 8"),
        (["translate", "run", "nan.npy", "z.npy"], 1, "nan.npy: image: NaN or infinity in row 3"),
        (["translate", "run", "c.npy", "z.csv"], 1, "z.csv: a name that ends in .npy"),
        (["translate", "run", "c.npy", "z.npy", "--steps", "0"], 1, "steps: 0, 1 to 1000"),
        (["translate", "run", "c.npy", "z.npy", "--samples", "0"], 1, "samples: 0, at least 1"),
        (["translate", "run", "c.npy", "z.npy", "--expected-cosine", "s.npy"], 1, "this translator is not calibrated"),
        (["translate", "run", "c.npy", "z.npy", "--expected-cosine", "s.csv"], 1, "s.csv: a name that ends in .npy"),
        (["translate", "run", "c.npy", "z.npy", "--expected-cosine", "z.npy"], 1, "another file is needed"),
        (["certify", "run", "pairs.npz", "--alpha", "2"], 1, "alpha: 2"),
        (["bound", "--alpha", "2", "--projection", "0.7", "--dim", "6"], 1, "alpha"),
        (["bound", "--alpha", "0.5", "--projection", "0.7", "--dim", "6", "--geometry", "flat"], 2, "flat"),
        (["embed", "photos", "--out", "x.npz"], 1, "'photos': unknown, and no such path"),
        (["embed", "openmoji", "--out", "x.csv"], 1, "x.csv: unknown suffix"),
        (["embed", "openmoji", "--out", "x.npz", "--image-encoder", "magic"], 1, "magic"),
        (["embed", "openmoji", "--out", "pairs.npz"], 1, "pairs.npz: exists"),
        (["dance"], 2, "dance"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_left_behind(folder, capsys, arguments, status, words):
    image, text = np.ones((80, 8), np.float32), np.ones((80, 6), np.float32)
    spoilt = {value: np.where(np.arange(80)[:, None] == 3, value, image).astype(np.float32) for value in (np.nan, 0.0)}
    np.savez("nan.npz", image=spoilt[np.nan], text=text)
    np.savez("zero.npz", image=spoilt[0.0], text=text)
    np.savez("lengths.npz", image=image, text=text[:-1])
    np.savez("wide.npz", image=np.ones((80, 9)), text=text)
    (folder / "torn.npz").write_bytes((folder / "pairs.npz").read_bytes()[:2000])
    (folder / "torn.npy").write_bytes((folder / "c.npy").read_bytes()[:500])
    np.save("int.npy", np.ones((80, 8), int))
    np.save("wide.npy", np.ones((80, 9)))
    np.save("nan.npy", spoilt[np.nan])
    if "run" in arguments:
        modtrans(capsys, "train", "pairs.npz", "--out", "run", *FAST)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found, out, err = modtrans(capsys, *arguments)
    assert found == status and words in err and not out
    if status == 1:
        message = [line for line in err.splitlines() if line.startswith(f"modtrans {arguments[0]}: ")]
        assert len(message) == 1 and "Traceback" not in err
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("verb", list(VERBS_HERE))
def test_help_begins_with_an_example_that_names_the_verb(verb, capsys):
    status, out, _ = modtrans(capsys, verb, "--help")
    assert status == 0 and f"Example: modtrans {verb}" in out


def test_bound_prints_what_was_derived_by_hand(capsys):
    """d = 6, s = .7, gamma = 1, alpha = .5: 0.3748 with F perpendicular to the projection, 0.3450 as printed."""
    for geometry, expected in (("complement", 0.3748), ("printed", 0.3450)):
        arguments = ["--alpha", 0.5, "--projection", 0.7, "--gamma", 1, "--dim", 6, "--geometry", geometry, "--json"]
        status, out, _ = modtrans(capsys, "bound", *arguments)
        result = json.loads(out)
        assert status == 0 and list(result) == ["beta", "probability"]
        assert result["probability"] == pytest.approx(expected, abs=5e-5)
        assert result["beta"] == pytest.approx((0.5 * (0.49 + 1) ** 0.5 - 0.49) / 0.51**0.5)
    assert "uniformly random" in modtrans(capsys, "bound", *arguments[:-1])[1]


def test_the_data_sets_own_split_is_followed_and_found_again(folder, capsys):
    pairs = PairedEmbeddings.load("pairs.npz")
    own = np.array([-1, -1, *[0] * 60, *[2] * 18])
    group = np.where(np.arange(80) == 79, 2, np.arange(80))  # the last, of the test, with the first to train on
    PairedEmbeddings(pairs.arrays, group=group, own_split=own).save("own.npz")
    status, _, err = modtrans(capsys, "train", "own.npz", "--out", "own", *FAST)
    assert status == 0 and "52 to train, 8 to validate, 18 kept for the test, 2 left out" in err
    assert "note: the data set's own split tears 1 of 79 groups apart" in err
    status, out, err = modtrans(capsys, "evaluate", "own", "own.npz", "--json")
    assert json.loads(out)["gallery"] == 18 and "18 items of 80 that were kept" in err
    assert modtrans(capsys, "train", "own.npz", "--out", "dealt", "--no-own-split", *FAST)[0] == 0
    assert json.loads(modtrans(capsys, "evaluate", "dealt", "own.npz", "--json")[1])["gallery"] == 16
    status, _, err = modtrans(capsys, "train", "own.npz", "--out", "own", "--resume", "--no-own-split", *FAST)
    assert status == 1 and "own: was started with" in err


def test_translate_takes_and_gives_pair_sets(folder, capsys):
    modtrans(capsys, "train", "pairs.npz", "--out", "run", *FAST)
    assert modtrans(capsys, "translate", "run", "pairs.npz", "z.npz")[0] == 0
    assert modtrans(capsys, "translate", "run", "c.npy", "z.npy")[0] == 0
    pairs = PairedEmbeddings.load("z.npz")
    np.testing.assert_array_equal(pairs.modality("text"), np.load("z.npy"))
    status, _, err = modtrans(capsys, "translate", "run", "z.npz", "again.npz")
    assert status == 1 and "z.npz: has text but no image, which the run translates" in err
    status, _, err = modtrans(capsys, "translate", "run", "pairs.npz", "indexed")
    assert status == 0 and "indexed: 80 text vectors" in err
    assert modtrans(capsys, "translate", "run", "pairs.npz", "indexed")[0] == 1
    assert modtrans(capsys, "translate", "run", "pairs.npz", "indexed", "--overwrite", "--seed", "3")[0] == 0
    assert len(PairedEmbeddings.load("indexed")) == 80


def test_another_encoder_is_refused_by_every_verb(folder, capsys):
    given = PairedEmbeddings.load("pairs.npz")
    for name, encoder in (("one", "open_clip:RN50/openai"), ("other", "timm:vit/dino")):
        PairedEmbeddings(given.arrays, metadata={"image": {"encoder": encoder}}).save(f"{name}.npz")
    assert modtrans(capsys, "train", "one.npz", "--out", "run", *FAST)[0] == 0
    for arguments in (["evaluate", "run", "other.npz"], ["certify", "run", "other.npz"],
                      ["translate", "run", "other.npz", "z.npz"]):  # fmt: skip
        status, _, err = modtrans(capsys, *arguments)
        assert status == 1 and "encoder timm:vit/dino, but the translator was trained on open_clip:RN50/openai" in err
    assert not (folder / "z.npz").exists()


def test_convert(folder, capsys):
    assert modtrans(capsys, "convert", "pairs.npz", "shards", "--layout", "shards", "--shard-items", "30")[0] == 0
    assert PairedEmbeddings.load("shards").fingerprint() == PairedEmbeddings.load("pairs.npz").fingerprint()
    status, _, err = modtrans(capsys, "convert", "pairs.npz", "shards")
    assert status == 1 and "shards: exists" in err
    status, _, err = modtrans(capsys, "convert", "pairs.npz", "pairs.csv")
    assert status == 1 and "pairs.csv: a name that ends in .npz, .safetensors is needed" in err
    assert modtrans(capsys, "convert", "shards", "shards", "--overwrite")[0] == 0  # clip-retrieval's in its place
    assert (folder / "shards" / "img_emb" / "img_emb_0.npy").exists() and not list(folder.glob(".*"))
