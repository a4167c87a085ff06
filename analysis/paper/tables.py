"""Tables as files: CSV with every digit for machines, LaTeX for people who write with it."""

from __future__ import annotations

import re
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.experiments.frames import of_numpy
from modtrans_core.checks import place
from modtrans_core.store.files import replacing

if TYPE_CHECKING:
    import pandas as pd

PAGE = 450.0
"""width of a page's text in points: A4, or letter paper, less margins of an inch"""
LETTER, BETWEEN = 4.4, 6.0
"""points that a letter takes at most on average, in footnote size, and that lie between two columns"""
WRAPPED = 36
"""letters, from which on a column of text is broken into lines, and the names of files and functions in it"""
SYMBOLS = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        **{letter: f"${letter}$" for letter in "<>|"},
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "→": r"$\rightarrow$", "−": "$-$", "±": r"$\pm$", "γ": r"$\gamma$", "≥": r"$\geq$", "≤": r"$\leq$",
        "×": r"$\times$", "√": r"$\surd$", "⊥": r"$\perp$", "²": "$^2$", "·": r"$\cdot$",
    }
)  # fmt: skip
"""what LaTeX does not print as it is written"""


def save_data(frame: pd.DataFrame, out: str | Path, name: str) -> None:
    """Write `out/tables/name.csv` in full precision; the index is left out. What a figure is drawn from."""
    with replacing(place("out", out) / "tables" / f"{name}.csv") as temporary:
        frame.to_csv(temporary, index=False)


def save_table(frame: pd.DataFrame, out: str | Path, name: str, decimals: int = 3) -> None:
    """`save_data`, and `name.tex` beside it, by `latex`."""
    save_data(frame, out, name)
    with replacing(place("out", out) / "tables" / f"{name}.tex") as temporary:
        temporary.write_text(latex(frame, decimals), encoding="utf-8")


def latex(frame: pd.DataFrame, decimals: int = 3) -> str:
    """A table for LaTeX with booktabs, in footnote size and not wider than a page.

    A value and its standard deviation `<value>_sd` share a cell. What is wider than a page goes on in further tables
    below, each with the leading columns of text.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"method": ["ridge"], "recall_at_1": [0.5], "recall_at_1_sd": [0.01], "gallery": [789]})
    >>> print(latex(frame))
    {\\footnotesize\\setlength{\\tabcolsep}{3pt}\\noindent
    \\begin{tabular}{lrr}
    \\toprule
    method & R@1 & gallery \\\\
    \\midrule
    ridge & $0.500 \\pm 0.010$ & 789 \\\\
    \\bottomrule
    \\end{tabular}
    }
    <BLANKLINE>
    """
    frame = of_numpy(frame)
    shown = [name for name in frame if not (str(name).endswith("_sd") and str(name)[:-3] in frame)]
    cells = {name: _cells(frame, name, decimals) for name in shown}
    text = {name: not any(isinstance(value, Real) for value in frame[name].dropna()) for name in shown}
    letters = {name: max(map(_printed, (_header(name), *cells[name]))) for name in shown}
    width = {name: LETTER * (min(letters[name], WRAPPED) if text[name] else letters[name]) + BETWEEN for name in shown}
    keys: list[Any] = []
    for name in shown:
        if not text[name] or sum(width[key] for key in [*keys, name]) > PAGE / 2:
            break
        keys.append(name)
    blocks, room = [[*keys]], PAGE - sum(width[key] for key in keys)
    for name in shown[len(keys) :]:
        if len(blocks[-1]) > len(keys) and sum(width[other] for other in blocks[-1][len(keys) :]) + width[name] > room:
            blocks.append([*keys])
        blocks[-1].append(name)
    lines = [r"{\footnotesize\setlength{\tabcolsep}{3pt}\noindent"]
    for number, block in enumerate(blocks):
        wrapped = f"p{{{LETTER * WRAPPED:.0f}pt}}"
        long = {name for name in block if text[name] and letters[name] > WRAPPED}
        kinds = ("r" if not text[name] else wrapped if name in long else "l" for name in block)
        lines += [r"\par\medskip\noindent"] * (number > 0) + [rf"\begin{{tabular}}{{{''.join(kinds)}}}", r"\toprule"]
        body = zip(
            *([_breakable(cell) if name in long else cell for cell in cells[name]] for name in block), strict=True
        )
        head, *rest = (" & ".join(row) + r" \\" for row in ([_header(name) for name in block], *body))
        lines += [head, r"\midrule", *rest, r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, "}", ""])


def _header(name: object) -> str:
    """The name of a column for people."""
    said = str(name).replace("recall_at_", "R@").replace("gamma", "γ").replace("_", " ")
    return said.translate(SYMBOLS)


def _cells(frame: pd.DataFrame, name: Any, decimals: int) -> list[str]:
    values, spread = frame[name].astype(object), frame.get(f"{name}_sd")
    whole = all(value != value or float(value).is_integer() for value in values if isinstance(value, Real))
    spreads = [None] * len(values) if spread is None else spread
    return [
        _cell(value, sd, 0 if whole and spread is None else decimals) for value, sd in zip(values, spreads, strict=True)
    ]


def _cell(value: Any, sd: Any, decimals: int) -> str:
    if value is None or value != value:
        return "--"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not isinstance(value, Real):
        said = re.sub(r"(?<![\w.])gamma(?![\w.])", "γ", " ".join(str(value).splitlines())).translate(SYMBOLS)
        return f"{{}}{said}" if said.startswith(("[", "*")) else said  # behind a line's end it would be an option
    plain = float(value)
    if isinstance(value, Integral):
        return f"{plain:,.0f}" if plain >= 0 else f"${plain:,.0f}$"
    alone = sd is None or sd != sd
    least = 10.0**-decimals if decimals > 0 else 0.0
    form = ".1e" if 0 < abs(plain) < least and (alone or sd < least) else f"z,.{decimals}f"
    number = format(plain, form)
    if not alone:
        return rf"${number} \pm {sd:{form}}$"
    return f"${number}$" if number.startswith("-") else number


def _breakable(cell: str) -> str:
    """A cell whose lines can end inside `theory.sphere.alignment_law` or `tests/test_sphere.py`."""
    return re.sub(r"(?<=\w)(\\_|[./])(?=\w)", r"\1\\allowbreak ", cell)


def _printed(cell: str) -> int:
    """How many letters a cell has in print, at most: a command prints one."""
    return len(re.sub(r"[${}]", "", re.sub(r"\\([A-Za-z]+|.) ?", "x", cell)))


def mean_and_spread(frame: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """For each group of `by`: the mean of every value, its standard deviation as `<value>_sd`, and `runs`."""
    grouped = frame.groupby(by, sort=False, dropna=False, observed=True)
    mean = grouped[values].mean()
    spread = grouped[values].std(ddof=1).add_suffix("_sd")
    return mean.join(spread).assign(runs=grouped.size()).reset_index()


def nested(table: pd.DataFrame, first: str, *others: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows as mappings, by the value of one column and by those of others, joined by commas: for metrics."""
    rows = table.set_index([first, *others])
    return {
        name: {key if isinstance(key, str) else ", ".join(key): row.to_dict() for key, row in rows.loc[name].iterrows()}
        for name in table[first].unique()
    }
