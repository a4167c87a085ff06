"""The second cell of a notebook refuses what it cannot run with, in one line."""

import sys

import pytest

from modtrans_core.notebook import begin

KINDS = {"__annotations__": {"draws": int, "rate": float, "out": str, "all": bool}}
NAMES = {**KINDS, "draws": 3, "rate": 2, "out": "", "all": True, "In": ["", "draws: int = 3"]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"draws": None}, "^draws: None, a parameter of type int is needed"),
        ({"draws": "2000"}, "^draws: '2000', a parameter of type int"),
        ({"draws": True}, "^draws: True, a parameter of type int"),
        ({"all": "False"}, "^all: 'False', a parameter of type bool"),
        ({"In": ["", "# Parameters\ndrawz = 2000\n"]}, "^parameter: 'drawz', one of draws, rate, out, all is needed"),
    ],
)
def test_parameters(changed, message):
    begin({**NAMES, "In": [*NAMES["In"], "# Parameters\ndraws = 3\n", "mine = 3"]})
    with pytest.raises(ValueError, match=message):
        begin({**NAMES, **changed})


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
