"""From measurements to one row a contender, to ratios and to requirements, and all of it as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.bench.measure import LAUNCH

THROUGHPUT, TIME = 20.0, 50.0
"""times a peer's throughput, and the peer's training time to its final cosine over ours, at its cosine or better"""
SHARE = 0.6
"""of the measured matrix rate, in a training step at the largest batch"""
COCO_SECONDS = 60.0
"""of a training at COCO's size on a GPU, at most"""
SMALL_SECONDS, LARGE, LARGE_SECONDS = 15.0, 40_000, 90.0
"""of the preset's fit to a small set, at most; and to this many pairs, at most"""
ROW_SECONDS, ROWS_PER_SECOND = 1e-3, 1e5
"""of the preset: a call with one condition, at most, and many conditions in a call, at least"""
PRESET = "calibrated"
TIE = 5e-4
"""difference of test cosines that counts as none"""

Content = Mapping[str, Any]
Rounds = Mapping[int, float]


def values(content: Content, quantity: str, contender: str, name: str) -> dict[int, float]:
    """Round -> the value of that name, of all measurements of one quantity of one contender."""
    return {
        entry["round"]: entry[name]
        for entry in content["measurements"]
        if entry["quantity"] == quantity and entry["contender"] == contender and entry.get(name) is not None
    }


def median(of: Iterable[float]) -> Any:
    """The median; None where there is nothing."""
    found = list(of)
    return float(np.median(found)) if found else None


def ratio(ours: Rounds, theirs: Rounds) -> dict[str, float] | None:
    """Median, least and largest of ours / theirs within a round; None where no round has both."""
    found = [ours[round_] / theirs[round_] for round_ in ours if round_ in theirs]
    return {"value": median(found), "low": min(found), "high": max(found)} if found else None


def rates(content: Content, row: Content, what: str) -> dict[int, float]:
    """Round -> pairs or translations per second; of a closed form, the pairs of the whole fit."""
    if what == "translate":
        return values(content, "translate", row["name"], "embeddings_per_second")
    return values(content, "train" if row["gradient"] else "fit", row["name"], "pairs_per_second")


def summarise(content: Content) -> dict[str, Any]:
    """`contenders`, one row each; `ratios`, each of ours over each peer; `requirements`."""
    rows = [_row(content, contender) for contender in content["names"]]
    ratios = [
        {"ours": one["name"], "peer": peer["name"], "what": what, **found}
        for peer in rows
        for one in rows
        for what in ("train", "translate")
        if peer["peer"] and not one["peer"] and (found := ratio(*(rates(content, row, what) for row in (one, peer))))
    ]
    return {"contenders": rows, "ratios": ratios, "requirements": list(_requirements(content, rows, ratios))}


def _row(content: Content, contender: Content) -> dict[str, Any]:
    name, kind = contender["name"], "train" if contender["gradient"] else "fit"

    def middle(quantity: str, what: str) -> Any:
        return median(values(content, quantity, name, what).values())

    operations, launches = middle("operations", "pair"), middle("operations", "launches")
    one_row = middle("one row", "embeddings_per_second")
    found = ratio(rates(content, contender, "train"), values(content, "float32", "machine", "flops_per_second"))
    (scores,) = (m for m in content["measurements"] if m["quantity"] == "quality" and m["contender"] == name)
    return {
        **contender,
        "train": middle(kind, "pairs_per_second"),
        "step_seconds": middle("train", "seconds"),
        "launches": launches,
        "launch_seconds": None if launches is None else launches * LAUNCH,
        "operations_pair": operations,
        "share": found["value"] * operations if found and operations is not None else None,
        "translate": middle("translate", "embeddings_per_second"),
        "operations_translation": middle("operations", "translation"),
        "small_seconds": middle("small fit", "seconds"),
        "row_seconds": None if one_row is None else 1 / one_row,
        "many": middle("many rows", "embeddings_per_second"),
        "limit": limit(content, middle("operations", "translation")),
        "quality": {key: scores[key] for key in scores if key not in ("quantity", "contender", "round")},
    }


def limit(content: Content, operations: float) -> float | None:
    """Translations per second that the machine allows at most: its matrix rate over the operations of one, or its copy
    rate over the bytes of a condition and a translation; None where no operation was counted."""
    rate, copied = (
        median(values(content, quantity, "machine", name).values())
        for quantity, name in (("float32", "flops_per_second"), ("copy", "bytes_per_second"))
    )
    if not operations:
        return None
    return float(min(rate / operations, copied / (4 * sum(content["dimensions"].values()))))


def _requirements(content: Content, rows: Sequence[Content], ratios: Sequence[Content]) -> Iterator[dict[str, Any]]:
    ours = [row for row in rows if not row["peer"]]
    for peer in (row for row in rows if row["peer"]):
        yield from _against(peer, ours, ratios)
    yield from _of_the_preset(content, next((row for row in ours if row["name"] == PRESET), None))
    for row in ours:
        if row["share"] is not None:
            what = f"share of the float32 matrix rate, {row['name']} at batch {content['settings']['batch']:,}"
            yield _entry(what, SHARE, _one(row["share"]), "the whole optimiser step")
    for entry in (m for m in content["measurements"] if m["quantity"] == "COCO"):
        yield _at_most(f"COCO's size, {entry['contender']}: seconds", COCO_SECONDS, entry["seconds"])


def _of_the_preset(content: Content, row: Content | None) -> Iterator[dict[str, Any]]:
    """What the preset costs."""
    if row is None:
        return
    pairs, small = content["settings"]["train"], content["settings"]["small"]
    yield _at_most(f"fit to {small:,} pairs, {PRESET}: seconds", SMALL_SECONDS, row["small_seconds"])
    if pairs >= LARGE:
        yield _at_most(f"fit to {pairs:,} pairs, {PRESET}: seconds", LARGE_SECONDS, row["quality"]["seconds"])
    yield _at_most(f"one row, {PRESET}: seconds", ROW_SECONDS, row["row_seconds"])
    reason = f"the machine allows {row['limit']:,.0f}" if row["limit"] else ""
    yield _entry(f"rows per second, {PRESET}", ROWS_PER_SECOND, _one(row["many"]), reason)


def _against(peer: Content, ours: Sequence[Content], ratios: Sequence[Content]) -> Iterator[dict[str, Any]]:
    """The best of ours that has the peer's cosine, by each of three measures."""
    goal, name = peer["quality"]["cosine"], peer["name"]
    times = {row["name"]: row["quality"]["seconds"] for row in ours if row["quality"]["cosine"] >= goal - TIE}
    none = f"none of ours has its cosine {goal:.3f}; the best is {max(row['quality']['cosine'] for row in ours):.3f}"
    for what, kind in (("training throughput", "train"), ("translating throughput", "translate")):
        found = [
            entry for entry in ratios if entry["peer"] == name and entry["what"] == kind and entry["ours"] in times
        ]
        best = max(found, key=lambda entry: entry["value"], default=None)
        yield _entry(f"{what}, {name}", THROUGHPUT, best, best["ours"] if best else none)
    fastest = min(times, key=times.__getitem__, default=None)
    theirs = peer["quality"]["seconds"]
    reason = f"{fastest}: {times[fastest]:.3g} s against {theirs:.3g} s" if fastest else none
    yield _entry(f"time to its final cosine, {name}", TIME, _one(theirs / times[fastest]) if fastest else None, reason)


def _one(value: float) -> dict[str, float]:
    return {"value": value, "low": value, "high": value}


def _entry(what: str, needed: float, found: Content | None, reason: str) -> dict[str, Any]:
    value, low, high = (found[name] if found else None for name in ("value", "low", "high"))
    reached = value is not None and value >= needed
    return {
        "requirement": what, "needed": needed, "value": value, "low": low, "high": high,
        "reached": reached, "reason": reason,
    }  # fmt: skip


def _at_most(what: str, needed: float, value: float) -> dict[str, Any]:
    return {**_entry(f"{what} (at most)", needed, _one(value), ""), "reached": value <= needed}


def text(content: Content) -> str:
    """Machine, contenders, optimiser steps, ratios and requirements, as blocks of lines."""
    blocks = (_machine, _contenders, _closed_forms, _steps, _ratios, _required)
    return "\n\n".join(block(content) for block in blocks)


def _machine(content: Content) -> str:
    facts = content["machine"]
    rate = median(values(content, "float32", "machine", "flops_per_second").values())
    line = f"{facts['device']}, {facts['threads']} threads of {facts['cores']} cores, torch {facts['torch']}"
    left_out = (f"left out: {name}: {reason}" for name, reason in content["left_out"].items())
    return "\n".join([f"{line}; float32 matrix product {rate / 1e9:,.0f} GFLOP/s", *left_out])


def _contenders(content: Content) -> str:
    settings, rows = content["settings"], content["contenders"]
    table = [["contender", "training, pairs/s", "translations/s", "fitted in s", "cosine", "R@1", "R@10"]]
    for row in rows:
        found = row["quality"]
        recall = [f"{found[f'centered_recall_at_{k}']:.3f}" for k in (1, 10)]
        speeds = [f"{row[name]:,.3g}" if row[name] < 100 else f"{row[name]:,.0f}" for name in ("train", "translate")]
        table.append([row["name"], *speeds, f"{found['seconds']:.3g}", f"{found['cosine']:.3f}", *recall])
    first = rows[0]["quality"]
    best = f", best possible {content['optimum']:.3f}" if content["optimum"] else ""
    return (
        f"{_aligned(table)}\ntraining: optimiser steps on {settings['batch']} pairs for {settings['budget']:g} s; of a "
        f"closed form, the whole fit\ntranslations: {settings['translated']} in a call; diffusion in "
        f"{settings['steps']} steps\ncosine: floor {first['floor']:.3f}{best}; R@1, R@10: centered, of "
        f"{first['gallery']} items"
    )


def _closed_forms(content: Content) -> str:
    """What closed forms cost at a small size, one row at a time, and in large calls beside what the machine allows."""
    settings, rows = content["settings"], {row["name"]: row for row in content["contenders"]}
    names = dict.fromkeys(m["contender"] for m in content["measurements"] if m["quantity"] == "small fit")
    table = [["closed form", f"{settings['small']:,} pairs in s", "one row in ms", "rows/s", "limit", "share"]]
    for name in names:
        row, seconds = rows.get(name), median(values(content, "small fit", name, "seconds").values())
        cells = ["-"] * 4
        if row is not None:
            limit = row["limit"]
            allowed = ["-", "-"] if limit is None else [f"{limit:,.0f}", f"{row['many'] / limit:.2f}"]
            cells = [f"{row['row_seconds'] * 1e3:.3g}", f"{row['many']:,.0f}", *allowed]
        table.append([name, f"{seconds:.3g}", *cells])
    return (
        f"{_aligned(table)}\nrows/s: {settings['many']:,} in a call; limit: the machine's matrix rate over the "
        "operations of a row, or its copy rate over the bytes of one"
    )


def _steps(content: Content) -> str:
    """What an optimiser step takes, beside what its launches alone would take."""
    batch = content["settings"]["batch"]
    table = [["optimiser step", "launches", f"ms at {LAUNCH * 1e6:g} us each", f"ms at batch {batch}", "matrix rate"]]
    for row in content["contenders"]:
        if row["gradient"]:
            lower, whole = (f"{row[name] * 1e3:.3g}" for name in ("launch_seconds", "step_seconds"))
            table.append([row["name"], f"{row['launches']:.0f}", lower, whole, f"{row['share']:.2f}"])
    return (
        f"{_aligned(table)}\nmatrix rate: share of that of a float32 matrix product; on a GPU the launches of poster "
        "and MLP are recorded, and made as one"
    )


def _ratios(content: Content) -> str:
    """How many times as fast each of ours is, with the range over rounds."""
    found = {(entry["ours"], entry["peer"], entry["what"]): entry for entry in content["ratios"]}
    peers = list(dict.fromkeys(entry["peer"] for entry in content["ratios"]))
    table = [["times as fast as", *peers]]
    for one, what in dict.fromkeys((entry["ours"], entry["what"]) for entry in content["ratios"]):
        cells = (found.get((one, peer, what)) for peer in peers)
        table.append([f"{one}, {what}", *(_spread(cell) if cell else "-" for cell in cells)])
    return f"{_aligned(table)}\nmedian of rounds (least to largest)"


def _required(content: Content) -> str:
    table = [["requirement", "needed", "measured", "reached", "why"]]
    for entry in content["requirements"]:
        value = "-" if entry["value"] is None else _spread(entry)
        reached = "yes" if entry["reached"] else "no"
        table.append([entry["requirement"], f"{entry['needed']:g}", value, reached, entry["reason"]])
    return _aligned(table, left=(0, 4))


def _spread(found: Content) -> str:
    spread = "" if found["low"] == found["high"] else f" ({found['low']:.3g} to {found['high']:.3g})"
    return f"{found['value']:.3g}{spread}"


def _aligned(rows: Sequence[Sequence[str]], left: tuple[int, ...] = (0,)) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
