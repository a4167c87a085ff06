"""The analysis' verbs as a user runs them; those of the core are tested in its room."""

import errno
import json
import os
import re
from dataclasses import fields, replace
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from analysis.cli import VERBS_HERE
from analysis.experiments.presets import GOALS
from modtrans_core import PairedEmbeddings, extras, load
from modtrans_core.cli.verb import run
from modtrans_core.store.files import stem

POSTER = ["--preset", "poster", "--device", "cpu", "--train-steps", "3", "--set", "width=16", "depth=1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    c = rng.normal(size=(80, 8))
    PairedEmbeddings({"image": c, "text": c @ rng.normal(size=(8, 6))}).save("pairs.npz")
    return tmp_path


def modtrans(capsys, *arguments):
    """Exit status, stdout, stderr."""
    try:
        status = run(VERBS_HERE, "modtrans", "", [str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    return (status, *capsys.readouterr())


def test_train_and_certify(folder, capsys):
    assert modtrans(capsys, "train", "pairs.npz", "--out", "run", *POSTER)[0] == 0
    status, out, _ = modtrans(capsys, "certify", "run", "pairs.npz", "--alpha", "0.2", "--json")
    said = json.loads(out)["statements"]
    assert status == 0 and 0 <= said["items"]["limit"] <= said["items"]["observed"] and "premises" in said
    assert modtrans(capsys, "train", "pairs.npz", "--goal", "retrieval", "--out", "calibrated")[0] == 0
    status, out, _ = modtrans(capsys, "certify", "calibrated", "pairs.npz", "--alpha", "0.2", "--json")
    said = json.loads(out)["statements"]
    assert status == 0 and "premises" not in said and "refuted" in said["expectation"]
    status, out, _ = modtrans(capsys, "certify", "run", "pairs.npz", "--alpha", "0.2", "--largest-group", "3")
    assert status == 0 and "All statements below hold together with probability at least 0.95." in out


def test_what_was_seen_is_not_certified(folder, capsys):
    """A copy in half the digits and in another order, 64 of whose 80 items were seen: certified are the other 16."""
    pairs = PairedEmbeddings.load("pairs.npz")
    turned = pairs.take(np.arange(80)[::-1])
    turned.save("copy.npz", "float16")
    pairs.split(0)[0].save("train.npz")
    assert modtrans(capsys, "train", "pairs.npz", "--goal", "retrieval", "--out", "run")[0] == 0
    whole, copy = (modtrans(capsys, "certify", "run", f"{name}.npz", "--json") for name in ("pairs", "copy"))
    assert json.loads(whole[1])["pairs"] == json.loads(copy[1])["pairs"] == 16
    assert "used the 16 items of 80 that the run was not fitted to. Left out 64: 64 with a condition" in copy[2]
    status, out, err = modtrans(capsys, "certify", "run", "train.npz")
    assert status == 1 and not out and "run: was fitted to all 56 items or others of their groups" in err
    assert modtrans(capsys, "certify", "run", "pairs.npz", "--split", "train")[0] == 2


def test_targets_from_a_list_of_names_are_certified_where_that_is_said(folder, capsys):
    rng = np.random.default_rng(5)
    PairedEmbeddings({"image": rng.normal(size=(80, 8)), "text": rng.normal(size=(8, 6))[np.arange(80) % 8]}).save(
        "c.npz"
    )
    assert modtrans(capsys, "train", "c.npz", "--goal", "cosine", "--out", "run")[0] == 0
    assert modtrans(capsys, "certify", "run", "c.npz")[0] == 1
    status, out, _ = modtrans(capsys, "certify", "run", "c.npz", "--split", "test", "--json")
    assert status == 0 and json.loads(out)["pairs"] == 16


def test_rows_that_repeat_their_picture_are_no_independent_items(folder, capsys):
    rng = np.random.default_rng(6)
    image = np.repeat(rng.normal(size=(40, 8)), 5, axis=0)
    pairs = PairedEmbeddings({"image": image, "text": image @ rng.normal(size=(8, 6)) + rng.normal(size=(200, 6))})
    pairs.save("found.npz")
    replace(pairs, group=np.arange(200)).save("r.npz")  # whoever says so has each row for an item
    assert modtrans(capsys, "train", "found.npz", "--out", "run", "--preset", "ridge")[0] == 0
    assert json.loads(modtrans(capsys, "certify", "run", "found.npz", "--json")[1])["groups"] == 8
    _, out, err = modtrans(capsys, "certify", "run", "r.npz", "--json")
    assert json.loads(out)["groups"] == 40 and "40 of these 40 items have the same image or text as one of" in err
    _, out, err = modtrans(capsys, "certify", "run", "r.npz", "--group-duplicates", "--json")
    found = json.loads(out)
    assert (found["items"], found["groups"], found["largest_group"]) == (40, 8, 5) and "the same image" not in err


def test_a_certificate_says_what_was_left_out_or_that_it_is_not_known(folder, capsys):
    assert modtrans(capsys, "train", "pairs.npz", "--preset", "ridge", "--out", "run")[0] == 0
    assert "64 other items were left out" in modtrans(capsys, "certify", "run", "pairs.npz")[1]
    made = load("run")
    replace(made, facts=made.facts._replace(seen=None)).save("unknown")
    out = modtrans(capsys, "certify", "unknown", "pairs.npz")[1]
    assert "Whether the translator was trained on any of these items is not known." in out and "left out" not in out


def test_certify_says_how_often_the_right_item_is_found(folder, capsys):
    assert modtrans(capsys, "train", "pairs.npz", "--preset", "ridge", "--out", "run")[0] == 0
    status, out, err = modtrans(capsys, "certify", "run", "pairs.npz", "--recall", "3", "--json")
    assert status == 0, err
    found = json.loads(out)["statements"]
    assert status == 0 and found["recall"]["k"] == 3 and found["recall"]["lower_limit"] <= found["recall"]["recall"]
    assert found["recall"]["confidence"] == found["items"]["confidence"]
    status, _, err = modtrans(capsys, "certify", "run", "pairs.npz", "--recall", "0")
    assert status == 1 and "recall: 0, at least 1 is needed" in err
    status, _, err = modtrans(capsys, "certify", "run", "pairs.npz", "--recall", "16")
    assert status == 1 and "recall: 16, less than 16, the items here, is needed" in err


def test_certify_selects_and_gives_a_floor(folder, capsys):
    rng = np.random.default_rng(1)
    c = rng.normal(size=(900, 8))
    c[:, 7] += 4 * np.sign(c[:, 7])
    z = np.where(c[:, 7:] > 0, c[:, :6] + 3, rng.normal(size=(900, 6)))
    PairedEmbeddings({"image": c, "text": z}).save("large.npz")
    PairedEmbeddings({"image": c, "text": z}, group=np.arange(900) // 2).save("grouped.npz")
    assert modtrans(capsys, "train", "large.npz", "--out", "run")[0] == 0
    options = ["--alpha", 0.6, "--select", "--risk", 0.3, "--floor", 0.8]
    status, out, _ = modtrans(capsys, "certify", "run", "large.npz", *options, "--json")
    said = json.loads(out)["statements"]
    assert status == 0 and "selection_of_groups" not in said
    chosen = said["selection"]
    assert chosen["confidence"] == pytest.approx(1 - 0.05 / 5) and chosen["risk"] == 0.3 and 0 < chosen["coverage"] < 1
    assert said["floor"]["share"] == 0.8 and 0 < said["floor"]["margin"]["all"] < 1.5
    _, text, err = modtrans(capsys, "certify", "run", "large.npz", *options)
    assert err.endswith(f"Next: modtrans translate run IN OUT --accept {chosen['threshold']:.4g}\n")
    assert "Which translations may be used, if at most 30% of those may miss a cosine of 0.6?" in text
    assert f"at least {chosen['threshold']:.4g}." in text and "How good is each translation at least" in text
    status, _, err = modtrans(capsys, "translate", "run", "large.npz", "z.npz", "--accept", chosen["threshold"])
    assert status == 0 and "of 900 items are accepted" in err
    begun = json.loads(modtrans(capsys, "certify", "run", "large.npz", *options, "--start", 0.001, "--json")[1])
    assert begun["statements"]["selection"]["threshold"] is None  # all are accepted there, and too many miss
    status, out, _ = modtrans(capsys, "certify", "run", "grouped.npz", *options, "--json")
    said = json.loads(out)["statements"]
    assert status == 0 and (said["selection"]["of"], said["selection_of_groups"]["of"]) == ("items", "groups")


def test_certify_refuses_another_encoder(folder, capsys):
    given = PairedEmbeddings.load("pairs.npz")
    for name, encoder in (("one", "open_clip:RN50/openai"), ("other", "timm:vit/dino")):
        PairedEmbeddings(given.arrays, metadata={"image": {"encoder": encoder}}).save(f"{name}.npz")
    assert modtrans(capsys, "train", "one.npz", "--out", "run", *POSTER)[0] == 0
    status, _, err = modtrans(capsys, "certify", "run", "other.npz")
    assert status == 1 and "encoder timm:vit/dino, but the translator was trained on open_clip:RN50/openai" in err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["certify", "run", "pairs.npz", "--alpha", "2"], 1, "alpha: 2"),
        (["certify", "run", "pairs.npz", "--largest-group", "0"], 1, "largest_group: 0, at least 1"),
        (
            ["certify", "run", "pairs.npz", "--select"],
            1,
            "select: run is 'poster', which expects no cosines; a calibrated run is needed",
        ),
        (["certify", "run", "pairs.npz", "--floor", "1"], 1, "floor: 1.0, a share strictly between 0 and 1"),
        (["certify", "run", "pairs.npz", "--risk", "0.1"], 1, "risk: 0.1, --select beside it is needed"),
        (["certify", "run", "pairs.npz", "--select", "--risk", "20"], 1, "risk: 20.0, a share strictly between"),
        (["bound", "--alpha", "0.5", "--projection", "1.7", "--dim", "6"], 1, "projection: 1.7, a length from 0 to 1"),
        (["bound", "--alpha", "2", "--projection", "0.7", "--dim", "6"], 1, "alpha"),
        (
            ["bound", "--alpha", "0.5", "--projection", "0.7", "--dim", "1", "--geometry", "uniform"],
            1,
            "dim: 1, at least 2",
        ),
        (
            ["bound", "--alpha", "0.5", "--projection", "0.7", "--dim", "0", "--geometry", "printed"],
            1,
            "dim: 0, at least 1",
        ),
        (["bound", "--alpha", "0.5", "--projection", "0.7", "--dim", "6", "--geometry", "flat"], 2, "flat"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_left_behind(folder, capsys, arguments, status, words):
    if "run" in arguments:
        modtrans(capsys, "train", "pairs.npz", "--out", "run", *POSTER)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found, out, err = modtrans(capsys, *arguments)
    assert found == status and words in err and not out
    if status == 1:
        message = [line for line in err.splitlines() if line.startswith(f"modtrans {arguments[0]}: ")]
        assert len(message) == 1 and "Traceback" not in err
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_verb_says_which_of_its_files_are_results():
    """All others are read, and none of these is written over: a new option needs no check of its own."""
    results = {"output", "new", "wanted", "expected_cosine"}
    for name, verb in VERBS_HERE.items():
        if name != "convert":  # which writes a set anew in its own place
            assert {field.name for field in fields(verb)} & results == set(getattr(verb, "writes", ())), name


@pytest.mark.parametrize("verb", list(VERBS_HERE))
def test_help_begins_with_an_example_that_names_the_verb(verb, capsys):
    status, out, _ = modtrans(capsys, verb, "--help")
    assert status == 0 and f"Example: modtrans {verb}" in out
    assert not re.search(r"\(default: (None|'')?\)|None\}|^\W*(STR|PATH|INT)\b", out, re.M)  # a name, and not a type
    alone = ("demo", "paper", "notebooks", "bench", "tables", "figure")  # run as they are
    assert ("(required)" in out) == (verb not in alone)


def test_bound_prints_what_was_derived_by_hand(capsys):
    """d = 6, s = .7, gamma = 1, alpha = .5: 0.3748 with F perpendicular to the projection, 0.3450 as printed.

    With F anywhere on the sphere it is 0.3880; of 4 million drawn directions .38800 reach it.
    """
    for geometry, expected in (("complement", 0.3748), ("printed", 0.3450), ("uniform", 0.3880)):
        arguments = ["--alpha", 0.5, "--projection", 0.7, "--gamma", 1, "--dim", 6, "--geometry", geometry, "--json"]
        status, out, _ = modtrans(capsys, "bound", *arguments)
        result = json.loads(out)
        assert status == 0 and list(result) == ["beta", "probability"]
        assert result["probability"] == pytest.approx(expected, abs=5e-5)
        assert result["beta"] == pytest.approx((0.5 * (0.49 + 1) ** 0.5 - 0.49) / 0.51**0.5)
    assert "uniformly random" in modtrans(capsys, "bound", *arguments[:-1])[1]


class TestCompare:
    def test_a_set_in_the_working_directory_has_the_name_of_its_folder(self, folder):
        assert stem(Path(".")) == folder.name and stem(Path("a/b.npz")) == "b"

    def test_it_prints_every_method_and_what_is_reached(self, folder, capsys):
        rng = np.random.default_rng(2)
        c, own = rng.normal(size=(120, 6)), np.arange(120)
        c[:60] = c[60:]
        name = c @ rng.normal(size=(6, 5)) + 0.1 * rng.normal(size=(120, 5))
        PairedEmbeddings({"place": c, "name": name}, group=own).save("other.npz")
        arguments = ["--seeds", 2, "--items", 100, "--rivals", "ridge", "identity", "--out", "compared"]
        status, out, err = modtrans(capsys, "compare", "pairs.npz", "other.npz", *arguments)
        assert status == 0, err
        for route in ("pairs, image → text", "pairs, text → image", "other, place → name", "other, name → place"):
            assert f"{route}: floor" in out
        assert out.count("\nridge ") == 4 and "\nidentity" not in out and out.count("\ncalibrated, cosine ") == 4
        assert out.count("cosine ahead of every rival's\n") == 4 and "gallery 20, seeds 2" in out
        assert out == (folder / "compared" / "compare.txt").read_text(encoding="utf-8") + "\n"
        for name in ("figures/front.pdf", "figures/front.png", "tables/presets.csv", "tables/duels.csv"):
            assert (folder / "compared" / name).stat().st_size > 100
        runs = (folder / "compared" / "tables" / "runs.csv").read_text(encoding="utf-8").splitlines()
        status, _, refused = modtrans(capsys, "compare", "other.npz", *arguments)
        assert status == 1 and "compare.txt: exists; choose another name or add --overwrite" in refused
        assert len(runs) == 1 + 4 * 2 * (1 + len(GOALS)) and "compared: done" in err
        assert "note: pairs" not in err and err.count("of 20 test items equal one to train on: ") == 1

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "front.pdf")

        before = {file: file.read_bytes() for file in (folder / "compared").rglob("*") if file.is_file()}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("analysis.plots.style.make_figure", full)
            status, out, err = modtrans(capsys, "compare", "pairs.npz", *arguments, "--overwrite")
        assert status == 1 and "compared: " in err and "no space left" in err.lower()
        assert "pairs, image → text: floor" in out, "what was measured is printed all the same"
        assert before == {file: file.read_bytes() for file in (folder / "compared").rglob("*") if file.is_file()}

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["missing.npz"], "missing.npz"),
            (
                ["pairs.npz", "--source", "sound"],
                "source, target: 'sound, text', two of the modalities image, text is needed",
            ),
            ([], "pairs: 'none', a pair set is needed"),
            (["pairs.npz", "--seeds", "0"], "seeds: 0, at least 1 is needed"),
            (["pairs.npz", "--items", "-1"], "items: -1, at least 0 is needed"),
            (["pairs.npz", "--rivals", "rigde"], "rivals: 'rigde', one of constant mean, "),
            (["pairs.npz", "--rivals", "identity"], "rivals: 'identity', one that applies to pairs.npz, 8 and 6 dim"),
            (["pairs.npz", "pairs.npz"], "pairs: 'pairs pairs', a name of its own for each set is needed"),
        ],
    )
    def test_bad_input_is_one_line_and_nothing_is_left_behind(self, folder, capsys, arguments, words):
        status, out, err = modtrans(capsys, "compare", *arguments)
        assert (
            status == 1 and not out and words in err and err.startswith("modtrans compare: ") and err.count("\n") == 1
        )
        assert [path.name for path in folder.iterdir()] == ["pairs.npz"]


@pytest.mark.parametrize(
    ("verb", "module", "extra"),
    [
        (["paper", "--profile", "smoke", "--out", "made"], "typst", "paper"),
        (["compare", "pairs.npz", "--out", "made"], "matplotlib", "analysis"),
        (["tables", "--out", "made"], "seaborn", "analysis"),
        (["bench", "--out", "made"], "pandas", "analysis"),
        (["caption", "run", "pairs.npz", "made.csv", "--decoder", "d.pt"], "transformers", "downstream"),
        (["generate", "run", "pairs.npz", "made", "--model", "m"], "diffusers", "downstream"),
    ],
)
def test_a_missing_package_is_found_before_the_work_begins(folder, capsys, monkeypatch, verb, module, extra):
    find = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == module else find(name))
    before = sorted(folder.iterdir())
    said = f"modtrans {verb[0]}: {module} is not installed; run: {extras.command(extra)}\n"
    assert modtrans(capsys, *verb) == (1, "", said)
    assert sorted(folder.iterdir()) == before
    offered = [line for line in distribution("modtrans").requires or [] if f"extra == '{extra}'" in line]
    offered += [line for line in distribution("modtrans").requires or [] if "extra == 'encoders'" in line]
    assert any(line.lower().startswith(module) for line in offered), "the extra brings it"


def test_what_is_warned_of_in_every_split_is_one_line(folder, capsys):
    pairs = PairedEmbeddings.load("pairs.npz")
    replace(pairs, group=np.arange(80) // 2, own_split=np.tile([0, 2], 40)).save("torn.npz")
    rivals = ["--rivals", "ridge", "identity"]
    status, _, err = modtrans(capsys, "compare", "torn.npz", "--seeds", "2", *rivals, "--items", "60")
    assert "torn.npz: identity is left out: it needs one dimension for both modalities, here 8 and 6\n" in err
    assert status == 0 and err.count("the data set's own split tears") == 1 and "UserWarning" not in err
    assert re.search(r"^note: the data set's own split tears \d+ of \d+ groups apart", err, re.M)


@pytest.mark.parametrize(
    ("verb", "written"),
    [
        (["compare", "pairs.npz"], "tables/runs.csv"),
        (["compare", "pairs.npz"], "figures/front.pdf"),
        (["tables", "2"], "tables/poster.tex"),
        (["bench", "--profile", "smoke"], "tables/speed.csv"),
        (["figure", "front", "results"], "figures/front.png"),
        (["demo"], "figures/found.png"),
    ],
)
def test_results_are_written_over_nothing_and_through_no_link(folder, capsys, verb, written):
    file = folder / "out" / written
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    status, _, err = modtrans(capsys, *verb, "--out", "out")
    assert status == 1 and f"out/{written}: exists" in err and file.read_text() == "mine"
    file.unlink()
    file.parent.rmdir()
    (folder / "elsewhere").mkdir()
    for link in (file.parent, file.parents[1]):
        if link.exists():
            link.rmdir()
        link.symlink_to(folder / "elsewhere")
        status, _, err = modtrans(capsys, *verb, "--out", "out")
        assert status == 1 and f"{link.relative_to(folder)}: a link, and nothing is written through links" in err
        link.unlink()
    assert not [*(folder / "elsewhere").iterdir()]
