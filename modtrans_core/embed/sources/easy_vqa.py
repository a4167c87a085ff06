"""Easy-VQA: drawn shapes, with questions and their answers as captions."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from modtrans_core.embed.encoders import IMAGE_ENCODER, TEXT_ENCODER
from modtrans_core.embed.sources.base import Item, Listing
from modtrans_core.extras import require


def easy_vqa(*, limit: int | None = None, seed: int = 0) -> Listing:
    """5,000 pictures of one shape in one colour, each with about ten questions and answers.

    Parameters
    ----------
    limit, seed : at most so many items, in an order that the seed decides.

    Returns
    -------
    Listing
        key: `train/0`. image: 64 x 64 px. text: each question with its answer, `what color is the shape? blue`.
        split: train or test.

    Raises
    ------
    ModuleNotFoundError
        If the package is missing; the message is the command that installs it.
    """
    package = require("easy_vqa", "downstream")

    def items() -> Iterator[Item]:
        for split in ("train", "test"):
            questions = getattr(package, f"get_{split}_questions")()
            pictures = getattr(package, f"get_{split}_image_paths")()
            texts: dict[int, dict[str, None]] = {picture: {} for picture in sorted(pictures)}
            for question, answer, picture in zip(*questions, strict=True):
                texts[picture][f"{question} {answer}"] = None
            for picture, said in texts.items():
                yield Item(f"{split}/{picture}", {"image": Path(pictures[picture]), "text": tuple(said)}, split=split)

    facts = {
        "name": "easy-VQA",
        "captions": "each question with its answer",
        "versions": {"easy-vqa": version("easy-vqa")},
        "licence": "MIT",
        "url": "https://github.com/vzhou842/easy-VQA",
    }
    return Listing(items(), {"image": IMAGE_ENCODER, "text": TEXT_ENCODER}, facts).at_most(limit, seed)
