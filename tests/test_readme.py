"""The code of the READMEs runs as it stands there."""

import re
import shlex
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all of the front page, with arrays of a reader and, in place of OpenMoji, pairs like them."""
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    text = rng.normal(size=(400, 6)) + 1
    image = text @ rng.normal(size=(6, 8)) + 0.1 * rng.normal(size=(400, 8))
    np.save(folder / "image.npy", image)
    np.save(folder / "text.npy", text[:, None] + 0.1 * rng.normal(size=(400, 3, 6)))
    PairedEmbeddings({"image": image, "text": text}).save(folder / "embedded.npz")
    return folder


def test_the_front_page_runs_from_top_to_bottom_in_one_folder_and_twice(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(cli.VERBS_HERE["embed"], "run", lambda verb: shutil.copy("embedded.npz", verb.out))
    _, code, commands = re.findall(r"```(?:bash|python)\n(.*?)```", README, re.S)
    for _ in range(2):
        names: dict = {}
        exec(code, names)
        assert "'cosine'" in capsys.readouterr().out and len(names["expected"]) == len(names["test"])
    for line in commands.splitlines():
        arguments = shlex.split(line, comments=True)[1:]
        small = ["--seeds", "1", "--items", "60", "--rivals", "ridge"] if arguments[0] == "compare" else []
        assert run(cli.VERBS_HERE, "modtrans", "", arguments + small) == 0, (line, capsys.readouterr().err)
    made = {"openmoji.npz", "runs", "translated.npz", "nearest.csv", "usable.npz"}
    assert made < {path.name for path in folder.iterdir()}
    assert 0 < len(PairedEmbeddings.load("usable.npz")) <= 400


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


def test_the_ways_in_run_in_order_in_one_folder(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    both = {"image": np.load(folder / "image.npy"), "text": np.load(folder / "text.npy")[:, 0]}
    columns = {f"{name}_{i}": column for name, rows in both.items() for i, column in enumerate(rows.T)}
    lists = {"picture": list(both["image"]), "caption": list(both["text"]), "file": [f"{i}.png" for i in range(400)]}
    for name, rows in both.items():
        np.save(f"{name}.npy", rows)
    np.save("ids.npy", np.arange(400) // 2)
    np.save("c.npy", both["image"][:5])
    pd.DataFrame(columns).to_csv("t.csv", index=False)
    pd.DataFrame(lists).to_parquet("t.parquet")
    torch.save({name: torch.from_numpy(rows) for name, rows in both.items()}, "t.pt")
    block = next(block for block in re.findall(r"```bash\n(.*?)```", CORE, re.S) if "modtrans pack" in block)
    for line in re.findall(r"^modtrans ((?!export).*)$", block, re.M):  # a graph takes longer, and has tests of its own
        small = ["--preset", "ridge"] if line.startswith("train") else []
        given = shlex.split(line, comments=True) + small
        assert run(cli.VERBS_HERE, "modtrans", "", given) == 0, (line, capsys.readouterr().err)
    sets = [PairedEmbeddings.load(f"{name}.npz") for name in ("pairs", "lists", "columns", "tensors")]
    assert all(np.allclose(one.modality("text"), both["text"]) for one in sets)
    assert sets[0].group is not None and sets[1].key is not None and np.load("z.npy").shape == (5, 6)


def test_in_and_out(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    rng = np.random.default_rng(0)
    pairs = PairedEmbeddings({"image": rng.normal(size=(90, 8)), "text": rng.normal(size=(90, 6)) + 1})
    train, test = pairs.split(seed=0, fractions=(0.8, 0.2))
    names = {"translator": fit(train), "test": test, "train": train, "mt": modtrans_core}
    exec(next(block for block in python(CORE) if "save_pretrained" in block), names)
    assert "| cosine |" in (folder / "mine" / "README.md").read_text()
    monkeypatch.setitem(names, "mt", SimpleNamespace(fit=partial(fit, settings={"train.steps": 20, "width": 16})))
    exec(next(block for block in python(CORE) if "TensorBoard" in block), names)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-2:]] == ["10", "20"]
    names = {"image": pairs.modality("image"), "text": pairs.modality("text")}
    exec(next(block for block in python(ANALYSIS) if "EmbeddingTranslator" in block), names)
    assert capsys.readouterr().out.startswith("[0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_the_verbs(shell, capsys):
    with pytest.raises(SystemExit) as stop:
        run(cli.VERBS_HERE, "modtrans", "", ["--tyro-print-completion", shell])
    out = capsys.readouterr().out
    assert not stop.value.code and "modtrans" in out and all(verb in out for verb in cli.VERBS_HERE)
    assert f"`{shell}`" in CORE or f"completion {shell}`" in CORE


def test_the_property_test_that_a_reader_can_paste():
    code = next(block for block in python(ANALYSIS) if "analysis.theory.strategies" in block)
    names: dict = {}
    exec(code, names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


PRINTED = [line for page in PAGES.values() for line in re.findall(r"^(?:cat .* \| )?(modtrans .*)$", page, re.M)]
EXAMPLES = [verb.__doc__.splitlines()[0].removeprefix("Example: ") for verb in cli.VERBS_HERE.values()]


@pytest.mark.parametrize("line", PRINTED + EXAMPLES)
def test_every_command_line_parses(line, monkeypatch, capsys):
    """Up to the point where it would do its work."""
    arguments = shlex.split(line.partition(" > ")[0], comments=True)[1:]
    ran = []
    monkeypatch.setattr(cli.VERBS_HERE[arguments[0]], "run", lambda command: ran.append(command))
    assert run(cli.VERBS_HERE, "modtrans", "", arguments) == 0 and ran


def test_the_front_page_is_short_and_its_links_lead_somewhere():
    assert len(README.splitlines()) <= 90 and len(README.split()) <= 700
    for page in (README, CORE, ANALYSIS):
        for link in re.findall(r"\]\(([^)#:]+)\)", page):
            where = ROOT if page is README else ROOT / ("modtrans_core" if page is CORE else "analysis")
            assert (where / link).exists(), link
