"""What becomes of files when processes are killed, disks are full, folders cannot be written and two write one.

    python tests/soak.py                    # a thousand kills, and the rest
    python tests/soak.py --kills 50 --rows 1000 --long 0

Every call is a fork of this process, so that none of them waits for an import. Printed is one line a kind of trial, and
the exit status is 1 if anything was not as modtrans_core/store/README.md promises.
"""

import argparse
import contextlib
import gc
import importlib
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
import world

POSTER = f"train pairs.npz --out OUT {' '.join(world.SMALL)}".replace("--train-steps 20", "--train-steps 400")
EMBED = f"embed folder:pictures --shard-items 2 {' '.join(world.VECTORS)}"
Verbs = dict[str, tuple[str, str, str]]
VERBS: Verbs = {  # OUT is what is written
    "convert to a file": ("convert pairs.npz OUT", "out.npz", "--overwrite"),
    "convert to a folder": ("convert pairs.npz OUT", "out", "--overwrite"),
    "convert to shards": ("convert pairs.npz OUT --layout shards --shard-items 5", "out", "--overwrite"),
    "translate to a file": ("translate run pairs.npz OUT", "out.safetensors", "--overwrite"),
    "translate to a folder": ("translate run pairs.npz OUT", "out", "--overwrite"),
    "rank to a folder": ("rank run c.npy pairs.npz OUT", "out", "--overwrite"),
    "pack": ("pack image=image.npy text=text.npy OUT", "out.npz", "--overwrite"),
    "train, closed form": ("train pairs.npz --out OUT", "out", "--overwrite"),
    "train, steps": (POSTER, "out", "--resume"),
    "embed to a folder": (f"{EMBED} --out OUT", "out", ""),
    "embed to a file": (f"{EMBED} --out OUT", "out.npz", ""),
}
"""the call, the name that it writes, and the option with which it is given again"""
TIMED = re.compile(
    r"metrics\.jsonl$|compare\.txt$|(runs|presets)\.\w+$|bench\.json$|speed\.\w+$|\.ipynb$|stamp$|"
    r"notebooks/.+/\.modtrans\.json$"
)
"""files that hold how long something took, or hashes of such"""
LONG: Verbs = {
    "demo": ("demo --out OUT", "out", ""),
    "compare": ("compare pairs.npz --seeds 1 --rivals ridge --out OUT", "out", "--overwrite"),
    "tables": ("tables 5 --seeds 1 --out OUT", "out", "--overwrite"),
    "bench": ("bench --profile smoke --pairs pairs.npz --device cpu --out OUT", "out", ""),
    "paper": ("paper --profile smoke --pairs pairs.npz --only 02_projection_residual --out OUT", "out", ""),
}
"""those that take seconds, and start processes"""
IMPORTED = ("bench.run", "paper.make", "experiments.demo", "experiments.poster_tables", "plots.speed", "plots.presets")
IMPORTED = (*(f"analysis.{module}" for module in IMPORTED), "papermill", "sklearn", "seaborn", "typst")
ASKING = (signal.SIGTERM, signal.SIGHUP)
GONE = 2.0
"""seconds after which no process is left of a call that was killed: a kernel looks each second, its workers twice"""


@dataclass
class Ended:
    """How a call ended."""

    status: int
    said: str


@contextlib.contextmanager
def started(arguments: str, limit: Callable[[], None] = lambda: None) -> Iterator[tuple[int, Callable[[], Ended]]]:
    """A call in a process of its own: its id, and what waits for its end."""
    reads, writes = os.pipe()  # no file: its size may be limited
    child = os.fork()
    if child == 0:
        status = 70
        try:
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            limit()
            status, _, err = world.call(arguments.split())
            os.write(writes, err.encode()[-50_000:])
        except BaseException as error:
            os.write(writes, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(status if isinstance(status, int) else 71)

    def ended() -> Ended:
        _, code = os.waitpid(child, 0)
        os.write(writes, b"\n")  # so that nothing waits for what was not said
        return Ended(os.waitstatus_to_exitcode(code), os.read(reads, 2**16).decode(errors="replace").strip())

    try:
        yield child, ended
    finally:
        os.close(reads)
        os.close(writes)


def run(arguments: str, limit: Callable[[], None] = lambda: None) -> Ended:
    with started(arguments, limit) as (_, ended):
        return ended()


def contents(path: Path) -> dict[str, bytes] | None:
    """What is at a path, as names and bytes; what holds times, and locks aside. None where nothing is."""
    if not path.exists():
        return None
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {
        str(f.relative_to(path)): f.read_bytes()
        for f in files
        if ".modtrans-" not in str(f) and not TIMED.search(str(f))
    }


def named(verbs: Verbs) -> str:
    return "all" if verbs is VERBS else ", ".join(verbs)


def leftovers(place: Path) -> list[str]:
    return [path.name for path in place.rglob(".*") if path.name != ".modtrans.json"] + [
        p.name for p in place.glob("*.parts")
    ]


class Trial:
    """A folder with the inputs, and what was counted."""

    def __init__(self, place: Path) -> None:
        self.place, self.faults, self.rows = place, [], []

    def reset(self) -> None:
        for name in ("out", "out.npz", "out.safetensors", "out.npz.parts"):
            path = self.place / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for left in self.place.glob(".modtrans-*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        for left in self.place.glob(".out*"):
            left.unlink()

    def outlived(self, name: str, processes: list[psutil.Process]) -> float:
        """How many seconds the processes that a call started were there after it, from now on."""
        begun = time.monotonic()
        while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes):
            time.sleep(0.05)
            if time.monotonic() - begun > GONE:
                self.fault(f"{name}: {len(processes)} processes, of which some are left after {GONE} s")
                break
        return time.monotonic() - begun

    def fault(self, what: str) -> None:
        self.faults.append(what)
        print(f"FAULT {what}", flush=True)

    def row(self, *cells: object) -> None:
        self.rows.append(cells)
        print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def kills(trial: Trial, verbs: Verbs, number: int) -> None:
    """SIGKILL at a random moment, then the same call again: the same bytes, nothing beside them, no process left."""
    rng = np.random.default_rng(0)
    for name, (call, out, again) in verbs.items():
        call, path = call.replace("OUT", out), trial.place / out
        trial.reset()
        begun = time.monotonic()
        assert (first := run(call)).status == 0, (call, first.said)
        took, wanted = time.monotonic() - begun, contents(path)
        killed, last = 0, 0.0
        faults = len(trial.faults)
        for _ in range(number):
            trial.reset()
            with started(call) as (child, ended):
                time.sleep(rng.uniform(0, 1.1 * took))
                started_by_it = psutil.Process(child).children(recursive=True)
                os.kill(child, signal.SIGKILL)
                killed += ended().status == -signal.SIGKILL
            last = max(last, trial.outlived(name, started_by_it))
            there = contents(path)
            if path.suffix and there is not None and there != wanted:
                trial.fault(f"{name}: a torn file after a kill")
            option = again
            if again == "--resume" and not (path / "translator.json").exists():
                option = ""
            begun = time.monotonic()
            ended_ = run(f"{call} {option}")
            took = time.monotonic() - begun
            if ended_.status != 0 or contents(path) != wanted:
                trial.fault(f"{name}: not the same after a kill and another call: {ended_}")
            if left := leftovers(trial.place):
                trial.fault(f"{name}: left {left}")
        outlived = f", the last process gone {last:.1f} s after" if last > 0.1 else ""
        trial.row("SIGKILL", name, f"{number} ({killed} before the end{outlived})", len(trial.faults) - faults)


def asked(trial: Trial, verbs: Verbs, seconds: float, number: signal.Signals) -> None:
    """A signal that asks to end: its status, a whole result or none, and a training that goes on."""
    faults = len(trial.faults)
    for name, (call, out, again) in verbs.items():
        trial.reset()
        call = call.replace("OUT", out)
        with started(call) as (child, ended):
            time.sleep(seconds)
            started_by_it = psutil.Process(child).children(recursive=True)
            os.kill(child, number)
            end = ended()
        trial.outlived(name, started_by_it)
        if end.status not in (0, 128 + number, -number) or "Traceback" in end.said:
            trial.fault(f"{number.name}, {name}: {end}")
        begun = (trial.place / out / "translator.json").exists()
        if (after := run(f"{call} {again if again != '--resume' or begun else ''}")).status != 0:
            trial.fault(f"{number.name}, {name}: not to be gone on with: {after}")
    trial.row(f"{number.name} after {seconds} s", named(verbs), len(verbs), len(trial.faults) - faults)


def full(trial: Trial) -> None:
    """No file may grow beyond a size, as on a full disk: one line that names the path, and the old result is whole."""
    sizes = (0, 1, 100, 500, 1000, 2000, 4000, 8000)
    faults = len(trial.faults)
    for name, (call, out, _) in VERBS.items():
        call, path = call.replace("OUT", out), trial.place / out
        option = "--overwrite"
        trial.reset()
        assert run(call).status == 0
        before = contents(path)
        for size in sizes:
            end = run(f"{call} {option}", lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
            if end.status == 0:
                continue
            last = end.said.splitlines()[-1] if end.said else ""
            if end.status != 1 or out not in last or "report" in last:
                trial.fault(f"full at {size}, {name}: {end}")
            if not name.startswith(("train", "embed")) and contents(path) != before:
                trial.fault(f"full at {size}, {name}: the old result is gone")
            if left := [one for one in leftovers(trial.place) if ".parts" not in one and one != ".embedding"]:
                trial.fault(f"full at {size}, {name}: left {left}")
        if run(f"{call} {option}").status != 0:
            trial.fault(f"full, {name}: not to be written afterwards")
    trial.row("full disk", "all", len(VERBS) * len(sizes), len(trial.faults) - faults)


def read_only(trial: Trial) -> None:
    """A folder that may not be written, for a user who is not root."""

    def nobody() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

    faults = len(trial.faults)
    trial.reset()
    mode = trial.place.stat().st_mode
    trial.place.chmod(0o555)
    for name, (call, out, _) in VERBS.items():
        end = run(call.replace("OUT", out), nobody)
        if end.status != 1 or "permission denied" not in end.said.lower() or len(end.said.splitlines()) > 3:
            trial.fault(f"read-only, {name}: {end}")
    trial.place.chmod(mode)
    trial.row("read-only folder", "all", len(VERBS), len(trial.faults) - faults)


def two_at_once(trial: Trial, verbs: Verbs, times: int) -> None:
    """Two calls that write one name: a whole result, and whoever is refused learns by whom."""
    faults, refused = len(trial.faults), 0
    for name, (call, out, _) in verbs.items():
        call, path = call.replace("OUT", out), trial.place / out
        trial.reset()
        run(call)
        wanted = contents(path)
        for _ in range(times):
            trial.reset()
            with started(call) as (_, one), started(call) as (_, other):
                ends = [one(), other()]
            failed = [end for end in ends if end.status != 0]
            refused += len(failed)
            known = ("writes it", "exists", "already holds", "holds something else", "another process")
            if len(failed) == 2 or any(
                end.status != 1 or not any(word in end.said for word in known) for end in failed
            ):
                trial.fault(f"two at once, {name}: {ends}")
            if contents(path) != wanted or leftovers(trial.place):
                trial.fault(f"two at once, {name}: not one whole result, {leftovers(trial.place)}, {ends}")
    trial.row("two at once", named(verbs), f"{times * len(verbs)} ({refused} refused)", len(trial.faults) - faults)


def memory(trial: Trial, rows: int) -> None:
    """Single-row translations take no more memory as they go on."""
    import modtrans_core as mt

    def resident() -> int:
        gc.collect()
        status = Path("/proc/self/status")
        found = (
            [line for line in status.read_text().splitlines() if line.startswith("VmRSS")] if status.exists() else []
        )
        return int(found[0].split()[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    translator, c = mt.load("calibrated"), np.load("c.npy")
    for i in range(min(1000, rows)):
        translator.translate(c[i % 60 : i % 60 + 1])
    before = resident()
    for i in range(rows):
        translator.translate(c[i % 60 : i % 60 + 1])
    grown = resident() - before
    if grown > 4096:
        trial.fault(f"memory: {grown} KiB more after {rows} translations")
    trial.row("one row at a time", f"{grown / 1024:.1f} MiB grown", rows, int(grown > 4096))


def main() -> int:
    asks = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asks.add_argument("--kills", type=int, default=1000, help="of calls that take no second; 0: leave them out")
    asks.add_argument("--long", type=int, default=10, help="kills of each of the others; 0: leave them out")
    asks.add_argument("--only", nargs="*", default=[*LONG], choices=[*LONG], help="of the others")
    asks.add_argument("--pairs", type=int, default=10, help="how often two write at once, of each call")
    asks.add_argument("--rows", type=int, default=100_000)
    given = asks.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        world.make(place)
        os.chdir(place)
        for name in ("half", "begun"):
            shutil.rmtree(name)
        trial = Trial(place)
        print("| what | call | times | faults |\n|---|---|--:|--:|", flush=True)
        if given.kills:
            memory(trial, given.rows)
            kills(trial, VERBS, given.kills // len(VERBS))
            for number in ASKING:
                asked(trial, VERBS, 0.15, number)
            full(trial)
            read_only(trial)
            two_at_once(trial, VERBS, given.pairs)
        if given.long:
            for module in IMPORTED:
                importlib.import_module(module)
            verbs = {name: LONG[name] for name in given.only}
            kills(trial, verbs, given.long)
            for seconds, number in product((0.15, 1.5), ASKING):
                asked(trial, verbs, seconds, number)
            two_at_once(trial, verbs, -(-given.long // 5))
        os.chdir("/")
    return int(bool(trial.faults))


if __name__ == "__main__":
    sys.exit(main())
