"""Running notebooks with papermill, strictly: an unknown or ill-typed parameter is an error, not a warning."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modtrans_core.checks import place
from modtrans_core.notebook import WrongParameter, refuse_wrong
from modtrans_core.store.files import WROTE, keep_as_old, read_description, replacing, sha256, write_json

METRICS = "metrics.json"
STAMP = "stamp"
"""of what the results were made of, written beside them"""
CELLS = "sha256_of_cells"
"""in the metadata of a notebook that failed"""
PROGRESS = ".progress.json"
STARTS = 3
"""attempts to start a kernel, whose ports another program may take before it does, or which a busy machine keeps"""


def parameters(notebook: str | Path) -> dict[str, dict[str, str]]:
    """The notebook's parameters: name -> `default` (as written), `inferred_type_name`, `help`."""
    import papermill

    return dict(papermill.inspect_notebook(str(notebook)))


def check(notebook: str | Path, values: Mapping[str, Any]) -> None:
    """Refuse a parameter that the notebook does not have, of another type than it states or out of range."""
    known = parameters(notebook)
    kinds, helps = ({name: one[of] for name, one in known.items()} for of in ("inferred_type_name", "help"))
    try:
        refuse_wrong(kinds, values, helps)
    except WrongParameter as error:
        raise WrongParameter(f"{Path(notebook).stem}: {error}") from None


class Kernels:
    """The kernels of notebooks that run side by side, each in a process group of its own; one `end` for all of them.

    Parameters
    ----------
    threads : of each kernel, and processes of its trials. Default: as many as the machine gives.
    """

    def __init__(self, threads: int | None = None) -> None:
        limits = ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
        self.environment = {} if threads is None else dict.fromkeys(limits, str(threads))
        self.managers: list[Any] = []
        self.ended = False

    def manager(self, folder: Path) -> type:
        """The class that starts a kernel in this folder; papermill itself would move this process there."""
        from ipykernel.kernelspec import get_kernel_dict
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import AsyncKernelManager

        kernels = self

        class Manager(AsyncKernelManager):
            kernel_spec = KernelSpec(**get_kernel_dict())  # this interpreter, whatever the user's kernels are called

            async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
                kept = os.environ.get("MODTRANS_CACHE")  # the same in whichever folder a kernel is
                cache = {"MODTRANS_CACHE": str(Path(kept).absolute())} if kept else {}
                asserted = {"PYTHONOPTIMIZE": ""}  # else a notebook's assertions may be left out
                environment = {**os.environ, **cache, **asserted, **kernels.environment}
                await AsyncKernelManager.start_kernel(self, **{**options, "cwd": str(folder), "env": environment})
                kernels.managers.append(self)
                if kernels.ended:
                    kernels.end()

        return Manager

    def end(self) -> None:
        """Kill every kernel with its workers, and those that are about to start; who waits for one sees it die."""
        self.ended = True
        for manager in tuple(self.managers):
            place = manager.provisioner
            if place is not None and place.has_process and place.pgid:
                with suppress(ProcessLookupError):
                    os.killpg(place.pgid, signal.SIGKILL)


def run(
    notebook: str | Path, out: str | Path, values: Mapping[str, Any] | None = None, kernels: Kernels | None = None
) -> dict[str, Any]:
    """Execute a notebook into the folder `out` and return its metrics.

    The notebook runs in a folder beside `out` that takes the place of `out` when it has succeeded, so what an earlier
    run left stays until there is something better. What a reader added stays, and what he changed is kept as `.old`. A
    failed run leaves its executed notebook in `<out>.failed.ipynb`.

    Parameters
    ----------
    notebook : an `.ipynb` file with a `parameters` cell that has `out`.
    out : receives `<name>.ipynb`, `metrics.json`, `figures/` and `tables/`.
    values : the other parameters.
    kernels : those beside which it runs. Default: it runs alone.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    notebook, out = Path(notebook), place("out", out).resolve()
    check(notebook, {**(values or {}), "out": str(out)})
    scratch = scratch_folder(out)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    executed = scratch / notebook.name
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it logs of kernels is raised, too
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # the debugger's warning about frozen modules
    kernels = kernels or Kernels()
    try:
        for left in reversed(range(STARTS)):
            try:
                papermill.execute_notebook(
                    str(notebook),
                    str(executed),
                    parameters={**(values or {}), "out": str(scratch)},
                    kernel_name="python3",
                    progress_bar=False,
                    kernel_manager_class=kernels.manager(scratch),
                    extra_arguments=["--IPKernelApp.log_level=50"],  # what it logs is about the machine
                )
                break
            except RuntimeError as error:
                if kernels.ended:
                    raise
                if not re.search("before replying|respond", str(error)):
                    died = "its kernel ended, as where memory runs out" if "died" in str(error) else str(error)
                    raise RuntimeError(f"{notebook.stem}: {died}") from None
                if not left:
                    raise RuntimeError(f"{notebook.stem}: its kernel did not start in {STARTS} attempts") from None
    except PapermillExecutionError as error:
        failed = out.with_name(f"{out.name}.failed.ipynb")
        _leave(executed, failed)
        shutil.rmtree(scratch)
        said = error.evalue or _failing_line(error.traceback)
        raise RuntimeError(f"{notebook.stem}: {error.ename}: {said} (cell {error.exec_count}); see {failed}") from None
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    if not (scratch / METRICS).exists():
        raise RuntimeError(f"{notebook.stem}: its last cell did not write {METRICS}")
    metrics = read_metrics(scratch)
    written = {name: sha256(scratch / name) for name in sorted(_files(scratch))}
    write_json(scratch / WROTE, {"wrote": list(written), "sha256": written})
    old = out.with_name(f".{out.name}.old")
    if old.exists():  # what was killed between the two steps below
        _keep(old, scratch)
    if out.exists():
        os.replace(out, old)
    os.replace(scratch, out)
    if old.exists():
        _keep(old, out)
    return metrics


def _leave(executed: Path, failed: Path) -> None:
    """Leave a notebook that failed with a digest of its cells, by which it is known whether a reader changed them."""
    import nbformat

    def cells(notebook: Any) -> str:
        return hashlib.sha256(json.dumps(notebook.cells, sort_keys=True).encode()).hexdigest()

    if failed.exists():
        try:
            found = nbformat.read(failed, 4)
            changed = found.metadata.get(CELLS) != cells(found)
        except Exception:  # whatever is in its place now
            changed = True
        if changed:
            keep_as_old(failed, failed)
    notebook = nbformat.read(executed, 4)
    notebook.metadata[CELLS] = cells(notebook)
    try:
        with replacing(failed) as temporary:
            nbformat.write(notebook, temporary)
    except OSError:  # where the disk is full it is left as it is
        os.replace(executed, failed)


def wrote(results: Path) -> set[str]:
    """The files that a notebook wrote; what else lies beside them is a reader's."""
    if not (results / WROTE).exists():  # of an older version
        return {METRICS, *(name for name in _files(results) if name.startswith(("figures/", "tables/")))}
    return set(read_description(results / WROTE, {"wrote": "a list of texts"})["wrote"])


def _files(results: Path) -> set[str]:
    return {file.relative_to(results).as_posix() for file in results.rglob("*") if not file.is_dir()}


def _keep(old: Path, new: Path) -> None:
    """Move what a reader added to old results, or changed in them, to the new ones, and remove the old. What has the
    name of a new file is called `.old`.
    """
    known: dict[str, str] = {}
    if (old / WROTE).exists():
        known = read_description(old / WROTE, {}, {"sha256": "an object"}).get("sha256", {})
    own = wrote(old) | {WROTE, STAMP}
    for name in sorted(_files(old), key=lambda name: (new / name).exists()):  # those first that keep their names
        if name in own and known.get(name) in (None, sha256(old / name)):
            continue
        if (new / name).exists():
            keep_as_old(old / name, new / name)
        else:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(old / name, new / name)
    shutil.rmtree(old, ignore_errors=True)


def _failing_line(traceback: list[str]) -> str:
    """The line of a cell that an error without words is of, such as an assertion."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(traceback))
    marked = re.search(r"^-+> \d+ *(.*)$", plain, re.M)
    return marked[1] if marked else ""


def read_metrics(out: str | Path) -> dict[str, Any]:
    """What `write_metrics` wrote: an object, whose fields are the notebook's own."""
    found: dict[str, Any] = read_description(place("out", out) / METRICS, {})
    return found


def scratch_folder(out: Path) -> Path:
    """Where a notebook runs before its results become `out`."""
    return out.with_name(f".{out.name}.part")


def write_metrics(out: str | Path, metrics: Mapping[str, Any]) -> None:
    """Write `out/metrics.json`: numbers, texts, lists and mappings of them; numpy values are converted, NaN is null.

    It is the last that a notebook does, however it is run: how far it is, which `report` has told, goes.
    """
    text = json.dumps(metrics, default=lambda value: value.tolist())
    write_json(place("out", out) / METRICS, json.loads(text, parse_constant=_finite_or_null))
    (place("out", out) / PROGRESS).unlink(missing_ok=True)


def established(findings: Mapping[str, bool], asserted: bool) -> dict[str, bool]:
    """Findings, each a sentence and whether it holds here: of the pairs that they were made on they are asserted, of
    others they are printed.

    Examples
    --------
    >>> established({"a linear map is best": False}, asserted=False)
    does not hold here: a linear map is best
    {'a linear map is best': False}
    """
    for sentence, holds in findings.items():
        assert holds or not asserted, sentence
        print(f"{'holds' if holds else 'does not hold'} here: {sentence}")
    return {sentence: bool(holds) for sentence, holds in findings.items()}


def _finite_or_null(constant: str) -> None:
    if constant != "NaN":
        raise ValueError(f"metrics: {constant}, finite numbers are needed")


def report(out: str | Path, done: int, total: int, text: str = "") -> None:
    """From inside a notebook: say how far it is. Whoever runs it can read this with `progress`."""
    with replacing(place("out", out) / PROGRESS) as temporary:
        temporary.write_text(json.dumps({"fraction": done / total, "text": text}))


def progress(out: Path) -> tuple[float, str]:
    """From outside: how far the notebook that runs for the folder `out` is, 0 to 1, and what it is doing."""
    try:
        state = read_description(scratch_folder(out) / PROGRESS, {"fraction": "a number", "text": "text"})
        return state["fraction"], state["text"]
    except (OSError, ValueError):
        return 0.0, ""
