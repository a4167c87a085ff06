"""From measurements to one row a contender, and to the requirements: reached, or not and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from analysis.bench.record import median, ratio, values

THROUGHPUT = 20.0
"""times each peer's training and translating throughput, at its cosine or better"""
TIME = 50.0
"""the peer's training time over ours to its final cosine"""
SHARE = 0.6
"""of the measured matrix rate, in a training step at the largest batch"""
COCO_SECONDS, COCO_SHARE = 60.0, 0.5
"""training at COCO's size on a GPU, and the share of its bfloat16 rate there"""
MEMORY = 1.1
"""of what a streamed fit takes for the smaller number of pairs, at most, for the larger"""

TIE = 5e-4
"""difference of test cosines that counts as none"""

Content = Mapping[str, Any]


def summarise(content: Content) -> dict[str, Any]:
    """`contenders`, one row each, and `requirements`, of the content of `bench.json`."""
    rows = [_row(content, contender) for contender in content["names"]]
    return {"contenders": rows, "requirements": list(_requirements(content, rows))}


def _row(content: Content, contender: Content) -> dict[str, Any]:
    name = contender["name"]
    row: dict[str, Any] = {**contender}
    if contender["gradient"]:
        rates = {b: values(content, f"train {b}", name, "pairs_per_second") for b in content["settings"]["batches"]}
        row["train"] = {str(batch): median(rate) for batch, rate in rates.items()}
        operations = median(values(content, "operations", name, "pair"))
        row["operations_pair"] = operations
        row["share"] = _share(content, rates[content["settings"]["batches"][-1]], operations)
    else:
        rate = values(content, "fit", name, "pairs_per_second")
        row["train"] = {"fit": median(rate)}
        row["rounds"] = len(rate)
        counted, seconds = (median(values(content, "fit", name, what)) for what in ("flops", "seconds"))
        speed = median(rate)
        row["operations_pair"] = None if speed is None else counted / (seconds * speed)  # type: ignore[operator]
        row["share"] = _share(content, rate, row["operations_pair"])
    row["translate"] = median(values(content, "translate", name, "embeddings_per_second"))
    row["translate_guided"] = median(values(content, "translate guided", name, "embeddings_per_second"))
    row["operations_translation"] = median(values(content, "operations", name, "translation"))
    quality: Content = next(
        (m for m in content["measurements"] if m["quantity"] == "quality" and m["contender"] == name), {}
    )
    row["quality"] = {key: value for key, value in quality.items() if key not in ("quantity", "contender", "round")}
    return row


def _share(content: Content, pairs_per_second: Mapping[int, float], operations: float | None) -> float | None:
    """Operations per second over the matrix rate of the same round; bfloat16's on a GPU, where that is used."""
    kind = "bfloat16" if content["machine"]["type"] == "cuda" else "float32"
    found = ratio(pairs_per_second, values(content, kind, "machine", "flops_per_second"))
    return None if found is None or operations is None else found[0] * operations


def best_cosine(row: Content) -> float | None:
    """The test cosine, guided or not, whichever is higher."""
    found = [row["quality"].get(name) for name in ("cosine", "guided_cosine")]
    return max((value for value in found if value is not None), default=None)


def train_rate(content: Content, row: Content) -> dict[int, float]:
    """Round -> training pairs per second, at the batch that is faster."""
    if not row["gradient"]:
        return values(content, "fit", row["name"], "pairs_per_second")
    batch = max(row["train"], key=lambda b: row["train"][b] or 0.0)
    return values(content, f"train {batch}", row["name"], "pairs_per_second")


def translate_rate(content: Content, row: Content) -> dict[int, float]:
    """Round -> translations per second, unguided."""
    return values(content, "translate", row["name"], "embeddings_per_second")


def _requirements(content: Content, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    ours = [row for row in rows if not row["peer"]]
    for peer in (row for row in rows if row["peer"]):
        yield from _against(content, peer, ours)
    yield from _shares(content, ours)
    yield from _linear(content)
    yield from _coco(content)


def _against(content: Content, peer: Content, ours: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    goal, name = best_cosine(peer), peer["name"]
    whats = ("training throughput", "translating throughput", "time to its final cosine")
    if goal is None:
        return
    able = [row for row in ours if (best_cosine(row) or -1.0) >= goal - TIE]
    if not able:
        top = max(ours, key=lambda row: best_cosine(row) or -1.0, default=None)
        cosine = best_cosine(top) if top else None
        reason = f"none of ours has its cosine {goal:.3f}" + (f"; the best is {cosine:.3f}" if cosine else "")
        for what, needed in zip(whats, (THROUGHPUT, THROUGHPUT, TIME), strict=True):
            yield _entry(f"{what}, {name}", needed, None, reason)
        return
    for what, operations, rate in (
        (whats[0], "operations_pair", lambda row: train_rate(content, row)),
        (whats[1], "operations_translation", lambda row: translate_rate(content, row)),
    ):
        found = {row["name"]: ratio(rate(row), rate(peer)) for row in able}
        best = max((row for row in able if found[row["name"]]), key=lambda row: found[row["name"]][0], default=None)  # type: ignore[index]
        if best is None:
            continue
        fewer = (peer[operations] or 0.0) / (best[operations] or float("inf"))
        reason = f"{best['name']}; at one share of the matrix rate its operations allow {fewer:.3g}"
        reason += "" if peer["gradient"] else "; both solve the same normal equations"
        yield _entry(f"{what}, {name}", THROUGHPUT, found[best["name"]], reason)
    times = {row["name"]: row["quality"]["seconds"] for row in able if row["quality"].get("seconds")}
    theirs = peer["quality"].get("seconds")
    if times and theirs:
        fastest = min(times, key=times.__getitem__)
        value = theirs / times[fastest]
        reason = f"{fastest}: {times[fastest]:.3g} s against {theirs:.3g} s"
        yield _entry(f"{whats[2]}, {name}", TIME, (value, value, value), reason)


def _shares(content: Content, ours: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    batch = content["settings"]["batches"][-1]
    kind = "bfloat16" if content["machine"]["type"] == "cuda" else "float32"
    rate = values(content, "float32", "machine", "flops_per_second")
    sums = ratio(values(content, "accumulate", "normal equations", "flops_per_second"), rate)
    if sums:
        what = f"share of the float32 matrix rate, normal equations at batch {batch:,}"
        yield _entry(what, SHARE, sums, "the sums of the closed form")
    for row in ours:
        if row["gradient"] and row["share"] is not None:
            narrow = "its layers are narrow: much of a step goes into work that is no matrix product"
            reason = "the whole optimiser step" if row["share"] >= SHARE else narrow
            what = f"share of the {kind} matrix rate, {row['name']} at batch {batch:,}"
            yield _entry(what, SHARE, (row["share"],) * 3, reason)


def _linear(content: Content) -> Iterator[dict[str, Any]]:
    seconds = {
        name: values(content, "linear fit", name, "seconds")
        for name in ("LinearMap", "Ridge, Cholesky", "Ridge, default")
    }
    errors = {name: median(values(content, "linear fit", name, "error")) for name in seconds}
    for name in ("Ridge, Cholesky", "Ridge, default"):
        found = ratio(seconds[name], seconds["LinearMap"])
        if found:
            reason = f"error of the map {errors['LinearMap']:.1e}, scikit-learn's {errors[name]:.1e}"
            yield _entry(f"linear fit, times as fast as scikit-learn's {name}", 1.0, found, reason)
    streams = sorted((m for m in content["measurements"] if m["quantity"] == "stream"), key=lambda m: m["pairs"])
    if len(streams) > 1:
        few, many = streams[0], streams[-1]
        grown = many["bytes"] / max(few["bytes"], 1.0)
        reason = (
            f"{few['bytes'] / 2**20:.0f} MiB at {few['pairs']:,} pairs, {many['bytes'] / 2**20:.0f} MiB at "
            f"{many['pairs']:,}; 10^7 pairs at {many['pairs_per_second']:,.0f}/s are "
            f"{1e7 / many['pairs_per_second']:.0f} s"
        )
        yield {
            "requirement": "memory of a streamed fit, larger over smaller number of pairs (at most)",
            "needed": MEMORY, "value": grown, "low": grown, "high": grown,
            "reached": grown <= MEMORY, "reason": reason,
        }  # fmt: skip


def _coco(content: Content) -> Iterator[dict[str, Any]]:
    measured = [m for m in content["measurements"] if m["quantity"] == "COCO"]
    rate = median(values(content, "bfloat16", "machine", "flops_per_second"))
    for entry in measured:
        name = entry["contender"]
        if "failed" in entry:
            yield _entry(f"COCO's size, {name}: at most 60 s", COCO_SECONDS, None, entry["failed"])
            continue
        taken = entry.get("training_seconds", entry["seconds"])
        yield {
            "requirement": f"COCO's size, {name}: seconds (at most)", "needed": COCO_SECONDS, "value": taken,
            "low": taken, "high": taken, "reached": taken <= COCO_SECONDS, "reason": content["machine"]["device"],
        }  # fmt: skip
        if "flops" in entry and rate:
            share = entry["flops"] / entry["seconds"] / rate
            reason = f"{entry['pairs']:,} pairs a step, {1000 * entry['seconds']:.1f} ms"
            yield _entry(f"COCO's size, {name}: share of the bfloat16 rate", COCO_SHARE, (share,) * 3, reason)


def _entry(what: str, needed: float, found: tuple[float, float, float] | None, reason: str) -> dict[str, Any]:
    value, low, high = found or (None, None, None)
    reached = value is not None and value >= needed
    return {
        "requirement": what, "needed": needed, "value": value, "low": low, "high": high,
        "reached": reached, "reason": reason,
    }  # fmt: skip
