"""Spoilt files and arguments, thousands of them: every call ends as promised in modtrans_core/store/README.md.

MODTRANS_FUZZ=20000 runs so many cases; MODTRANS_FUZZ_SEED=3 others. A case that fails says how it is run alone.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

DEFAULT = 500
CASES, SEED = int(os.environ.get("MODTRANS_FUZZ", DEFAULT)), int(os.environ.get("MODTRANS_FUZZ_SEED", "0"))
CHUNKS = max(8, CASES // 250)
SECONDS, BYTES = 5.0, 2**30
OUTSIDE = "canary"
DIVERGED = ("work/out", *(f"work/out/{name}" for name in ("translator.json", "training.safetensors", "metrics.jsonl")))
"""what a training leaves that began and failed"""


def sibling(name):
    """A file beside this one, which is no package."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutators, world = sibling("mutators"), sibling("world")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    world.make(folder)
    return folder


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_call_ends_as_promised(sound, tmp_path, chunk):
    faults = [fault for case in range(chunk, CASES, CHUNKS) for fault in run_case(sound, tmp_path, case)]
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:20])


def test_the_page_says_what_is_tried():
    verbs = {kind.arguments[0] for kind in (*world.READS, *world.ASKS)}
    page = Path(world.__file__).parents[2] / "modtrans_core" / "store" / "README.md"
    assert f"arguments of {len(verbs)} verbs, {DEFAULT} cases" in page.read_text()


def run_case(sound, root, case):
    """Run a case in a folder; what it did that is not promised."""
    rng = np.random.default_rng([SEED, case])
    kind = mutators.one_of(rng, world.READS if rng.random() < 0.75 else world.ASKS)
    place = root / "work"
    place.mkdir()
    (root / "tmp").mkdir()
    (root / OUTSIDE).write_text("mine")
    for name in kind.inputs:
        (shutil.copytree if (sound / name).is_dir() else shutil.copyfile)(sound / name, place / name)
    arguments, what = list(kind.arguments), spoil(rng, kind, place)
    if what is None:
        what = ask(rng, arguments)
    before, old = listing(root), os.getcwd()
    os.chdir(place)
    tempfile.tempdir = str(root / "tmp")
    peak, started = Peak(), time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            status, _, err = world.call(arguments)
    except BaseException as error:
        status, err = None, f"{type(error).__name__}: {error}"
    finally:
        os.chdir(old)
        tempfile.tempdir = None
    took, memory = time.process_time() - started, peak.bytes()
    faults = [*broken_promises(status, err, what, kind), *left(before, listing(root), status, kind)]
    if took > SECONDS or memory > BYTES:
        faults.append(f"took {took:.1f} s and {memory / 2**20:.0f} MiB")
    for name in ("work", "tmp"):
        shutil.rmtree(root / name)
    return [f"case {case}: {' '.join(arguments)[:300]} ({what}): {fault}" for fault in faults]


def spoil(rng, kind, place):
    """Mutate a file of the case; its name, or None where the arguments are to be mutated."""
    if not kind.spoilt:
        return None
    named = mutators.one_of(rng, kind.spoilt)
    files = sorted(f for f in place.glob(named) if f.is_file() or not named.endswith("*"))
    path = mutators.one_of(rng, [f for f in files if not f.name.startswith(".modtrans")])
    for _ in range(int(rng.integers(1, 3))):
        if path.exists():
            with contextlib.suppress(Exception):  # spoilt already, and perhaps no longer what the second takes it for
                mutators.one_of(rng, mutators.of(path))(rng, path)
    return str(path.relative_to(place))


def ask(rng, arguments):
    """Mutate the values of one or two options or names; which."""
    changed = []
    for _ in range(int(rng.integers(1, 3))):
        at = int(rng.integers(1, len(arguments)))
        text = mutators.one_of(rng, mutators.TEXTS)
        if "=" in arguments[at] and not arguments[at].startswith("-"):
            text = f"{arguments[at].partition('=')[0]}={text}"
        changed.append(f"{arguments[at]} -> {text[:40]}")
        if rng.random() < 0.1:
            arguments.insert(at, text)
        else:
            arguments[at] = text
    return ", ".join(changed)


def broken_promises(status, err, what, kind):
    """What is wrong with how a call ended and with what it said."""
    lines = [line for line in err.splitlines() if line.strip()]
    if status not in (0, 1, 2):
        yield f"status {status}: {err[-300:]}"
    elif "Traceback" in err or "please report" in err:
        yield f"not foreseen: {lines[-1][-500:]}"
    elif status == 1:
        last = lines[-1] if lines else ""
        said = [line for line in lines if re.match(r"modtrans \S+: ", line)]
        if said != [last]:
            yield f"not one line at the end: {err[-300:]!r}"
        elif (
            kind.spoilt
            and Path(what).parts[0] not in last
            and Path(what).name not in last
            and not any(name in last for name in kind.inputs)
            and f"--{last.split(': ')[1]}" not in kind.arguments
        ):
            yield f"names no file and no option: {last[-300:]}"


def listing(root):
    """Every name below a folder with its size and time; folders without."""
    found = {}
    for path in root.rglob("*"):
        stat = path.lstat()
        found[path.relative_to(root).as_posix()] = (
            None if path.is_dir() and not path.is_symlink() else (stat.st_size, stat.st_mtime_ns)
        )
    return found


def left(before, after, status, kind):
    """What was written, removed or left where nothing should have been."""
    filled = {"half": "work/half/", "begun": "work/begun/"}
    own = tuple(prefix for name, prefix in filled.items() if f"--out {name}" in " ".join(kind.arguments))
    for name in sorted({*before, *after}):
        if before.get(name, 0) == after.get(name, 0) and (name in before) == (name in after):
            continue
        mine = name.startswith(("work/out", *own)) or f"{name}/" in own
        if ".modtrans-" in name or not (mine or outputs(name, status, kind)):
            yield f"{'changed' if name in before else 'left'} {name}"
        elif status != 0 and mine and name not in before and not own and name not in DIVERGED:
            yield f"left {name} though it failed"


def outputs(name, status, kind):
    """Whether a name may be one that a mutated argument asked to write."""
    asked = name.startswith("work/") or ("/" not in name and name != OUTSIDE)  # or `..`
    return status == 0 and (name == "work" or (not kind.spoilt and asked))


class Peak:
    """The most memory that this process takes from now on, beyond what it takes now."""

    def __init__(self):
        self.start = self._now("VmRSS")
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self.known = True
        except OSError:
            self.known = False

    def bytes(self):
        return self._now("VmHWM") - self.start if self.known else 0

    @staticmethod
    def _now(field):
        status = Path("/proc/self/status")
        if sys.platform != "linux" or not status.exists():
            return 0
        return 1024 * int(re.search(rf"{field}:\s+(\d+)", status.read_text())[1])
