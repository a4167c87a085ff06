"""The command `modtrans`: the core's verbs and the analysis'."""

from __future__ import annotations

import sys

from analysis.cli.claims import Bound, Certify
from analysis.cli.demo import Demo
from analysis.cli.measure import Bench, Compare
from analysis.cli.papers import Figure, Notebooks, Paper, Tables
from analysis.cli.use import Caption, Generate, Migrate
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run

VERBS_HERE: dict[str, type] = {
    "demo": Demo,
    **VERBS,
    "bound": Bound,
    "certify": Certify,
    "paper": Paper,
    "notebooks": Notebooks,
    "bench": Bench,
    "compare": Compare,
    "tables": Tables,
    "figure": Figure,
    "caption": Caption,
    "generate": Generate,
    "migrate": Migrate,
}


def main() -> None:
    """`modtrans`."""
    sys.exit(run(VERBS_HERE, "modtrans", "Translate embeddings between modalities, and say how far to believe it."))
