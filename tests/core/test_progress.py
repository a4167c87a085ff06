"""What is seen of a long call: at a terminal, in a notebook, in a log, and by a program."""

import io
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from modtrans_core import progress
from modtrans_core.progress import counted, lines, reporting


def test_a_log_has_a_line_each_tenth_or_half_minute_and_none_of_what_is_soon_over(capsys):
    now = [0.0]
    report = lines("fit", "step", clock=lambda: now[0])
    for done in range(1, 101):  # 0.04 s a step: over in 4 s
        now[0] += 0.04
        report(done, 100)
    assert not capsys.readouterr().err
    report = lines("fit", "step", clock=lambda: now[0])
    for done in range(1, 101):  # 1 s a step
        now[0] += 1
        report(done, 100)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 10 and said[0] == "fit: 10 of 100 steps, 10%, 90 s left"
    report = lines("fit", "step", first=600, clock=lambda: now[0])
    for done in range(601, 613):  # 10 s a step, resumed: the time left is by the steps made here
        now[0] += 10
        report(done, 1000)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4 and said[0] == "fit: 601 of 1000 steps, 60%, 3990 s left"


def test_a_terminal_has_a_bar_and_a_program_its_numbers(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with reporting(None, 1, "fit", "step") as report:
        report(3, 12)
        report(12, 12)
    assert "12/12" in terminal.getvalue() and "fit: 100%" in terminal.getvalue()
    assert list(counted(range(3), "list", "row")) == [0, 1, 2]
    with reporting(None, 1, "fit", "step"):
        pass
    assert terminal.getvalue().endswith("\r") and not terminal.getvalue().split("\r")[-2].strip()
    given = []
    with reporting(lambda *numbers: given.append(numbers), 1, "fit", "step") as report:
        report(3, 12)
    assert given == [(3, 12)]


class Tee:
    """A standard error as a script's own logger gives it."""

    def __init__(self, file):
        self.file = file

    def write(self, text):
        self.file.write(text)

    def flush(self):
        self.file.flush()


@pytest.mark.parametrize("kind", ["none", "tee", "closed"])
def test_any_standard_error_will_do(monkeypatch, tmp_path, capsys, kind):
    file = (tmp_path / "log").open("w+")
    if kind == "closed":
        file.close()
    monkeypatch.setattr("sys.stderr", {"none": None, "tee": Tee(file), "closed": file}[kind])
    assert not progress.watched()
    progress.to_stderr("a line")
    with progress.reporting(None, 2, "fit", "step") as report:
        report(1, 2)
    assert kind != "tee" or (tmp_path / "log").read_text() == "a line\n"
    assert capsys.readouterr().out == "", "nor is it written to standard output"


def test_what_nobody_watches_is_no_bar(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SOON", 0.0)
    with reporting(None, 1, "fit", "step") as report:
        report(1, 2)
    assert capsys.readouterr().err == "fit: 1 of 2 steps, 50%, 0 s left\n"


def test_fit_shows_how_far_it_is_in_a_notebook():
    code = """import numpy as np
from modtrans_core import PairedEmbeddings, fit
rows = np.random.default_rng(0).normal(size=(60, 4))
translator = fit(PairedEmbeddings({"image": rows, "text": rows + 1}))"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(book, kernel_name="python3").execute()
    assert "fit" in "".join(str(output.get("text") or output.get("data")) for output in book.cells[0].outputs)
