"""`python -m analysis.paper.twins`: the `.ipynb` twin of every notebook, and the table of `notebooks/README.md`."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat

from analysis.paper.reach import ROOT
from modtrans_core.store.files import replacing


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


def with_table(readme: str, texts: list[Path]) -> str:
    """The text of a README with its table made anew."""
    return re.sub(r"^\|.*\|\n", lambda _: table(texts), readme, count=1, flags=re.M | re.S)


if __name__ == "__main__":
    folder = ROOT / "notebooks"
    texts = sorted(folder.glob("[0-9]*.py"))
    for text in texts:
        print(write_twin(text))
    readme = folder / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), texts), encoding="utf-8")
    print(readme)
