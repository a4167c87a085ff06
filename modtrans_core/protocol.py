"""What a translator is: the one shape that every method has, and what some can do besides.

Nothing asks which class a translator has: it asks what it can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from modtrans_core import run
from modtrans_core.checks import refuse_modality, refuse_unless, whole
from modtrans_core.pairs import PairedEmbeddings, refuse_no_pairs
from modtrans_core.seen import Seen
from modtrans_core.store.contents import as_array, differing
from modtrans_core.store.described import checked
from modtrans_core.store.headers import refuse_too_large
from modtrans_core.vectors import ROWS

Vectors = TypeVar("Vectors", np.ndarray, Tensor)
Module = TypeVar("Module", bound=nn.Module)
Work = TypeVar("Work", bound=Callable[..., Any])


class Facts(NamedTuple):
    """What a translator was fitted to; pairs that contradict it are refused."""

    source: str
    """modality of the conditions"""
    target: str
    """modality of the targets"""
    k: int
    """dimension of the conditions"""
    d: int
    """dimension of the targets"""
    encoders: Mapping[str, Any] = {}
    """facts about the encoder of each modality, as a pair set's metadata gives them"""
    seen: Seen | None = None
    """the rows that it was fitted to; None where that is not known"""

    def plain(self) -> dict[str, Any]:
        """All but the rows, as JSON values."""
        return {name: value for name, value in self._asdict().items() if name != "seen"}

    @staticmethod
    def restored(where: str | Path, plain: Mapping[str, Any]) -> Facts:
        """The inverse of `plain`; what is no such description is a ValueError that names the file `where`."""
        lengths = dict.fromkeys(("k", "d"), "a whole number from 1 on")
        known = checked(
            where, plain, {"source": "text", "target": "text", **lengths, "encoders": "an object of objects"}
        )
        for name in ("source", "target"):
            refuse_modality(known[name], f"{where}: {name}")
        return Facts(known["source"], known["target"], known["k"], known["d"], known["encoders"])

    def __str__(self) -> str:
        return f"{self.source} {self.k} -> {self.target} {self.d}"

    @staticmethod
    def of(pairs: PairedEmbeddings, source: str, target: str) -> Facts:
        """Those of a pair set."""
        refuse_no_pairs("pairs", pairs)
        k, d = (pairs.modality(name).shape[-1] for name in (source, target))
        return Facts(source, target, k, d, {name: dict(pairs.encoder(name)) for name in (source, target)})

    def refuse(self, pairs: PairedEmbeddings, *modalities: str) -> None:
        """Refuse pairs of other dimensions or, where both sides say, of another encoder.

        Parameters
        ----------
        modalities : the ones to look at. Default: source and target.

        Raises
        ------
        ValueError
            The message names both dimensions, or both encoders.
        """
        refuse_no_pairs("pairs", pairs)
        for name in modalities or (self.source, self.target):
            found, dimension = pairs.modality(name).shape[-1], self.k if name == self.source else self.d
            if found != dimension:
                raise ValueError(f"{name}: dimension {found}, but the translator was trained on {dimension}")
            if difference := differing(pairs.encoder(name), self.encoders.get(name, {})):
                raise ValueError(f"{name}: {difference[0]}, but the translator was trained on {difference[1]}")

    def unseen(self, pairs: PairedEmbeddings, targets: bool = True) -> PairedEmbeddings:
        """The items that the translator was not fitted to; all of them where that is not known.

        Parameters
        ----------
        targets : see `modtrans_core.seen.Familiar.left_out`.

        Raises
        ------
        ValueError
            Pairs of others than these modalities, dimensions or encoders; no item is left.
        """
        self.refuse(pairs)
        if self.seen is None:
            return pairs
        pairs = pairs.grouped()
        left = self.seen.look(pairs, self.source, self.target).unseen(targets)
        if not len(left):
            raise ValueError(f"pairs: the translator was fitted to all {len(pairs)} items; others are needed")
        return pairs if len(left) == len(pairs) else pairs.take(left)


class Translator(Protocol):
    """Conditions c (n, k) of one modality to vectors zhat (n, d) of another.

    zhat is not normalised: only its direction is meant.
    """

    method: ClassVar[str]
    """name of the method that fitted it"""
    row_by_row: ClassVar[bool]
    """whether a row is translated the same whatever stands beside it"""

    @property
    def facts(self) -> Facts:
        """What it was fitted to."""

    @property
    def config(self) -> Any:
        """The settings of its method."""

    @property
    def mean(self) -> Tensor:
        """(d,) float64, of the unit training targets: the floor's constant and the centre of the centered ranking."""

    def translate(self, c: Vectors) -> Vectors:
        """zhat (n, d) of the conditions c (n, k), numpy or torch; what comes back is of the same kind.

        A tensor is an ordinary one, and is differentiated with respect to c where c asks for its gradient.
        """

    def tensors(self) -> Mapping[str, Tensor]:
        """What is saved."""

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Write the translator into a new folder, or in place of the run that a folder holds."""


class Parts(NamedTuple):
    """The two parts of a translation: zhat = projection + gamma direction."""

    projection: Any
    """c M, (n, d)"""
    direction: Any
    """F(c), (n, d), unit vectors; shorter where a whole batch is normalised"""
    gamma: float
    """length of the residual"""


@runtime_checkable
class HasParts(Protocol):
    """A translator whose translation comes apart: what the bound and its certificates speak of."""

    def parts(self, c: Vectors) -> Parts:
        """c M, F(c) and gamma of the conditions c (n, k)."""


@runtime_checkable
class Draws(Protocol):
    """A translator that can draw several translations of one condition."""

    def draw(self, c: Vectors, samples: int, *, seed: int = 0) -> Vectors:
        """Translations (n, samples, d) of the conditions c (n, k)."""


@runtime_checkable
class Expects(Protocol):
    """A translator that says how far each translation can be believed."""

    def expected_cosine(self, c: Vectors) -> Vectors:
        """The cosine (n,) that each translation is expected to have with its target."""


@runtime_checkable
class Ranks(Protocol):
    """A translator that ranks a gallery by more than the cosine of its translation."""

    def search_vectors(self, c: Vectors) -> Vectors:
        """(n, D), whose inner product with `gallery_vectors` is the score."""

    def gallery_vectors(self, z: Vectors, together: Vectors | None = None) -> Vectors:
        """(g, D) of the targets z (g, d); `together` are search vectors (n, D) of queries that correct each other."""


@runtime_checkable
class Traced(Protocol):
    """A translator whose work on unit conditions is tensor operations alone, so that it can be written as a graph.

    One that samples has a `noise_shape`, and takes noise (n, *noise_shape) beside the conditions, and its settings.
    """

    def zhat(self, c: Tensor) -> Tensor:
        """Translations (n, d) of the unit conditions c (n, k)."""


def refuse_no_translator(given: object) -> None:
    """Refuse what is none, such as the pair set where the two were exchanged."""
    if not hasattr(given, "facts"):
        raise ValueError(f"translator: {type(given).__name__}, what mt.fit or mt.load gives is needed")


def able(translator: Translator, ability: Any) -> Any:
    """The translator, if it has this ability (`HasParts`, `Draws`, `Expects`, `Ranks`, `Traced`); or a ValueError."""
    if not isinstance(translator, ability):
        verb = next(name for name in vars(ability) if not name.startswith("_"))
        raise ValueError(f"{verb}: method {translator.method!r} cannot do it, and a method that can is needed")
    return translator


class Method(NamedTuple):
    """A way to fit a translator. A package registers its own in the entry-point group `modtrans.methods`.

    A fit gets its pairs from `pairing.unit_pairs(device)` or, chunk by chunk, `pairing.sums(device)`; the translator's
    `mean` is `pairing.mean()`. A closed form has no use for `run`. What a translator saves are tensors that share no
    memory with each other.
    """

    config: type
    """a frozen dataclass of settings, int, float, bool, text or such a dataclass each; `modtrans_core.fit` finds the
    method by its class"""
    fit: Callable[..., Translator]
    """(pairing, validation, facts, config, device, run, report) -> the translator"""
    restore: Callable[..., Translator]
    """(facts, config, tensors, device) -> the translator that was saved"""
    presets: Mapping[str, Any]
    """configs by name"""
    leaves_out: bool = False
    """whether it chooses by what it leaves out in turn, and is fitted to all pairs that it is given, those to validate
    on too; the validation pairs are then None where none were named"""


class Stored:
    """Gives a translator `save`; it has to have `method`, `facts`, `config` and `tensors()`."""

    method: ClassVar[str]
    row_by_row: ClassVar[bool] = True

    def save(self: Any, folder: str | Path, overwrite: bool = False) -> None:
        """Write the translator into a new folder; one that already holds a translator is refused, or overwritten."""
        seen = self.facts.seen
        run.write(
            folder, self.method, self.facts.plain(), self.config, self.tensors(), seen.tensors() if seen else None,
            overwrite,
        )  # fmt: skip


def conditions(c: np.ndarray | Tensor | PairedEmbeddings, facts: Facts, device: torch.device) -> Tensor:
    """c (n, k) as unit vectors, float32, on the device; bad ones are a ValueError."""
    return _unit(c, "c", facts.source, facts.k, device)


def targets(z: np.ndarray | Tensor | PairedEmbeddings, facts: Facts, device: torch.device, first: int = 0) -> Tensor:
    """z (n, d), rows from `first` on, as unit vectors, float32, on the device; bad ones are a ValueError."""
    return _unit(z, "z", facts.target, facts.d, device, first)


def _unit(
    given: np.ndarray | Tensor | PairedEmbeddings,
    name: str,
    modality: str,
    dimension: int,
    device: torch.device,
    first: int = 0,
) -> Tensor:
    if isinstance(given, PairedEmbeddings):
        raise ValueError(f"{name}: a pair set, its vectors are needed: pairs.modality({modality!r})")
    if not isinstance(given, Tensor):
        given = as_array(name, given)
        refuse_unless(given.dtype.kind in "fiu", name, str(given.dtype), "an array of real numbers")
        with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is refused
            given = torch.from_numpy(np.require(given, np.float32, ["C", "W"]))
    real = not (given.is_complex() or given.is_quantized or given.dtype == torch.bool)
    refuse_unless(real, name, str(given.dtype), "a tensor of real numbers")
    dense = given.layout == torch.strided and not given.is_nested
    refuse_unless(dense, name, str(given.layout), "a tensor that is not sparse and not nested")
    refuse_unless(given.device.type != "meta" or device.type == "meta", name, "meta", "a device that holds numbers")
    rows = given.to(device, torch.float32)
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise ValueError(f"{name}: shape {tuple(rows.shape)}, (n, {dimension}) is needed ({modality} vectors)")
    _, exponent = torch.frexp(torch.linalg.vector_norm(rows.detach(), math.inf, dim=1, keepdim=True))
    rows = torch.ldexp(rows, -exponent.clamp(-126, 126))  # a power of two is exact, and squares are in float32's range
    length = rows.norm(dim=1, keepdim=True)
    bad = ~(length.isfinite() & (length > 0) & (exponent > -122)).flatten()  # below, float32 has too few digits
    if bad.any():
        raise ValueError(
            f"{name}: zero, NaN or infinite in row {first + int(bad.nonzero()[0])}; finite vectors at least 1e-36 long"
            " are needed"
        )
    return rows / length


def as_asked(work: Work) -> Work:
    """A method whose result is differentiated where its first argument asks for it; for others no graph is kept."""

    @in_full_precision
    @wraps(work)
    def worked(self: Any, c: Any, *rest: Any, **settings: Any) -> Any:
        with torch.set_grad_enabled(isinstance(c, Tensor) and c.requires_grad and torch.is_grad_enabled()):
            return work(self, c, *rest, **settings)

    return cast(Work, worked)


def in_full_precision(work: Work) -> Work:
    """A function that counts in float32 and the types of its tensors, and makes others on the CPU, whatever
    `torch.autocast`, `torch.set_default_dtype` and `torch.set_default_device` say.
    """

    @wraps(work)
    def worked(*arguments: Any, **settings: Any) -> Any:
        cpu, cast_elsewhere = torch.device("cpu"), any(map(torch.is_autocast_enabled, ("cpu", "cuda")))
        with _FLOAT32:
            if not cast_elsewhere and torch.empty(0).device == cpu:  # what is entered below slows every operation
                return work(*arguments, **settings)
            with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False), cpu:
                return work(*arguments, **settings)

    return cast(Work, worked)


class _Float32:
    """Float32 as torch's default type, which all threads share, until the last of those inside has left."""

    def __init__(self) -> None:
        self.lock, self.inside, self.before = Lock(), 0, torch.float32

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = torch.get_default_dtype()
                if self.before != torch.float32:
                    torch.set_default_dtype(torch.float32)
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside and self.before != torch.float32:
                torch.set_default_dtype(self.before)


_FLOAT32 = _Float32()


def whole_samples(samples: int, rows: int, d: int) -> int:
    """The number of draws (rows, samples, d), unless it is none, or one that no memory holds."""
    samples = whole("samples", samples, 1)
    refuse_too_large("samples", (4 * rows + 24) * samples * d)  # all of them, and what one row's are made of
    return samples


def in_pieces(work: Callable[..., Tensor], *arrays: Tensor, samples: int = 1) -> Tensor:
    """`work` of some rows of the arrays at a time: with `samples` results a row, about `ROWS` are made at once."""
    pieces = zip(*(array.split(max(1, ROWS // samples)) for array in arrays), strict=True)
    return torch.cat([work(*piece) for piece in pieces])


def exactly(tensors: Mapping[str, Tensor], names: Collection[str]) -> Mapping[str, Tensor]:
    """The tensors, if they are those of these names; a missing or another one is a ValueError that names it."""
    if missing := [name for name in names if name not in tensors]:
        raise ValueError(f"{missing[0]}: missing among the tensors")
    if others := sorted(tensors.keys() - set(names)):
        raise ValueError(f"{others[0]}: none of this translator's tensors, {', '.join(names)} are needed")
    return tensors


@contextmanager
def evaluating(module: Module) -> Iterator[None]:
    """Inside, no unit is dropped; then the module is as it was, also where what is inside is interrupted."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


def floating(name: str, value: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Saved weights in the type that a method counts in; those that are no floating-point numbers are a ValueError."""
    refuse_unless(value.is_floating_point(), name, str(value.dtype), "floating-point numbers")
    return value.to(dtype)


def restored(module: Module, tensors: Mapping[str, Tensor], device: torch.device) -> Module:
    """The module with these weights, ready to translate on the device; a missing or misshapen one is a ValueError."""
    try:
        module.load_state_dict({name: floating(name, value, value.dtype) for name, value in tensors.items()})
    except RuntimeError as error:
        raise ValueError(str(error).splitlines()[-1].strip()) from None
    return module.to(device).eval().requires_grad_(False)


def like(value: Tensor, given: np.ndarray | Tensor) -> Any:
    """The result as the caller gave the conditions: a tensor, or a numpy array."""
    return value if isinstance(given, Tensor) else value.cpu().numpy()
