"""Every figure by name: which notebook makes it, and the module that draws it from the saved tables."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.plots.style import SMALLEST, Size, make_figure
from modtrans_core.checks import refuse_unless, refuse_unless_in

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = {
    "law": ("01_alignment_law", "law"),
    "simulation": ("01_alignment_law", "law"),
    "identities": ("02_projection_residual", "decomposition"),
    "angles_and_spectrum": ("02_projection_residual", "decomposition"),
    "orthogonal": ("03_cosine_bound", "bound"),
    "uniform": ("03_cosine_bound", "bound"),
    "general": ("03_cosine_bound", "bound"),
    "cosine": ("04_translation", "translation"),
    "cosine_recall": ("04_translation", "translation"),
    "gamma": ("04_translation", "translation"),
    "limits": ("05_limits_certificates", "certificates"),
    "sampling": ("05_limits_certificates", "certificates"),
    "certificates": ("05_limits_certificates", "certificates"),
    "phase": ("06_gamma", "gamma"),
    "curves": ("06_gamma", "gamma"),
    "guarantee": ("06_gamma", "gamma"),
    "front": ("07_presets", "presets"),
    "batch_sizes": ("08_released_and_sampling", "sampling"),
    "steps": ("08_released_and_sampling", "sampling"),
    "steps_whole": ("08_released_and_sampling", "sampling"),
    "speed": ("09_speed", "speed"),
    "reliability": ("10_residual_role", "residual_role"),
    "usable": ("10_residual_role", "certificates"),
    "draws": ("10_residual_role", "residual_role"),
    "encoders": ("11_encoders", "encoder_pairs"),
    "losses": ("12_cross_domain", "cross_domain"),
    "cosine_to_recall": ("13_cosine_to_recall", "cosine_to_recall"),
    "growth": ("14_more_pairs", "growth"),
    "poster": ("15_poster_tables", "poster_tables"),
    "recalls": ("16_retrieval", "retrieval"),
    "contact_sheet": ("16_retrieval", "retrieval"),
    "pictures_found": ("17_downstream", "retrieval"),
    "retained": ("18_migration", "migration"),
    "certificate": ("18_migration", "migration"),
    "artists": ("19_other_modalities", "cross_domain"),
    "controls": ("19_other_modalities", "modalities"),
}
"""name -> notebook and module of `analysis.plots`, whose function of that name draws it"""


def drawer(name: str) -> Callable[..., Figure]:
    """The function that draws a figure from its tables; the first line of its docstring says what is seen."""
    refuse_unless_in("figure", name, FIGURES)
    draw: Callable[..., Figure] = getattr(import_module(f"analysis.plots.{FIGURES[name][1]}"), name)
    return draw


def listed() -> str:
    """All figures, one a line: name, notebook, and what is seen."""
    said = {name: (inspect.getdoc(drawer(name)) or "").splitlines()[0] for name in FIGURES}
    return "\n".join(f"{name:20} {FIGURES[name][0][:2]}  {line}" for name, line in said.items())


def tables_of(name: str, results: Path) -> Path:
    """The folder with the tables of a figure: `results` itself, or where a paper keeps those of its notebook.

    Raises
    ------
    ValueError
        No folder there has them.
    """
    needed = [
        f"{table}.csv"
        for table, argument in inspect.signature(drawer(name)).parameters.items()
        if argument.default is argument.empty
    ]
    notebook = FIGURES[name][0]
    for folder in (results / "notebooks" / notebook, results / notebook, results):
        if all((folder / "tables" / file).is_file() for file in needed):
            return folder
    raise ValueError(f"{results}: holds no tables/{' and '.join(needed)}, of which notebook {notebook} makes {name}")


def remake(name: str, results: Path, out: Path, size: Size, formats: tuple[str, ...]) -> list[Path]:
    """Draw a figure again from the tables in `results`, and write it to `out/figures`; return the files.

    Raises
    ------
    ValueError
        There are no tables for it, or what lies there are those of another figure.
    """
    refuse_unless(len(formats) > 0, "format", "none", "pdf, png or svg")
    return make_figure(drawer(name), tables_of(name, results), out, size=size, formats=formats)


def venue_size(venue: str) -> Size:
    """The width of a column and the size of type that a venue asks for, by `tueplots`.

    Raises
    ------
    ValueError
        `tueplots` does not know the venue.
    """
    from tueplots import bundles  # its sizes alone: the type is ours, and needs no LaTeX

    known = [name for name in dir(bundles) if name[-4:].isdigit()]
    refuse_unless_in("venue", venue, known)
    settings = getattr(bundles, venue)()
    return Size(width=settings["figure.figsize"][0], font=max(SMALLEST, settings["font.size"]))
