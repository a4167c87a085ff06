"""`modtrans paper`: from pictures and captions to a PDF, each stage kept as soon as it is done."""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analysis.paper import runner
from analysis.paper.display import Display
from analysis.paper.reach import ROOT, Imports
from modtrans_core.checks import refuse_unless_in
from modtrans_core.embed.pair_set import cached_openmoji, openmoji_is_cached
from modtrans_core.extras import require
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.store.files import read_json, refuse_links, replacing, sweep, write_json
from modtrans_core.store.locks import LOCK, holding

PAPERS = ("modality-translation", "poster-tables")
"""folders of `papers`, each with a plan `paper.toml` and a text `paper.typ`; the first is the paper"""
PROFILES = ("smoke", "default", "full")
MARKER = "modtrans-paper.json"
EMBED_SECONDS = 160.0  # OpenMoji's pictures and captions on two cores


def project_folder(name: str) -> Path:
    """`notebooks` or `papers`: beside the package in a checkout, inside it in an installed wheel."""
    for place in (ROOT / "analysis" / "_project" / name, ROOT / name):
        if place.is_dir():
            return place
    raise ValueError(f"{name}: not found beside the package; install the project from its folder or its wheel")


def source(paper: str = PAPERS[0]) -> Path:
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
    data: bool = False
    """whether it reads packages of npm and Debian"""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def notebook(self) -> Path:
        return project_folder("notebooks") / f"{self.name}.ipynb"


def stages(profile: str, paper: str = PAPERS[0]) -> list[Stage]:
    """The notebooks of a paper in order, as its `paper.toml` lists them."""
    refuse_unless_in("profile", profile, PROFILES)
    listed = tomllib.loads((source(paper) / "paper.toml").read_text(encoding="utf-8"))["notebook"]
    return [
        Stage(
            name=entry["name"],
            seconds=float(entry["seconds"][profile]),
            pairs=entry.get("pairs", False),
            data=entry.get("data", False),
            parameters={**entry.get("parameters", {}), **entry.get(profile, {})},
        )
        for entry in listed
    ]


def with_settings(planned: Sequence[Stage], settings: Sequence[str]) -> list[Stage]:
    """The notebooks with each NOTEBOOK.NAME=VALUE put in; a value that is a path which exists is made absolute, as a
    notebook runs in a folder of its own.

    Raises
    ------
    ValueError
        If a setting is not of that form, or there is no such notebook.
    """
    given: dict[str, dict[str, Any]] = {stage.name: {} for stage in planned}
    for setting in settings:
        place, equals, text = setting.partition("=")
        notebook, dot, name = place.partition(".")
        if not (equals and dot and name):
            raise ValueError(f"set: {setting!r}, NOTEBOOK.NAME=VALUE is needed")
        if notebook not in given:
            raise ValueError(f"set: no notebook {notebook!r}; there are {', '.join(given)}")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = str(Path(text).resolve()) if text and Path(text).exists() else text
        given[notebook][name] = value
    return [replace(stage, parameters={**stage.parameters, **given[stage.name]}) for stage in planned]


def make(
    out: Path,
    profile: str = "default",
    pairs: Path | None = None,
    settings: Sequence[str] = (),
    paper: str = PAPERS[0],
    data: Path | None = None,
) -> Path:
    """Run a paper's notebooks and compile it; return the PDF.

    A notebook whose text, parameters, data and imports are those of its last run is not run again, so that an
    interrupted call goes on where it was and a finished one returns at once.

    Parameters
    ----------
    out : folder that receives `paper.pdf`, its sources, `numbers.json` and every notebook's results.
    profile : `smoke` (all of it, small), `default`, or `full`.
    pairs : pair set for the notebooks that look at data. Default: OpenMoji, embedded once and cached.
    settings : parameters `NOTEBOOK.NAME=VALUE` that take the place of the profile's.
    paper : one of `PAPERS`.
    data : folder with the files of `analysis.experiments.packages`. Default: what needs one is left out, and named.
    """
    require("typst", "paper")
    planned = stages(profile, paper)
    if data is not None:
        where = {"data": str(data.resolve())}
        planned = [replace(one, parameters={**one.parameters, **where}) if one.data else one for one in planned]
    planned = with_settings(planned, settings)
    for stage in planned:
        runner.check(stage.notebook, stage.parameters)
    if pairs is not None:
        PairedEmbeddings.load(pairs)  # a bad pair set is refused before anything is made
    embedding = EMBED_SECONDS * (pairs is None and not openmoji_is_cached())
    with holding(out), Display(sum(stage.seconds for stage in planned) + embedding + 5) as display:
        _claim(out, {"paper": paper, "profile": profile, "pairs": None if pairs is None else str(pairs)})
        with display.part("embedding OpenMoji", embedding) as report:
            given = pairs.resolve() if pairs is not None else cached_openmoji(progress=report)
        fingerprint = PairedEmbeddings.load(given).fingerprint()
        imports, numbers = Imports.found(), {}
        for stage in planned:
            results = out / "notebooks" / stage.name
            kept, current = results / "stamp", stamp(stage, fingerprint, imports)
            with display.part(stage.name, stage.seconds, results):
                if not kept.exists() or kept.read_text() != current:
                    parameters = {**stage.parameters, **({"pairs": str(given)} if stage.pairs else {})}
                    runner.run(stage.notebook, results, parameters)
                    kept.write_text(current)
                numbers[stage.name] = read_json(results / "metrics.json")
        with display.part("typesetting", 5):
            return _typeset(out, source(paper), planned, {**numbers, "profile": profile})


def _claim(out: Path, wanted: Mapping[str, str | None]) -> None:
    """Mark the folder as this paper's; refuse a folder with other content, or a paper made otherwise."""
    marker = out / MARKER
    if marker.exists():
        found = read_json(marker)
        if found != wanted:
            raise ValueError(f"{out}: holds a paper made with {found}, not {wanted}; choose another --out")
    elif any(not entry.name.startswith(LOCK) for entry in out.iterdir()):
        raise ValueError(f"{out}: exists and is not a paper of ours; choose another --out, or an empty folder")
    sweep(out)
    refuse_links(out)
    write_json(marker, wanted)


def stamp(stage: Stage, fingerprint: str, imports: Imports) -> str:
    """What a notebook's results depend on, as one hash: its text, its parameters, the pairs, the files it imports."""
    digest = hashlib.sha256(stage.notebook.read_bytes())
    digest.update(json.dumps(dict(stage.parameters), sort_keys=True).encode())
    digest.update(fingerprint.encode() if stage.pairs else b"")
    for file in imports.files(stage.notebook):
        digest.update(f"{file.relative_to(ROOT)}".encode() + file.read_bytes())
    return digest.hexdigest()


def _typeset(out: Path, written: Path, planned: Sequence[Stage], numbers: Mapping[str, Any]) -> Path:
    """Gather figures, tables and numbers beside the text from the folder `written`, and compile it."""
    import typst

    for kind in ("figures", "tables"):
        shutil.rmtree(out / kind, ignore_errors=True)
        for stage in planned:
            results = out / "notebooks" / stage.name / kind
            if results.is_dir():
                shutil.copytree(results, out / kind / stage.name)
    write_json(out / "numbers.json", numbers)
    for file in (written / "paper.typ", written.parent / "common.typ", written.parent / "refs.bib"):
        with replacing(out / file.name) as temporary:
            shutil.copyfile(file, temporary)
    pdf = out / "paper.pdf"
    with replacing(pdf) as temporary:
        try:
            typst.compile(str(out / "paper.typ"), output=str(temporary), root=str(out), timestamp=0)
        except Exception as error:
            raise ValueError(f"{out / 'paper.typ'}: does not compile: {error}") from None
    return pdf
