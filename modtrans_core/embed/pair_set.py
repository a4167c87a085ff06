"""A source through its encoders: a pair set, made once, by one process or many."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

from modtrans_core.checks import refuse_unless, refuse_unless_in, whole
from modtrans_core.embed.engine.finish import SKIPPED, copy_skipped, merge, refuse_other_list, skipped_beside
from modtrans_core.embed.engine.job import Folder, Job
from modtrans_core.embed.engine.work import work
from modtrans_core.embed.sources import texts
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.progress import Progress, silent
from modtrans_core.store.contents import JOB
from modtrans_core.store.described import metadata
from modtrans_core.store.files import refuse_existing, refuse_same, scratch_folder, sweep
from modtrans_core.store.headers import RECORD, SUFFIXES, reading, rows, small_arrays
from modtrans_core.store.locks import LOCK, claimed

Engine = Literal["local", "ray"]


def embed(
    source: str | Path = "openmoji",
    out: str | Path | None = None,
    encoders: Mapping[str, str | Path] | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    settings: Mapping[str, object] | None = None,
    device: str | None = None,
    shard_items: int = 1024,
    dtype: str = "float32",
    engine: Engine = "local",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Make the pair set of a source.

    It is made shard by shard in a folder. Any number of processes, on machines that share a file system, may be given
    the same call: they share the shards. Interrupted or killed at any moment, the same call goes on where it was, and
    what comes out is the same to the byte. Of what is finished, the same call does nothing. Files that a source names
    are taken for the same where their names and sizes are (in a zip file, their checksums).

    Parameters
    ----------
    source : a name or `kind:path`, see `modtrans_core.embed.sources`.
    out : where the pair set goes: a folder, which then holds the shards, or a `.npz` or `.safetensors` file, beside
        which they are kept until all are done. Default: a file in the cache, under a name that its inputs decide; asked
        for again, it is there.
    encoders : by modality, `library:model/weights`, see `modtrans_core.embed.encoders`. Default: the source's.
    limit, seed, settings : which part of the source, see `modtrans_core.embed.sources.load_source`.
    device : default: the GPU if there is one.
    shard_items : items of a shard, where the source does not come in shards (tar files do).
    dtype : of the vectors on disk, `float32` or `float16`.
    engine : `ray` gives the shards to the workers of a Ray cluster, or of this machine if there is none.
    overwrite : replace what is finished, or was begun with other inputs, at `out`.
    progress : called with (items done, in all). Default: a bar or, in a log, lines.

    Returns
    -------
    Path
        `out`, or the file in the cache.

    Raises
    ------
    ValueError
        If a name is unknown, weights are not the published ones, an embedding is not finite, no item is left, or the
        folder holds something else.
    ModuleNotFoundError
        If a package is missing; the message is the command that installs it.
    """
    if out is not None and Path(out).suffix and Path(out).suffix not in SUFFIXES:
        raise ValueError(
            f"{out}: unknown suffix {Path(out).suffix!r}, one of {', '.join(SUFFIXES)} or a folder is needed"
        )
    from modtrans_core import distributed

    refuse_unless_in("engine", engine, get_args(Engine))
    shard_items = whole("shard-items", shard_items, 1)
    given, named, kind = texts(settings), texts(encoders), _kind_of(device, engine)
    job = Job(os.fspath(source), limit, seed, given, named, kind, shard_items, dtype)
    cached = _cached_path(job)
    path = cached if out is None else Path(out)
    folder = Folder(_parts_of(path))
    refuse_same("out", path, _files_of(job))
    sweep(path.parent)
    if path != folder.path and path.is_file() and not overwrite and (out is None or _job_of(path) == job.digest()):
        _remove(folder)
        return path
    if out is None:
        writable_cache()
    with _making(path, folder, job, overwrite):
        if distributed.is_main():
            if path.suffix in SUFFIXES and cached.exists():  # made before: for a notebook, say
                copy_skipped(skipped_beside(cached), path)
                PairedEmbeddings.load(cached).save(path, dtype=dtype)
            else:
                folder.begin(job)
        distributed.barrier()
        if not folder.begun:
            return path
        if engine == "ray":
            from modtrans_core.embed.engine.ray_engine import work_with_ray

            work_with_ray(job, folder, progress)
        else:
            watched = progress if distributed.is_main() else silent
            work(job, folder, device, (distributed.rank(), distributed.world()), watched)
    if path != folder.path:
        _merge_once(folder, path, dtype, job.digest())
    return path


def made_at(path: Path) -> int | None:
    """When a pair set was finished that `embed` made, ns; None where none is."""
    record = path if path.suffix in SUFFIXES else path / RECORD
    with suppress(OSError, ValueError):
        if record == path or Folder(path).finished:
            return record.stat().st_mtime_ns
    return None


def skipped(path: Path) -> tuple[Path, dict[str, int]]:
    """The list of what was left out of a pair set that `embed` made, and how many items for each reason."""
    if path.is_dir():
        return path / SKIPPED, Folder(path).record()["skipped"]
    return skipped_beside(path), PairedEmbeddings.load(path).metadata["dataset"]["skipped"]


def cut(path: Path) -> dict[str, int]:
    """How many values of a pair set that `embed` made were longer than their encoder takes, by modality."""
    record = Folder(path).record() if path.is_dir() else PairedEmbeddings.load(path).metadata["dataset"]
    found: dict[str, int] = record.get("cut", {})
    return found


@contextmanager
def _making(path: Path, folder: Folder, job: Job, overwrite: bool) -> Iterator[None]:
    """Refuse what is there and may not go. Inside, what may go stays until a shard of the new set is there; what can be
    gone on with stays, too; and a refusal before the first shard leaves nothing of the new one.
    """
    from modtrans_core import distributed

    new = not folder.begun
    with ExitStack() as until_made:
        old = _moved(path, folder, job, overwrite, until_made) if distributed.is_main() else None
        try:
            yield
        except BaseException as error:
            if distributed.world() == 1 and folder.empty and folder.alone:
                if folder.begun and (old or (new and isinstance(error, Exception))):
                    folder.clear()
                if old:
                    os.replace(old, folder.path)
            raise


def _moved(path: Path, folder: Folder, job: Job, overwrite: bool, until_made: ExitStack) -> Path | None:
    """What was made there, moved beside; None where nothing was, or what can be gone on with."""
    if path != folder.path:
        refuse_other_list(path)
        if not folder.begun:
            refuse_existing(path, overwrite)
    if not (folder.begun and (folder.finished or folder.difference(job)) and (overwrite or folder.empty)):
        return None
    if not folder.alone:
        raise ValueError(f"{folder.path}: another process embeds there; wait for its end, or choose another name")
    old = until_made.enter_context(scratch_folder(folder.path)) / folder.path.name
    folder.move(old)
    return old


def _files_of(job: Job) -> Iterator[Path]:
    """The files that a job names: of its source, its settings and its encoders, such as `array:FILE`. And the folder of
    a source that is read whole, whatever lies in it.
    """
    kind, _, folder = job.source.partition(":")
    if kind == "datasets" and Path(folder).is_dir():
        yield Path(folder)
    for given in (job.source, *job.settings.values(), *job.named.values()):
        file = given.partition(":")[2]
        yield from (Path(name) for name in (given, file, file.partition("/")[2]) if name and Path(name).is_file())


def _job_of(path: Path) -> str | None:
    """The digest of the job that a file is the whole pair set of, where it says so."""
    with suppress(ValueError), reading(path):
        said = metadata(small_arrays(path).get("metadata", "{}"))
        return said.get(JOB) if rows(path) == said["dataset"]["items"] else None
    return None


def _remove(folder: Folder) -> None:
    """Remove the parts of a file that is there: in one step, so that none of them is ever taken for unfinished."""
    if folder.begun:
        with scratch_folder(folder.path) as scratch:
            os.replace(folder.path, scratch / folder.path.name)


def _parts_of(out: Path) -> Path:
    """The folder in which a pair set is made: the set itself, or beside the file that it becomes."""
    return out.with_name(f"{out.name}.parts") if out.suffix in SUFFIXES else out


def cached_openmoji(limit: int | None = None, progress: Progress | None = None) -> Path:
    """The OpenMoji pair set with the default encoders, made on the first call."""
    return embed("openmoji", limit=limit, progress=progress)


def is_cached(
    source: str | Path = "openmoji",
    encoders: Mapping[str, str | Path] | None = None,
    *,
    limit: int | None = None,
    settings: Mapping[str, object] | None = None,
) -> bool:
    """Whether `embed` with these arguments, and no `out`, returns at once."""
    return _cached_path(Job(os.fspath(source), limit, settings=texts(settings), named=texts(encoders))).exists()


def cache_dir() -> Path:
    """Where pair sets are kept: `$MODTRANS_CACHE`, else `modtrans` in the user's cache folder."""
    if chosen := os.environ.get("MODTRANS_CACHE"):
        return Path(chosen)
    home = os.path.expanduser("~")  # left as it is where there is none
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(home) / ".cache") / "modtrans"


def writable_cache() -> Path:
    """`cache_dir()`, made where it is not there; refused where nothing can be written."""
    folder, there = cache_dir(), False
    with suppress(OSError):
        if folder.parts[:1] != ("~",):
            folder.mkdir(parents=True, exist_ok=True)
            there = os.access(folder, os.W_OK)
    refuse_unless(there, "MODTRANS_CACHE", str(folder), "a folder in which pair sets can be kept")
    return folder


def _cached_path(job: Job) -> Path:
    return cache_dir() / f"{job.description['source']}-{job.digest()}.npz"


def _kind_of(device: str | None, engine: Engine = "local") -> str:
    """What kind of device encodes; that of Ray's workers may be on another machine than this."""
    from modtrans_core.device import KINDS, device_of

    if engine == "ray" and device in KINDS:
        return device
    return device_of(device).type


def _merge_once(folder: Folder, out: Path, dtype: str, job: str) -> None:
    """Of all processes that come here, the first makes the file; the others find the parts gone."""
    with claimed(out.with_name(f".{out.name}{LOCK}"), wait=True):
        if folder.path.exists():
            merge(folder, out, dtype, job)
            _remove(folder)
