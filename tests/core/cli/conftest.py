"""A folder with a pair set, and the core's verbs as a user runs them."""

import io
import shutil
from contextlib import redirect_stderr

import numpy as np
import pytest

from modtrans_core import PairedEmbeddings
from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    c = rng.normal(size=(80, 8))
    pairs = PairedEmbeddings({"image": c, "text": c @ rng.normal(size=(8, 6)), "audio": rng.normal(size=(80, 4))})
    pairs.save("pairs.npz")
    np.save("c.npy", c.astype(np.float32))
    return tmp_path


@pytest.fixture
def modtrans(capsys):
    """Run a verb: exit status, stdout, stderr."""

    def called(*arguments):
        try:
            status = run(VERBS, "modtrans", "", [str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        return (status, *capsys.readouterr())

    return called


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Where runs of `pairs.npz` are kept, by their options."""
    return tmp_path_factory.mktemp("runs"), {}


@pytest.fixture
def trained(folder, runs):
    """Put a run of `pairs.npz` into the folder; of the same options it is trained once, and copied."""

    def put(name, *options):
        place, kept = runs
        if options not in kept:
            out = kept[options] = place / str(len(kept))
            with redirect_stderr(io.StringIO()):
                assert run(VERBS, "modtrans", "", ["train", "pairs.npz", "--out", str(out), *options]) == 0
        shutil.copytree(kept[options], name)

    return put


@pytest.fixture
def poster():
    """Options of a small training of the poster's translator."""
    return ["--preset", "poster", "--device", "cpu", "--train-steps", "3", "--set", "width=16", "depth=1"]
