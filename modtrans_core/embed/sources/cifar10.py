"""CIFAR-10: 60,000 pictures of ten kinds of things, with prompts for captions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modtrans_core.embed.sources.base import Item, Listing, caption
from modtrans_core.embed.sources.captioned import ENCODERS
from modtrans_core.embed.sources.cifar_batches import CLASSES, read_batches


def cifar10(path: str, *, limit: int | None = None, seed: int = 0, templates: str = "a photo of a {}.") -> Listing:
    """CIFAR-10 in its binary or its python version. All pictures are held in memory, 184 MB.

    Parameters
    ----------
    path : `cifar-10-binary.tar.gz`, `cifar-10-python.tar.gz`, a folder of batches, or a folder with one of these.
        The binary version is preferred; the pickles of the other are read without running anything that they name.
    limit, seed : at most so many items, in an order that the seed decides.
    templates : prompts separated by `|`, or a file with one a line; `{}` in each is where the class goes.

    Returns
    -------
    Listing
        key: `batch/number`. image: (32, 32, 3) uint8. text: one caption a template. split: train or test. label: its class.

    Raises
    ------
    ValueError
        If there are no batches, one is not what CIFAR-10 has, or a template has no `{}`.
    """
    if not Path(path).exists():
        raise ValueError(f"{path}: no such file or folder")
    prompts = _prompts(templates)

    def items() -> Iterator[Item]:
        for batch, (pictures, labels) in read_batches(Path(path)).items():
            split = "test" if batch == "test_batch" else "train"
            for number, (picture, label) in enumerate(zip(pictures, labels.tolist(), strict=True)):
                texts = tuple(prompt.replace("{}", CLASSES[label]) for prompt in prompts)
                yield Item(f"{batch}/{number:05d}", {"image": picture, "text": texts}, split=split, label=label)

    facts = {
        "name": "CIFAR-10",
        "captions": " | ".join(prompts),
        "url": "https://www.cs.toronto.edu/~kriz/cifar.html",
    }
    return Listing(items(), ENCODERS["image"], facts, classes=CLASSES).at_most(limit, seed)


def _prompts(templates: str) -> list[str]:
    if "{}" not in templates and Path(templates).is_file():
        where = templates
        prompts = list(filter(bytes.strip, Path(templates).read_bytes().splitlines()))
    else:
        where, prompts = repr(templates), [prompt.encode() for prompt in templates.split("|")]
    if not prompts or not all(b"{}" in prompt for prompt in prompts):
        raise ValueError(f"templates: {where}: '{{}}' for the class is needed in each, or a file with one a line")
    try:
        return [caption(prompt) for prompt in prompts]
    except ValueError as error:
        raise ValueError(f"templates: {where}: {error}") from None
