"""The core's verbs: embed, pack, train, translate, rank, evaluate, export, convert. Also `python -m modtrans_core`."""

from __future__ import annotations

import sys

from modtrans_core.cli.data import Convert, Embed, Pack
from modtrans_core.cli.export import Export
from modtrans_core.cli.rank import Rank
from modtrans_core.cli.train import Train
from modtrans_core.cli.use import Evaluate, Translate
from modtrans_core.cli.verb import run

VERBS: dict[str, type] = {
    "embed": Embed,
    "pack": Pack,
    "train": Train,
    "translate": Translate,
    "rank": Rank,
    "evaluate": Evaluate,
    "export": Export,
    "convert": Convert,
}


def main() -> None:
    """`python -m modtrans_core`."""
    sys.exit(run(VERBS, "modtrans", "Train and run a translator between the embeddings of two modalities."))
