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
    """Round -> pairs or translations per second. Training is at the faster batch; a closed form's is the whole fit."""
    if what == "translate":
        return values(content, "translate", row["name"], "embeddings_per_second")
    batch = max(row["train"], key=lambda name: row["train"][name] or 0.0)
    return values(content, f"train {batch}" if row["gradient"] else "fit", row["name"], "pairs_per_second")


def best_cosine(row: Content) -> float | None:
    """The test cosine, guided or not, whichever is higher."""
    return max((row["quality"][name] for name in ("cosine", "guided_cosine") if name in row["quality"]), default=None)


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
    name, batches = contender["name"], content["settings"]["batches"]

    def middle(quantity: str, what: str) -> Any:
        return median(values(content, quantity, name, what).values())

    gradient = contender["gradient"]
    train = {str(batch): f"train {batch}" for batch in batches} if gradient else {"fit": "fit"}
    operations, launches = middle("operations", "pair"), middle("operations", "launches")
    found = ratio(
        values(content, f"train {batches[-1]}", name, "pairs_per_second"),
        values(content, "float32", "machine", "flops_per_second"),
    )
    scores = [m for m in content["measurements"] if m["quantity"] == "quality" and m["contender"] == name]
    return {
        **contender,
        "train": {key: middle(quantity, "pairs_per_second") for key, quantity in train.items()},
        "rounds": len(values(content, next(iter(train.values())), name, "seconds")),
        "step_seconds": middle(f"train {batches[0]}", "seconds"),
        "launches": launches,
        "launch_seconds": None if launches is None else launches * LAUNCH,
        "operations_pair": operations,
        "share": found["value"] * operations if found and operations else None,
        "translate": middle("translate", "embeddings_per_second"),
        "operations_translation": middle("operations", "translation"),
        "quality": {
            key: value for entry in scores for key, value in entry.items()
            if key not in ("quantity", "contender", "round")
        },
    }  # fmt: skip


def _requirements(content: Content, rows: Sequence[Content], ratios: Sequence[Content]) -> Iterator[dict[str, Any]]:
    ours = [row for row in rows if not row["peer"]]
    for peer in (row for row in rows if row["peer"]):
        yield from _against(peer, ours, ratios)
    for row in ours:
        if row["share"] is not None:
            what = f"share of the float32 matrix rate, {row['name']} at batch {content['settings']['batches'][-1]:,}"
            yield _entry(what, SHARE, _one(row["share"]), "the whole optimiser step")
    for entry in (m for m in content["measurements"] if m["quantity"] == "COCO"):
        found, what = _one(entry["seconds"]), f"COCO's size, {entry['contender']}: seconds (at most)"
        yield {**_entry(what, COCO_SECONDS, found, ""), "reached": entry["seconds"] <= COCO_SECONDS}


def _against(peer: Content, ours: Sequence[Content], ratios: Sequence[Content]) -> Iterator[dict[str, Any]]:
    """The best of ours that has the peer's cosine, by each of three measures."""
    goal, name = best_cosine(peer), peer["name"]
    if goal is None:
        return
    cosines = {row["name"]: best_cosine(row) or -1.0 for row in ours}
    able = [row for row in ours if cosines[row["name"]] >= goal - TIE]
    none = f"none of ours has its cosine {goal:.3f}; the best is {max(cosines.values()):.3f}"
    for what, kind in (("training throughput", "train"), ("translating throughput", "translate")):
        found = [
            entry for entry in ratios
            if entry["peer"] == name and entry["what"] == kind and entry["ours"] in [row["name"] for row in able]
        ]  # fmt: skip
        best = max(found, key=lambda entry: entry["value"], default=None)
        yield _entry(f"{what}, {name}", THROUGHPUT, best, best["ours"] if best else none)
    times = {row["name"]: row["quality"]["seconds"] for row in able}
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


def text(content: Content) -> str:
    """Machine, contenders, optimiser steps, ratios and requirements, as blocks of lines."""
    blocks = (_machine, _contenders, _steps, _ratios, _required)
    return "\n\n".join(block(content) for block in blocks)


def _machine(content: Content) -> str:
    facts = content["machine"]
    rate = median(values(content, "float32", "machine", "flops_per_second").values())
    lines = [
        f"{facts['device']}, {facts['threads']} threads of {facts['cores']} cores, torch {facts['torch']}; "
        f"float32 matrix product {rate / 1e9:,.0f} GFLOP/s"
    ]
    return "\n".join([*lines, *(f"left out: {name}: {reason}" for name, reason in content["left_out"].items())])


def _contenders(content: Content) -> str:
    settings, rows = content["settings"], content["contenders"]
    batches = [str(batch) for batch in settings["batches"]]
    scores = ("seconds", ".3g"), ("cosine", ".3f"), ("guided_cosine", ".3f"), *(
        (f"centered_recall_at_{n}", ".3f") for n in (1, 10)
    )  # fmt: skip
    head = ["contender", *(f"train/s at {batch}" for batch in batches), "fit: pairs/s", "translate/s"]
    table = [[*head, "seconds", "cosine", "guided", "R@1", "R@10"]]
    for row in rows:
        speeds = [*(row["train"].get(name) for name in (*batches, "fit")), row["translate"]]
        found = [_number(row["quality"].get(name), form) for name, form in scores]
        table.append([row["name"], *map(_rate, speeds), *found])
    first = rows[0]["quality"]
    best = f", best possible {content['optimum']:.3f}" if content.get("optimum") else ""
    return (
        f"{_aligned(table)}\nnetworks trained for {settings['budget']:g} s, diffusion with {settings['steps']} steps\n"
        f"cosine: floor {first['floor']:.3f}{best}; R@1, R@10: centered, of {first['gallery']} items"
    )


def _steps(content: Content) -> str:
    """What an optimiser step takes beside what its launches alone would take."""
    batch = content["settings"]["batches"][0]
    table = [["optimiser step", "launches", f"ms at {LAUNCH * 1e6:g} us each", f"ms at batch {batch}", "matrix rate"]]
    for row in content["contenders"]:
        if row["launches"] is not None:
            lower, whole = (_number(row[name] * 1e3, ".3g") for name in ("launch_seconds", "step_seconds"))
            table.append([row["name"], f"{row['launches']:.0f}", lower, whole, _number(row["share"], ".2f")])
    last = content["settings"]["batches"][-1]
    return f"{_aligned(table)}\nmatrix rate: share of the float32 matrix product's, at batch {last:,}"


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


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _rate(value: float | None) -> str:
    return _number(value, ",.0f" if value and value >= 100 else ".3g")
