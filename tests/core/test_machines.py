"""What a machine may lack: open streams, an encoding, a folder without a package of the same name."""

import os
import subprocess
import sys

import numpy as np
import pytest

import modtrans_core as mt
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run

CLI = [sys.executable, "-m", "modtrans_core"]
RUN = mt.PairedEmbeddings({"image": np.random.default_rng(0).normal(size=(60, 4))}).arrays["image"]


def called(folder, line, **environment):
    """The shell's line, in which `modtrans` is the program."""
    program = " ".join(CLI)
    return subprocess.run(
        ["sh", "-c", line.replace("modtrans", program, 1)], cwd=folder, capture_output=True, text=True,
        env={**os.environ, **environment}, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    pairs = mt.PairedEmbeddings({"image": RUN, "text": RUN + 1})
    pairs.save(folder / "pairs.npz")
    mt.fit(pairs.take(np.arange(40)), preset="ridge").save(folder / "run")
    (folder / "analysis").mkdir()
    (folder / "analysis" / "__init__.py").write_text("raise SystemExit('not ours')")
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_streams_that_are_closed_or_full(folder):
    """And a package `analysis` in the working folder is never seen."""
    assert called(folder, "modtrans convert pairs.npz out.npz >&- 2>&- <&-").returncode == 0
    assert len(mt.PairedEmbeddings.load(folder / "out.npz")) == 60  # no stream got into the file
    closed = called(folder, "modtrans evaluate run pairs.npz >&-")
    assert closed.returncode == 0 and "used the 20 items" in closed.stderr and "Traceback" not in closed.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_processes_that_a_verb_starts_have_the_streams_that_are_closed(tmp_path, closed):
    """As workers and kernels do, which end where standard error is none."""
    (tmp_path / "started.py").write_text(
        "import sys; open('found', 'w').write(str([sys.stdin, sys.stdout, sys.stderr].count(None)))"
    )
    (tmp_path / "verb.py").write_text(
        "import subprocess, sys\n"
        "from modtrans_core.ends import starting\n"
        "with starting('verb'):\n"
        "    from modtrans_core.cli.verb import run\n"
        "run({}, '', '', ['--version'])\n"
        "subprocess.run([sys.executable, 'started.py'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(["sh", "-c", f"{sys.executable} verb.py {closed}"], cwd=tmp_path, env=environment, timeout=120)
    assert (tmp_path / "found").read_text() == "0"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is full")
@pytest.mark.parametrize("arguments", ["evaluate run pairs.npz", "--version", "--help"])
def test_results_that_cannot_be_written_are_one_line(folder, arguments, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run(VERBS, "modtrans", "", arguments.split()) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("modtrans: results cannot be written to standard output: [Errno 28]")
