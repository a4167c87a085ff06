"""Table 6: labels from a package, what a row says, and why a translation falls behind."""

import io
import json
import tarfile

import numpy as np
import pandas as pd
import pytest

from analysis.experiments import classification as experiment
from analysis.experiments.classification import (
    MAJORITY,
    RAW,
    TRUE_TEXT,
    WAYS,
    by_prompts,
    cifar10,
    classification,
    labelled,
    mended,
    table6_rows,
)  # fmt: skip
from analysis.experiments.trial import Trial
from analysis.tasks.classification import classified
from modtrans_core import PairedEmbeddings, fit, preset
from modtrans_core import embed as embedding
from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.cifar_batches import CLASSES
from modtrans_core.vectors import unit

C = 5
GROUPS = {"groups": {"0": "things"}, "subgroups": {"0": "cat-face", "1": "hand", "2": "unused"}}
EMOJI = [
    {"hexcode": "1F600", "label": "grin", "group": 0, "subgroup": 0},
    {"hexcode": "270B", "label": "hand", "group": 0, "subgroup": 1,
     "skins": [{"hexcode": "270B-1F3FB", "label": "hand: light", "group": 0, "subgroup": 1}]},
    {"hexcode": "2764-FE0F", "label": "heart", "group": 0, "subgroup": 1},
    {"hexcode": "1F1E6", "label": "regional indicator A"},
]  # fmt: skip


@pytest.fixture
def package(tmp_path):
    """The package in its real format, of four emoji."""
    path = tmp_path / "emojibase-data-17.0.0.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, value in (("meta/groups.json", GROUPS), ("en/data.json", EMOJI)):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(contents := json.dumps(value).encode())
            tar.addfile(info, io.BytesIO(contents))
    return path


def pairs(n=400, d=12, same=False, seed=0):
    """Labelled pictures and texts: a class's texts are about its vector, and all share a mean near class 0."""
    rng = np.random.default_rng(seed)
    classes = unit(rng.standard_normal((C, d)))
    label = rng.integers(0, C, n)
    text = unit(classes[label] + 1.2 * classes[0] + 0.3 * rng.standard_normal((n, d)))
    image = unit(text @ np.linalg.qr(rng.standard_normal((d, d)))[0] + 0.25 * rng.standard_normal((n, d)))
    metadata = {"classes": list("abcde"), "image": {"encoder": "a"}, "text": {"encoder": "a" if same else "b"}}
    return PairedEmbeddings({"image": image, "text": text}, label=label, metadata=metadata), classes


def test_labels_are_the_subgroups_of_the_package(package):
    key = np.array(["1F600", "270B-1F3FB", "2764", "270B", "1F1E6", "nothing"])
    found = labelled(PairedEmbeddings({"image": np.eye(6)}, key=key), package)
    assert found.metadata["classes"] == ["cat face", "hand"] and found.label.tolist() == [0, 1, 1, 1, -1, -1]
    with pytest.raises(ValueError, match="^key: 'x', an emoji that .* knows is needed"):
        labelled(PairedEmbeddings({"image": np.eye(1, 2)}, key=np.array(["x"])), package)
    with pytest.raises(ValueError, match="^key: None"):
        labelled(PairedEmbeddings({"image": np.eye(6)}), package)
    package.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="not emojibase-data"):
        labelled(PairedEmbeddings({"image": np.eye(6)}, key=key), package)


@pytest.fixture(scope="module")
def found():
    data, classes = pairs()
    return pd.concat([classification(Trial.of(data, "image", "text", seed), classes, ("ridge",)) for seed in (0, 1)])


def test_a_row_is_what_the_task_says(found):
    data, classes = pairs()
    trial = Trial.of(data, "image", "text", 0)
    zhat = trial.fit(preset("ridge"), unseen=True).translate(np.asarray(trial.test.c))
    first = found[found["seed"] == 0].set_index(["method", "score"])
    for score, mean in (("cosine", None), ("centered", trial.mean)):
        expected = classified(zhat, trial.test.pairs.label, classes, score, mean=mean)["accuracy"]
        assert first.loc[("ridge", score), "accuracy"] == expected
    share = np.bincount(trial.train.pairs.label).argmax() == trial.test.pairs.label
    assert first.loc[(MAJORITY, ""), "accuracy"] == share.mean()
    assert first.loc[(MAJORITY, ""), "class_recall"] == pytest.approx(1 / C)
    with pytest.raises(ValueError, match="^label: None"):
        classification(Trial.of(PairedEmbeddings(data.arrays), "image", "text", 0), classes)


def test_parameters_are_chosen_by_validation_items(monkeypatch):
    data, classes = pairs()
    trial, asked = Trial.of(data, "image", "text", 0), []

    def noted(queries, label, _, score, **needs):
        asked.append((queries, label))
        return 0.0 if score in ("cosine", "centered") else 7.0

    monkeypatch.setattr(experiment, "chosen", noted)
    rows = classification(trial, classes, ("ridge",))
    ridge = rows[rows["method"] == "ridge"]
    assert ((ridge["parameter"] == 7.0) == ~ridge["score"].isin(["cosine", "centered"])).all()
    assert (ridge["parameter"] == 7.0).any() and len(asked) == len(WAYS)
    held = trial.validation
    zhat = trial.fit(preset("ridge"), unseen=True).translate(np.asarray(held.c))
    for queries, label in asked:
        np.testing.assert_array_equal(label, held.pairs.label)
        np.testing.assert_allclose(queries, zhat, atol=1e-6)


def test_the_mean_costs_accuracy_and_centering_mends_it(found):
    row = mended(found).set_index("method").loc["ridge"]
    assert row["cosine"] + 0.1 < row["centered"] <= row["true_text"]
    ridge = found[found["method"] == "ridge"].groupby("score")[["accuracy", "class_recall"]].mean()
    corrected = ridge.loc[["csls", "inverted"], "accuracy"].idxmax()
    assert row["corrected"] == ridge.loc[corrected, "accuracy"]
    assert row["recall_corrected"] == ridge.loc[corrected, "class_recall"]
    assert row["largest_after"] + 0.2 < row["largest_before"] and row["follows"] > 0.5


def test_raw_is_there_where_the_space_is_shared_alone():
    for same in (False, True):
        data, classes = pairs(same=same)
        translator = fit(data, config=preset("ridge"))
        rows = by_prompts(data, classes, translator)
        assert rows["method"].tolist() == [RAW] * same + ["ridge"] * 2
        trial = Trial.of(data, "image", "text", 0)
        assert (RAW in set(classification(trial, classes, ())["method"])) == same
    with pytest.raises(ValueError, match="^translator: None, one, as image and text have encoders of their own"):
        by_prompts(pairs()[0], classes)


def test_the_rows_of_the_table(monkeypatch, found, tmp_path, package):
    tables = pytest.importorskip("analysis.experiments.poster_tables")
    assert [row.verdict for row in table6_rows(None)] == ["could not be"] * 2
    both = pd.concat([found, found[found["method"] == "ridge"].assign(method="calibrated")])
    monkeypatch.setattr(experiment, "openmoji_classes", lambda *_, **__: both)
    rows = table6_rows(tmp_path)
    ours = next(row for row in rows if row.row == "ours: ViT-B/32")
    assert ours.verdict == "reproduced in mechanism" and ours.poster == 60.74 and ours.splits == 2
    assert ours.ours == pytest.approx(100 * mended(found)["cosine"].iloc[0])
    assert f"offline: {TRUE_TEXT}, centered" in tables.as_text(tables.complete(6, rows))
    for method in ("ridge", TRUE_TEXT):
        worse = both.copy()  # what centering mends, and what is lost, is asked for
        worse.loc[(worse["method"] == method) & (worse["score"] == "centered"), "accuracy"] = 0.01
        monkeypatch.setattr(experiment, "openmoji_classes", lambda *_, found=worse, **__: found)
        assert next(row for row in table6_rows(tmp_path) if row.row == "ours: ViT-B/32").verdict == "could not be"


def test_cifar_10_is_scored_on_its_own_test_part(monkeypatch, tmp_path):
    """Small batches in the real format; the encoders see how red a picture is, and which class a prompt names."""
    for batch, labels in (("data_batch_1.bin", [0, 1]), ("test_batch.bin", [3, 3, 5, 3])):
        pixels = [bytes([label]) + bytes([25 * label]) * 1024 + bytes(2048) for label in labels]
        (tmp_path / batch).write_bytes(b"".join(pixels))
    said = []

    def made(source, out, encoders, **_):
        items = load_source(source).items
        red = np.array([item.values["image"][0, 0, 0] // 25 for item in items])
        metadata = {"classes": list(CLASSES), "image": {"encoder": "one"}, "text": {"encoder": encoders["text"]}}
        own = np.array([("train", "validation", "test").index(item.split) for item in items])
        vectors = {"image": np.eye(10)[red], "text": np.eye(10)[[item.label for item in items]]}
        PairedEmbeddings(vectors, label=np.array([i.label for i in items]), metadata=metadata, own_split=own).save(out)
        return out

    class Encoder:
        def encode(self, texts):
            said.extend(texts)
            return np.array([[name in text for name in CLASSES] for text in texts], float)

    monkeypatch.setattr(embedding, "embed", made, raising=False)
    monkeypatch.setattr(embedding, "load_encoder", lambda name, modality: Encoder(), raising=False)
    (row,) = cifar10(tmp_path, {"image": "one", "text": "one"}, out=tmp_path / "pairs.npz").to_dict("records")
    assert row["method"] == RAW and row["queries"] == 4 and row["accuracy"] == 1.0 and row["largest_class"] == 0.75
    assert len(said) == 180 and "a blurry photo of the frog." in said
    with pytest.raises(ValueError, match="^translator: None"):
        cifar10(tmp_path, {"image": "one", "text": "two"}, out=tmp_path / "others.npz")
