"""Tables as files: CSV with every digit for machines, LaTeX for people who write with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modtrans_core.store.files import replacing

if TYPE_CHECKING:
    import pandas as pd


def save_table(frame: pd.DataFrame, out: str | Path, name: str, decimals: int = 3) -> None:
    """Write `out/tables/name.csv` in full precision and `name.tex` rounded to `decimals`; the index is left out."""
    folder = Path(out) / "tables"
    with replacing(folder / f"{name}.csv") as temporary:
        frame.to_csv(temporary, index=False)
    with replacing(folder / f"{name}.tex") as temporary:
        temporary.write_text(_latex(frame, decimals), encoding="utf-8")


def _latex(frame: pd.DataFrame, decimals: int) -> str:
    """A booktabs tabular; numbers are right-aligned."""
    import pandas as pd

    def cell(value: object) -> str:
        if value is None or value is pd.NA or value != value:
            return "--"
        if isinstance(value, float):
            return f"{value:.{decimals}f}"
        return _escape(str(value))

    columns = "".join("r" if pd.api.types.is_numeric_dtype(kind) else "l" for kind in frame.dtypes)
    lines = [" & ".join(_escape(str(name)) for name in frame.columns)]
    lines += [" & ".join(cell(value) for value in row) for row in frame.itertuples(index=False)]
    head, *body = (f"{line} \\\\" for line in lines)
    return "\n".join(
        [
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            head,
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
            "",
        ]
    )


def _escape(text: str) -> str:
    for special in "&%$#_":
        text = text.replace(special, f"\\{special}")
    return text


def mean_and_spread(frame: pd.DataFrame, by: list[str], values: list[str]) -> pd.DataFrame:
    """For each group of `by`: the mean of every value, its standard deviation as `<value>_sd`, and `runs`."""
    grouped = frame.groupby(by, sort=False)
    mean = grouped[values].mean()
    spread = grouped[values].std(ddof=1).add_suffix("_sd")
    return mean.join(spread).assign(runs=grouped.size()).reset_index()
