"""The summary as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.bench.record import median, values


def text(content: Mapping[str, Any]) -> str:
    """Machine, contenders and requirements, as three blocks."""
    return "\n\n".join([_machine(content), _contenders(content), requirements(content)])


def _machine(content: Mapping[str, Any]) -> str:
    facts = content["machine"]
    lines = [f"{facts['device']}, {facts['threads']} threads of {facts['cores']} cores, torch {facts['torch']}"]
    for kind in ("float32", "bfloat16"):
        rate = median(values(content, kind, "machine", "flops_per_second"))
        if rate:
            lines.append(f"  {kind} matrix product {rate / 1e9:,.0f} GFLOP/s")
    copied = median(values(content, "bandwidth", "machine", "bytes_per_second"))
    if copied:
        lines.append(f"  memory copy {copied / 1e9:,.1f} GB/s, read and written")
    lines += [f"  left out: {name}: {reason}" for name, reason in content["left_out"].items()]
    return "\n".join(lines)


def _contenders(content: Mapping[str, Any]) -> str:
    settings = content["settings"]
    batches = [str(batch) for batch in settings["batches"]]
    head = [
        "contender", *(f"train/s at {batch}" for batch in batches), "fit: pairs/s", "translate/s", "guided/s",
        "share", "seconds", "cosine", "guided", "R@1", "R@10",
    ]  # fmt: skip
    rows = [head]
    for row in content["contenders"]:
        quality = row["quality"]
        rows.append(
            [
                row["name"],
                *(_rate(row["train"].get(batch)) for batch in batches),
                _rate(row["train"].get("fit")),
                _rate(row["translate"]),
                _rate(row["translate_guided"]),
                _number(row["share"], ".2f"),
                _number(quality.get("seconds"), ".3g"),
                _number(quality.get("cosine"), ".3f"),
                _number(quality.get("guided_cosine"), ".3f"),
                _number(quality.get("centered_recall_at_1"), ".3f"),
                _number(quality.get("centered_recall_at_10"), ".3f"),
            ]
        )
    first: Mapping[str, Any] = next((row["quality"] for row in content["contenders"] if row["quality"]), {})
    best = f", best possible {content['optimum']:.3f}" if content.get("optimum") else ""
    legend = (
        f"share: of the matrix rate that training reaches, at the largest batch; networks trained for "
        f"{settings['budget']:g} s, diffusion with {settings['steps']} steps\n"
        f"cosine: floor {_number(first.get('floor'), '.3f')}{best}; "
        f"R@1, R@10: centered, of {first.get('gallery', '-')} items"
    )
    return f"{_aligned(rows)}\n{legend}"


def requirements(content: Mapping[str, Any]) -> str:
    """The requirements as a table: needed, measured, reached or not, and what stands behind it."""
    rows = [["requirement", "needed", "measured", "range over rounds", "reached", "why"]]
    for entry in content["requirements"]:
        spread = "-" if entry["low"] == entry["high"] else f"{entry['low']:.3g} to {entry['high']:.3g}"
        rows.append(
            [
                entry["requirement"], f"{entry['needed']:g}", _number(entry["value"], ".3g"), spread,
                "yes" if entry["reached"] else "no", entry["reason"],
            ]
        )  # fmt: skip
    return _aligned(rows, left=(0, 5))


def _aligned(rows: list[list[str]], left: tuple[int, ...] = (0,)) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
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
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
