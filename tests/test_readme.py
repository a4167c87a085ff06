"""The README's code runs as it stands there."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from modtrans_core.config import Config, TrainConfig, preset

from analysis import cli
from modtrans_core import PairedEmbeddings, Translator
from modtrans_core.cli.verb import run

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def test_bring_your_own_embeddings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("image.npy", rng.normal(size=(60, 8)))
    np.save("text.npy", rng.normal(size=(60, 3, 6)))
    code = next(block for block in BLOCKS if "Translator.fit" in block)
    shorter = code.replace("validation=validation)", "validation=validation, config=config)")
    assert shorter != code
    config = replace(Config(), train=TrainConfig(steps=2))
    exec(shorter, {"config": config})
    assert "'cosine'" in capsys.readouterr().out
    assert (tmp_path / "runs" / "first" / "model.safetensors").exists()


def test_how_far_to_believe_one_translation():
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings({"image": rng.normal(size=(90, 8)), "text": rng.normal(size=(90, 6)) + 1})
    train, test = pairs.split(seed=0, fractions=(0.8, 0.2))
    names = {"translator": Translator.fit(train, config=preset("calibrated")), "test": test}
    exec(next(block for block in BLOCKS if "expected_cosine" in block), names)
    assert names["expected"].shape == (len(test),) and names["likely"].shape == (len(test), 10, 6)


def test_the_property_test_that_a_reader_can_paste():
    code = next(block for block in BLOCKS if "analysis.theory.strategies" in block)
    names: dict = {}
    exec(code, names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


@pytest.mark.parametrize("line", re.findall(r"^modtrans (?!paper).*$", README, re.M))
def test_every_command_line_parses(line, monkeypatch, capsys):
    """Up to the point where it would do its work."""
    arguments = shlex.split(line, comments=True)[1:]
    ran = []
    monkeypatch.setattr(cli.VERBS_HERE[arguments[0]], "run", lambda command: ran.append(command))
    assert run(cli.VERBS_HERE, "modtrans", "", arguments) == 0 and ran
