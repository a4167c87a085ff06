"""What was measured: one JSON file, written whole after every measurement.

Its keys: `schema` (1); `settings` and `data`, what was asked for; `machine`, on what; `dimensions` {k, d};
`optimum`, the best mean test cosine there is (null where it is not known); `names`, the contenders; `left_out`, peer ->
why; `measurements`, a list of {"quantity", "contender", "round", ...values, "took" seconds}; and, once all are made,
`contenders` (one row a contender) and `requirements` (see `analysis.bench.summary`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modtrans_core.store.files import read_json, write_json

SCHEMA = 1
FILE = "bench.json"


class Record:
    """The measurements of one run in the folder `out`, kept as they are made.

    Parameters
    ----------
    out : folder of the file `bench.json`.
    facts : what measurements must have in common to stand in one file: settings, data, machine.
    overwrite : measure anew where a file is there.

    Raises
    ------
    ValueError
        The folder holds a run with other facts, or a damaged file.
    """

    def __init__(self, out: Path, facts: Mapping[str, Any], overwrite: bool = False) -> None:
        self.path = out / FILE
        self.content: dict[str, Any] = {"schema": SCHEMA, **facts, "left_out": {}, "measurements": []}
        if self.path.exists() and not overwrite:
            found = read_json(self.path)
            for name in ("schema", *facts):
                if not isinstance(found, dict) or found.get(name) != self.content[name]:
                    there = found.get(name) if isinstance(found, dict) else None
                    raise ValueError(
                        f"{self.path}: holds a run with another {name} ({_difference(there, self.content[name])}); "
                        "choose another --out, or --overwrite"
                    )
            self.content = found
        self._known = {_key(entry): entry for entry in self.content["measurements"]}

    @property
    def measurements(self) -> list[dict[str, Any]]:
        return self.content["measurements"]

    def has(self, quantity: str, contender: str, round_: int) -> bool:
        """Whether this was measured already."""
        return (quantity, contender, round_) in self._known

    def add(self, quantity: str, contender: str, round_: int, values: Mapping[str, Any]) -> None:
        """Keep a measurement."""
        entry = {"quantity": quantity, "contender": contender, "round": round_, **values}
        self._known[_key(entry)] = entry
        self.measurements.append(entry)
        self.write()

    def write(self) -> None:
        """Write the file, whole or not at all."""
        write_json(self.path, self.content)

    def values(self, quantity: str, contender: str, name: str) -> dict[int, float]:
        """Round -> the value of that name."""
        return values(self.content, quantity, contender, name)


def values(content: Mapping[str, Any], quantity: str, contender: str, name: str) -> dict[int, float]:
    """Round -> the value of that name, of all measurements of one quantity of one contender."""
    return {
        entry["round"]: entry[name]
        for entry in content["measurements"]
        if entry["quantity"] == quantity and entry["contender"] == contender and entry.get(name) is not None
    }


def median(of: Mapping[int, float]) -> float | None:
    """The median over rounds; None where there are none."""
    return float(np.median(list(of.values()))) if of else None


def ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[float, float, float] | None:
    """Median, least and largest of ours / theirs within a round.

    A slow contender has fewer rounds; rounds that only one has are compared with the median of the other's.
    """
    if not ours or not theirs:
        return None
    common = ours.keys() & theirs.keys()
    found = [ours[r] / theirs[r] for r in sorted(common)] or [median(ours) / median(theirs)]  # type: ignore[operator]
    return float(np.median(found)), float(min(found)), float(max(found))


def _key(entry: Mapping[str, Any]) -> tuple[str, str, int]:
    return entry["quantity"], entry["contender"], entry["round"]


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        name = next(n for n in {**wanted, **found} if found.get(n) != wanted.get(n))
        return f"{name}: {found.get(name)}, not {wanted.get(name)}"
    return f"{found}, not {wanted}"
