"""The shards of a job, worked through by this process beside any others."""

from __future__ import annotations

from collections.abc import Callable
from shutil import rmtree

from modtrans_core.embed.engine.finish import finish
from modtrans_core.embed.engine.job import Folder, Job
from modtrans_core.embed.engine.shard import ShardEncoder
from modtrans_core.progress import Progress, reporting
from modtrans_core.store.files import sweep
from modtrans_core.store.locks import claimed


class ShardWorker:
    """What one process needs to do shards: the encoders, once there is something to encode.

    Parameters
    ----------
    device : where the encoders run, such as `cuda:1`.
    """

    def __init__(self, job: Job, folder: Folder, device: str | None) -> None:
        self.job, self.folder, self.device = job, folder, device
        self.encoder: ShardEncoder | None = None

    def do(self, number: int, wait: bool, progress: Callable[[int], object]) -> bool:
        """Encode a shard unless it is done, or another process has it and `wait` is False; whether it was done here.

        Parameters
        ----------
        progress : called with the number of items just done.
        """
        shard = self.job.shards[number]
        if self.folder.done(shard.name):
            return False
        with claimed(self.folder.lock(shard.name), wait) as other:
            if other or self.folder.done(shard.name):
                return False
            self.encoder = self.encoder or ShardEncoder(self.job, self.device)
            self.encoder.encode(shard, self.folder, progress)
            return True

    def finish(self) -> None:
        """Once every shard is done, make them one pair set, unless another process has."""
        with claimed(self.folder.lock("finish"), wait=True):
            if not self.folder.finished:
                finish(self.job, self.folder)
        rmtree(self.folder.parts, ignore_errors=True)  # may have been made again by a process that came late


def work(
    job: Job,
    folder: Folder,
    device: str | None = None,
    part: tuple[int, int] = (0, 1),
    progress: Progress | None = None,
) -> None:
    """Do what is left of the job, leave to other processes what they are at, and come back when all is done.

    Every shard is claimed before it is begun, so that no two processes do the same. What a process held that is killed
    is free again at once; whoever waits for it takes it over.

    Parameters
    ----------
    device : where the encoders run, such as `cuda:1`.
    part : (r, w): begin with every w-th shard from the r-th on, so that w processes rarely ask for the same.
    progress : called with (items done, in all). Default: a bar or, in a log, lines.
    """
    if folder.finished:  # a process may have been killed with nothing else left to do than this
        sweep(folder.path)
        rmtree(folder.parts, ignore_errors=True)
        return
    first, step = part
    order = [*range(first, len(job.shards), step), *(n for n in range(len(job.shards)) if n % step != first)]
    worker = ShardWorker(job, folder, device)
    counter = Counter(job, folder)
    with reporting(progress, counter.total(), f"embed {job.source}", "item", counter.done()) as report:

        def count(more: int) -> None:
            counter.begun += more
            report(counter.done(), counter.total())

        for wait in (False, True):  # what others hold is waited for when nothing else is left
            for number in order:
                if worker.do(number, wait, count):
                    counter.shard_done(number)
    worker.finish()


class Counter:
    """How many items are done, by all processes, and how many there are; where sizes are not known, as estimated."""

    def __init__(self, job: Job, folder: Folder) -> None:
        self.folder = folder
        self.names = [shard.name for shard in job.shards]
        self.sizes = {shard.name: shard.size for shard in job.shards if shard.size is not None}
        self.begun = 0  # of the shard that is being encoded
        self.refresh()

    def shard_done(self, number: int) -> None:
        self.sizes[self.names[number]] = self.begun
        self.begun = 0
        self.refresh()

    def refresh(self) -> None:
        """See what other processes have done."""
        usual = sum(self.sizes.values()) / len(self.sizes) if self.sizes else 0.0
        finished = self.folder.done_names()
        self._done = sum(self.sizes.get(name, usual) for name in finished)
        self._total = sum(self.sizes.values()) + usual * (len(self.names) - len(self.sizes))

    def done(self) -> int:
        return self.begun + round(self._done)

    def total(self) -> int:
        return max(self.done(), round(self._total))
