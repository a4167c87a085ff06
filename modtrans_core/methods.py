"""Methods by name, and what is done with any of them: fit, load, evaluate.

The core has two, `calibrated` and `poster`. Others are found in the entry-point group `modtrans.methods`: what
registers a `modtrans_core.protocol.Method` there can be trained, saved, evaluated and certified like these.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, is_dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modtrans_core import distributed
from modtrans_core import run as runs
from modtrans_core.checks import in_one_line, naming, refuse_absent_modality, refuse_unless
from modtrans_core.device import device_of
from modtrans_core.pairing import Pairing
from modtrans_core.pairs import PairedEmbeddings, refuse_no_pairs
from modtrans_core.progress import Progress, reporting, silent
from modtrans_core.protocol import Facts, Method, Ranks, Translator, in_full_precision, refuse_no_translator
from modtrans_core.scores import score
from modtrans_core.seen import Seen
from modtrans_core.settings import changed, from_dict, paths, refuse_kinds
from modtrans_core.store.locks import holding
from modtrans_core.vectors import present, several

CORE = {"calibrated": "modtrans_core.calibrated", "poster": "modtrans_core.poster"}
GROUP = "modtrans.methods"
NO_SKILL = "the constant mean translates better"
JUDGED_ON = 1024
"""validation items, at most, on which a fitted translator is compared with the constant mean"""


_OWN: dict[str, Method] = {}


def register(name: str, own: Method) -> None:
    """Make a method known to this process, as an entry point makes it known to all: one that a notebook defines.

    A name that was registered here before is replaced, so that a cell can be run again.

    Raises
    ------
    ValueError
        The core or an installed package has a method of that name; another method has its class of settings, or a
        preset of such a name.
    """
    refuse_unless(name not in {*CORE, *_registered()}, "method", name, "a name that no other method has")
    _refuse_clash(name, own, {other: one for other, one in loadable() if other != name})
    _OWN[name] = own


def names() -> list[str]:
    """The names of all methods, the core's first."""
    return list(dict.fromkeys([*CORE, *_registered(), *_OWN]))


def method(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    ValueError
        No method has that name, or the package that registers it cannot be loaded.
    """
    if name in CORE:
        found: Method = import_module(CORE[name]).METHOD
        return found
    if name in _OWN:
        return _OWN[name]
    registered = _registered()
    refuse_unless(name in registered, "method", name, f"one of {', '.join(names())}")
    return _loaded(registered[name])


def loadable() -> Iterator[tuple[str, Method]]:
    """Every method by its name, the core's first. One that cannot be loaded is warned of and left out."""
    known = {name: method(name) for name in (*CORE, *_OWN)}
    yield from known.items()
    failed: list[str] = []
    for name, entry in _registered().items():
        if name in CORE:
            continue
        try:
            found = _loaded(entry)
            _refuse_clash(name, found, known)
        except ValueError as error:
            failed.append(str(error))
        else:
            known[name] = found
            yield name, found
    if failed:
        more = f"; {len(failed) - 1} other methods neither" if len(failed) > 1 else ""
        warnings.warn(f"{failed[0]}{more}", stacklevel=3)


def _refuse_clash(name: str, own: Method, others: Mapping[str, Method]) -> None:
    """Refuse what is no method, and one that would be taken for another: by its settings' class or a preset's name."""
    of = f"method: {name!r}"
    refuse_unless(isinstance(own, Method), of, own, "a modtrans_core.protocol.Method")
    settings = isinstance(own.config, type) and is_dataclass(own.config)
    refuse_unless(settings, f"{of}: config", own.config, "a dataclass")
    refuse_kinds(f"{of}: config", own.config)
    right = isinstance(own.presets, Mapping) and all(type(one) is own.config for one in own.presets.values())
    refuse_unless(right, f"{of}: presets", own.presets, f"{own.config.__name__} by names")
    for other, one in others.items():
        free = one.config is not own.config
        refuse_unless(free, f"{of}: config", own.config.__name__, f"another class than that of {other!r}")
        taken = min(own.presets.keys() & one.presets.keys(), default=None)
        refuse_unless(taken is None, f"{of}: presets", taken, f"a name that {other!r} has no preset of")


def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _loaded(entry: EntryPoint) -> Method:
    try:
        found = entry.load()
        if not isinstance(found, Method):
            raise TypeError(f"{type(found).__name__}, a modtrans_core.protocol.Method is needed")
    except Exception as error:
        why = in_one_line(error, None)
        package = entry.module.partition(".")[0]
        if isinstance(error, ImportError) and package in sys.modules:  # whose it is: one may have the same name
            why += f"; {package} is {next(iter(getattr(sys.modules[package], '__path__', [])), None) or 'one file'}"
        raise ValueError(f"method: {entry.name!r} ({entry.value}) cannot be loaded: {why}") from None
    return found


def presets() -> dict[str, Any]:
    """Every preset's config by its name; a method that cannot be loaded has none."""
    found: dict[str, Any] = {}
    for _, one in loadable():
        found |= one.presets
    return found


def preset(name: str, settings: Mapping[str, Any] | None = None) -> Any:
    """The config of that name: `calibrated`, `poster`, or a preset of another registered method.

    Parameters
    ----------
    settings : values that take the place of the preset's, by dotted paths.

    Raises
    ------
    ValueError
        No preset has that name, or a setting is unknown, ill-typed or impossible.

    Examples
    --------
    >>> preset("poster", {"gamma": 0.5, "train.steps": 100}).train.steps
    100
    """
    known = presets() if name not in CORE else method(name).presets
    refuse_unless(name in known, "preset", name, f"one of {', '.join(sorted(known))}")
    return changed(known[name], settings or {})


def named(config: Any) -> tuple[str, Method]:
    """The method whose config this is, and its name."""
    name = next((name for name, one in loadable() if type(config) is one.config), None)
    if name is None:
        raise ValueError(f"config: {type(config).__name__}, that of a method among {', '.join(names())} is needed")
    return name, method(name)


@in_full_precision
def fit(
    pairs: PairedEmbeddings,
    source: str = "image",
    target: str = "text",
    config: Any = None,
    *,
    preset: str = "calibrated",
    settings: Mapping[str, Any] | None = None,
    validation: PairedEmbeddings | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
    split: Mapping[str, Any] | None = None,
    log: runs.Log | None = None,
) -> Translator:
    """Fit a translator from `source` to `target`.

    Parameters
    ----------
    pairs : training pairs.
    source, target : modalities of the pair set.
    config : settings; their class is the method. Default: those of the preset.
    preset : name of a config, where none is given.
    settings : values that take the place of the preset's or the config's, such as `{"gamma": 0.5, "train.steps": 100}`.
    validation : pairs that choose what there is to choose; a network learns from the others alone, a closed form is
        fitted to both in the end. Default: an eighth of `pairs`, whole groups. `calibrated` needs none: it leaves
        groups out in turn, and is fitted to all pairs.
    out : run folder, written as `modtrans train` writes it. Default: nothing is written.
    resume : go on with the unfinished run in `out`.
    overwrite : replace the run that `out` holds, finished or not, once the new one has come to its first step or, where
        it has no steps, is whole.
    device : Default: a GPU when there is one.
    progress : called as the work goes on, with (steps done, steps in all). Default: a bar or, in a log, lines.
    split : JSON values that say how the pairs were split, kept in the run folder; `seed`, `fractions` and `own`, where
        they are among them, mean what `modtrans train` means by them.
    log : called with (step, terms of the loss by name) every tenth step, beside `metrics.jsonl` in `out`: for
        TensorBoard, Weights & Biases and their like. A closed form has no steps.

    Returns
    -------
    Translator
        `CalibratedTranslator`, `PosterTranslator`, or that of another method.

    Raises
    ------
    ValueError
        Impossible pairs or settings, a folder that holds another run or that another process writes, a training that
        diverged.

    Warns
    -----
    UserWarning
        On the validation pairs the translator is worse than the constant mean.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> image, text = rng.normal(size=(90, 4)), rng.normal(size=(90, 3)) + 1
    >>> fit(PairedEmbeddings({"image": image, "text": text}))
    CalibratedTranslator(image 4 -> text 3, balanced)
    """
    for of, one in {"pairs": pairs, **({} if validation is None else {"validation": validation})}.items():
        refuse_no_pairs(of, one)
    config = _preset(preset) if config is None else config
    name, chosen = named(config)
    config = changed(config, settings or {})
    refuse_unless(source != target, "target", target, "another modality than the source")
    for modality in (source, target):
        refuse_absent_modality(modality, pairs.arrays)
    place = device_of(device)
    facts = Facts.of(pairs, source, target)
    refuse_unless(split is None or isinstance(split, Mapping), "split", split, "a mapping of JSON values")
    told = {"split": dict(split)} if split else {}
    if out is not None:
        wanted = runs.described(name, facts.plain(), config, **told)
        runs.refuse_out(out, resume, overwrite)
        if resume:
            runs.refuse_changed(out, {"split": None, **wanted})
    pairs, validation = pairs.grouped(), None if validation is None else validation.grouped()
    chooses = {} if validation is None else {"validation": validation.fingerprint()}
    if validation is None and not chosen.leaves_out:
        pairs, validation = pairs.split(getattr(config, "seed", 0), (0.875, 0.125), own=False)
    parts = {"train": pairs} if validation is None else {"train": pairs, "validation": validation}
    if validation is not None:
        facts.refuse(validation)
    if chosen.leaves_out and sum(map(len, parts.values())) < 2:
        raise ValueError("pairs: 1 item, at least 2 to leave out in turn are needed")
    for of, asked in (("log", log is not None), ("split", bool(split)), ("resume", resume), ("overwrite", overwrite)):
        refuse_unless(out is not None or not asked, "out", out, f"a run folder, as {of} is given,")
    with holding(out) if out is not None and distributed.is_main() else nullcontext():
        run = None
        if out is not None:
            more = {"pairs": pairs.fingerprint(), **chooses, **told}
            run = runs.begin(out, name, facts.plain(), config, more, resume, overwrite)
            run.log = log
            if resume and runs.is_finished(out):
                return load(out, place)
        with nullcontext() if run is None else run.undone():
            seen = Seen.of(parts, (source, target), place)
            facts, speaks = facts._replace(seen=seen), distributed.is_main()
            with reporting(progress if speaks else silent, 1, "fit", "step") as report:
                held = None if validation is None else Pairing(validation, source, target)
                with torch.inference_mode(False), torch.enable_grad():
                    translator = chosen.fit(Pairing(pairs, source, target), held, facts, config, place, run, report)
                refuse_unless(hasattr(translator, "translate"), f"method: {name!r}: fit", translator, "a translator")
            skill = None
            if speaks and validation is not None and not chosen.leaves_out:
                skill = translated_scores(translator, validation.at_most(JUDGED_ON))["skill"]
            skill = None if skill is None else round(skill, 6)  # that of the constant itself is zero, rounding aside
            if run:
                run.finish(translator.tensors(), seen.tensors(), validation_skill=skill)
    if skill is not None and skill < 0:
        fitted = f"{translator.method} ({translator.facts})"  # one of another package may print all of its tensors
        warnings.warn(f"{fitted}: skill {skill:.3f} on validation pairs: {NO_SKILL}", stacklevel=3)
    return translator


@in_full_precision
def load(folder: str | Path, device: str | torch.device | None = None) -> Translator:
    """Read a translator from its run folder.

    Parameters
    ----------
    device : Default: a GPU when there is one.

    Raises
    ------
    ValueError
        No run folder, one of another format or method, or one that is damaged.
    """
    place = device_of(device)
    described = runs.description(folder)
    where = Path(folder) / runs.DESCRIPTION
    facts = Facts.restored(f"{where}: facts", described["facts"])
    with naming(where):
        found = method(described["method"])
        config: Any = from_dict(found.config, described["config"])
        missing = [name for name in paths(asdict(config)) if name not in paths(described["config"])]
        refuse_unless(
            not missing, "config", f"without {', '.join(missing)}", "every setting that the run was made with"
        )
    if not (Path(folder) / runs.MODEL).exists():
        raise ValueError(
            f"{folder}: not finished; go on with resume=True, or the same modtrans train command with --resume"
        )
    of = runs.made(described["method"], facts.plain())
    seen, tensors = runs.read_seen(folder), runs.read_model(folder, of)
    if seen is not None:
        with naming(Path(folder) / runs.SEEN):
            facts = facts._replace(seen=Seen.restored(seen, (facts.source, facts.target)))
    try:
        return found.restore(facts, config, tensors, place)
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError, IndexError) as error:
        why = in_one_line(error)
        raise ValueError(f"{folder}/{runs.MODEL}: does not hold this translator's weights ({why})") from None


def evaluate(
    translator: Translator, pairs: PairedEmbeddings, *, ranking: bool = False, **settings: Any
) -> dict[str, Any]:
    """Translate every condition of `pairs` and score the result against its targets.

    Parameters
    ----------
    ranking : also measure each ranking: median rank, MRR, mAP and hubs; see `modtrans_core.scores.ranking_scores`. Of
        pairs with labels the items of one class are correct for mAP, else those of one group.
    settings : of `translator.translate`, such as `steps` of the poster's.

    Returns
    -------
    dict
        Of `modtrans_core.scores.score`: the cosine beside its floor and ceiling, and recall, by three
        rankings, beside the gallery's size.

    Warns
    -----
    UserWarning
        The translator was fitted to some of the items, or to their conditions or targets.
        `translator.facts.unseen(pairs)` leaves them out.
    """
    refuse_no_translator(translator)
    refuse_no_pairs("pairs", pairs)
    facts, pairs = translator.facts, pairs.grouped()
    facts.refuse(pairs)
    if facts.seen is not None:
        familiar = facts.seen.look(pairs, facts.source, facts.target)
        if several := int(familiar.left_out().sum()):
            warnings.warn(
                f"{several} of {len(pairs)} items are no test of the translator: {familiar.in_words()};"
                " translator.facts.unseen(pairs) leaves them out",
                stacklevel=2,
            )
    return translated_scores(translator, pairs, ranking=ranking, **settings)


def translated_scores(
    translator: Translator, pairs: PairedEmbeddings, *, ranking: bool = False, **settings: Any
) -> dict[str, Any]:
    """`evaluate` of items that may have been seen."""
    translator.facts.refuse(pairs)
    pairing = Pairing(pairs, translator.facts.source, translator.facts.target)
    predicted = translator.translate(np.asarray(pairing.c), **settings)
    mean = translator.mean.cpu().numpy()
    targets, counts, item = np.asarray(pairing.targets), pairing.counts, pairing.item
    own = own_vectors(translator, pairing)
    rows = np.asarray(predicted)
    if rows.ndim == 2 and (bad := ~(np.isfinite(rows).all(axis=1) & rows.any(axis=1))).any():
        of = f"{translator.method} ({translator.facts}): the translation of row {bad.argmax()} of {len(bad)}"
        raise ValueError(f"{of}: zero, NaN or infinite; finite numbers that are not all zero are needed")
    alike = pairs.groups
    if pairs.label is not None:  # items without a class are each of their own
        alike = np.where(pairs.label < 0, -1 - np.arange(len(pairs)), pairs.label)
    return score(
        predicted, targets, counts, mean=mean, item=item, independent=pairing.independent, own=own,
        alike=alike, ranking=ranking,
    )  # fmt: skip


def own_vectors(translator: Translator, pairing: Pairing) -> tuple[np.ndarray, np.ndarray] | None:
    """Queries (N, D) and gallery (n, m, D) of a translator with a ranking of its own, None of any other.

    Their inner product is the score; where an item has fewer than m targets, what stands in the others means nothing.
    """
    if not isinstance(translator, Ranks):
        return None
    targets, counts = several(np.asarray(pairing.targets), pairing.counts)
    there = present(targets.shape[1], counts)
    rows = translator.gallery_vectors(targets[there])
    gallery = np.zeros((*targets.shape[:2], rows.shape[1]), dtype=np.float32)
    gallery[there] = rows
    return translator.search_vectors(np.asarray(pairing.c)), gallery


_preset = preset
