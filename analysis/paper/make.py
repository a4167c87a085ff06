"""`modtrans paper`: from pictures and captions to a PDF, each stage kept as soon as it is done."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.experiments.captions import texts_of
from analysis.experiments.cosine_to_recall import refuse_small_gallery
from analysis.experiments.cross_domain import refuse_small
from analysis.experiments.data import (
    is_openmoji,
    one_vector,
    print_of,
    refuse_exact,
    refuse_few,
    refuse_unfit,
    warn_of_equal,
)
from analysis.experiments.domains import crossings_within
from analysis.experiments.presets import routes
from analysis.paper import runner
from analysis.paper.display import Display
from analysis.paper.reach import ROOT, Imports
from analysis.theory.decomposition import decompose, leading
from modtrans_core.checks import differing, naming, refuse_unless, refuse_unless_in
from modtrans_core.embed.pair_set import cached_openmoji, is_cached
from modtrans_core.extras import require
from modtrans_core.notebook import FILES
from modtrans_core.pairing import Pairing
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.settings import typed
from modtrans_core.store.files import (
    at,
    keep_as_old,
    read_description,
    refuse_links,
    replacing,
    sha256,
    sweep,
    write_json,
)
from modtrans_core.store.locks import LOCK, holding

PAPERS = ("modality-translation", "poster-tables")
"""folders of `papers`, each with a plan `paper.toml` and a text `paper.typ`; the first is the paper"""
PROFILES = ("smoke", "default", "full")
MARKER = "modtrans-paper.json"
EMBED_SECONDS = 96.0
"""OpenMoji's pictures and captions on two cores"""
AT_ONCE = 4
"""notebooks, at most, that run side by side; each has its share of the cores, one at least, for trials of its own"""


def project_folder(name: str) -> Path:
    """`notebooks` or `papers`: beside the package in a checkout, inside it in an installed wheel."""
    for place in (ROOT / "analysis" / "_project" / name, ROOT / name):
        if place.is_dir():
            return place
    raise ValueError(f"{name}: not found beside the package; install the project from its folder or its wheel")


def folder_of_text(paper: str = PAPERS[0]) -> Path:
    """The paper's own folder."""
    refuse_unless_in("paper", paper, PAPERS)
    return project_folder("papers") / paper


@dataclass(frozen=True)
class Stage:
    """One notebook of the paper, with the parameters of the chosen profile."""

    name: str
    seconds: float
    pairs: bool = False
    """whether it looks at the pair set"""
    captions: bool = False
    """whether it reads the captions of the pair set, too"""
    data: bool = False
    """whether it reads packages of npm and Debian"""
    part: str = ""
    """which of the pair set's items it splits: at most `items`, `evenly` spaced or `at random`; empty: all of them"""
    alone: bool = False
    """whether it measures speed, so that nothing may run beside it"""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def notebook(self) -> Path:
        return project_folder("notebooks") / f"{self.name}.ipynb"

    def number(self, name: str, otherwise: int = 0) -> int:
        """A parameter that is a whole number; `otherwise` where the notebook has none of that name."""
        known = runner.parameters(self.notebook).get(name, {"default": otherwise})
        return int(self.parameters.get(name, known["default"]))

    def splits(self, pairs: PairedEmbeddings) -> PairedEmbeddings:
        """The items of a pair set that it splits."""
        items = self.number("items")
        if self.part == "at random" and not self.parameters.get("runs"):
            return pairs.take(np.random.default_rng(self.number("seed")).permutation(len(pairs))[:items])
        return pairs.at_most(items) if self.part == "evenly" and items else pairs

    def own(self, named: Mapping[str, str]) -> dict[str, str]:
        """Those of the names of modalities that the notebook takes; one that looks at no pair set takes none."""
        known = runner.parameters(self.notebook) if self.pairs else ()
        return {name: value for name, value in named.items() if name in known}


def stages(profile: str, paper: str = PAPERS[0]) -> list[Stage]:
    """The notebooks of a paper in order, as its `paper.toml` lists them."""
    refuse_unless_in("profile", profile, PROFILES)
    listed = tomllib.loads((folder_of_text(paper) / "paper.toml").read_text(encoding="utf-8"))["notebook"]
    return [
        Stage(
            name=entry["name"],
            seconds=float(entry["seconds"][profile]),
            pairs=entry.get("pairs", False),
            captions=entry.get("captions", False),
            data=entry.get("data", False),
            part=entry.get("part", ""),
            alone=entry.get("alone", False),
            parameters={**entry.get("parameters", {}), **entry.get(profile, {})},
        )
        for entry in listed
    ]


def with_settings(planned: Sequence[Stage], settings: Sequence[str]) -> list[Stage]:
    """The notebooks with each NOTEBOOK.NAME=VALUE put in; a file or folder that exists is made absolute, as a notebook
    runs in a folder of its own.

    Raises
    ------
    ValueError
        If a setting is not of that form, or there is no such notebook.
    """
    given: dict[str, dict[str, Any]] = {stage.name: {} for stage in planned}
    looking = {stage.name for stage in planned if stage.pairs}
    for setting in settings:
        place, equals, text = setting.partition("=")
        notebook, dot, name = place.partition(".")
        if not (equals and dot and name):
            raise ValueError(f"set: {setting!r}, NOTEBOOK.NAME=VALUE is needed")
        if notebook not in given:
            raise ValueError(f"set: no notebook {notebook!r}; there are {', '.join(given)}")
        refuse_unless(name not in given[notebook], "set", setting, f"one value of {place}")
        own = name != "out" and not (name == "pairs" and notebook in looking)
        refuse_unless(own, "set", setting, f"--{name}, which gives each notebook its own,")
        value = typed(text)
        file = name in FILES and text == value and text and os.path.exists(text)
        given[notebook][name] = str(Path(text).resolve()) if file else value
    return [replace(stage, parameters={**stage.parameters, **given[stage.name]}) for stage in planned]


def folder_of(paper: str = PAPERS[0], profile: str = "default") -> Path:
    """Where a paper goes that is not told: `modtrans-paper`, `modtrans-paper-smoke`, `modtrans-poster-tables`."""
    name = "modtrans-paper" if paper == PAPERS[0] else f"modtrans-{paper}"
    return Path(name if profile == "default" else f"{name}-{profile}")


def make(
    out: Path,
    profile: str = "default",
    pairs: Path | None = None,
    settings: Sequence[str] = (),
    paper: str = PAPERS[0],
    data: Path | None = None,
    *,
    only: Sequence[str] = (),
    source: str = "",
    target: str = "",
) -> Path | list[str]:
    """Run a paper's notebooks and compile it.

    A notebook whose text, parameters, data and imports are those of its last run, and whose results are as it left
    them, is not run again, so that an interrupted call goes on where it was and a finished one returns at once.
    Notebooks run side by side as far as there are cores; one that measures speed runs alone.

    Parameters
    ----------
    out : folder that receives `paper.pdf`, its sources, `numbers.json` and every notebook's results.
    profile : `smoke` (all of it, small), `default`, or `full`.
    pairs : pair set for the notebooks that look at data. Default: OpenMoji, embedded once and cached. Notebooks 04, 05
        and 06 need modalities of at least 3 numbers.
    settings : parameters `NOTEBOOK.NAME=VALUE` that take the place of the profile's.
    paper : one of `PAPERS`.
    data : folder with the files of `analysis.experiments.packages`. Default: what needs one is left out, and named.
    only : notebooks to run. Default: all.
    source, target : modalities of `pairs`. Default: image and text, or the only two there are.

    Returns
    -------
    Path
        The PDF; or, where results are missing that `only` leaves out, the names of those notebooks.
    """
    require("typst", "paper")
    planned = stages(profile, paper)
    for name in only:
        refuse_unless_in("only", name, tuple(stage.name for stage in planned))
    refuse_unless(pairs is not None or not (source or target), "source, target", f"{source}, {target}", "--pairs")
    if data is not None:
        refuse_unless(any(one.data for one in planned), "data", str(data), "a paper that reads it, poster-tables,")
        where = {"data": str(data.resolve())}
        planned = [replace(one, parameters={**one.parameters, **where}) if one.data else one for one in planned]
    if pairs is not None:
        loaded = PairedEmbeddings.load(pairs)
        pairing = Pairing(loaded, *routes(loaded, source, target)[0])
        named = {"source": pairing.source, "target": pairing.target}
        planned = [replace(one, parameters={**one.parameters, **one.own(named)}) for one in planned]
    planned = with_settings(planned, settings)
    asked = [one for one in planned if not only or one.name in only]
    for stage in asked:
        looks = {"pairs": str(pairs)} if stage.pairs and pairs is not None else {}
        runner.check(stage.notebook, {**stage.parameters, **looks})
    if pairs is not None:  # a bad pair set is refused before anything is made
        _refuse_for_any(pairs, pairing, [one for one in asked if one.pairs])
        warn_of_equal(pairs, loaded, pairing.source, pairing.target)
    with holding(out):
        marked = {"paper": paper, "profile": profile, "pairs": None, "print": None}
        if pairs is not None:
            marked |= {"pairs": str(pairs), "print": print_of(loaded)}
        known = _claim(out, marked)
        imports, inputs, left = Imports.found(), dict[str, str](), set[str]()

        def missing(looking: bool, fingerprint: str = "") -> list[Stage]:
            """Of the notebooks that look at the pairs, or at none, those whose results are missing; see `left`."""
            own = [stage for stage in planned if stage.pairs is looking]
            inputs.update({stage.name: stamp(stage, fingerprint, imports) for stage in own})
            found = [stage for stage in own if not _is_done(out / "notebooks" / stage.name, inputs[stage.name])]
            left.update(stage.name for stage in found if only and stage.name not in only)
            return [stage for stage in found if stage.name not in left]

        def embedded(display: Display) -> tuple[Path, list[Stage]]:
            never = [one for one in planned if one.pairs and not (out / "notebooks" / one.name / runner.STAMP).exists()]
            if never and not any(one.pairs for one in asked):  # nothing would look at the pairs
                left.update(one.name for one in never)
                return Path(), []
            given = _embedded(pairs, display)
            return given, missing(True, print_of(PairedEmbeddings.load(given)))

        _run(missing(False), embedded, out, inputs)
        if left:
            return [stage.name for stage in planned if stage.name in left]
        numbers = {stage.name: runner.read_metrics(out / "notebooks" / stage.name) for stage in planned}
        write_json(out / "numbers.json", {**numbers, "profile": profile})
        pdf, hashes = _typeset(out, folder_of_text(paper), known)
        write_json(out / MARKER, {**marked, "sha256": hashes})
        return pdf


def _refuse_for_any(path: Path, pairing: Pairing, looking: Sequence[Stage]) -> None:
    """Refuse the pair set of a path with which not all of these notebooks can do something."""
    refuse_unfit(path, pairing.pairs, (pairing.source, pairing.target))
    for stage in looking:
        try:
            _refuse_for(stage, path, pairing)
        except ValueError as error:
            more = f", and more items by --set {stage.name}.items=N" if stage.part else ""
            raise ValueError(f"{error}, by {stage.name}; the others run by --only{more}") from None


def _refuse_for(stage: Stage, path: Path, pairing: Pairing) -> None:
    """Refuse a pair set that can be fitted to, but with which this notebook can do nothing."""
    pairs, route = pairing.pairs, (pairing.source, pairing.target)
    refuse_unfit(path, some := stage.splits(pairs), route, stage.number("seeds", 1))
    with naming(path):
        test = some.split(0)[2]
        if stage.captions:
            texts_of(pairing)
        if stage.name == "02_projection_residual":
            few = pairs.at_most(stage.number("samples"))
            c, z = (one_vector(few, name).astype(np.float64) for name in route)
            refuse_exact(decompose(leading(c, stage.number("components")), z).residual_norm)
        elif stage.name == "12_cross_domain" or (stage.name == "19_other_modalities" and not is_openmoji(pairs)):
            crossings, seeds = crossings_within(pairs, pairing.source, stage.number("items")), stage.number("seeds")
            refuse_small(crossings, seeds)
            if stage.name == "19_other_modalities":  # its control splits the first domain, too
                for seed in range(seeds):
                    refuse_few(*next(iter(crossings.values()))[0].split(seed, own=False))
        elif stage.name == "13_cosine_to_recall":
            refuse_small_gallery(len(test))


def _embedded(pairs: Path | None, display: Display) -> Path:
    """The pair set that notebooks look at, made before they run; what one or two look at they embed themselves."""
    if pairs is None:
        seconds = EMBED_SECONDS * (not is_cached())
        display.add(seconds)
        with display.part("embedding OpenMoji", seconds) as report:
            pairs = cached_openmoji(progress=report)
    return pairs.resolve()


def _run(
    first: Sequence[Stage],
    embedded: Callable[[Display], tuple[Path, list[Stage]]],
    out: Path,
    inputs: Mapping[str, str],
) -> None:
    """Run notebooks, the longest first, and stamp what they leave. If one fails the others end, too.

    Parameters
    ----------
    first : those that look at no pairs, with which the cores begin that the embedding leaves.
    embedded : makes the pair set, and gives it and the notebooks that look at it.
    inputs : of every notebook, see `stamp`.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_once = min(cores, max(2, cores // 2), AT_ONCE)
    together, alone = (
        _longest_first(stage for stage in first if stage.alone is is_alone) for is_alone in (False, True)
    )
    pairs = Path()

    def run(stage: Stage, kernels: runner.Kernels) -> None:
        results = out / "notebooks" / stage.name
        parameters = {**stage.parameters, **({"pairs": str(pairs)} if stage.pairs else {})}
        with display.part(stage.name, stage.seconds, results), at(results):
            runner.run(stage.notebook, results, parameters, kernels)
            (results / runner.STAMP).write_text(f"{inputs[stage.name]} {contents(results)}")

    with Display(sum(stage.seconds for stage in first)) as display:
        for several, at_a_time, threads in ((together, at_once, cores // at_once), (alone, 1, None)):
            kernels = runner.Kernels(threads)
            with ThreadPoolExecutor(at_a_time) as pool:
                try:
                    running = []
                    if several is together:
                        running = [pool.submit(run, stage, kernels) for stage in several[: at_once - 1]]
                        pairs, looking = embedded(display)
                        display.add(sum(stage.seconds for stage in looking))
                        alone += [stage for stage in looking if stage.alone]
                        rest = [stage for stage in looking if not stage.alone]
                        several = _longest_first([*several[at_once - 1 :], *rest])
                    for done in as_completed([*running, *(pool.submit(run, stage, kernels) for stage in several)]):
                        done.result()
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    kernels.end()
                    raise


def _longest_first(stages: Iterable[Stage]) -> list[Stage]:
    return sorted(stages, key=lambda stage: -stage.seconds)


def contents(results: Path) -> str:
    """Hash of what the paper takes from a notebook's results: the numbers, figures and tables that it wrote."""
    digest = hashlib.sha256()
    for name in sorted(runner.wrote(results)):
        if name == runner.METRICS or name.startswith(("figures/", "tables/")):
            file = results / name
            held = sha256(file) if file.is_file() else "missing"
            digest.update(f"{name} {held}\n".encode())
    return digest.hexdigest()


def _is_done(results: Path, inputs: str) -> bool:
    """Whether results are there, of these inputs, and as the notebook left them."""
    stamped = results / runner.STAMP
    executed = results / f"{results.name}.ipynb"
    if not (stamped.exists() and executed.exists() and (results / runner.METRICS).exists()):
        return False
    return stamped.read_bytes() == f"{inputs} {contents(results)}".encode()


def _claim(out: Path, wanted: Mapping[str, str | None]) -> dict[str, str]:
    """Mark the folder as this paper's; refuse a folder with other content, or a paper made otherwise.

    Returns
    -------
    The hashes of what `_typeset` wrote there, by name.
    """
    marker, known = out / MARKER, {}
    sweep(out)
    if marker.exists():
        fields = {"paper": "text", "profile": "text", "pairs": "text or null"}
        said = read_description(marker, fields, {"sha256": "an object", "print": "text or null"})
        known = said.get("sha256", {})
        if said.get("print") and said["print"] == wanted["print"]:  # the same set, by whatever path
            fields.pop("pairs")
        for name in fields:
            if other := differing(said[name], wanted[name], name):
                raise ValueError(f"{out}: holds a paper made with {other}; choose another folder")
    elif any(not entry.name.startswith(LOCK) for entry in out.iterdir()):
        raise ValueError(f"{out}: exists and is not a paper of ours; choose another folder, or an empty one")
    refuse_links(out)
    write_json(marker, {**wanted, "sha256": known})
    return known


def stamp(stage: Stage, fingerprint: str, imports: Imports) -> str:
    """What a notebook's results depend on, as one hash: its text, its parameters, the pairs, the files it imports."""
    digest = hashlib.sha256(stage.notebook.read_bytes())
    digest.update(json.dumps(dict(stage.parameters), sort_keys=True).encode())
    digest.update(fingerprint.encode() if stage.pairs else b"")
    for file in imports.files(stage.notebook):
        digest.update(f"{file.relative_to(ROOT)}".encode() + file.read_bytes())
    return digest.hexdigest()


def _typeset(out: Path, written: Path, known: Mapping[str, str]) -> tuple[Path, dict[str, str]]:
    """Put the text from the folder `written` beside the numbers, and compile it; figures lie with their notebooks.

    Returns
    -------
    The PDF, and the hash of each file that was written, by name: what has another than the `known` one when the paper
    is made again was changed by a reader, and is kept as `.old`.
    """
    import typst

    hashes = {}

    def put(name: str, contents: bytes) -> None:
        there, hashes[name] = out / name, hashlib.sha256(contents).hexdigest()
        if there.exists():
            if (held := sha256(there)) == hashes[name]:
                return
            if held != known.get(name):
                keep_as_old(there, there)
        with replacing(there) as temporary:
            temporary.write_bytes(contents)

    for file in (written / "paper.typ", written.parent / "common.typ", written.parent / "refs.bib"):
        put(file.name, file.read_bytes())
    try:
        made = typst.compile(str(out / "paper.typ"), root=str(out), timestamp=0)
    except Exception as error:
        raise ValueError(f"{out / 'paper.typ'}: does not compile: {error}") from None
    put("paper.pdf", made)
    return out / "paper.pdf", hashes
