"""`modtrans paper`: from pictures and captions to a PDF, each stage kept as soon as it is done."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

import modtrans_core
from analysis.paper import runner as notebooks
from modtrans_core.progress import Progress
from modtrans_core.store.files import read_json, replacing, write_json

PROFILES = ("smoke", "default", "full")
MARKER = "modtrans-paper.json"
EMBED_SECONDS = 160.0  # OpenMoji's pictures and captions on two cores


def project_folder(name: str) -> Path:
    """`notebooks` or `papers`: beside the package in a checkout, inside it in an installed wheel."""
    here = Path(__file__).parent.parent
    for place in (here.parent / name, here / "_project" / name):
        if place.is_dir():
            return place
    raise ValueError(f"{name}: not found beside the package; install the project from its folder or its wheel")


@dataclass(frozen=True)
class Stage:
    """One notebook of the paper, with the parameters of the chosen profile."""

    name: str
    seconds: float
    pairs: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def notebook(self) -> Path:
        return project_folder("notebooks") / f"{self.name}.ipynb"


def stages(profile: str) -> list[Stage]:
    """The notebooks of the paper in order, as `paper.toml` lists them."""
    if profile not in PROFILES:
        raise ValueError(f"profile: {profile!r}, one of {', '.join(PROFILES)} is needed")
    with open(_source() / "paper.toml", "rb") as file:
        listed = tomllib.load(file)["notebook"]
    return [
        Stage(
            name=entry["name"],
            seconds=float(entry["seconds"][profile]),
            pairs=entry.get("pairs", False),
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


def make(out: Path, profile: str = "default", pairs: Path | None = None, settings: Sequence[str] = ()) -> Path:
    """Run the paper's notebooks and compile it; return the PDF.

    A notebook whose text, parameters, data and package are those of its last run is not run again, so that an
    interrupted call goes on where it was and a finished one returns at once.

    Parameters
    ----------
    out : folder that receives `paper.pdf`, its sources, `numbers.json` and every notebook's results.
    profile : `smoke` (all of it, small), `default`, or `full`.
    pairs : pair set for the notebooks that look at data. Default: OpenMoji, embedded once and cached.
    settings : parameters `NOTEBOOK.NAME=VALUE` that take the place of the profile's.
    """
    planned = with_settings(stages(profile), settings)
    for stage in planned:
        notebooks.check(stage.notebook, stage.parameters)
    if pairs is not None:
        modtrans_core.PairedEmbeddings.load(pairs)  # a bad pair set is refused before anything is made
    _claim(out, profile, pairs)
    embedding = pairs is None and not _openmoji_is_cached()
    with Display(sum(stage.seconds for stage in planned) + EMBED_SECONDS * embedding + 5) as display:
        with display.part("embedding OpenMoji", EMBED_SECONDS * embedding) as report:
            data = _pairs(pairs, report)
        fingerprint = modtrans_core.PairedEmbeddings.load(data).fingerprint()
        numbers = {}
        for stage in planned:
            results = out / "notebooks" / stage.name
            stamp = _stamp(stage, fingerprint)
            with display.part(stage.name, stage.seconds, results):
                if not _is_current(results, stamp):
                    parameters = {**stage.parameters, **({"pairs": str(data)} if stage.pairs else {})}
                    notebooks.run(stage.notebook, results, parameters)
                    (results / "stamp").write_text(stamp)
                numbers[stage.name] = read_json(results / "metrics.json")
        with display.part("typesetting", 5):
            return _typeset(out, planned, {**numbers, "profile": profile})


def _claim(out: Path, profile: str, pairs: Path | None) -> None:
    """Mark the folder as this paper's; refuse a folder with other content, or a paper made otherwise."""
    wanted = {"profile": profile, "pairs": None if pairs is None else str(pairs)}
    marker = out / MARKER
    if marker.exists():
        found = read_json(marker)
        if found != wanted:
            raise ValueError(f"{out}: holds a paper made with {found}, not {wanted}; choose another --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out}: exists and is not a paper of ours; choose another --out, or an empty folder")
    write_json(marker, wanted)


def _stamp(stage: Stage, fingerprint: str) -> str:
    """What a notebook's results depend on, as one hash: its text, its parameters, the data, both packages' code."""
    digest = hashlib.sha256(stage.notebook.read_bytes())
    digest.update(json.dumps(dict(stage.parameters), sort_keys=True).encode())
    digest.update(fingerprint.encode() if stage.pairs else b"")
    for package in (Path(modtrans_core.__file__).parent, Path(__file__).parent.parent):
        for file in sorted(package.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _is_current(results: Path, stamp: str) -> bool:
    path = results / "stamp"
    return path.exists() and path.read_text() == stamp


def _openmoji_is_cached() -> bool:
    from modtrans_core.embed.pair_set import openmoji_is_cached

    return openmoji_is_cached()


def _pairs(pairs: Path | None, report: Progress) -> Path:
    if pairs is not None:
        return pairs.resolve()
    from modtrans_core.embed.pair_set import cached_openmoji

    return cached_openmoji(progress=report)


def _source() -> Path:
    return project_folder("papers") / "modality-translation"


def _typeset(out: Path, planned: list[Stage], numbers: Mapping[str, Any]) -> Path:
    """Gather figures, tables and numbers beside the paper's source, and compile it."""
    try:
        import typst
    except ImportError:
        raise ValueError('typst is missing: pip install "modtrans[paper]"') from None

    for kind in ("figures", "tables"):
        shutil.rmtree(out / kind, ignore_errors=True)
        for stage in planned:
            results = out / "notebooks" / stage.name / kind
            if results.is_dir():
                shutil.copytree(results, out / kind / stage.name)
    write_json(out / "numbers.json", numbers)
    for file in ("paper.typ", "refs.bib"):
        shutil.copyfile(_source() / file, out / file)
    pdf = out / "paper.pdf"
    with replacing(pdf) as temporary:
        try:
            typst.compile(str(out / "paper.typ"), output=str(temporary), root=str(out), timestamp=0)
        except Exception as error:
            raise ValueError(f"{out / 'paper.typ'}: does not compile: {error}") from None
    return pdf


class Display:
    """One bar for the whole paper with the time left; one line a stage where no one watches."""

    def __init__(self, seconds: float) -> None:
        shape = "{desc:32.32} {percentage:3.0f}%|{bar}| {elapsed} done, {remaining} left"
        self.bar = tqdm(total=seconds, bar_format=shape, disable=None, leave=False)

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    @contextmanager
    def part(self, name: str, seconds: float, results: Path | None = None) -> Iterator[Progress]:
        """A stage of about `seconds`. It may report by the callback that it is given; a notebook reports in `results`.

        One that says nothing is taken to be on time.
        """
        first, started = self.bar.n, time.monotonic()
        said = [(0.0, "")]
        finished = threading.Event()

        def follow() -> None:
            while not finished.wait(0.5):
                fraction, text = notebooks.progress(results) if results else said[0]
                waited = min(0.95, (time.monotonic() - started) / max(seconds, 1.0))
                self._show(f"{name} {text}".strip(), first + seconds * (fraction or waited))

        def report(done: int, total: int) -> None:
            said[0] = (done / total, "")

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield report
        finally:
            finished.set()
            thread.join()
        self._show(name, first + seconds)
        took = time.monotonic() - started
        if self.bar.disable and took > 0.5:
            print(f"{name}: {took:.0f} s", file=sys.stderr)

    def _show(self, text: str, done: float) -> None:
        self.bar.n = max(self.bar.n, done)
        if not self.bar.disable:
            self.bar.set_description_str(text, refresh=True)
