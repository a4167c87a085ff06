"""Tables as files: CSV with every digit for machines, LaTeX for people who write with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modtrans_core.store.files import replacing

if TYPE_CHECKING:
    import pandas as pd


def save_table(frame: pd.DataFrame, out: str | Path, name: str, decimals: int = 3) -> None:
    """Write `out/tables/name.csv` in full precision and `name.tex` rounded to `decimals`; the index is left out."""
    folder = Path(out) / "tables"
    with replacing(folder / f"{name}.csv") as temporary:
        frame.to_csv(temporary, index=False)
    rounded = frame.style.hide(axis="index").format(precision=decimals, na_rep="--", escape="latex")
    with replacing(folder / f"{name}.tex") as temporary:
        rounded.format_index(axis=1, escape="latex").to_latex(temporary, hrules=True, encoding="utf-8")


def mean_and_spread(frame: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """For each group of `by`: the mean of every value, its standard deviation as `<value>_sd`, and `runs`."""
    grouped = frame.groupby(by, sort=False)
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
