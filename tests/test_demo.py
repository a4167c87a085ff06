"""`modtrans demo`: a first result from what comes with the package."""

import contextlib
import io
from functools import partial

import numpy as np
from PIL import Image

import modtrans_core
from analysis.cli import VERBS_HERE
from analysis.experiments import demo
from modtrans_core import PairedEmbeddings, extras
from modtrans_core.cli.verb import run


def test_it_prints_scores_a_picture_and_the_lines_that_do_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(VERBS_HERE, "modtrans", "", ["demo"]) == 0
    said = capsys.readouterr().out
    assert "floor" in said and "ceiling" in said and "@10" in said
    with Image.open("modtrans-demo/figures/found.png") as picture:
        assert min(picture.size) > 500
    code = "\n".join(line.strip() for line in said.split("In Python:\n")[1].splitlines())
    assert len(code.splitlines()) == 3
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    scores = eval(printed.getvalue())
    assert f"{scores['cosine']:.3f}" in said and f"{scores['own_recall_at_10']:.3f}" in said
    assert scores["cosine"] > scores["floor"] + 0.05 and scores["own_recall_at_10"] > 5 * 10 / scores["gallery"]


def test_without_matplotlib_there_are_scores_and_the_command_that_brings_the_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    monkeypatch.setattr(modtrans_core, "fit", partial(modtrans_core.fit, preset="ridge"))  # no matter here, and quick
    assert run(VERBS_HERE, "modtrans", "", ["demo"]) == 0
    out, err = capsys.readouterr()
    assert "floor" in out and f"no picture: matplotlib is not installed; run: {extras.command('analysis')}" in err


def test_the_pairs_are_small_licensed_and_no_two_are_variants_of_each_other():
    pairs = demo.demo_pairs()
    assert sum(file.stat().st_size for file in demo.FOLDER.iterdir()) < 3_000_000
    assert "CC BY-SA 4.0" in (demo.FOLDER / "LICENSE.txt").read_text() and "CC BY-SA" in str(pairs.metadata["dataset"])
    pictures, names = demo.thumbnails(pairs), demo.names(pairs)
    assert list(pictures) == list(names) == pairs.key.tolist() and len(set(pairs.groups)) == len(pairs) == 600
    assert all(picture.std() > 5 for picture in pictures.values()), "none is blank"
    assert {picture.shape for picture in pictures.values()} == {(48, 48, 3)}


def test_pairs_that_are_not_its_own_are_left_alone(tmp_path, monkeypatch, capsys):
    """`modtrans embed openmoji --out openmoji.npz` makes a file of that name, too."""
    monkeypatch.chdir(tmp_path)
    mine = PairedEmbeddings({"image": np.eye(5), "text": np.eye(5)})
    mine.save("openmoji.npz")
    assert run(VERBS_HERE, "modtrans", "", ["demo", "--out", "."]) == 1
    assert "openmoji.npz: exists, and holds other pairs than the demo's" in capsys.readouterr().err
    assert PairedEmbeddings.load("openmoji.npz").fingerprint() == mine.fingerprint()


def test_it_becomes_no_part_of_another_set(tmp_path, capsys):
    PairedEmbeddings({"image": np.eye(5), "text": np.eye(5)}).save(tmp_path / "00000.npz")
    assert run(VERBS_HERE, "modtrans", "", ["demo", "--out", str(tmp_path)]) == 1
    assert "holds 00000.npz, which is not the demo's; choose another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["00000.npz"]
