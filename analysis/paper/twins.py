"""`python -m analysis.paper.twins`: the `.ipynb` twin of every notebook, and both tables of `notebooks/README.md`."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat

from analysis.paper.reach import ROOT
from modtrans_core.store.files import replacing

COLUMNS = 4
"""thumbnails in a row"""


def write_twin(text: Path) -> Path:
    """Write the `.ipynb` twin of a py:percent notebook, without outputs and with stable cell ids."""
    notebook = jupytext.read(text)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index:02d}"
    twin = text.with_suffix(".ipynb")
    with replacing(twin) as temporary:
        nbformat.write(notebook, temporary)
    return twin


def table(texts: list[Path]) -> str:
    """What each notebook asks, its title, and what it answers, the paragraph that begins with **Answer.**"""
    lines = ["| notebook | asks | answers |", "|---|---|---|"]
    for text in texts:
        markdown = "\n\n".join(cell.source for cell in jupytext.read(text).cells if cell.cell_type == "markdown")
        question = markdown.splitlines()[0].removeprefix("# ")
        answer = re.search(r"^\*\*Answer\.\*\* (.*?)(?:\n\n|\Z)", markdown, re.M | re.S)
        if answer is None:
            raise ValueError(f"{text}: no paragraph **Answer.**, one is needed")
        said = answer[1].replace("\n", " ").replace("|", "\\|")
        lines.append(f"| [{text.stem}]({text.stem}.ipynb) | {question} | {said} |")
    return "\n".join(lines) + "\n"


def figures(text: Path) -> list[tuple[str, str]]:
    """The figures that a notebook draws, each with the heading that it stands under, or else the notebook's title."""
    lines = re.findall(r"^# ##? (.+)|^ *make_figure\((?:\w+\.)*(\w+), ", text.read_text(encoding="utf-8"), re.M)
    heading, found = "", []
    for said, drawn in lines:
        heading = said or heading
        found += [(drawn, heading)] if drawn else []
    return found


def gallery(texts: list[Path]) -> str:
    """A thumbnail of every figure, linked to its notebook, and the question that it answers."""
    cells = [
        f"[![{name}](gallery/{name}.png)]({text.stem}.ipynb)<br>{text.stem[:2]} {heading}"
        for text in texts
        for name, heading in figures(text)
    ]
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    head = ["| " * COLUMNS + "|", "|" + "---|" * COLUMNS]
    return "".join(f"{line}\n" for line in [*head, *(f"| {' | '.join(row)} |" for row in rows)])


def with_tables(readme: str, texts: list[Path]) -> str:
    """The text of a README with its two tables made anew, the gallery and that of questions and answers."""
    made = iter((gallery(texts), table(texts)))
    return re.sub(r"(?:^\|.*\n)+", lambda _: next(made), readme, flags=re.M)


if __name__ == "__main__":
    folder = ROOT / "notebooks"
    texts = sorted(folder.glob("[0-9]*.py"))
    for text in texts:
        print(write_twin(text))
    readme = folder / "README.md"
    readme.write_text(with_tables(readme.read_text(encoding="utf-8"), texts), encoding="utf-8")
    print(readme)
