"""The code of the READMEs runs as it stands there."""

import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest

import modtrans_core
from analysis import cli
from modtrans_core import PairedEmbeddings, fit
from modtrans_core.cli.verb import run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CORE, ANALYSIS = ((ROOT / package / "README.md").read_text() for package in ("modtrans_core", "analysis"))
PAGES = {"README": README, "core": CORE, "analysis": ANALYSIS, "bench": (ROOT / "analysis/bench/README.md").read_text()}


def python(page):
    return re.findall(r"```python\n(.*?)```", page, re.S)


def test_in_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("image.npy", rng.normal(size=(60, 8)))
    np.save("text.npy", rng.normal(size=(60, 3, 6)))
    (code,) = python(README)
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of noise nothing can be learned
        exec(code, names)
    assert "'cosine'" in capsys.readouterr().out and len(names["expected"]) == len(names["test"])
    assert (tmp_path / "runs" / "python" / "model.safetensors").exists()


def test_how_far_to_believe_one_translation():
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings({"image": rng.normal(size=(90, 8)), "text": rng.normal(size=(90, 6)) + 1})
    train, test = pairs.split(seed=0, fractions=(0.8, 0.2))
    names = {"translator": fit(train), "test": test}
    exec(next(block for block in python(CORE) if "expected_cosine" in block), names)
    assert names["expected"].shape == (len(test),) and names["likely"].shape == (len(test), 10, 6)


def test_which_item_is_it():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(200, 8))
    pairs = PairedEmbeddings({"image": image, "text": image[:, :6] + 1})
    train, test = pairs.split(seed=0, fractions=(0.8, 0.2))
    names = {"translator": fit(train), "test": test, "mt": modtrans_core, "np": np}
    exec(next(block for block in python(CORE) if "search_vectors" in block), names)
    assert names["indices"].shape == names["scores"].shape == (len(test), 10)


def test_the_property_test_that_a_reader_can_paste():
    code = next(block for block in python(ANALYSIS) if "analysis.theory.strategies" in block)
    names: dict = {}
    exec(code, names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


@pytest.mark.parametrize("line", [line for page in PAGES.values() for line in re.findall(r"^modtrans .*$", page, re.M)])
def test_every_command_line_parses(line, monkeypatch, capsys):
    """Up to the point where it would do its work."""
    arguments = shlex.split(line, comments=True)[1:]
    ran = []
    monkeypatch.setattr(cli.VERBS_HERE[arguments[0]], "run", lambda command: ran.append(command))
    assert run(cli.VERBS_HERE, "modtrans", "", arguments) == 0 and ran


def test_the_front_page_is_short_and_its_links_lead_somewhere():
    assert len(README.splitlines()) <= 90 and len(README.split()) <= 700
    for page in (README, CORE, ANALYSIS):
        for link in re.findall(r"\]\(([^)#:]+)\)", page):
            where = ROOT if page is README else ROOT / ("modtrans_core" if page is CORE else "analysis")
            assert (where / link).exists(), link
