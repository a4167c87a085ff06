"""Table 6 of the poster: classification by prompts, of pictures that are translated into the space of texts.

The pair set has `label` and, in its metadata, the names of the `classes`. CIFAR-10 has its own (`cifar10`); OpenMoji
gets the subgroups of Unicode's list from the package `emojibase-data` (`labelled`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.experiments.data import load_pairs, one_vector
from analysis.experiments.packages import PACKAGES, find
from analysis.experiments.retrieval import needed, shared_space
from analysis.experiments.trial import Trial, every_trial
from analysis.tasks.classification import CIFAR10, chosen, class_vectors, classified, pull
from modtrans_core import PairedEmbeddings, Translator, preset
from modtrans_core.checks import refuse_unless
from modtrans_core.embed.sources.openmoji import without_selector
from modtrans_core.embed.sources.tars import files
from modtrans_core.progress import Progress, silent
from modtrans_core.store.contents import CLASSES

TEMPLATES = ("a picture of {}",)
"""of OpenMoji's subgroups"""
METHODS = ("ridge", "procrustes", "calibrated")
WAYS = (("cosine", False), ("centered", True), ("csls", True), ("inverted", True), ("dual", True))
"""(score, whether both sides are centered)"""
MEASURES = ["accuracy", "accuracy_5", "class_recall", "largest_class", "bonus", "follows"]
MAJORITY, TRUE_TEXT, RAW = "majority", "true text", "raw"
"""methods that are no translation: the commonest training class, the item's own first text, the condition itself"""


def classification(
    trial: Trial, classes: np.ndarray, methods: Sequence[str] = METHODS, landmarks: int = 256
) -> pd.DataFrame:
    """Every method by every score of `WAYS`, on one split of a labelled pair set.

    Parameters
    ----------
    trial : from pictures to texts; the pair set has labels.
    classes : (C, d) of `class_vectors`, in the space of the targets.
    methods : presets. `RAW` is added where both modalities share a space.
    landmarks : of `calibrated`, at most.

    Returns
    -------
    One row a method and score: `route`, `seed`, `method`, `score`, `parameter`, `transductive`, and `MEASURES`: what
    `analysis.tasks.classification.classified` says, and of the cosine what `pull` says. A map is fitted to the training
    part, the parameter of a score chosen on the validation part. Beside them are `MAJORITY` and `TRUE_TEXT`, and `RAW`
    where both modalities share a space.

    Raises
    ------
    ValueError
        The pair set has no labels.
    """
    train, validation, test = trial.train, trial.validation, trial.test
    label = _labels(test.pairs)[test.item]
    held = _labels(validation.pairs)[validation.item]
    facts = {"route": trial.route, "seed": trial.seed}
    sizes = np.bincount(np.maximum(_labels(train.pairs), 0), _labels(train.pairs) >= 0, minlength=len(classes))
    constant = np.tile(np.eye(len(classes))[sizes.argmax()], (len(label), 1))
    rows = [{**facts, "method": MAJORITY, **classified(constant, label, np.eye(len(classes))), "score": ""}]
    text = one_vector(test.pairs, test.target)
    for score, mean in (("cosine", None), ("centered", trial.mean)):
        found = classified(text, _labels(test.pairs), classes, score, mean=mean)
        rows.append({**facts, "method": TRUE_TEXT, **found})
    if shared_space(test.pairs, test.source, test.target):
        rows.append({**facts, "method": RAW, **classified(np.asarray(test.c), label, classes)})
    for name in methods:
        settings = {"seed": trial.seed, "landmarks": landmarks} if name == "calibrated" else {}
        translator = trial.fit(preset(name, settings), unseen=True)
        zhat, before = translator.translate(np.asarray(test.c)), translator.translate(np.asarray(validation.c))
        for score, centered in WAYS:
            needs = needed(trial, translator, score, centered)
            needs["parameter"] = chosen(before, held, classes, score, **needs)
            more = pull(zhat, classes, trial.mean) if score == "cosine" else {}
            rows.append({**facts, "method": name, **classified(zhat, label, classes, score, **needs), **more})
    return pd.DataFrame(rows)


def openmoji_classes(
    folder: str | Path, pairs: str = "", seeds: int = 5, report: Progress = silent, landmarks: int = 256
) -> pd.DataFrame:
    """`classification` of OpenMoji's subgroups on several splits; for the section of notebook 17.

    Parameters
    ----------
    folder : where `npm pack emojibase-data` was run.
    pairs : pair set from image to text, of OpenMoji. Default: embedded once and cached.
    seeds, report : as for `analysis.experiments.trial.every_trial`.
    landmarks : of `calibrated`, at most.

    Returns
    -------
    The rows of `classification`, all seeds together. A notebook shows them with
    `mean_and_spread(found, ["method", "score", "transductive"], MEASURES)`, beside `mended(found)`.
    """
    data, path = load_pairs(pairs)
    data = labelled(data, find("emojibase", folder))
    vectors = class_vectors(data.metadata[CLASSES], TEMPLATES, _encoder(path, data))
    with tempfile.TemporaryDirectory() as scratch:
        data.save(file := Path(scratch) / "labelled.npz")
        work = partial(classification, classes=vectors, landmarks=landmarks)
        return pd.concat(every_trial(work, file, [("image", "text")], seeds, report), ignore_index=True)


def mended(found: pd.DataFrame) -> pd.DataFrame:
    """What each step adds, one row a map: by cosine, centered, corrected with a bank, and the own text's.

    Returns
    -------
    `method`; `cosine`, `centered`, `corrected` (the better of csls and inverted, by the mean), `true_text` (centered):
    accuracies, means over seeds; `recall_cosine`, `recall_centered`, `recall_corrected`, the mean class recall of
    these: a correction for hubs names classes alike often, which costs accuracy where their sizes differ;
    `largest_before` and `largest_after`, the share of the largest predicted class by cosine
    and centered; `bonus` and `follows` by cosine.
    """
    mean = found.groupby(["method", "score"])[MEASURES].mean()
    top, rows = mean.loc[TRUE_TEXT, "centered"]["accuracy"], []
    for name in found["method"].unique():
        if name in (MAJORITY, TRUE_TEXT, RAW):
            continue
        own = mean.loc[name]
        ways = {"cosine": "cosine", "centered": "centered"}
        ways["corrected"] = str(own.loc[["csls", "inverted"], "accuracy"].idxmax())
        row = {"method": name, **{way: own.loc[score, "accuracy"] for way, score in ways.items()}, "true_text": top}
        row |= {f"recall_{way}": own.loc[score, "class_recall"] for way, score in ways.items()}
        row |= {f"largest_{when}": own.loc[ways[way], "largest_class"]
                for when, way in (("before", "cosine"), ("after", "centered"))}  # fmt: skip
        rows.append(row | own.loc["cosine", ["bonus", "follows"]].to_dict())
    return pd.DataFrame(rows)


SHOWN = (
    (MAJORITY, ""), ("ridge", "cosine"), ("ridge", "centered"), ("ridge", "inverted"), ("calibrated", "cosine"),
    ("calibrated", "centered"), ("calibrated", "inverted"), (TRUE_TEXT, "centered"),
)  # fmt: skip
"""(method, score): the offline rows of the table"""
DATA = "OpenMoji, 98 subgroups of Unicode's list, EfficientNet → MiniLM"


def table6_rows(folder: Path | None, seeds: int = 5, report: Progress = silent, **options: Any) -> list[Any]:
    """The rows of the poster's Table 6, in per cent; see `analysis.experiments.poster_tables`.

    Parameters
    ----------
    folder : where packages were fetched to; None, or no `emojibase-data` there: nothing is measured.
    options : of `openmoji_classes`.

    Returns
    -------
    `Row`s. The poster's pictures and weights are in no package, so that its rows are not measured. What makes them as
    they are is: a translation has less accuracy than the text that it stands for, and part of that is the mean's.
    """
    from analysis.experiments.poster_tables import Row, verdict

    usual = {"ViT-B/32": 89.83, "ViT-L/14": 95.59}
    why = "it takes CIFAR-10 and open_clip's weights; {} is what open_clip publishes for them by 18 prompts"
    rows = [
        Row.of(6, f"raw: {name}", "accuracy", verdict="could not be", why=why.format(known))
        for name, known in usual.items()
    ]
    if folder is None or not list(Path(folder).glob(PACKAGES["emojibase"].pattern)):
        return rows
    found = openmoji_classes(folder, seeds=seeds, report=report, **options)
    by = mended(found).set_index("method")
    holds = bool((by["cosine"] < by["centered"]).all() and (by["cosine"] < by["true_text"]).all())
    values = {name: part.sort_values("seed") for name, part in found.groupby(["method", "score"])}
    floor = 100 * float(values[MAJORITY, ""]["accuracy"].mean())
    told = (
        "translating costs accuracy, for the mean favours the classes near it: the largest predicted class has"
        " {largest_before:.0%} of all, centered {largest_after:.0%}, and centering lifts the accuracy from {cosine:.1%}"
        " to {centered:.1%}, of {true_text:.1%} that the true text has"
    ).format(**by.loc["calibrated"])
    ours = list(100 * values["calibrated", "cosine"]["accuracy"])
    word = verdict(60.74, float(np.mean(ours)), same=False, holds=holds)
    rows.append(
        Row.of(6, "ours: ViT-B/32", "accuracy", ours, floor=floor, data=f"{DATA}, calibrated", verdict=word, why=told)
    )
    for method, score in SHOWN:
        part = values[method, score]
        for measure, name in (("accuracy", "accuracy"), ("class_recall", "mean class recall")):
            lowest = floor if measure == "accuracy" else 100 * float(values[MAJORITY, ""][measure].mean())
            called = ", ".join(filter(None, ("offline: " + method, score)))
            rows.append(Row.of(6, called, name, list(100 * part[measure]), floor=lowest, data=DATA))
    return rows


def labelled(pairs: PairedEmbeddings, package: str | Path) -> PairedEmbeddings:
    """OpenMoji with the subgroups of Unicode's list as labels.

    Parameters
    ----------
    package : file of `npm pack emojibase-data`, read in place.

    Returns
    -------
    The set with `label` and the names of the classes that occur in it, "cat face" for `cat-face`; -1 where the package
    does not know an emoji.

    Raises
    ------
    ValueError
        The pair set has no keys, the package knows none of them, or it is another package.
    """
    refuse_unless(pairs.key is not None, "key", None, "the code points of each item")
    known = subgroups(package)
    named = [known.get(without_selector(key), "") for key in np.asarray(pairs.key).tolist()]
    classes = sorted(set(named) - {""})
    refuse_unless(bool(classes), "key", str(pairs.key[0]), f"an emoji that {package} knows")  # type: ignore[index]
    number = {name: place for place, name in enumerate(classes)}
    label = np.array([number.get(name, -1) for name in named])
    return replace(pairs, label=label, metadata={**pairs.metadata, CLASSES: classes})


def subgroups(package: str | Path) -> dict[str, str]:
    """Code points, without U+FE0F -> the name of the subgroup, blanks for its hyphens."""
    try:
        wanted = ("package/meta/groups.json", "package/en/data.json")
        found = files(package, wanted.__contains__)
        names, emoji = (json.loads(found[name]) for name in wanted)
        listed = [entry for entry in emoji if "subgroup" in entry]
        every = [(one["hexcode"], entry) for entry in listed for one in (entry, *entry.get("skins", ()))]
        return {
            without_selector(code): names["subgroups"][str(entry["subgroup"])].replace("-", " ")
            for code, entry in every
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{package}: not emojibase-data ({error})") from None


def cifar10(
    path: str | Path,
    encoders: Mapping[str, str] | None = None,
    translator: Translator | None = None,
    *,
    out: str | Path | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """The test part of CIFAR-10 by its 18 templates: raw where both encoders share a space, and translated.

    Parameters
    ----------
    path : batches, as for the source `cifar10`.
    encoders : of image and text, by name. Default: CLIP ViT-B/32.
    translator : of the pictures' embeddings into texts'; it knows no class.
    out, limit, progress : as for `modtrans_core.embed.embed`.

    Returns
    -------
    One row a method and score, as `classification` has them, of `RAW` and of the translator by cosine and centered.

    Raises
    ------
    ValueError
        Encoders that do not share a space, and no translator; a translator of others.
    """
    from modtrans_core.embed import embed, load_encoder

    source = f"cifar10:{path}"
    file = embed(source, out, encoders, limit=limit, progress=progress)
    data = PairedEmbeddings.load(file)
    text = (encoders or {}).get("text") or str(data.encoder("text")["encoder"])
    classes = class_vectors(data.metadata[CLASSES], CIFAR10, load_encoder(text, "text").encode)
    return by_prompts(data.take(np.flatnonzero(np.asarray(data.own_split) == 2)), classes, translator)


def by_prompts(test: PairedEmbeddings, classes: np.ndarray, translator: Translator | None = None) -> pd.DataFrame:
    """Labelled pictures by the vectors of their classes (C, d); see `cifar10`."""
    image = one_vector(test, "image")
    rows: list[dict[str, Any]] = []
    if shared_space(test, "image", "text"):
        rows.append({"method": RAW, **classified(image, _labels(test), classes)})
    if translator is not None:
        translator.facts.refuse(test, "image")
        zhat, mean = translator.translate(image), translator.mean.cpu().numpy()
        for score, centre in (("cosine", None), ("centered", mean)):
            more = pull(zhat, classes, mean) if score == "cosine" else {}
            found = classified(zhat, _labels(test), classes, score, mean=centre)
            rows.append({"method": translator.method, **found, **more})
    refuse_unless(bool(rows), "translator", None, "one, as image and text have encoders of their own,")
    return pd.DataFrame(rows)


def _labels(pairs: PairedEmbeddings) -> np.ndarray:
    if pairs.label is None:
        raise ValueError("label: None, the class of each item is needed")
    return pairs.label


def _encoder(path: Path, data: PairedEmbeddings) -> Any:
    """Texts -> vectors, by the encoder that the set's texts went through."""
    from modtrans_core.embed import load_encoder

    name = data.encoder("text").get("encoder")
    refuse_unless(isinstance(name, str), "pairs", str(path), "a set that names the encoder of its texts")
    return load_encoder(str(name), "text").encode
