"""Files and folders are whole or not there, one process writes them, and killed ones leave nothing for long."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modtrans_core.store import files
from modtrans_core.store.files import (
    refuse_existing,
    refuse_results,
    replacing,
    replacing_folder,
    replacing_results,
    scratch_folder,
    stem,
    sweep,
)
from modtrans_core.store.locks import LOCK, drop, holding, is_held, locked

KILLED = """
import os, signal, sys
from modtrans_core.store.files import replacing, replacing_folder, replacing_results
from modtrans_core.store.locks import holding
with {context} as temporary:
    print("here", flush=True)
    sys.stdin.read()
"""


def held(folder, context):
    """A process that is inside a context, in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED.format(context=context)], cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout.readline() == "here\n"
    return process


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "context", ['replacing("x.npz")', 'replacing_folder("x")', 'holding("x")'], ids=["file", "folder", "held"]
)
def test_what_a_killed_process_left_is_swept_and_what_a_living_one_holds_is_not(tmp_path, context):
    process = held(tmp_path, context)
    before = names(tmp_path)
    sweep(tmp_path)
    assert names(tmp_path) == before
    process.kill()
    process.communicate()
    refuse_existing(tmp_path / "x.npz", False)
    assert names(tmp_path) == (["x"] if "holding" in context else [])
    with holding(tmp_path / "x"):
        assert names(tmp_path / "x") == [LOCK]


def test_the_second_to_write_a_folder_learns_who_does(tmp_path):
    process = held(tmp_path, 'holding("x")')
    with (
        pytest.raises(ValueError, match=rf"x: process {process.pid} on .*, since .*, writes it; wait"),
        holding(tmp_path / "x"),
    ):
        pass
    assert names(tmp_path / "x") == [LOCK] and is_held(tmp_path / "x" / LOCK)
    process.kill()
    process.communicate()
    with holding(tmp_path / "x"):
        (tmp_path / "x" / "mine").touch()
    assert names(tmp_path / "x") == ["mine"]
    process = held(tmp_path, 'replacing_folder("y")')
    with pytest.raises(ValueError, match=r"y: process .* writes it"), replacing_folder(tmp_path / "y"):
        pass
    process.communicate()
    assert (tmp_path / "y" / files.WROTE).exists() and names(tmp_path) == ["x", "y"]


def test_what_came_meanwhile_is_not_replaced_and_what_was_made_is_kept_beside_it(tmp_path):
    """A `.DS_Store`, say, in the old folder, while a thousand pictures are drawn for the new one."""
    came = r"x: holds mine, which was not written here; .*; what was made is in .*x-2$"
    with pytest.raises(ValueError, match=came), replacing_folder(tmp_path / "x") as temporary:
        (temporary / "made").touch()
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "mine").touch()
    assert names(tmp_path) == ["x", "x-2"] and names(tmp_path / "x") == ["mine"]
    assert names(tmp_path / "x-2") == [".modtrans.json", "made"]
    (tmp_path / "x" / "mine").unlink()
    came = r"x: process .* writes it; wait.*; what was made is in .*x-3$"
    with pytest.raises(ValueError, match=came), replacing_folder(tmp_path / "x"):
        process = held(tmp_path, 'holding("x")')
    assert names(tmp_path) == ["x", "x-2", "x-3"]
    with pytest.raises(ValueError, match=r"x: process .* writes it; wait"):
        refuse_existing(tmp_path / "x", True)
    process.communicate()
    with replacing_folder(tmp_path / "x-2") as temporary:  # it is known as our own
        (temporary / "new").touch()
    assert names(tmp_path / "x-2") == [".modtrans.json", "new"]


def test_a_folder_is_called_by_its_whole_name(tmp_path, monkeypatch):
    (tmp_path / "ViT-B-32.openai").mkdir()
    monkeypatch.chdir(tmp_path / "ViT-B-32.openai")
    assert [stem(path) for path in (".", "../ViT-B-32.openai/", "a.b.npz")] == ["ViT-B-32.openai"] * 2 + ["a.b"]


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path):
    with pytest.raises(KeyError), holding(tmp_path / "a" / "b"):
        raise KeyError
    assert names(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file: a file, a folder is needed"), holding(tmp_path / "file"):
        pass


def test_where_a_file_system_has_no_locks_nobody_is_kept_apart(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("modtrans_core.store.locks.fcntl.flock", none)
    with locked(tmp_path / LOCK, tmp_path), locked(tmp_path / LOCK, tmp_path), scratch_folder(tmp_path / "x"):
        sweep(tmp_path)
        assert [name.startswith(files.SCRATCH) for name in names(tmp_path)] == [True]


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_is_replaced_and_nothing_else_is_left(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    for text in ("old", "new"):
        with replacing_folder(tmp_path / "x") as temporary:
            (temporary / "a").write_text(text)
    assert (tmp_path / "x" / "a").read_text() == "new" and names(tmp_path) == ["x"]


def test_killed_between_two_renames_the_new_folder_is_there_at_the_next_start(tmp_path, monkeypatch):
    with replacing_folder(tmp_path / "x") as temporary:
        (temporary / "a").write_text("old")
    process = held(tmp_path, 'replacing_folder("x")')
    scratch = next(path for path in tmp_path.glob(f"{files.SCRATCH}*") if path.is_dir())
    (scratch / "x" / "a").write_text("new")
    os.replace(tmp_path / "x", scratch / ".old")
    process.kill()
    process.communicate()
    with pytest.raises(ValueError, match="x: exists"):
        refuse_existing(tmp_path / "x", False)
    assert (tmp_path / "x" / "a").read_text() == "new" and names(tmp_path) == ["x"]


def test_a_lock_that_is_looked_at_is_no_lock_that_is_held_and_one_that_is_held_is_not_dropped(tmp_path, monkeypatch):
    lock = tmp_path / f".x{LOCK}"
    looks = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(looks, fcntl.LOCK_EX)
    monkeypatch.setattr("time.sleep", lambda _: os.close(looks))
    with locked(lock, tmp_path):
        drop(lock)
        assert lock.exists()
    (tmp_path / f".x{LOCK}").touch()
    drop(lock)
    assert not lock.exists()


def test_a_scratch_folder_whose_lock_nobody_holds_goes_at_once(tmp_path):
    left = tmp_path / f"{files.SCRATCH}x"
    left.mkdir()
    left.with_name(f"{left.name}{LOCK}").touch()
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_a_signal_in_the_removal_of_a_scratch_folder_leaves_what_the_next_call_removes(tmp_path, monkeypatch):
    def asked(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files.shutil, "rmtree", asked)
        with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole" and len(names(tmp_path)) == 3
    sweep(tmp_path)
    assert names(tmp_path) == ["a.txt"]


def test_a_scratch_folder_without_a_lock_is_removed_once_it_is_old(tmp_path):
    left = tmp_path / f"{files.SCRATCH}x"
    left.mkdir()
    (tmp_path / ".modtrans.json").touch()
    (tmp_path / ".x.part").touch()
    sweep(tmp_path)
    assert left.exists()
    (left / "inside").mkdir()
    os.utime(left, (time.time() - 100_000,) * 2)
    sweep(tmp_path)  # a long job writes in a folder of it
    assert left.exists()
    os.utime(left / "inside", (time.time() - 100_000,) * 2)
    sweep(tmp_path)
    assert names(tmp_path) == [".modtrans.json", ".x.part"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
@pytest.mark.parametrize("place", ["/proc/self/x.npz", "{}/" + 245 * "a" + ".npz"])
def test_where_nothing_can_be_made_nobody_waits(tmp_path, place):
    path, started = Path(place.format(tmp_path)), time.monotonic()
    with pytest.raises(OSError) as caught, replacing_folder(path):
        pass
    assert caught.value.filename == str(path) and time.monotonic() - started < 9


@pytest.mark.parametrize(("context", "kept"), [(replacing, "x-2.npz"), (replacing_folder, "x-2.npz")])
def test_what_cannot_take_its_place_at_the_end_is_kept_beside_it(tmp_path, monkeypatch, context, kept):
    """A mount of the same disk, which nothing tells from a folder, or somebody else's file in /tmp."""

    def busy(source, target):
        if Path(target).name == "x.npz":
            raise OSError(16, "Device or resource busy", source, None, target)
        return rename(source, target)

    rename = os.replace
    monkeypatch.setattr(os, "replace", busy)
    said = rf"^{tmp_path}/x.npz: device or resource busy; what was made is in {tmp_path}/{kept}$"
    with pytest.raises(ValueError, match=said), context(tmp_path / "x.npz") as temporary:
        (temporary / "made" if temporary.is_dir() else temporary).write_text("work")
    assert names(tmp_path) == [kept]
    made = tmp_path / kept
    assert (made / "made" if made.is_dir() else made).read_text() == "work"


@pytest.mark.parametrize("taken", ["b.csv", "figures"])
def test_results_that_cannot_take_their_place_are_kept_in_the_folder(tmp_path, monkeypatch, taken):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.csv").mkdir() if taken == "b.csv" else (tmp_path / "figures").touch()
    said = f"^{taken}: (is a directory|file exists); what was made is in results-2$"
    with pytest.raises(ValueError, match=said), replacing_results(Path()) as folder:
        for name in ("a.csv", "b.csv", "figures/c.pdf"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(name)
    left = {"b.csv": ["b.csv", "figures"], "figures": ["figures"]}[taken]
    assert names(tmp_path) == sorted({"a.csv", "b.csv", taken, "results-2"}) and names(tmp_path / "results-2") == left


def test_a_mount_point_is_known_before_the_work():
    with pytest.raises(ValueError, match="^/: a mount point, which cannot be replaced"):
        refuse_existing(Path("/"), True)


@pytest.mark.parametrize("place", ["/proc/nope/x.csv", "/dev/full/x.csv", "{}/file/x/y.npy"])
def test_where_nothing_can_be_made_is_known_before_the_work(tmp_path, place):
    (tmp_path / "file").touch()
    path = Path(place.format(tmp_path))
    with pytest.raises(OSError) as caught:
        refuse_existing(path, False)
    assert caught.value.filename == str(path)
    refuse_existing(tmp_path / "new" / "x.csv", False)
    assert names(tmp_path) == ["file"]


def test_a_writer_that_stumbles_over_a_full_disk_names_what_was_written(tmp_path):
    """As matplotlib's, of a PDF; and one that names what it reads, as shutil's."""
    file = tmp_path / "made" / "x.pdf"
    with pytest.raises(OSError, match="No space left") as caught, replacing(file):
        try:
            raise OSError(28, "No space left on device")
        finally:
            raise AttributeError("'Stream' object has no attribute 'pos'")
    assert caught.value.filename == str(file) and names(tmp_path) == []
    with pytest.raises(OSError) as caught, replacing_folder(tmp_path / "copy"):
        raise OSError(28, "No space left on device", "source.ipynb", None, "target.ipynb")
    assert caught.value.filename == str(tmp_path / "copy") and names(tmp_path) == []
    with pytest.raises(OSError) as caught, replacing_folder(tmp_path / "set") as folder:
        raise OSError(f"{folder}/0.safetensors: cannot be written (I/O error)")
    assert str(caught.value) == f"{tmp_path}/set/0.safetensors: cannot be written (I/O error)"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("3840 requested and 0 written")])
def test_a_full_disk_names_what_was_written(tmp_path, error):
    with pytest.raises(OSError) as caught, replacing(tmp_path / "x.npz"):
        raise error
    assert str(tmp_path / "x.npz") in str(caught.value) and names(tmp_path) == []


def test_a_mount_that_keeps_no_permissions_is_written_to(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    with replacing(tmp_path / "x.npz") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "x.npz").read_bytes() == b"new" and names(tmp_path) == ["x.npz"]


def test_a_disk_that_fails_as_a_file_is_put_in_place_names_it(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "x.npz").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError) as caught, replacing(tmp_path / "x.npz") as temporary:
        temporary.write_bytes(b"new")
    assert caught.value.filename == str(tmp_path / "x.npz")
    assert (tmp_path / "x.npz").read_bytes() == b"old" and names(tmp_path) == ["x.npz"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_verb_with_its_status_and_nothing_left(tmp_path, number):
    script = (
        "import os, signal, sys\nfrom dataclasses import dataclass\nfrom modtrans_core.cli.verb import run\n"
        "from modtrans_core.store.files import replacing\n"
        "@dataclass\nclass Slow:\n    '''Slow.'''\n    def run(self):\n        with replacing('x.npz'):\n"
        f"            os.kill(os.getpid(), {int(number)})\n            signal.pause()\n"
        "sys.exit(run({'slow': Slow, 'other': Slow}, 'modtrans', '', ['slow']))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 128 + number and names(tmp_path) == []
    assert ended.stderr == f"modtrans slow: ended by {number.name}\n"


def test_a_folder_that_is_not_ours_is_not_walked_through(tmp_path, monkeypatch):
    """A home, say, named by mistake: half a million files."""
    (tmp_path / "home" / "deep").mkdir(parents=True)
    (tmp_path / "home" / ".bashrc").touch()
    walk = os.walk

    def once(folder):
        yield next(walk(folder))
        pytest.fail("looked on")

    monkeypatch.setattr(os, "walk", once)
    with pytest.raises(ValueError, match="home: holds .bashrc, which was not written here"), \
            replacing_folder(tmp_path / "home"):  # fmt: skip
        pytest.fail("began")


def test_results_are_all_old_or_all_new_and_what_lies_beside_them_stays(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(OSError) as caught, replacing_results(out) as results:
        raise OSError(errno.ENOSPC, "no space left on device", str(results / "a.txt"))
    assert caught.value.filename == str(out) and not out.exists()
    (out / "tables").mkdir(parents=True)
    for name in ("tables/a.csv", "b.txt", "mine.txt"):
        (out / name).write_text("old")
    with pytest.raises(ValueError, match="end"), replacing_results(out) as results:
        (results / "b.txt").write_text("new")
        raise ValueError("end")
    process = held(out, 'replacing_results(".")')
    process.kill()
    process.wait()
    assert (out / "b.txt").read_text() == "old" and len(names(out)) > 3
    refuse_results(out, ["tables/c.csv"], False)
    assert names(out) == ["b.txt", "mine.txt", "tables"]
    with replacing_results(out) as results:
        for name in ("tables/a.csv", "figures/c.png", "b.txt"):
            (results / name).parent.mkdir(exist_ok=True)
            (results / name).write_text("new")
    found = {str(file.relative_to(out)): file.read_text() for file in out.rglob("*") if file.is_file()}
    assert found == {"tables/a.csv": "new", "figures/c.png": "new", "b.txt": "new", "mine.txt": "old"}


@pytest.mark.parametrize("name", ["out.npz", "out.npy", "out.csv", "out.safetensors", "out.onnx"])
def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_done(tmp_path, name):
    """As docker makes one for a file that is mounted and not there."""
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"{name}: a folder, a file is needed; choose another name"):
        refuse_existing(tmp_path / name, overwrite=True)
    assert (tmp_path / name).is_dir()
