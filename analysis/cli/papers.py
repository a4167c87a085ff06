"""The verbs `paper`, `notebooks`, `tables` and `figure`: what is printed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import Positional

from analysis.cli.measure import ANALYSIS
from modtrans_core.checks import refuse_unless
from modtrans_core.cli.verb import quoted, say
from modtrans_core.extras import refuse_missing


@dataclass(frozen=True)
class Paper:
    """Example: modtrans paper --profile smoke

    Make the paper: embed OpenMoji (once, then cached), run the notebooks, gather figures, tables and numbers, and
    typeset the PDF. An interrupted run goes on where it was; finished notebooks are not run again. `modtrans paper
    poster-tables --data DIR` makes another one: each of the poster's tables, and what a translation is used for.
    """

    needs: ClassVar = {"paper": ("typst", "grimp", "papermill", "ipykernel", *ANALYSIS, "resvg_py", "timm")}
    keeps: ClassVar[bool] = True

    paper: Positional[Literal["modality-translation", "poster-tables"]] = "modality-translation"
    """modality-translation or poster-tables"""
    profile: Literal["smoke", "default", "full"] = "default"
    """smoke: everything, small; default: what the paper prints; full: hours"""
    out: Path | None = None
    """folder to make. Default: modtrans-paper, of another profile modtrans-paper-smoke, modtrans-poster-tables and so
    on: profiles live side by side"""
    only: tuple[str, ...] = ()
    """notebooks to run, such as 07_presets; the PDF is made where the others have been run"""
    pairs: Path | None = None
    """your own pair set in place of OpenMoji; what was found of OpenMoji is then reported, and not asserted. Notebooks
    04, 05 and 06 need vectors of at least 3 numbers; with fewer the others run by --only"""
    source: str = ""
    """modality of --pairs to translate from. Default: image, or the first of two"""
    target: str = ""
    """modality of --pairs to translate to. Default: text, or the other of two"""
    data: Path | None = None
    """folder of files from npm and Debian, for poster-tables. Default: what needs them is left out, and named"""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NOTEBOOK.NAME=VALUE ...")] = ()
    """parameters of notebooks, such as 11_encoders.coco=/data/coco 04_translation.steps=5000"""

    def run(self) -> None:
        from analysis.paper.make import folder_of, make

        out = self.out or folder_of(self.paper, self.profile)
        given = (self.pairs, self.set, self.paper, self.data)
        made = make(out, self.profile, *given, only=self.only, source=self.source, target=self.target)
        if isinstance(made, list):
            say(f"{out}: no PDF yet, as these notebooks have no results: {', '.join(made)}; without --only they run")
        else:
            say(f"{made}: done. Figures, tables, numbers and executed notebooks are beside it")


@dataclass(frozen=True)
class Notebooks:
    """Example: modtrans notebooks --copy my-notebooks

    Put the notebooks where you can open them in JupyterLab and change them. Without --copy they are listed.
    """

    copy: Path | None = None
    """folder to make"""
    overwrite: bool = False
    """replace the notebooks in that folder, changed or not"""

    def run(self) -> None:
        from analysis.paper.make import project_folder
        from modtrans_core.store.files import refuse_existing, replacing_folder

        notebooks = project_folder("notebooks")
        if self.copy is None:
            for path in sorted(notebooks.glob("*.py")):
                title = path.read_text(encoding="utf-8").splitlines()[1]
                print(f"{path.stem:24} {title.removeprefix('# # ')}")
            return
        refuse_existing(self.copy, self.overwrite)
        with replacing_folder(self.copy) as folder:
            for path in (*notebooks.glob("*.ipynb"), notebooks / "README.md"):
                shutil.copyfile(path, folder / path.name)
            shutil.copytree(notebooks / "gallery", folder / "gallery")
        say(f"{self.copy}: done. Next: jupyter lab {quoted(self.copy)}")


@dataclass(frozen=True)
class Tables:
    """Example: modtrans tables 2 3 --pairs coco.npz --data packages --seeds 5

    Print the poster's Tables 2 to 6: its number, ours on data that are here, floor, ceiling and recall, and one word:
    reproduced, reproduced in mechanism, or could not be, with the reason. Rows whose data are missing say what
    they take; `analysis.experiments.packages` lists what --data may hold.
    """

    needs: ClassVar = {"analysis": ANALYSIS}
    holds: ClassVar = "out"

    numbers: Annotated[Positional[tuple[Literal[2, 3, 4, 5, 6], ...]], tyro.conf.arg(metavar="TABLE...")] = ()
    """2 to 6. Default: all"""
    data: Path | None = None
    """folder of packages from npm and Debian. Default: what needs none"""
    pairs: tuple[Path, ...] = ()
    """Table 2: your own pair sets, each with one space for both modalities, such as CLIP's; one is the poster's data if
    COCO or CC3M is a word of its name, and it says that OpenAI's CLIP ViT-B/32 made both sides"""
    seeds: int = 5
    """splits, each with its own seed"""
    out: Path = Path("results/tables")
    """folder for tables/poster.csv, figures/poster.pdf and .png, and tables.txt"""
    overwrite: bool = False
    """measure anew where --out holds tables"""

    def run(self) -> None:
        from analysis.experiments.modalities import left_out
        from analysis.experiments.poster_tables import FILES, REGISTRY, as_frame, as_text, table
        from analysis.experiments.table_2 import named
        from analysis.experiments.trial import workers
        from analysis.paper.tables import save_table
        from analysis.plots.poster_tables import poster
        from analysis.plots.style import figures, make_figure
        from modtrans_core.progress import reporting
        from modtrans_core.store.files import refuse_results, replacing_results

        refuse_unless(self.seeds >= 1, "seeds", self.seeds, "at least 1")
        refuse_unless(self.data is None or self.data.is_dir(), "data", str(self.data), "a folder")
        for path in self.pairs:
            refuse_unless(path.exists(), "pairs", str(path), "a pair set")
        chosen = tuple(dict.fromkeys(self.numbers or REGISTRY))
        refuse_unless(
            not self.pairs or 2 in chosen, "pairs", " ".join(map(str, self.pairs)), "Table 2 among the tables"
        )
        named(self.pairs, self.seeds)  # a bad pair set is refused before anything is measured
        made = ["tables.txt", "tables/poster.csv", "tables/poster.tex", *figures("poster")]
        refuse_results(self.out, made, self.overwrite)
        rows = []
        try:
            for number in chosen:
                with reporting(None, 1, f"Table {number}", "part") as report, workers():
                    options = {"pairs": self.pairs} if number == 2 else {}
                    rows += table(number, self.data, self.seeds, report, **options)
                with replacing_results(self.out) as results:  # what is measured is kept, whatever ends the others
                    save_table(as_frame(rows), results, "poster")
                    make_figure(poster, results)
                    (results / "tables.txt").write_text(as_text(rows), encoding="utf-8")
        finally:  # on a full disk, too
            if rows:
                print(as_text(rows))
        wanted = list(dict.fromkeys(name for number in chosen for name in FILES.get(number, [])))
        for name, command in left_out(wanted, self.data or "").items():
            say(f"left out: the rows of {name}; in the folder of --data: {command}")
        say(f"{self.out}: done. tables/poster.csv has every digit, figures/poster.pdf shows them")


@dataclass(frozen=True)
class Figure:
    """Example: modtrans figure cosine modtrans-paper --width 5.5 --font-size 9 --format pdf

    Make a figure again from its saved tables, as large as a journal wants it. Without a name all figures are listed,
    each with the number of its notebook.
    """

    needs: ClassVar = {"analysis": ANALYSIS}

    name: Positional[str] = ""
    """of the figure. Default: list all"""
    results: Positional[Path] = Path("modtrans-paper")
    """folder of a paper, of `modtrans compare`, `tables` or `bench`, or of one notebook's results"""
    width: float | None = None
    """inches. Default: a column of 3.4 or a page of 7, as the figure needs it"""
    height: float | None = None
    """inches. Default: what the figure takes"""
    font_size: float | None = None
    """points, of titles and names of axes; notes are a point smaller, and nothing is under 7. Default: 8"""
    venue: str = ""
    """width and type of a conference, such as neurips2024 or icml2024, by tueplots"""
    format: tuple[Literal["pdf", "png", "svg"], ...] = ("pdf", "png")
    """of the files"""
    out: Path = Path()
    """folder for figures/NAME.pdf and .png"""
    overwrite: bool = False
    """replace the figure when it is there"""

    def run(self) -> None:
        from analysis.plots.figures import listed, remake, venue_size
        from analysis.plots.style import Size, figures
        from modtrans_core.store.files import refuse_results

        if not self.name:
            print(listed())
            return
        refuse_results(self.out, figures(self.name, self.format), self.overwrite)
        if self.venue:
            refuse_missing(("tueplots",), "venues")
        size = venue_size(self.venue) if self.venue else Size()
        given = {"width": self.width, "height": self.height, "font": self.font_size}
        size = replace(size, **{name: value for name, value in given.items() if value is not None})
        for file in remake(self.name, self.results, self.out, size, self.format):
            say(f"{file}: done")
