"""One split of a pair set on one route: what methods are fitted to, and the scores of what they answer.

An experiment is a function of a `Trial`: which methods, and which columns beside the scores. `every_trial` runs it for
every seed and route.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky import reusable_executor
from threadpoolctl import threadpool_limits

from analysis.experiments.data import refuse_few
from modtrans_core import PairedEmbeddings, Pairing, Translator, fit
from modtrans_core.checks import refuse
from modtrans_core.device import default_device
from modtrans_core.ends import end_with
from modtrans_core.methods import named, own_vectors
from modtrans_core.progress import Progress, silent
from modtrans_core.protocol import Facts
from modtrans_core.scores import score
from modtrans_core.split import has_parts

SCORES = [
    "cosine", "floor", "ceiling", "skill",
    "recall_at_1", "recall_at_10", "centered_recall_at_1", "centered_recall_at_10", "own_recall_at_1",
    "own_recall_at_10", "gallery",
]  # fmt: skip
"""what a row says of a translation; see `modtrans_core.scores.score`"""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Trial:
    """Fit on `train`, choose on `validation`, and score what is said of the conditions of `test`."""

    seed: int
    """of the split, and of whatever a method draws"""
    train: Pairing
    validation: Pairing
    test: Pairing
    mean: np.ndarray
    """(d,) of the unit training targets: the floor's constant and the centre of the centered ranking"""
    rows: list[dict[str, Any]] = field(default_factory=list)
    answered: dict[int, tuple[Translator, np.ndarray, Any]] = field(default_factory=dict)
    """what `answers` has found, by the id of a translator"""

    @staticmethod
    def of(pairs: PairedEmbeddings, source: str, target: str, seed: int) -> Trial:
        """The split of `pairs` by this seed; refused where a part has one group.

        A test item has the group that it has among all `pairs`, so that it is known again in another split.
        """
        pairs = pairs.grouped()
        part = pairs.dealt(seed)
        parts = [pairs.take(np.flatnonzero(part == index)) for index in range(3)]
        parts[2] = replace(parts[2], group=pairs.groups[part == 2])
        refuse_few(*parts)
        return Trial.between(seed, *(Pairing(part, source, target) for part in parts))

    @staticmethod
    def between(seed: int, train: Pairing, validation: Pairing, test: Pairing) -> Trial:
        """Parts that come from anywhere."""
        return Trial(seed, train, validation, test, train.mean())

    @property
    def route(self) -> str:
        """What the modalities are called in a table: `image → text`."""
        return f"{self.test.source} → {self.test.target}"

    def fit(self, config: Any, *, unseen: bool = False) -> Translator:
        """The translator that a method's config fits.

        Parameters
        ----------
        unseen : keep the validation part from it, so that it chooses on training pairs. A closed form is fitted to all
            the pairs that it is given, so that what is to be chosen on the validation part needs this one.
        """
        parts = self.train.pairs, self.train.source, self.train.target
        if not unseen:  # as `modtrans_core.fit` does, which then scores it on the validation part, too
            return named(config)[1].fit(self.train, self.validation, Facts.of(*parts), config, default_device())
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*translates (better|otherwise)$")  # the scores say so
            return fit(*parts, config, progress=silent)

    def answers(self, translator: Translator) -> tuple[np.ndarray, Any]:
        """Its translations (N, d) of the test part's conditions, and the `own_vectors` of its ranking; found once."""
        if id(translator) not in self.answered:  # the translator is held, so that no other has its id
            zhat, own = translator.translate(np.asarray(self.test.c)), own_vectors(translator, self.test)
            self.answered[id(translator)] = translator, zhat, own
        return self.answered[id(translator)][1:]

    def score(
        self,
        zhat: np.ndarray,
        *,
        part: Pairing | None = None,
        mean: np.ndarray | None = None,
        own: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> dict[str, float | int | None]:
        """`SCORES` of the translations zhat (N, d) of a part's conditions.

        Parameters
        ----------
        part : Default: `test`.
        mean : (d,) of the targets that the translator knows. Default: of this trial's training targets.
        own : vectors of the translator's own ranking, see `modtrans_core.scores.score`.
        """
        part, mean = part or self.test, self.mean if mean is None else mean
        targets, counts, item = np.asarray(part.targets), part.counts, part.item
        return score(zhat, targets, counts, mean=mean, item=item, independent=part.independent, own=own)

    def add(self, method: str, zhat: np.ndarray, *, mean: Any = None, own: Any = None, **facts: Any) -> None:
        """One row: `route`, `method`, `seed`, the `score` of zhat (N, d) on the test part, and the facts given."""
        named = {"route": self.route, "method": method, "seed": self.seed}
        self.rows.append({**named, **self.score(zhat, mean=mean, own=own), **facts})

    def race(self, configs: Mapping[str, Any], **facts: Any) -> dict[str, Translator]:
        """Fit every config, and add a row with the `seconds` that its fit took.

        Returns
        -------
        The translators by name.
        """
        fitted = {}
        for name, config in configs.items():
            started = time.perf_counter()
            fitted[name] = self.fit(config)
            seconds = time.perf_counter() - started
            zhat, own = self.answers(fitted[name])
            self.add(name, zhat, own=own, **facts, seconds=seconds)
        return fitted

    def table(self) -> pd.DataFrame:
        """Every row that was added; what is not known, such as a ceiling, is NaN, so that its column is of numbers."""
        return pd.DataFrame([{name: np.nan if one is None else one for name, one in row.items()} for row in self.rows])


def every_trial(
    work: Callable[[Trial], Result],
    pairs: str | Path,
    routes: Sequence[tuple[str, str]],
    seeds: int,
    report: Progress = silent,
) -> list[Result]:
    """What `work` makes of the trial of every seed and route, as many at once as the machine has cores.

    Each trial has one thread of a process of its own: faster for matrices of this size, and the result does not depend
    on the number of cores. The processes wait for the next call, and end soon after the process that made them. Of one
    trial, and on one core, it is this process.

    Parameters
    ----------
    pairs : file or folder of the pair set.
    routes : (source, target) modalities.
    seeds : 0 to seeds - 1 are run. A data set's own split is followed, and a warning says that it is one for all.
    report : called with (trials done, trials).

    Returns
    -------
    Seed by seed, the routes of a seed together.
    """
    own = PairedEmbeddings.load(pairs).own_split
    if seeds > 1 and has_parts(own):
        warnings.warn(
            f"{pairs}: own_split: all {seeds} seeds have the test items of the data set's own split: what differs"
            " between them is the draws of a method, no spread over splits",
            stacklevel=2,
        )
    jobs = [(source, target, seed) for seed in range(seeds) for source, target in routes]
    try:
        processes = min(len(jobs), cpu_count())
    except ValueError:
        refuse("LOKY_MAX_CPU_COUNT", os.environ.get("LOKY_MAX_CPU_COUNT"), "a whole number")
    results: Iterable[tuple[Result, list[str]]] = (_alone(work, str(pairs), *job) for job in jobs)
    if processes > 1:
        ends: dict[str, Any] = {"initializer": end_with, "initargs": (os.getpid(),)}
        parallel = Parallel(processes, return_as="generator", batch_size=1, inner_max_num_threads=1, **ends)
        results = parallel(delayed(_alone)(work, str(pairs), *job) for job in jobs)
    found: list[Result] = []
    warned: dict[str, None] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A worker stopped while")  # joblib's, of a process that it replaces
        try:
            for result, texts in results:
                found.append(result)
                warned |= dict.fromkeys(texts)
                report(len(found), len(jobs))
        except BrokenExecutor:
            raise RuntimeError(
                f"one of {processes} processes ended, as where memory runs out;"
                " LOKY_MAX_CPU_COUNT=1 in the environment takes one alone"
            ) from None
    for text in warned:
        warnings.warn(text, stacklevel=2)
    return found


@contextmanager
def workers() -> Iterator[None]:
    """Inside, the processes of `every_trial` wait for its next call. Then they end: Python itself would wait for them
    for seconds, where Ctrl-C is answered no more.
    """
    try:
        yield
    finally:
        if (executor := getattr(reusable_executor, "_executor", None)) is not None:  # its getter would make one
            executor.shutdown(kill_workers=True)


def _alone(
    work: Callable[[Trial], Result], pairs: str, source: str, target: str, seed: int
) -> tuple[Result, list[str]]:
    """The work in one thread of this process, and what it warned of: in another process nobody sees it."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
            result = work(Trial.of(PairedEmbeddings.load(pairs), source, target, seed))
        for one in caught:
            if one.category is not UserWarning:  # a library's
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        return result, [str(one.message) for one in caught if one.category is UserWarning]
    finally:
        torch.set_num_threads(threads)
