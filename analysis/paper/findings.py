"""What was found, in the README's words: every number and every verdict from the notebooks' results.

    python -m analysis.paper.findings modtrans-paper/numbers.json

writes the section of README.md anew, and beside the paper the numbers that it took, so that a test can tell whether the
README says what they say.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from modtrans_core.store.files import read_description

ROOT = Path(__file__).parents[2]
README, TAKEN = ROOT / "README.md", ROOT / "papers" / "modality-translation" / "findings.json"
BEGIN, END = "## What was found\n", "## Where things are\n"
METHODS = {"ridge": "ridge", "procrustes": "procrustes", "added": "ridge + best gamma F"}
METHODS |= {"one": "poster, 1 step", "many": "poster, 50 steps"}
NOTEBOOKS = ("03_cosine_bound", "04_translation", "07_presets", "13_cosine_to_recall")
SCORES = ("cosine", "cosine_sd", "floor", "centered_recall_at_10")


def taken(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that the findings need, of those of all notebooks."""
    bound, translation, presets, recall = (numbers[name] for name in NOTEBOOKS)
    routes = {
        route: {key: {score: rows[name].get(score) for score in SCORES} for key, name in METHODS.items()}
        for route, rows in translation["routes"].items()
    }
    trained = [[row["bound"], row["observed_pairs"]] for row in translation["certificates"]]
    place = bound["overstatement"]["d"].index(512)
    return {
        **{name: translation[name] for name in ("items", "gallery", "seeds", "steps")},
        "routes": routes,
        "trained": trained,
        "overstated": {
            "gamma": bound["gamma"],
            "uniform": bound["overstatement"]["0.8"][place],
            "limit": bound["limits"][1],
        },
        "enough": recall["enough_at_1"],
        "calibrated": {
            route: {score: rows["calibrated, cosine"][score] for score in ("cosine", "own_recall_at_10")}
            for route, rows in presets["routes"].items()
        },
    }


def findings(of: Mapping[str, Any]) -> str:
    """The section below its heading, as markdown."""
    (first, one), (second, two) = of["routes"].items()
    steps = "One step beats many" if one["one"]["cosine"] > one["many"]["cosine"] else "Many steps beat one"
    promised, observed = (_range([row[i] for row in of["trained"]]) for i in (0, 1))
    gains = " and ".join(_bare(route["added"]["cosine"] - route["ridge"]["cosine"]) for route in (one, two))
    apart = two["ridge"]["cosine"] > two["procrustes"]["cosine"]
    apart &= two["ridge"]["centered_recall_at_10"] < two["procrustes"]["centered_recall_at_10"]
    over = of["overstated"]
    verdict = "not" if apart else "also"
    ours = of["calibrated"][second]
    best = [max(row[score] for row in two.values()) for score in ("cosine", "centered_recall_at_10")]
    has = "has" if ours["cosine"] > best[0] and ours["own_recall_at_10"] > best[1] else "has not"
    cosines, recalls = (
        [_bare(two[name][score]) for name in ("ridge", "procrustes")] for score in ("cosine", "centered_recall_at_10")
    )
    lines = [
        f"OpenMoji: {of['items']:,} emoji, pictures and names; {of['gallery']} for the test, mean ± standard deviation"
        f" of {of['seeds']} seeds.",
        f"- **{steps}.** Trained for {of['steps']} steps, the poster's translator has a cosine of {_spread(one['one'])}"
        f" with one sampling step and {_spread(one['many'])} with fifty ({first}; floor {_bare(one['ridge']['floor'])},"
        f" ridge map {_bare(one['ridge']['cosine'])}). {_link('04_translation')}",
        f"- **The printed bound is not a lower bound.** At |*cM*| = .8, γ = {over['gamma']:g} it promises up to"
        f" {_bare(over['uniform'])} too much of a random *F* at *d* = 512, and {_bare(over['limit'])} as *d* grows."
        f" {_link('03_cosine_bound')}",
        f"- **The bound says little of a trained *F*.** In {len(of['trained'])} trainings it promises {promised};"
        f" {observed} is observed. {_link('04_translation')}",
        f"- **The sampled vector adds little:** {gains} of cosine to a ridge map, at best. {_link('04_translation')}",
        f"- **The best cosine is {verdict} the best ranking.** {second.capitalize()}, the ridge map has"
        f" {cosines[0]} and centered recall@10 {recalls[0]}, Procrustes {cosines[1]} and {recalls[1]}."
        f" `calibrated` {has} both: {_bare(ours['cosine'])} and, by its own ranking, {_bare(ours['own_recall_at_10'])}"
        f" ({_link('07_presets')}). A cosine of .8 ensures rank 1 for {of['enough']:.2%} of items."
        f" {_link('13_cosine_to_recall')}",
    ]
    head, *rest = (
        fill(line, 120, subsequent_indent="  " * line.startswith("-"), break_long_words=False, break_on_hyphens=False)
        for line in lines
    )
    return "\n".join([head, "", *rest])


def _link(notebook: str) -> str:
    return f"[{notebook[:2]}](notebooks/{notebook}.py)"


def with_findings(readme: str, of: Mapping[str, Any]) -> str:
    """The README with the section of these numbers."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{findings(of)}\n\n{END}{rest.split(END)[1]}"


def _bare(x: float) -> str:
    """Three decimals, without a zero before the point."""
    return f"{x:.3f}".replace("0.", ".", 1)


def _spread(row: Mapping[str, float]) -> str:
    return f"{_bare(row['cosine'])} ± {_bare(row['cosine_sd'])}"


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}".replace("0.", ".")


if __name__ == "__main__":
    found = taken(read_description(sys.argv[1], dict.fromkeys(NOTEBOOKS, "an object")))
    TAKEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    README.write_text(with_findings(README.read_text(encoding="utf-8"), found), encoding="utf-8")
