"""Other modalities and domains: emoji by other artists, other languages, speech, questions about pictures.

The data come as packages (`analysis.experiments.packages`), read in place; what is not there is left out by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from analysis.experiments.cross_domain import MENDED, cross_domain
from analysis.experiments.domains import Crossings
from analysis.experiments.packages import PACKAGES, find
from analysis.experiments.poster_tables import Row
from analysis.experiments.translation import ONE
from analysis.experiments.trial import Trial, every_trial
from analysis.tasks.questions import Answers, weight_of
from modtrans_core import PairedEmbeddings, Pairing, preset
from modtrans_core.progress import Progress, silent
from modtrans_core.vectors import unit

ARTISTS = {"twemoji": "Twemoji", "noto": "Noto"}
"""packages of emoji -> what they are called"""
QUESTIONS = "easy-vqa"
"""a package of Python"""
LOCALES = ("en", "fr", "de", "ru", "hi", "ja")
"""of the emoji names: from the first to each of the others"""
SPOKEN = "fr"
"""the language of which most captions are read aloud"""
METHODS = ("identity", "ridge", "ridge towards tI", "calibrated")
"""presets that are raced where both modalities have one encoder; else the identity and what is drawn to it are not"""
TABLED = (ONE, MENDED)
"""methods beside the poster's Table 4: its own, and `calibrated`"""
KINDS = ("all", "what", "yes/no")
"""of questions"""


def emoji_by_artist(folder: str | Path, items: int = 0, progress: Progress | None = None) -> Crossings:
    """OpenMoji to other pictures of the same emoji, and back: its own line drawings, and other artists'. Cached.

    Keys, groups and names are the same in all of them, so that `cross` trains on no emoji that it tests on.

    Parameters
    ----------
    folder : where packages were fetched to; sets that are not there are left out.
    items : of each set, at most, evenly spaced; 0: all.
    """
    from modtrans_core.embed.pair_set import cached_openmoji, embed

    def loaded(path: Path) -> PairedEmbeddings:
        pairs = PairedEmbeddings.load(path)
        return pairs.at_most(items) if items else pairs

    openmoji = loaded(cached_openmoji(progress=progress))
    others = {"lines": loaded(embed("openmoji", settings={"style": "black"}, progress=progress))}
    for name in there(ARTISTS, folder):
        others[ARTISTS[name]] = loaded(embed(f"iconify:{find(name, folder)}", progress=progress))
    crossings: Crossings = {}
    for name, other in others.items():
        crossings |= {f"OpenMoji to {name}": (openmoji, other), f"{name} to OpenMoji": (other, openmoji)}
    return crossings


def there(names: Iterable[str], folder: str | Path) -> list[str]:
    """Those of the packages that lie in the folder, easy-VQA's if it is installed; none where the folder is ""."""

    def lies(name: str) -> bool:
        if name == QUESTIONS:
            return find_spec("easy_vqa") is not None
        return any(Path(folder).glob(PACKAGES[name].pattern))

    return [name for name in names if folder and lies(name)]


def left_out(names: Sequence[str], folder: str | Path) -> dict[str, str]:
    """The packages that are not `there`, each with the command that fetches it."""
    commands = {name: package.command for name, package in PACKAGES.items()}
    commands[QUESTIONS] = 'pip install -e ".[downstream]"'
    return {name: commands[name] for name in names if name not in there([name], folder)}


def names_by_locale(folder: str | Path, items: int | None = None, progress: Progress | None = None) -> Path:
    """Names of emoji in `LOCALES` through multilingual E5, skin tones left out: cached."""
    from modtrans_core.embed.pair_set import embed

    settings = {"locales": ",".join(LOCALES), "skins": "none"}
    return embed(f"emojibase:{find('emojibase', folder)}", limit=items, settings=settings, progress=progress)


def stamps_read_aloud(folder: str | Path, items: int | None = None, progress: Progress | None = None) -> Path:
    """Pictures, English and French captions, and the French ones read aloud, of Tux Paint's stamps: cached."""
    from modtrans_core.embed.pair_set import embed

    settings = {"modalities": f"image,text-en,text-{SPOKEN},audio-{SPOKEN}"}
    return embed(f"tuxpaint:{find('tuxpaint', folder)}", limit=items, settings=settings, progress=progress)


def shapes_with_questions(
    items: int | None = None, progress: Progress | None = None
) -> tuple[PairedEmbeddings, dict[str, tuple[str, ...]]]:
    """Easy-VQA's pictures with its questions and answers through MiniLM, cached; and what these are, by key."""
    from modtrans_core.embed.pair_set import embed
    from modtrans_core.embed.sources import load_source

    pairs = PairedEmbeddings.load(embed("easy-vqa", limit=items, progress=progress))
    listed = load_source("easy-vqa").items  # type: ignore[attr-defined]  # a listing
    return pairs, {item.key: item.values["text"] for item in listed}


def languages(
    pairs: str | Path, source: str = f"text-{LOCALES[0]}", *, seeds: int = 5, report: Progress = silent
) -> pd.DataFrame:
    """From one language to each other: what the shared space of a multilingual encoder leaves to be learned.

    Parameters
    ----------
    pairs : file or folder of a pair set whose modalities are languages through one encoder.
    report : called with (trials done, trials).

    Returns
    -------
    One row a method: `route`, `method`, `seed`, the scores, and `t`, the multiple of the identity that was chosen (None
    of other methods).
    """
    routes = [(source, target) for target in PairedEmbeddings.load(pairs).arrays if target != source]
    return pd.concat(every_trial(_from_language, pairs, routes, seeds, report), ignore_index=True)


def _from_language(trial: Trial) -> pd.DataFrame:
    fitted = trial.race({name: _preset(name, trial.seed) for name in METHODS})
    for row in trial.rows:
        t = getattr(fitted[row["method"]], "t", None)
        row["t"] = None if t is None else float(t)
    return trial.table()


def controlled(
    pairs: PairedEmbeddings,
    source: str,
    target: str,
    *,
    seeds: int = 5,
    methods: Sequence[str] = ("ridge", "calibrated"),
    landmarks: int = 512,
    report: Progress = silent,
) -> pd.DataFrame:
    """Groups kept together and torn apart, each with the pairs of the training part as they are and shuffled.

    All splits are at random: a data set's own would be the same for both.

    Near-copies on both sides of a split can be recognised and need no translation: what is better by item than by group
    is that leak. Of shuffled pairs nothing can be learned but the mean, so that they must rank at chance.

    Parameters
    ----------
    methods : names of presets.
    landmarks : radial basis functions of `calibrated`, at most.
    report : called with (ways to split done, in all).

    Returns
    -------
    One row a method: `split` (by group, by item), `training` (paired, shuffled), `route`, `method`, `seed`, the scores,
    and `chance`, the recall@10 of a ranking at random.
    """
    found = []
    with TemporaryDirectory() as folder:
        pairs = replace(pairs, own_split=None)  # which would be both
        alone = replace(pairs, group=np.arange(len(pairs)))
        for done, (name, one) in enumerate({"by group": pairs, "by item": alone}.items()):
            path = Path(folder) / f"{done}.npz"
            one.save(path)
            work = partial(_paired_and_shuffled, methods=methods, landmarks=landmarks)
            tables = every_trial(work, path, [(source, target)], seeds)
            found += [table.assign(split=name) for table in tables]
            report(done + 1, 2)
    table = pd.concat(found, ignore_index=True)
    return table.assign(chance=np.minimum(1.0, 10 / table["gallery"]))


def _paired_and_shuffled(trial: Trial, methods: Sequence[str], landmarks: int) -> pd.DataFrame:
    rng = np.random.default_rng([trial.seed, 1])
    train, validation = (shuffle(part, rng) for part in (trial.train, trial.validation))
    shuffled = Trial.between(trial.seed, train, validation, trial.test)
    for name, one in {"paired": trial, "shuffled": shuffled}.items():
        one.race({method: _preset(method, trial.seed, landmarks) for method in methods}, training=name)
    return pd.concat([trial.table(), shuffled.table()], ignore_index=True)


def shuffle(pairing: Pairing, rng: np.random.Generator) -> Pairing:
    """The same conditions and the same targets, in pairs at random."""
    order, target, pairs = rng.permutation(len(pairing.pairs)), pairing.target, pairing.pairs
    arrays = {**pairs.arrays, target: pairing.targets[order]}
    counts = {**pairs.counts, **({} if pairing.counts is None else {target: pairing.counts[order]})}
    return Pairing(replace(pairs, arrays=arrays, counts=counts), pairing.source, target)


def _preset(name: str, seed: int, landmarks: int = 512) -> Any:
    return preset(name, {"seed": seed, "landmarks": landmarks} if name == "calibrated" else {})


def questions(
    pairs: PairedEmbeddings, texts: Mapping[str, Sequence[str]], *, seeds: int = 5, report: Progress = silent
) -> pd.DataFrame:
    """Questions about a picture, answered by its translation into the embeddings of questions with their answers.

    Parameters
    ----------
    pairs : `image`, and as `text` the questions of an item, each with its answer, in the order of `texts`.
    texts : key of an item -> its texts, `what color is the shape? blue`.

    Returns
    -------
    One row a method and kind of question: `method` (`prior`, the presets, `ridge, shuffled`), `seed`, `kind` (of
    `KINDS`), `accuracy`, `questions`, `pictures` (both of the test part) and `weight`, chosen on the validation part.
    """
    pairs = replace(pairs, own_split=None)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.npz"
        pairs.save(path)
        work = partial(_answered, texts=texts)
        return pd.concat(every_trial(work, path, [("image", "text")], seeds, report), ignore_index=True)


def _answered(trial: Trial, texts: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    asked, vectors = _asked(trial.train, texts), unit(trial.train.z)
    answers = Answers.of(*asked, vectors)
    shuffled = shuffle(trial.train, np.random.default_rng([trial.seed, 1]))
    rivals = {name: (trial, name) for name in ("ridge", "calibrated")}
    rivals["ridge, shuffled"] = Trial.between(trial.seed, shuffled, trial.validation, trial.test), "ridge"
    held, test = (_asked(part, texts) for part in (trial.validation, trial.test))
    what = np.array([question.startswith("what") for question in test[0]])
    kinds = dict(zip(KINDS, (np.ones(len(what), dtype=bool), what, ~what), strict=True))
    rows = []
    for method, (one, name) in {"prior": (trial, ""), **rivals}.items():
        weight, delta = 0.0, np.zeros((len(what), trial.test.d))
        if name:
            fitted = one.fit(_preset(name, trial.seed), unseen=True)
            deltas = (
                (fitted.translate(np.asarray(part.c)) - one.mean)[
                    np.searchsorted(part.item, part.pairs.rows("text")[1])
                ]
                for part in (trial.validation, trial.test)
            )
            on_validation, delta = deltas
            weight = weight_of(answers, on_validation, *held)
        right = answers.choose(delta, test[0], weight) == np.array(test[1])
        rows += [
            {"method": method, "seed": trial.seed, "kind": kind, "accuracy": right[which].mean(), "weight": weight}
            | {"questions": int(which.sum()), "pictures": len(trial.test.pairs)}
            for kind, which in kinds.items()
        ]
    return pd.DataFrame(rows)


def _asked(part: Pairing, texts: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """The questions and the answers of a part, in the order of its targets."""
    assert part.pairs.key is not None
    both = [text.rpartition(" ") for key in part.pairs.key for text in texts[str(key)]]
    return [question for question, _, _ in both], [answer for _, _, answer in both]


def table4_rows(
    folder: Path | None,
    seeds: int,
    report: Progress = silent,
    *,
    items: int = 1000,
    steps: int = 150,
    landmarks: int = 256,
) -> list[Row]:
    """Beside the poster's Table 4: one set of emoji to train on, another to test on, both ways.

    Parameters
    ----------
    folder : where packages were fetched to; None: OpenMoji in colour and its line drawings alone.
    report : called with (hundredths of a crossing done, in all).
    items : of each set, at most, evenly spaced; 0: all.
    steps : optimiser steps of the poster's translator.
    landmarks : radial basis functions of `calibrated`, at most.

    Returns
    -------
    A row a crossing, method and score: `Sim_txt` of pictures to texts, `Sim_img` of texts to pictures. The floor is the
    cosine of the mean of the targets that were trained on.
    """
    crossings = emoji_by_artist(folder or "", items)
    routes = {("image", "text"): "Sim_txt", ("text", "image"): "Sim_img"}
    sizes: dict[str, Any] = {"landmarks": landmarks, "steps": steps, "methods": TABLED}
    scores = cross_domain(crossings, list(routes), seeds, report=report, **sizes)
    rows = []
    for (crossing, method, route), own in scores.groupby(["crossing", "method", "route"], sort=False):
        if method not in TABLED:
            continue
        away, home = (own[own["trained"] == where] for where in ("away", "home"))
        facts = {"floor": float(away["floor"].mean()), "gallery": int(away["gallery"].mean())}
        facts["recall_at_10"] = float(away["centered_recall_at_10"].mean())
        score = next(score for pair, score in routes.items() if " → ".join(pair) == route)
        why = f"trained at home {home['cosine'].mean():.3f}, centered R@10 {home['centered_recall_at_10'].mean():.3f}"
        data = f"EfficientNet-lite0, MiniLM, {route}, {own['n'].iloc[0]} items to train on"
        rows.append(Row.of(4, f"{crossing}: {method}", score, away["cosine"].tolist(), data=data, why=why, **facts))
    return rows
