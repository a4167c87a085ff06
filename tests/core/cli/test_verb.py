"""How a verb ends: results on stdout, one line on stderr for what goes wrong, exit 0, 1 or 2."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run
from modtrans_core.store.files import at


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["train", "none.npz", "--out", "new"], 1, "none.npz: no such file or folder"),
        (["train", "torn.npz", "--out", "new"], 1, "torn.npz: damaged or cut short"),
        (["train", "nan.npz", "--out", "new"], 1, "image: NaN or infinity in row 3"),
        (["train", "zero.npz", "--out", "new"], 1, "image: a zero vector in row 3"),
        (["train", "lengths.npz", "--out", "new"], 1, "text: 79 items, but another modality has 80"),
        (["train", "pairs.npz", "--out", "new", "--target", "sound"], 1, "modality 'sound': not in this pair set"),
        (["train", "pairs.npz", "--out", "new", "--preset", "best"], 1, "preset: 'best', one of "),
        (["train", "pairs.npz", "--out", "new", "--set", "landmakrs=3"], 1, "'landmakrs' is not a setting"),
        (["train", "pairs.npz", "--out", "new", "--preset", "ridge", "--seed", "5"], 1, "seed: 5, a preset that draws"),
        (["convert", "pairs.npz", "new.npz", "--layout", "shards"], 1, "layout: 'shards', a folder as OUT is needed"),
        (["convert", "pairs.npz", "new", "--shard-items", "9"], 1, "shard-items: 9, --layout shards is needed"),
        (["train", "pairs.npz", "--out", "new", "--set", "landmarks"], 1, "set: 'landmarks', NAME=VALUE is needed"),
        (["train", "pairs.npz", "--out", "new", "--set", "landmarks=-1"], 1, "landmarks: -1, at least 0 is needed"),
        (["train", "pairs.npz", "--out", "new", "--preset", "poster", "--set", "gamma=-1"], 1, "gamma: -1"),
        (["train", "pairs.npz", "--out", "new", "--preset", "poster", "--goal", "cosine"], 1, "--preset calibrated is"),
        (["train", "pairs.npz", "--out", "new", "--goal", "fame"], 1, "goal: 'fame', cosine, balanced, retrieval or a"),
        (["train", "pairs.npz", "--out", "new", "--train-steps", "3"], 1, "train-steps: 3, a preset with steps"),
        (["train", "pairs.npz", "--out", "new", "--fractions", "0.9", "0.2", "0"], 1, "fractions: (0.9, 0.2)"),
        (["train", "pairs.npz", "--out", "new", "--fractions", "0.9", "0.1"], 2, "fractions"),
        (["train", "torn.npz", "--out", "new", "--fractions", "0.9", "0.2", "-0.1"], 1, "fractions: (0.9, 0.2, -0.1)"),
        (["train", "torn.npz", "--out", "new", "--device", "mps"], 1, "device: 'mps', cpu, cuda or cuda:N is needed"),
        (["train", "torn.npz", "--out", "new", "--device", "cuda:99"], 1, "device: 'cuda:99', one of this machine's"),
        (["translate", "nowhere", "none.npy", "z.npy", "--device", "mps"], 1, "device: 'mps', cpu, cuda or cuda:N"),
        (["embed", "folder:none", "--out", "x.npz", "--device", "cuda:99"], 1, "device: 'cuda:99', one of this"),
        (
            ["embed", "folder:none", "--out", "x.npz", "--device", "mps", "--engine", "ray"],
            1,
            "device: 'mps', cpu, cuda",
        ),
        (["train", "pairs.npz", "--out", "run"], 1, "run: already holds a translator"),
        (["train", "pairs.npz", "--out", "run", "--resume", "--seed", "5"], 1, "run: was started with"),
        (["train", "pairs.npz", "--out", "new", "--resume"], 1, "leave out --resume to begin one"),
        (["train", "pairs.npz"], 2, "out"),
        (["train", "pairs.npz", "--out", "new", "--set"], 2, "set: no value, at least one is needed"),
        (["train", "pairs.npz", "--set", "--out", "new"], 2, "set: no value, at least one is needed"),
        (["train", "pairs.npz", "--out", "new", "--stepz", "3"], 2, "--stepz"),
        (["train", "pairs.npz", "--out", "new", "--steps", "many"], 2, "many"),
        (["evaluate", "nowhere", "pairs.npz"], 1, "nowhere: not a run folder"),
        (["evaluate", "c.npy", "z.npy"], 1, "two arrays are a pair set as image=c.npy,text=FILE"),
        (["evaluate", "old", "pairs.npz"], 1, "translator.json: format is not 5, the one that this version reads"),
        (["evaluate", "run", "pairs.npz", "--limit", "0"], 1, "limit: 0, at least 1 is needed"),
        (["evaluate", "run", "wide.npz"], 1, "image: dimension 9, but the translator was trained on 8"),
        (["translate", "run", "none.npy", "z.npy"], 1, "none.npy: no such file"),
        (["translate", "run", "torn.npy", "z.npy"], 1, "torn.npy: "),
        (["translate", "run", "int.npy", "z.npy"], 1, "int.npy: image: int64 of shape"),
        (["translate", "run", "wide.npy", "z.npy"], 1, "image: dimension 9, but the translator was trained on 8"),
        (["translate", "run", "nan.npy", "z.npy"], 1, "nan.npy: image: NaN or infinity in row 3"),
        (["translate", "run", "c.npy", "z.csv"], 1, "z.csv: a name that ends in .npy"),
        (["translate", "run", "c.npy", "z.npy", "--steps", "0"], 1, "steps: 0, 1 to 1000"),
        (["translate", "run", "c.npy", "z.npy", "--samples", "0"], 1, "samples: 0, a whole number from 1 on"),
        (["translate", "run", "c.npy", "z.npy", "--expected-cosine", "s.csv"], 1, "s.csv: a name that ends in .npy"),
        (["translate", "run", "c.npy", "z.npy", "--expected-cosine", "z.npy"], 1, "another file is needed"),
        (["embed", "photos", "--out", "x.npz"], 1, "'photos': unknown, and no such path"),
        (["embed", "openmoji", "--out", "x.csv"], 1, "x.csv: unknown suffix"),
        (["embed", "openmoji", "--out", "x.npz", "--image-encoder", "magic"], 1, "magic"),
        (["embed", "openmoji", "--out", "pairs.npz"], 1, "pairs.npz: exists"),
        (["dance"], 2, "dance"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_left_behind(folder, modtrans, trained, poster, arguments, status, words):
    image, text = np.ones((80, 8), np.float32), np.ones((80, 6), np.float32)
    spoilt = {value: np.where(np.arange(80)[:, None] == 3, value, image).astype(np.float32) for value in (np.nan, 0.0)}
    np.savez("nan.npz", image=spoilt[np.nan], text=text)
    np.savez("zero.npz", image=spoilt[0.0], text=text)
    np.savez("lengths.npz", image=image, text=text[:-1])
    np.savez("wide.npz", image=np.ones((80, 9)), text=text)
    (folder / "torn.npz").write_bytes((folder / "pairs.npz").read_bytes()[:2000])
    (folder / "torn.npy").write_bytes((folder / "c.npy").read_bytes()[:500])
    np.save("int.npy", np.ones((80, 8), int))
    np.save("wide.npy", np.ones((80, 9)))
    np.save("nan.npy", spoilt[np.nan])
    (folder / "old").mkdir()
    (folder / "old" / "translator.json").write_text('{"format": 3}')
    if "run" in arguments:
        trained("run", *poster)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found, out, err = modtrans(*arguments)
    assert found == status and words in err and not out
    if status == 1:
        message = [line for line in err.splitlines() if line.startswith(f"modtrans {arguments[0]}: ")]
        assert len(message) == 1 and "Traceback" not in err
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("rank", [0, 1])
def test_other_verbs_are_refused_and_one_process_says_so(monkeypatch, capsys, rank):
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    for arguments, status, words in (
        (
            ["translate", "run", "c.npy", "z.npy"],
            1,
            "modtrans translate: runs in one process; start it without torchrun",
        ),
        (["evaluate", "run", "pairs.npz"], 1, "modtrans evaluate: runs in one process; start it without torchrun"),
        (["train", "pairs.npz"], 2, "--out"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(VERBS, "modtrans", "", arguments)
        error = capsys.readouterr().err
        assert stop.value.code == status and (words in error if rank == 0 else error == "")


@dataclass(frozen=True)
class Interrupted:
    """Example: modtrans stop"""

    said: str = ""

    def run(self):
        raise KeyboardInterrupt(*([self.said] if self.said else []))


class CutOff(Interrupted):
    """What is interrupted in its midst, and cannot tidy up."""

    def run(self):
        try:
            super().run()
        finally:
            raise RuntimeError("cannot join thread before it is started")


@dataclass(frozen=True)
class TooLarge:
    """Example: modtrans grow"""

    said: str = ""

    def run(self):
        raise RuntimeError(self.said)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.18 GiB of which 4 MiB is",
            "too little memory on the GPU, where CUDA_VISIBLE_DEVICES= in the environment takes the processor: "
            "CUDA out of memory. Tried to allocate 2.00 GiB",
        ),
        (
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "too little memory on the GPU, where CUDA_VISIBLE_DEVICES= in the environment takes the processor: "
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED",
        ),
        ("[enforce fail] can't allocate memory", "too little memory: [enforce fail] can't allocate memory"),
        ("CUDA error: device-side assert", "CUDA error: device-side assert"),
    ],
)
def test_too_little_memory_is_one_line_that_says_where(capsys, said, words):
    verbs = {"grow": TooLarge, "other": Interrupted}
    assert run(verbs, "modtrans", "", ["grow", "--said", said]) == 1
    assert capsys.readouterr().err == f"modtrans grow: {words}\n"


@pytest.mark.parametrize("stop", [Interrupted, CutOff])
@pytest.mark.parametrize(("said", "where"), [("", ""), ("after step 3 of 9", " after step 3 of 9")])
def test_an_interrupt_is_one_line(capsys, said, where, stop):
    verbs = {"stop": stop, "other": Interrupted}
    assert run(verbs, "modtrans", "", ["stop", "--said", said] if said else ["stop"]) == 130
    assert capsys.readouterr().err == f"modtrans stop: interrupted{where}\n"


def test_a_verb_that_keeps_what_was_finished_says_so(capsys):
    class Keeps(Interrupted):
        keeps: ClassVar[bool] = True

    assert run({"stop": Keeps, "other": Interrupted}, "modtrans", "", ["stop"]) == 130
    assert capsys.readouterr().err == "modtrans stop: interrupted; what was finished is kept\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "1", "--seed=2"], "seed: given 2 times, one value is needed"),
        (["--goal", "cosine", "--goal", "cosine", "--goal", "retrieval"], "goal: given 3 times"),
        (["--own-split", "--no-own-split"], "own-split: given 2 times"),
        (["--split-seed", "1", "--split_seed=2"], "split-seed: given 2 times"),
        (["--preset", "poster", "--train-steps", "5", "--steps", "6"], "train-steps: given 2 times"),
    ],
)
def test_an_option_of_one_value_is_given_once(folder, modtrans, arguments, words):
    status, _, err = modtrans("train", "pairs.npz", "--out", "run", *arguments)
    assert status == 2 and words in err and not (folder / "run").exists()


def test_help_fits_into_any_terminal(modtrans, monkeypatch):
    monkeypatch.setenv("COLUMNS", "3")
    status, out, _ = modtrans("translate", "--help")
    assert status == 0 and "--samples" in out


def test_a_shell_that_is_unknown_is_one_line(modtrans):
    status, out, err = modtrans("--tyro-print-completion", "foo")
    assert status == 2 and not out and "bash" in err and err.count("\n") == 1


STOPPED = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
class Stop:
    def find_spec(self, name, *_):
        if name == "tyro":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Stop())
"""


@pytest.mark.parametrize(
    "start", ["runpy.run_module('modtrans_core', run_name='__main__')", "from analysis.start import main; main()"]
)
def test_an_interrupt_of_the_imports_is_quiet(start):
    ended = subprocess.run([sys.executable, "-c", STOPPED + start], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("epoch", "said"),
    [
        ("", ""),
        ("1700000000", ""),
        ("2026-11-27", "SOURCE_DATE_EPOCH: '2026-11-27', seconds since 1970, 0 to 253402300799, are needed"),
        ("9" * 5000, "SOURCE_DATE_EPOCH: "),
    ],
)
def test_the_date_of_reproducible_files_is_looked_at_before_libraries_read_it(epoch, said):
    start = [sys.executable, "-c", "from analysis.start import main; main()", "--version"]
    ended = subprocess.run(start, env={**os.environ, "SOURCE_DATE_EPOCH": epoch}, capture_output=True, text=True)
    assert ended.returncode == (1 if said else 0) and ended.stderr.count("\n") == bool(said)
    assert ended.stderr.startswith(f"modtrans: does not start: {said}" if said else "")


def test_a_library_that_cannot_be_imported_is_one_line(tmp_path):
    (tmp_path / "tyro.py").write_text("raise RuntimeError('damaged\\nand more')")
    start = [sys.executable, "-c", "from analysis.start import main; main()", "--version"]
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    ended = subprocess.run(start, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == f"modtrans: does not start: {tmp_path / 'tyro.py'}: RuntimeError: damaged and more\n"


def test_an_interrupt_of_the_options_is_one_line(capsys, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tyro.extras.subcommand_cli_from_dict", stopped)
    assert run(VERBS, "modtrans", "", ["train"]) == 130
    assert capsys.readouterr().err == "modtrans: interrupted\n"


def test_the_version_the_help_and_a_verb_that_is_nearly_one(modtrans):
    assert modtrans("--version") == (0, f"modtrans {version('modtrans')}\n", "")
    status, out, _ = modtrans()
    assert status == 0 and "evaluate" in out and "Fit a translator" in out
    assert modtrans("trian", "pairs.npz") == (2, "", "modtrans: 'trian' is unknown; did you mean `modtrans train`?\n")


def test_a_value_that_is_repeated_counts_once(capsys):
    @dataclass(frozen=True)
    class Draw:
        """It draws."""

        format: tuple[str, ...] = ()
        share: tuple[float, float] = (0.0, 0.0)

        def run(self):
            print(self.format, self.share)

    given = ["draw", "--format", "pdf", "pdf", "png", "--share", "0.5", "0.5", "--format", "pdf"]
    assert run({"draw": Draw, **VERBS}, "modtrans", "", given) == 0
    assert capsys.readouterr().out == "('pdf', 'png') (0.5, 0.5)\n"


def test_whoever_reads_may_leave(folder, trained):
    """As `| head -0` does: no traceback, at the end of Python either."""
    trained("run", "--preset", "ridge")
    for verb in (["--help"], ["evaluate", "run", "pairs.npz", "--json"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "modtrans_core", *verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait() == 141 and "Error" not in said and "pipe" not in said, said


def test_a_log_on_a_full_disk_costs_no_result(folder, modtrans):
    assert modtrans("train", "pairs.npz", "--preset", "ridge", "--out", "run")[0] == 0
    command = [sys.executable, "-m", "modtrans_core", "evaluate", "run", "pairs.npz", "--json"]
    with open("/dev/full", "w") as full:
        found = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, check=True, timeout=60)
    assert json.loads(found.stdout)["gallery"] == 16


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is full")
def test_a_full_disk_of_a_file_is_not_said_of_standard_output(capsys):
    @dataclass
    class Full:
        """Full."""

        def run(self):
            with at(Path("paper/06_gamma")), open("/dev/full", "w") as file:
                file.write("{}")

    assert run({"full": Full, "other": Full}, "modtrans", "", ["full"]) == 1
    assert capsys.readouterr().err == "modtrans full: paper/06_gamma: no space left on device\n"


def test_standard_output_that_is_full_is_named(folder, trained):
    trained("run", "--preset", "ridge")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "modtrans_core", "evaluate", "run", "pairs.npz"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    said = ended.stderr.splitlines()[-1]
    assert ended.returncode == 1
    assert said == "modtrans: results cannot be written to standard output: [Errno 28] No space left on device"


def test_a_working_directory_that_is_gone_is_one_line(folder, modtrans, monkeypatch):
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    status, _, err = modtrans("evaluate", folder / "run", folder / "pairs.npz")
    assert status == 1 and err == "modtrans: the working directory is gone; change to one that is there\n"


def test_no_process_that_it_starts_imports_what_lies_in_the_working_directory(tmp_path):
    """As workers of trials and kernels of notebooks are started: with `-m`."""
    (tmp_path / "mine.py").write_text("open('ran', 'w').close()")
    script = (
        "import subprocess, sys, analysis.cli, analysis.start\n"
        "analysis.cli.main = lambda: subprocess.run([sys.executable, '-m', 'mine'])\n"
        "analysis.start.main()"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, check=True)
    assert not (tmp_path / "ran").exists()
