"""The rounds of a run and its file, with contenders that only pretend."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from analysis.bench import run
from analysis.bench.contenders import Contender
from analysis.bench.report import limit, ratio, text
from analysis.bench.run import PROFILES, Measurement, Settings, begin, bench, fitting, make
from analysis.bench.task import synthetic_task
from analysis.cli import VERBS_HERE
from analysis.plots import speed
from modtrans_core.cli.verb import run as verb

TINY = Settings(
    d=16, intrinsic=4, train=96, validation=24, test=20, batch=8, translated=16, many=32, small=40, rounds=2, steps=4,
    timed_steps=2, budget=0.05, at_least=0.002,
)  # fmt: skip


def pretended(quantity, contender, round_, made):
    def call():
        made.append((quantity, contender, round_))
        return {"seconds": 1.0, "pairs_per_second": 1.0}

    return Measurement(quantity, contender, round_, call)


def test_an_interrupted_run_keeps_what_was_measured_and_goes_on(tmp_path):
    made, path, facts = [], tmp_path / "bench.json", {"settings": asdict(TINY)}

    def stop():
        raise KeyboardInterrupt

    planned = [pretended("train", name, 0, made) for name in "abc"]
    with pytest.raises(KeyboardInterrupt):
        make([planned[0], Measurement("train", "b", 0, stop), planned[2]], begin(path, facts, False), path, 10.0)
    assert json.loads(path.read_text())["measurements"][0]["contender"] == "a"
    make(planned, begin(path, facts, False), path, 10.0)
    assert [entry[1] for entry in made] == ["a", "b", "c"]
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]


def test_what_took_longer_than_the_patience_is_not_repeated(tmp_path):
    made, path = [], tmp_path / "bench.json"
    content = begin(path, {}, False)
    content["measurements"].append({"quantity": "train", "contender": "a", "round": 0, "took": 11.0})
    make([pretended("train", name, round_, made) for round_ in (0, 1) for name in "ab"], content, path, 10.0)
    assert made == [("train", "b", 0), ("train", "b", 1)]


def test_a_folder_with_another_run_is_refused(tmp_path):
    path = tmp_path / "bench.json"
    make([pretended("train", "a", 0, [])], begin(path, {"seed": 0}, False), path, 10.0)
    with pytest.raises(ValueError, match=r"was begun with seed 0, not 1; choose another folder, or add overwrite=True"):
        begin(path, {"seed": 1}, False)
    assert begin(path, {"seed": 1}, True)["measurements"] == []
    path.write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        begin(path, {}, False)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of a real run."""
    folder = tmp_path_factory.mktemp("bench")
    bench(folder, replace(TINY, rounds=1), device="cpu")
    return folder


@pytest.mark.parametrize(
    ("quantity", "changed", "words"),
    [
        ("train", {"seconds": "1.2"}, "train: seconds: '1.2', a positive number is needed"),
        ("float32", {"flops_per_second": 0}, "float32: flops_per_second: 0, a positive number is needed"),
        ("many rows", {"embeddings_per_second": None}, "embeddings_per_second: None, a positive number is needed"),
        ("operations", {"pair": []}, r"operations: pair: \[\], a number is needed"),
        ("quality", {"cosine": None}, "quality: cosine: None, a number is needed"),
        ("quality", {"floor": 10**400}, "quality: floor: 10+.*, a number is needed"),
        ("quality", {"quantity": "fit"}, "pairs_per_second: missing, a positive number is needed"),
    ],
)
def test_what_a_measurement_says_is_checked(tmp_path, measured, quantity, changed, words):
    """As a real run writes it, and with one value that is none."""
    path = Path(shutil.copy(measured / "bench.json", tmp_path))
    content = json.loads(path.read_text())
    facts = {name: content[name] for name in ("settings", "data", "machine")}
    assert begin(path, facts, False) == content
    next(one for one in content["measurements"] if one["quantity"] == quantity).update(changed)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"^{path}: measurements: .*{words}"):
        begin(path, facts, False)


def test_what_shows_a_finished_run_is_written_once(tmp_path, measured, monkeypatch, capsys):
    monkeypatch.setitem(PROFILES, "smoke", replace(TINY, rounds=1))
    shutil.copytree(measured, tmp_path / "out")
    call = ["bench", "--profile", "smoke", "--device", "cpu", "--out", str(tmp_path / "out")]
    assert verb(VERBS_HERE, "modtrans", "", call) == 0
    shown = [tmp_path / "out" / name for name in ("tables/speed.csv", "figures/speed.pdf", "figures/speed.png")]
    for file in shown:
        file.write_bytes(file.read_bytes() + b"mine")
    assert verb(VERBS_HERE, "modtrans", "", call) == 0 and all(file.read_bytes().endswith(b"mine") for file in shown)
    shown[1].unlink()
    assert verb(VERBS_HERE, "modtrans", "", call) == 0 and shown[1].exists()


def test_a_run_goes_on_with_pairs_that_say_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "make", lambda *_: None)
    monkeypatch.setattr(run, "summarise", lambda content: {})
    pairs = synthetic_task((96, 24, 20), 16, 4, 0, torch.device("cpu")).train
    monkeypatch.chdir(tmp_path)
    for given, metadata, words in (
        (tmp_path / "pairs.npz", {}, None),
        (tmp_path / "pairs.npz", {}, None),
        (Path("pairs.npz"), {}, None),
        (tmp_path / "pairs.npz", {"independent": ["text"]}, "was begun with data.print"),
    ):
        replace(pairs, metadata=metadata).save(given)
        with nullcontext() if words is None else pytest.raises(ValueError, match=words):
            bench(tmp_path, TINY, device="cpu", pairs=given)


def test_of_a_large_set_as_many_items_are_taken_as_the_profile_has(tmp_path, monkeypatch, capsys):
    measured = []
    monkeypatch.setattr(run, "make", lambda *_: None)
    monkeypatch.setattr(run, "summarise", lambda content: {})
    monkeypatch.setattr(run, "planned", lambda task, *_: measured.append(task) or [])
    synthetic_task((200, 24, 20), 16, 4, 0, torch.device("cpu")).train.save(tmp_path / "pairs.npz")
    few = replace(TINY, train=60, validation=20, test=20)
    content = bench(tmp_path, few, device="cpu", pairs=tmp_path / "pairs.npz")
    assert content["data"]["items"] == 100 and len(measured[0].train) == 70
    assert "pairs.npz: 100 of 200 items are taken, evenly spaced" in capsys.readouterr().err
    content = bench(tmp_path / "all", replace(few, train=160), device="cpu", pairs=tmp_path / "pairs.npz")
    assert "items" not in content["data"] and len(measured[1].train) == 140
    assert "are taken" not in capsys.readouterr().err


def test_what_shows_an_earlier_run_goes_when_the_first_is_measured(tmp_path):
    shown, path = tmp_path / "speed.csv", tmp_path / "bench.json"
    shown.touch()

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make([Measurement("train", "a", 0, stop)], begin(path, {}, True), path, 10.0, [shown])
    assert shown.exists()
    make([pretended("train", "a", 0, [])], begin(path, {}, True), path, 10.0, [shown])
    assert not shown.exists()


@pytest.mark.parametrize(("twice", "words"), [(True, "train of a: 2, one a round is needed"), (False, "launches: mis")])
def test_files_that_are_put_together_are_refused(tmp_path, twice, words):
    path, made = tmp_path / "bench.json", {"contender": "a", "round": 0, "took": 1.0}
    train = {**made, "quantity": "train", "seconds": 1.0, "pairs_per_second": 1.0}
    content = begin(path, {}, False)
    content["measurements"] = [train, train if twice else {**made, "quantity": "operations", "translation": 1.0}]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=words):
        begin(path, {}, False)


def test_an_unknown_profile_too_few_pairs_and_a_missing_device_are_refused(tmp_path):
    with pytest.raises(ValueError, match="profile: 'tiny', one of check"):
        bench(tmp_path, "tiny")
    assert set(PROFILES) == {"check", "smoke", "default", "full"}
    synthetic_task((96, 24, 20), 16, 4, 0, torch.device("cpu")).train.save(tmp_path / "pairs.npz")
    with pytest.raises(ValueError, match=r"pairs\.npz: 67 training items, at least 80"):
        bench(tmp_path, replace(TINY, batch=80), device="cpu", pairs=tmp_path / "pairs.npz")
    for names, where, words in (
        (("image", "image"), tmp_path / "pairs.npz", "source, target: 'image, image', two of the modalities"),
        (("sound", "text"), tmp_path / "pairs.npz", "source, target: 'sound, text', two of the modalities"),
        (("sound", ""), None, "source, target: 'sound, ', --pairs is needed"),
    ):
        with pytest.raises(ValueError, match=words):
            bench(tmp_path, TINY, device="cpu", pairs=where, source=names[0], target=names[1])
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device: 'cuda', one of this machine's 0 GPUs"):
            bench(tmp_path, TINY, device="cuda")


class Pretender(Contender):
    """Copies the condition, and takes steps that do nothing where it learns."""

    fitted = True

    def __init__(self, name, peer, learns):
        self.name, self.peer, self.learns = name, peer, learns

    def fit(self, task, batch, steps, report=lambda *_: None):
        for step in range(steps if self.learns else 0):
            torch.ones(2) + 1
            report(step + 1, steps)

    def translate(self, c, steps):
        return c @ torch.eye(c.shape[1])


def test_a_whole_fit_is_timed_at_any_number_of_pairs():
    task = synthetic_task((40, 20, 20), 16, 4, 0, torch.device("cpu"), captions=5)
    found = fitting(task, Pretender("copy", False, False))
    assert found["pairs_per_second"] == pytest.approx(200 / found["seconds"])


def test_the_whole_run_with_pretenders(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "peers", lambda k, d: ([Pretender("slow", True, True)], {"absent": "is missing"}))
    made = [Pretender("calibrated", False, False), Pretender("few", False, False)]
    made[1].most = 66
    monkeypatch.setattr(run, "ours", lambda: made)
    content = bench(tmp_path, TINY, device="cpu")
    assert bench(tmp_path, TINY, device="cpu") == content == json.loads((tmp_path / "bench.json").read_text())
    slow, copy = content["contenders"]
    assert slow["launches"] == 2 and slow["launch_seconds"] == pytest.approx(1e-5) and copy["launches"] is None
    assert slow["quality"]["cosine"] == copy["quality"]["cosine"] and content["left_out"].keys() == {"absent", "few"}
    rounds = [[m for m in content["measurements"] if m["quantity"] == what] for what in ("train", "fit")]
    assert [len(found) for found in rounds] == [2, 2]
    found = sorted(b["pairs_per_second"] / a["pairs_per_second"] for a, b in zip(*rounds, strict=True))
    train, translate = content["ratios"]
    assert (train["low"], train["high"]) == pytest.approx(found) and train["value"] == pytest.approx(sum(found) / 2)
    assert translate["what"] == "translate" and translate["low"] <= translate["value"] <= translate["high"]
    named = {entry["requirement"]: entry for entry in content["requirements"]}
    assert named["training throughput, slow"]["value"] == train["value"]
    assert named["time to its final cosine, slow"]["reason"].startswith("calibrated: ")
    report = text(content)
    assert "absent: is missing" in report and "calibrated, translate" in report and "ms at 5 us each" in report
    row = next(line for line in report.splitlines() if line.startswith("few  "))
    assert row.split()[2:] == ["-"] * 4 and "few: takes 66 pairs at most, and here are 96; its small fit is" in report
    small = [m for m in content["measurements"] if m["quantity"] == "small fit"]
    assert [m["contender"] for m in small] == ["calibrated", "few"] * 2
    assert all(m["pairs_per_second"] * m["seconds"] == pytest.approx(40) for m in small)
    assert copy["operations_translation"] == 2 * 16 * 16
    one = named["one row, calibrated: seconds (at most)"]
    assert one["value"] == copy["row_seconds"] > 1 / copy["many"] and one["reached"]
    assert "fit to 96 pairs, calibrated: seconds (at most)" not in named, "of so few nothing is required"
    shown = speed.measured(content)
    assert len(speed.speed(shown).axes) == 2 and set(shown["what"]) == {"train", "translate"}
    assert list(shown["name"][: len(shown) // 2]) == [row["name"] for row in content["contenders"]]
    assert (shown["low"] <= shown["rate"]).all() and (shown["rate"] <= shown["high"]).all()


def test_the_limit_is_that_of_what_is_scarcer_products_or_memory():
    measurements = [
        {"quantity": "float32", "contender": "machine", "round": 0, "flops_per_second": 1e9},
        {"quantity": "copy", "contender": "machine", "round": 0, "bytes_per_second": 8e8},
    ]
    content = {"measurements": measurements, "dimensions": {"k": 12, "d": 8}}
    assert limit(content, 1e3) == 1e6 and limit(content, 1e1) == 1e7 and limit(content, 0.0) is None


def test_ratios_are_of_one_round():
    assert ratio({0: 10.0, 1: 100.0}, {0: 1.0, 1: 10.0}) == {"value": 10.0, "low": 10.0, "high": 10.0}
    assert ratio({0: 8.0, 1: 90.0}, {0: 1.0, 1: 10.0, 2: 1e9}) == {"value": 8.5, "low": 8.0, "high": 9.0}
    assert ratio({}, {0: 1.0}) is None


def test_what_none_of_ours_reaches_is_said_with_the_best_of_them():
    from analysis.bench.report import _against

    def row(name, cosine):
        return {"name": name, "quality": {"cosine": cosine, "seconds": 1.0}}

    for entry in _against(row("peer", 0.9), [row("one", 0.5)], []):
        assert not entry["reached"] and entry["reason"] == "none of ours has its cosine 0.900; the best is 0.500"
