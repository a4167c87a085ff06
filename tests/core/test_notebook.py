"""The second cell of a notebook refuses what it cannot run with, in one line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings
from modtrans_core.notebook import begin, refuse_unless, refuse_wrong

TYPES = {"draws": int, "rate": float, "out": str, "all": bool, "items": int, "seed": int, "confidence": float}
TYPES |= {"delta": float, "alpha": float, "gamma": float, "source": str, "target": str, "pairs": str}
CELL = "draws: int = 3  # of each\ntarget: str = ''  # of at least 3 numbers\n"
CELL += "items: int = 9  # at most; 0: all\nseed: int = 0  # of the draws\n"
CELL += "".join(f"{name}: {kind.__name__} = ...\n" for name, kind in TYPES.items() if f"{name}: " not in CELL)
NAMES = {
    "draws": 3,
    "rate": -2,
    "out": ".",
    "all": True,
    "items": 0,
    "seed": 0,
    "In": ["", CELL],
}
NAMES |= {"confidence": 0.9, "delta": 0.1, "alpha": -1, "gamma": 0.0, "source": "image", "target": "text", "pairs": ""}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"draws": None}, "^draws: None, a parameter of type int is needed"),
        ({"draws": "2000"}, "^draws: '2000', a parameter of type int"),
        ({"draws": True}, "^draws: True, a parameter of type int"),
        ({"all": "False"}, "^all: 'False', a parameter of type bool"),
        ({"In": ["", CELL, "# Parameters\ndrawz = 2000\n"]}, "^parameter: 'drawz', one of draws, target, items, seed"),
        ({"draws": 0}, "^draws: 0, a number of 64 bits and at least 1 is needed"),
        ({"draws": 2**63}, "^draws: 9223372036854775808, a number of 64 bits"),
        ({"items": -1}, "^items: -1, a number of 64 bits and at least 0 is needed"),
        ({"seed": -1}, "^seed: -1, a number of 64 bits and at least 0"),
        ({"confidence": 1.0}, "^confidence: 1.0, a number strictly between 0 and 1 is needed"),
        ({"delta": 0.5}, "^delta: 0.5, a number strictly between 0 and 0.5 is needed"),
        ({"alpha": 1.5}, "^alpha: 1.5, a finite number from -1 to 1 is needed"),
        ({"gamma": -0.1}, "^gamma: -0.1, a finite number from 0 to 1000 is needed"),
        (
            {"rate": float("nan"), "In": ["", CELL, "# Parameters\nrate = float('nan')\n"]},
            "^rate: nan, a finite number",
        ),
        ({"out": "/dev/null/x"}, "^out: '/dev/null/x', a folder that can be made is needed"),
        ({"out": ""}, "^out: '', the name of a folder is needed"),
        ({"out": "/proc/x"}, "^out: '/proc/x', a folder that can be made is needed"),
        ({"source": "text"}, "^target: 'text', another modality than the source is needed"),
        ({"pairs": "flat.npz"}, "^target: 'text' of 2, a modality of at least 3 numbers is needed"),
        ({"pairs": "same.npz"}, "^pairs: text: 'one direction', vectors that differ is needed"),
        ({"pairs": "same.npz", "source": "text", "target": "image"}, "^pairs: text: 'one direction', vectors that"),
        ({"pairs": "torn.npz"}, "^pairs: torn.npz: "),
    ],
)
def test_parameters(changed, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("flat.npz", image=np.eye(3), text=np.eye(3, 2) + 1)
    np.savez("same.npz", image=np.eye(3), text=np.ones((3, 3)))
    Path("torn.npz").write_bytes(b"PK")
    begin({**NAMES, "In": [*NAMES["In"], "# Parameters\ndraws = 3\n", "mine = 3"]})
    with pytest.raises(ValueError, match=message):
        begin({**NAMES, **changed})


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("train", 3, "A"), ("test", 2, "A"), "^test: image of 2 numbers, 3 as those of train are needed"),
        (("train", 3, "A"), ("test", 3, "B"), "^test: image by encoder B, the one of train, A, is needed"),
        (("pairs", 3, "A"), ("queries", 2, "B"), "^queries: image of 2 numbers, 3 as those of pairs are needed"),
        (("train", 3, "A"), ("test", 3, "A"), ""),
        (("train", 3, "A"), ("test", 3, None), ""),
        (("pairs", 3, "A"), ("queries", 3, "B"), ""),  # E5's and DPR's queries have an encoder of their own
    ],
)
def test_pair_sets_that_are_taken_together_are_of_one_space(first, second, message, tmp_path):
    given = {}
    for name, d, encoder in (first, second):
        given[name] = str(tmp_path / f"{name}.npz")
        facts = {"image": {"encoder": encoder}} if encoder else {}
        PairedEmbeddings({"image": np.eye(4, d) + 1, "text": np.eye(4)}, metadata=facts).save(given[name])
    values = given | ({"source": "image", "target": "text"} if "train" in given else {})
    kinds = dict.fromkeys(values, "str")
    if not message:
        return refuse_wrong(kinds, values, {})
    with pytest.raises(ValueError, match=message):
        refuse_wrong(kinds, values, {})


@pytest.mark.parametrize("name", ["analysis/__init__.py", "analysis.py"])
def test_another_package_called_analysis(name, tmp_path, monkeypatch):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for module in [one for one in sys.modules if one.partition(".")[0] == "analysis"]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(ImportError, match=f"analysis: found {tmp_path / name.split('/')[0]}, that of modtrans"):
        begin(NAMES)
    sys.modules.pop("analysis", None)


def test_what_is_refused_later_is_one_line_too():
    with pytest.raises(ValueError, match=r"^draws: 1, 2 is needed$") as refused:
        refuse_unless(False, "draws", 1, "2")
    assert refused.value._render_traceback_() == ["WrongParameter: draws: 1, 2 is needed"]


@pytest.mark.parametrize(
    "cell",
    [
        "kept: list[float] = []",
        "x: int | None = None",
        "# Parameters of my plot\nwidth = 8",
        "# Parameters\n%matplotlib inline\nwidth = 8",
        "from __future__ import annotations",
    ],
)
def test_cells_of_ones_own_are_no_parameters_when_all_is_run_again(cell):
    cells = ["", CELL, "begin(globals())", cell, CELL, "begin(globals())"]
    names = {**NAMES, "In": cells}
    begin(names)
    with pytest.raises(ValueError, match=r"^draws: 0, a number"):
        begin({**names, "draws": 0})
    with pytest.raises(ValueError, match=r"^parameter: 'drawz', one of draws"):
        begin({**names, "In": [*cells[:5], "# Parameters\ndrawz = 2000\n", cells[5]]})


def test_the_second_cell_run_before_the_first_says_so():
    """After a kernel's restart."""
    with pytest.raises(ValueError, match="^parameters: 'none', the notebook's first cell, run before this one,"):
        begin({"In": ["", "begin(globals())"]})


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_a_notebook_that_is_run_as_a_file_says_what_its_parameters_mean(tmp_path, suffix):
    """`python 07_presets.py`, and `%run 07_presets.ipynb` in IPython, which keeps no cells of it."""
    file = tmp_path / f"own{suffix}"
    cells = ["# %% [markdown]\n# own", CELL, "begin(globals())"]
    content = {"cells": [{"source": cell.splitlines(keepends=True)} for cell in cells]}
    file.write_text("\n# %%\n".join(cells) if suffix == ".py" else json.dumps(content))
    names = {**NAMES, "In": ["", "%run own"], "__file__": str(file)}
    begin({**names, "items": 0})
    for changed, words in (
        ({"draws": 0}, "draws: 0, a number of 64 bits and at least 1"),
        ({"items": -1}, "items: -1,"),
    ):
        with pytest.raises(ValueError, match=f"^{words}"):
            begin({**names, **changed})


def test_where_there_is_no_text_types_are_those_that_python_keeps():
    """In `exec`. Of a kernel, what a start-up file declares is no parameter."""
    names = {name: value for name, value in NAMES.items() if name != "In"} | {"__annotations__": TYPES, "items": 3}
    begin(names)
    with pytest.raises(ValueError, match="^draws: '3', a parameter of type int is needed"):
        begin({**names, "draws": "3"})
    begin({**NAMES, "__annotations__": {**TYPES, "DATA": Path, "late": "int"}, "DATA": Path(), "late": "3"})
