"""`modtrans paper` end to end on small synthetic pairs: what it makes, what it keeps, what it refuses."""

import hashlib
import importlib
import json
import os
import re
import shutil
import threading
import time
from base64 import b64decode
from pathlib import Path

import numpy as np
import pymupdf
import pytest
import typst
from PIL import Image

from analysis.experiments.synthetic import synthetic_pairs
from analysis.paper import make as paper
from analysis.paper import runner as notebooks
from modtrans_core import PairedEmbeddings

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
PAPER_FOLDER = NOTEBOOKS.parent / "papers"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A paper of few pairs, whose modalities are neither image nor text, and which others than ours call OpenMoji."""
    folder = tmp_path_factory.mktemp("paper")
    pairs = synthetic_pairs(68, 16, 24, 0.5, 3, np.random.default_rng(0))[0]
    arrays = {"sound": pairs.modality("image"), "scent": pairs.modality("text")}
    said = {"independent": ["scent"], "dataset": "OpenMoji"}
    few = PairedEmbeddings(arrays, {"scent": pairs.counts["text"]}, metadata=said)
    few.save(folder / "pairs.npz")
    pdf = paper.make(folder / "out", "smoke", folder / "pairs.npz")
    return folder, pdf


def test_the_pdf_has_its_figures_tables_and_numbers(made):
    folder, pdf = made
    document = pymupdf.open(pdf)
    text = " ".join(page.get_text() for page in document)
    assert len(document) >= 3 and "Errata" in text and "ridge" in text
    assert "68 pairs given by the user" in text and "findings in words are those of OpenMoji" in text
    assert not {"EfficientNet-Lite0", "all-MiniLM-L6-v2", "Attribution."} & set(text.split())
    numbers = json.loads((folder / "out" / "numbers.json").read_text())
    names = [stage.name for stage in paper.stages("smoke")]
    assert set(names) < set(numbers)
    scores = numbers["04_translation"]["routes"]["sound → scent"]
    assert {"constant mean", "ridge", "poster, 1 step", "poster, 50 steps"} <= set(scores)
    assert f"{scores['ridge']['cosine']:.3f}" in text and f"{scores['poster, 1 step']['cosine']:.3f}" in text
    for name in names:
        results = folder / "out" / "notebooks" / name
        assert (results / f"{name}.ipynb").exists()
        figures = list((results / "figures").glob("*.pdf"))
        assert figures if name != "00_theorems" else (results / "tables" / "statements.csv").exists()


def test_the_paper_says_how_its_pairs_were_split(made, tmp_path):
    folder, _ = made
    numbers = json.loads((folder / "out" / "numbers.json").read_text())
    out = shutil.copytree(folder / "out", tmp_path / "out")
    said = {}
    for own, shares in ((False, numbers["04_translation"]["shares"]), (True, [60, 7, 33])):
        numbers["04_translation"] |= {"own_split": own, "shares": shares}
        (out / "numbers.json").write_text(json.dumps(numbers))
        text = " ".join(page.get_text() for page in pymupdf.open("pdf", typst.compile(str(out / "paper.typ"))))
        said[own] = " ".join(text.split())
    assert "split by group into training (7" in said[False] and "has a split of its own and a training" in said[False]
    assert (
        "They come split into training (60%), validation (7%) and test (33%). Each of 1 seed has a training"
        in said[True]
    )


def test_a_notebook_shows_its_figure_files_which_have_truetype_fonts_and_300_dots_an_inch(made):
    folder, _ = made
    for name in [stage.name for stage in paper.stages("smoke")]:
        results = folder / "out" / "notebooks" / name
        cells = json.loads((results / f"{name}.ipynb").read_text())["cells"]
        shown = [output.get("data", {}).get("image/png") for cell in cells for output in cell.get("outputs", [])]
        files = sorted((results / "figures").glob("*.png"))
        assert sorted(map(b64decode, filter(None, shown))) == sorted(file.read_bytes() for file in files), name
        for file in files:
            with Image.open(file) as picture:
                assert [round(dots) for dots in picture.info["dpi"]] == [300, 300], file
            (page,) = pymupdf.open(file.with_suffix(".pdf"))
            assert {font[2] for font in page.get_fonts()} == {"Type0"}, file  # TrueType, by the numbers of its glyphs
            words = page.get_text("words", clip=pymupdf.INFINITE_RECT())
            sheet = pymupdf.Rect(-1, -2, page.rect.x1 + 1, page.rect.y1 + 2)  # a word's box is larger than its letters
            assert [word[4] for word in words if pymupdf.Rect(word[:4]) not in sheet] == [], file  # none is cut
            assert not any("$" in word[4] for word in words), file  # no mathematics that was not set


def test_a_second_call_runs_nothing_again_and_gives_the_same_bytes(made, monkeypatch):
    folder, pdf = made
    before = pdf.read_bytes()
    monkeypatch.setattr(notebooks, "run", lambda *_: pytest.fail("ran a notebook again"))
    assert paper.make(folder / "out", "smoke", folder / "pairs.npz").read_bytes() == before


@pytest.fixture
def ran(made, monkeypatch):
    """The notebooks that are run, of which each leaves what it left before."""
    names = []

    def again(notebook, results, *_):
        names.append(notebook.stem)
        shutil.copytree(made[0] / "out" / "notebooks" / notebook.stem, results, dirs_exist_ok=True)

    monkeypatch.setattr(notebooks, "run", again)
    return names


def test_an_interrupted_paper_goes_on_where_it_was(made, tmp_path, ran):
    folder, _ = made
    out = tmp_path / "out"
    shutil.copytree(folder / "out", out)
    (out / "notebooks" / "02_projection_residual" / notebooks.STAMP).write_text("of another version")

    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(notebooks, "run", interrupted)
        paper.make(out, "smoke", folder / "pairs.npz")
    assert (out / "paper.pdf").exists() and (out / "notebooks" / "02_projection_residual" / "metrics.json").exists()

    paper.make(out, "smoke", folder / "pairs.npz")
    assert ran == ["02_projection_residual"]


def test_results_that_were_edited_or_lost_are_made_again_and_no_others(made, tmp_path, ran):
    folder, _ = made
    out = tmp_path / "out"
    shutil.copytree(folder / "out", out)
    metrics = out / "notebooks" / "04_translation" / "metrics.json"
    metrics.write_text(metrics.read_text().replace("0.", "1.", 1))
    next((out / "notebooks" / "01_alignment_law" / "figures").iterdir()).unlink()
    assert paper.make(out, "smoke", folder / "pairs.npz", only=["04_translation"]) == ["01_alignment_law"]
    assert ran == ["04_translation"]
    assert paper.make(out, "smoke", folder / "pairs.npz") == out / "paper.pdf"
    assert ran == ["04_translation", "01_alignment_law"]


def test_results_without_the_executed_notebook_are_not_whole(tmp_path):
    results = tmp_path / "01_alignment_law"
    results.mkdir()
    (results / "metrics.json").write_text("{}")
    (results / notebooks.STAMP).write_text(f"inputs {paper.contents(results)}")
    assert not paper._is_done(results, "inputs")
    (results / "01_alignment_law.ipynb").write_text("{}")
    assert paper._is_done(results, "inputs") and not paper._is_done(results, "others")


def test_notebooks_are_run_again_where_names_or_captions_changed():
    def pairs(key, captions):
        return PairedEmbeddings({"image": np.eye(2)}, key=key, metadata={"captions": captions})

    sets = [pairs(["a", "b"], {}), pairs(["a", "c"], {}), pairs(["a", "b"], {"a": ["one"]}), pairs(None, {})]
    assert len({paper.print_of(one) for one in sets}) == 4
    assert paper.print_of(sets[0]) == paper.print_of(pairs(["a", "b"], {}))


def test_what_was_added_or_written_beside_the_paper_is_kept(made, tmp_path, capsys):
    folder, _ = made
    out = tmp_path / "out"
    shutil.copytree(folder / "out", out)
    (out / "mine.pdf").write_text("mine")
    for text, old in (("My own text.", "paper.typ.old"), ("Another.", "paper.typ.old1")):
        (out / "paper.typ").write_text(text)
        paper.make(out, "smoke", folder / "pairs.npz")
        assert (out / old).read_text() == text and f"is kept in {old}\n" in capsys.readouterr().err
    whole = (out / "paper.pdf").read_bytes()
    (out / "paper.pdf").write_bytes(whole + b"\n% a reader's mark")  # as viewers save it
    paper.make(out, "smoke", folder / "pairs.npz")
    assert (out / "paper.pdf.old").read_bytes() == whole + b"\n% a reader's mark"
    assert (out / "paper.pdf").read_bytes() == whole and "is kept in paper.pdf.old\n" in capsys.readouterr().err
    marker = json.loads((out / "modtrans-paper.json").read_text())
    (out / "paper.pdf").write_bytes(b"of earlier numbers")
    marker["sha256"]["paper.pdf"] = hashlib.sha256(b"of earlier numbers").hexdigest()
    (out / "modtrans-paper.json").write_text(json.dumps(marker))
    paper.make(out, "smoke", folder / "pairs.npz")
    assert (out / "paper.pdf").read_bytes() == whole and not (out / "paper.pdf.old1").exists()
    assert capsys.readouterr().err.count("is kept in") == 0, "nobody changed it"
    assert (out / "mine.pdf").read_text() == "mine" and (out / "paper.typ.old").read_text() == "My own text."
    assert (out / "paper.typ").read_bytes() == (folder / "out" / "paper.typ").read_bytes()


def test_a_marker_of_another_kind_is_named(made, tmp_path):
    (tmp_path / "modtrans-paper.json").write_text('{"paper": "modality-translation", "profile": 3, "pairs": null}')
    with pytest.raises(ValueError, match=r"modtrans-paper.json: profile: 3, text is needed"):
        paper.make(tmp_path, "smoke", made[0] / "pairs.npz")


def test_profiles_and_papers_have_folders_of_their_own():
    named = {paper.folder_of(name, profile).name for name in paper.PAPERS for profile in paper.PROFILES}
    assert len(named) == 6 and {"modtrans-paper", "modtrans-paper-smoke", "modtrans-poster-tables"} <= named


def test_if_one_notebook_fails_the_others_end(tmp_path, monkeypatch):
    ended = threading.Event()

    def run(notebook, results, parameters, kernels):
        if notebook.stem == "01_alignment_law":
            raise RuntimeError("01 failed")
        while not kernels.ended:
            time.sleep(0.01)
        ended.set()
        raise RuntimeError("its kernel died")

    monkeypatch.setattr(notebooks, "run", run)
    two = [stage for stage in paper.stages("smoke") if stage.name in ("01_alignment_law", "02_projection_residual")]
    with pytest.raises(RuntimeError, match="01 failed"):
        paper._run([], lambda display: (Path(), two), tmp_path, {stage.name: "" for stage in two})
    assert ended.is_set() or os.cpu_count() == 1


def test_what_looks_at_no_pairs_runs_beside_the_embedding_and_the_longest_begin(tmp_path, monkeypatch):
    begun, embedding = [], threading.Event()

    def run(notebook, results, parameters, kernels):
        assert kernels.environment["LOKY_MAX_CPU_COUNT"] == kernels.environment["OMP_NUM_THREADS"]
        begun.append((notebook.stem, parameters.get("pairs"), embedding.is_set()))
        time.sleep(0.2)
        results.mkdir(parents=True)
        (results / "metrics.json").write_text("{}")

    def embedded(display):
        time.sleep(0.1)
        embedding.set()
        return tmp_path / "pairs.npz", looking

    monkeypatch.setattr(notebooks, "run", run)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    two = ("05_limits_certificates", "07_presets"), ("01_alignment_law", "14_more_pairs")
    looking, first = ([one for one in paper.stages("default") if one.name in names] for names in two)
    paper._run(first, embedded, tmp_path / "out", {one.name: "" for one in [*looking, *first]})
    pairs = str(tmp_path / "pairs.npz")
    assert begun[:2] == [("14_more_pairs", None, False), ("07_presets", pairs, True)]
    assert sorted(begun[2:]) == [("01_alignment_law", None, True), ("05_limits_certificates", pairs, True)]


def test_figures_made_twice_are_the_same_bytes(made, tmp_path):
    folder, _ = made
    stage = next(stage for stage in paper.stages("smoke") if stage.name == "01_alignment_law")
    notebooks.run(stage.notebook, tmp_path / "again", stage.parameters)
    for figure in (folder / "out" / "notebooks" / stage.name / "figures").iterdir():
        assert figure.read_bytes() == (tmp_path / "again" / "figures" / figure.name).read_bytes()


def test_a_folder_that_is_not_ours_is_left_alone(made, tmp_path):
    folder, _ = made
    (tmp_path / "thesis.txt").write_text("five years")
    with pytest.raises(ValueError, match="exists and is not a paper of ours"):
        paper.make(tmp_path, "smoke", folder / "pairs.npz")
    with pytest.raises(ValueError, match="holds a paper made with profile smoke, not default; choose another folder"):
        paper.make(folder / "out", "default", folder / "pairs.npz")
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("items", "k", "d", "words"),
    [
        (6, 5, 5, "pairs.npz: the split by seed 0: items: 6, of which"),
        (90, 5, 2, "04_translation: target: 'text' of 2, a modality of at least 3 numbers"),
        (90, 2, 5, "04_translation: source: 'image' of 2, a modality of at least 3 numbers"),
        (90, 5, 0, "pairs.npz: text: 'one direction'"),
        (50, 5, 5, "pairs.npz: items: 10, a test part of more than 10 is needed, by 13_cosine_to_recall; the"),
        (90, 5, -5, "pairs.npz: pairs: 'a residual of .*', targets that .* needed, by 02_projection_residual; the oth"),
    ],
)
def test_pairs_that_no_notebook_can_use_are_refused_before_any_runs(tmp_path, monkeypatch, items, k, d, words):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(items, k))
    text = image[:, ::-1] if d < 0 else rng.normal(size=(items, d))  # what a linear map gives
    text = text if d else rng.uniform(1, 2, size=(items, 1)) * np.ones(5)
    PairedEmbeddings({"image": image, "text": text}).save(tmp_path / "pairs.npz")
    monkeypatch.setattr(notebooks, "run", lambda *_: pytest.fail("ran a notebook"))
    with pytest.raises(ValueError, match=words):
        paper.make(tmp_path / "out", "smoke", tmp_path / "pairs.npz")


@pytest.mark.parametrize("name", ["05_limits_certificates", "07_presets"])
def test_a_set_is_looked_at_in_the_part_that_a_notebook_takes(tmp_path, ran, name):
    """Of 20,000 items of 200 speakers a quarter are one's: of the 300 or 800 that smoke takes one group is left out."""
    rng, speakers = np.random.default_rng(0), 1 / np.arange(1, 201) ** 1.2
    group = rng.choice(200, size=20_000, p=speakers / speakers.sum())
    z = rng.normal(size=(2, 20_000, 4))
    PairedEmbeddings({"image": z[0], "text": z[1]}, group=group).save(tmp_path / "pairs.npz")
    words = f"pairs.npz: the split by seed 0: items: [38]00, of which .* by {name}; .* items by --set {name}.items=N$"
    with pytest.raises(ValueError, match=words):
        paper.make(tmp_path / "out", "smoke", tmp_path / "pairs.npz", only=[name])
    paper.make(tmp_path / "out", "smoke", tmp_path / "pairs.npz", [f"{name}.items=20000"], only=[name])
    assert ran == [name]


@pytest.mark.parametrize(
    ("text", "name"), [("modality-translation", "12_cross_domain"), ("poster-tables", "19_other_modalities")]
)
@pytest.mark.parametrize(("items", "groups", "power", "seeds"), [(6000, 24, 0, 1), (900, 45, 0.8, 3)])
def test_domains_are_looked_at_in_every_split(tmp_path, monkeypatch, text, name, items, groups, power, seeds):
    """Half of 24 speakers leave one to choose on, however many items; half of 45 unequal ones do in a later split."""
    rng, share = np.random.default_rng(0), 1 / np.arange(1, groups + 1) ** power
    group = rng.choice(groups, size=items, p=share / share.sum())
    z = rng.normal(size=(2, items, 4))
    PairedEmbeddings({"image": z[0], "text": z[1]}, group=group).save(tmp_path / "pairs.npz")
    monkeypatch.setattr(notebooks, "run", lambda *_: pytest.fail("ran a notebook"))
    words = f"pairs.npz: low → high: items: .*, of which 1 group is for validation, .*, by {name}; the others run by"
    with pytest.raises(ValueError, match=words):
        settings = [f"{name}.seeds={seeds}", f"{name}.items=0"]
        paper.make(tmp_path / "out", "smoke", tmp_path / "pairs.npz", settings, text, only=[name])


@pytest.mark.parametrize("text", paper.PAPERS)
def test_the_plan_says_which_items_a_notebook_splits_as_the_notebook_does(text):
    for stage in [one for one in paper.stages("smoke", text) if one.pairs]:
        said = notebooks.parameters(stage.notebook).get("items", {"help": ""})["help"]
        evenly = "evenly" in said and "each" not in said
        assert stage.part == ("at random" if "before the split" in said else "evenly" if evenly else ""), stage.name


def test_a_linear_map_is_looked_for_among_as_many_directions_as_the_notebook_takes(tmp_path, ran):
    y = np.random.default_rng(0).normal(size=(600, 40))
    PairedEmbeddings({"image": y, "text": y[:, ::-1]}).save(tmp_path / "pairs.npz")
    name = "02_projection_residual"
    with pytest.raises(ValueError, match="targets that no linear map gives is needed, by 02"):
        paper.make(tmp_path / "out", "smoke", tmp_path / "pairs.npz", [f"{name}.components=64"], only=[name])
    paper.make(tmp_path / "out", "smoke", tmp_path / "pairs.npz", [f"{name}.components=8"], only=[name])
    assert ran == [name]


@pytest.mark.parametrize("value", ["three", "[1]", "null"])
def test_a_parameter_of_another_type_is_named_where_pairs_are_given_too(tmp_path, value):
    z = np.random.default_rng(0).normal(size=(2, 90, 5))
    PairedEmbeddings({"image": z[0], "text": z[1]}).save(tmp_path / "pairs.npz")
    with pytest.raises(ValueError, match="^07_presets: seeds: .*, a parameter of type int is needed"):
        paper.make(tmp_path / "out", "smoke", tmp_path / "pairs.npz", [f"07_presets.seeds={value}"])


def test_a_notebook_is_asked_for_that_takes_what_others_do_not(tmp_path, ran):
    rng = np.random.default_rng(0)
    PairedEmbeddings({"image": rng.normal(size=(90, 5)), "text": rng.normal(size=(90, 2))}).save(tmp_path / "few.npz")
    left = paper.make(tmp_path / "out", "smoke", tmp_path / "few.npz", only=["02_projection_residual"])
    assert ran == ["02_projection_residual"] and "04_translation" in left


def test_nothing_is_embedded_for_a_notebook_that_looks_at_no_pairs(tmp_path, ran, monkeypatch):
    monkeypatch.setattr(paper, "cached_openmoji", lambda **_: pytest.fail("embedded OpenMoji"))
    looking = [stage.name for stage in paper.stages("smoke") if stage.pairs]
    left = paper.make(tmp_path / "out", "smoke", only=["01_alignment_law"])
    assert ran == ["01_alignment_law"] and set(looking) < set(left)


def test_a_set_is_the_same_by_any_path_and_another_is_not(tmp_path, ran, monkeypatch):
    z = np.random.default_rng(0).normal(size=(2, 90, 5))
    (tmp_path / "other").mkdir()
    for place, one in ((tmp_path, 0), (tmp_path / "other", 1)):
        PairedEmbeddings({"image": z[one], "text": z[1 - one]}).save(place / "pairs.npz")
    only = {"only": ["02_projection_residual"]}
    monkeypatch.chdir(tmp_path)
    paper.make(Path("out"), "smoke", Path("pairs.npz"), **only)
    paper.make(tmp_path / "out", "smoke", tmp_path / "pairs.npz", **only)
    with pytest.raises(ValueError, match="holds a paper made with pairs .*/pairs.npz, not .*/other/pairs.npz; choose"):
        paper.make(tmp_path / "out", "smoke", tmp_path / "other" / "pairs.npz", **only)
    for name in ("pairs.npz", "out"):
        (tmp_path / name).rename(tmp_path / "other" / name)
    monkeypatch.chdir(tmp_path / "other")
    paper.make(Path("out"), "smoke", Path("pairs.npz"), **only)


def test_what_cannot_work_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(ValueError, match="^data: '.*', a paper that reads it, poster-tables, is needed"):
        paper.make(tmp_path / "out", "smoke", data=tmp_path)
    with pytest.raises(ValueError, match="profile: 'quick', one of smoke, default, full"):
        paper.make(tmp_path / "out", "quick")
    with pytest.raises(ValueError, match=r"none.npz: no such file"):
        paper.make(tmp_path / "out", "smoke", tmp_path / "none.npz")
    with pytest.raises(ValueError, match="only: '07', one of 00_theorems"):
        paper.make(tmp_path / "out", "smoke", only=["07"])
    with pytest.raises(ValueError, match="source, target: 'sound, scent', --pairs is needed"):
        paper.make(tmp_path / "out", "smoke", source="sound", target="scent")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("profile", paper.PROFILES)
def test_every_notebook_but_one_is_in_a_paper_and_takes_its_parameters(profile):
    planned = [stage for name in paper.PAPERS for stage in paper.stages(profile, name)]
    there = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    assert [
        *(stage.name for stage in planned),
        "20_your_own_translator",
    ] == there  # which is for readers, not for a paper
    for stage in planned:
        notebooks.check(
            stage.notebook,
            {**stage.parameters, **({"pairs": ""} if stage.pairs else {}), **({"data": ""} if stage.data else {})},
        )


def test_parameters_of_notebooks_are_given_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "coco").mkdir()
    (tmp_path / "audio").mkdir()  # no file is asked for there
    given = ["11_encoders.coco=coco", "11_encoders.seeds=2", "04_translation.source=audio", "06_gamma.gamma=.5"]
    stages = {stage.name: stage for stage in paper.with_settings(paper.stages("smoke"), given)}
    asked = stages["11_encoders"].parameters
    assert asked["coco"] == str(tmp_path / "coco") and asked["seeds"] == 2 and asked["offline"] is False
    assert stages["04_translation"].parameters == {"seeds": 1, "steps": 5, "items": 5000, "source": "audio"}
    assert stages["06_gamma"].parameters["gamma"] == 0.5
    for wrong, words in [
        ("seeds=2", "NOTEBOOK.NAME=VALUE is needed"),
        ("99_none.seeds=2", "set: no notebook '99_none'; there are 00_"),
        ("11_encoders.seeds=2 11_encoders.seeds=3", "seeds=3', one value of 11_encoders.seeds is needed"),
        ("04_translation.out=x", "04_translation.out=x', --out, which gives each notebook its own, is needed"),
        ("04_translation.pairs=x.npz", "x.npz', --pairs, which gives"),
    ]:
        with pytest.raises(ValueError, match=words):
            paper.with_settings(paper.stages("smoke"), wrong.split())
    for wrong in ("11_encoders.seed=2", "11_encoders.seeds=two"):
        with pytest.raises(
            ValueError, match="11_encoders: (parameter: 'seed', one of|seeds: 'two', a parameter of type int)"
        ):
            paper.make(tmp_path / "out", "smoke", settings=[wrong])
    assert not (tmp_path / "out").exists()


def test_what_a_text_cites_is_listed_and_what_is_listed_is_cited():
    texts = [(PAPER_FOLDER / name / "paper.typ").read_text() for name in paper.PAPERS]
    listed = re.findall(r"^@\w+\{(\w+),", (PAPER_FOLDER / "refs.bib").read_text(), re.M)
    cited = {key for text in texts for key in re.findall(r"@([a-z]+\d{4}|openmoji)\b", text)}
    assert len(listed) == len(set(listed)) and cited == set(listed)


def test_each_theorem_has_a_proof_a_function_and_a_notebook():
    text = (PAPER_FOLDER / paper.PAPERS[0] / "paper.typ").read_text()
    stated = re.findall(r"#theorem\(\[.+?\], \[(.+?)\]\).*?^\] <(\w+)>", text, re.M | re.S)
    assert len(stated) == text.count("#theorem(") >= 8
    assert [label for _, label in stated] == re.findall(r"#proof\[@(\w+)\]", text)
    notebooks_here = {path.name[:2] for path in NOTEBOOKS.glob("*.ipynb")}
    for where, label in stated:
        module = ""
        for name in re.findall(r"`(.+?)`", where):
            module, name = name.rsplit(".", 1) if "." in name else (module, name)
            assert hasattr(importlib.import_module(f"analysis.theory.{module}"), name), (label, module, name)
        found = set(re.findall(r"\b\d\d\b", where))
        assert found and found <= notebooks_here, label
