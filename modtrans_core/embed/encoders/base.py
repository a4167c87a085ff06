"""What every encoder is: items in, float32 rows out, and facts that say how."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


class NonFiniteEmbedding(ValueError):
    """An item whose embedding is not finite; `index` is its place among the items that were encoded."""

    def __init__(self, encoder: str, index: int):
        super().__init__(f"{encoder}: the embedding of item {index} is not finite")
        self.index = index


class Encoder(ABC):
    """A frozen network that turns the items of one modality into vectors.

    Encoding has two steps: `prepare` works on one item, on the CPU, in any thread (resize a picture, resample a sound);
    `forward` works on a batch of what that gave, on the encoder's device.

    Attributes
    ----------
    name : `library:model/weights`.
    modality : what it encodes: `image`, `text`, `audio` or `location`.
    dimension : d, the length of a vector.
    normalised : whether the vectors have unit norm.
    device : where the network runs. Float32 on the CPU.
    autocast : whether matrix products are bfloat16 on a GPU; else float32 there too.
    batch_size : items a forward pass.
    workers : batches at a time. Above one, the CPU threads of torch are shared out among the workers: small
        batches go faster so than with many threads to a batch.
    precomputed : whether the vectors are looked up: `prepare` then takes (place, key) of the item, its place among all
        entries of the source (None where that is not known) and its name, in place of a value.
    """

    name: str
    modality: str
    dimension: int
    normalised: bool
    device: torch.device
    autocast: bool = True
    batch_size: int
    workers: int = 1
    precomputed: bool = False

    def prepare(self, item: Any) -> Any:
        """What `forward` takes of one item: of an image (h, w, 3) uint8 RGB, a text `str`, a sound (samples, rate) with
        samples (t,) float32 mono in [-1, 1] and rate in Hz, a location (latitude, longitude) in degrees.

        Raises
        ------
        ValueError
            If the item cannot be encoded; it is then skipped by whoever has many.
        """
        return item

    @abstractmethod
    def forward(self, prepared: Sequence[Any]) -> torch.Tensor:
        """The embeddings of one batch of prepared items, (len(prepared), d), before any scaling to unit norm."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What made the vectors, as JSON values.

        Keys: encoder, modality, library, version, torch, weights_sha256 (None for random weights), preprocessing,
        normalised, dimension, precision.
        """

    def cuts(self, item: Any) -> bool:
        """Whether an item, as `prepare` takes it, is longer than what is encoded: the rest of it counts for nothing."""
        return False

    def check_length(self, n: int | None) -> None:  # noqa: B027 - most encoders have nothing to refuse
        """Refuse a source of n entries, skipped ones among them (None: not known), that vectors looked up by place do
        not fit. To be called once, before `prepare` is; encoders that compute take any source.

        Raises
        ------
        ValueError
            If there is not one vector an entry.
        """

    def encode(self, items: Sequence[Any], progress: Callable[[int], object] | None = None) -> np.ndarray:
        """Encode items; the result does not depend on how they are batched, beyond rounding.

        Parameters
        ----------
        items : n items as `prepare` takes them. Each is taken when its turn comes, so a sequence that draws or reads
            on access never holds all of them.
        progress : called with the number of items just done, as `tqdm.update` is.

        Returns
        -------
        (n, d) float32.

        Raises
        ------
        NonFiniteEmbedding
            If the network, or the scaling to unit norm, gives NaN or infinity.
        """
        return self._in_batches(lambda index: self.prepare(items[index]), len(items), progress)

    def encode_prepared(self, prepared: Sequence[Any], progress: Callable[[int], object] | None = None) -> np.ndarray:
        """`encode` of what `prepare` gave."""
        return self._in_batches(prepared.__getitem__, len(prepared), progress)

    def _in_batches(self, item: Callable[[int], Any], n: int, progress: Callable[[int], object] | None) -> np.ndarray:
        rows = np.empty((n, self.dimension), dtype=np.float32)

        def encode_batch(start: int) -> int:
            batch = [item(index) for index in range(start, min(start + self.batch_size, n))]
            rows[start : start + len(batch)] = self._rows(batch)
            return len(batch)

        with _threads_shared_by(self.workers), ThreadPoolExecutor(self.workers) as pool:
            for done in pool.map(encode_batch, range(0, n, self.batch_size)):
                if progress is not None:
                    progress(done)
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise NonFiniteEmbedding(self.name, int(np.argmin(finite)))
        return rows

    def _rows(self, batch: Sequence[Any]) -> np.ndarray:
        import torch

        # Both contexts belong to the thread that enters them, so they are entered by the worker.
        with (
            torch.inference_mode(),
            torch.autocast("cuda", torch.bfloat16, enabled=self._in_bfloat16),
        ):
            rows = self.forward(batch).float().cpu().numpy()
        if self.normalised:
            with np.errstate(invalid="ignore"):  # a zero row becomes NaN, which `encode` reports
                rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    @property
    def _in_bfloat16(self) -> bool:
        return self.autocast and self.device.type == "cuda"

    def _facts(self, library: str, weights_sha256: str | None, preprocessing: str) -> dict[str, Any]:
        return {
            "encoder": self.name,
            "modality": self.modality,
            "library": library,
            "version": version(library),
            "torch": version("torch"),
            "weights_sha256": weights_sha256,
            "preprocessing": preprocessing,
            "normalised": self.normalised,
            "dimension": self.dimension,
            "precision": "bfloat16 autocast on CUDA" if self._in_bfloat16 else "float32",
        }


def device_of(name: str | torch.device | None) -> torch.device:
    """The device asked for; by default the GPU if there is one."""
    from modtrans_core import device  # which loads torch

    return device.device_of(name)


def item_workers(device: torch.device) -> int:
    """Workers where preparing an item takes as long as a picture or a sound: one a CPU thread, or what feeds a GPU."""
    import torch

    return torch.get_num_threads() if device.type == "cpu" else min(4, os.cpu_count() or 1)


def token_count(tokenizer: Any) -> Callable[[str], int]:
    """How many tokens the whole of a text has, for a tokenizer of transformers; for any thread.

    It is counted by a copy: a tokenizer changes while it cuts, and then must not be used by two threads.
    """
    own = deepcopy(tokenizer)
    own("", truncation=False, padding=False)  # the copy changes here, once
    return lambda text: len(own(text, truncation=False, padding=False, verbose=False)["input_ids"])


def check_picture(image: np.ndarray) -> np.ndarray:
    """The picture itself, if it is (h, w, 3) uint8; else a ValueError."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"picture: {image.dtype} of shape {image.shape}, uint8 of shape (h, w, 3) is needed")
    return image


def check_sound(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    """The sound itself, if it is (t,) floats of at least one sample, all finite, and its rate a whole number of Hz."""
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise ValueError(f"sound: {samples.dtype} of shape {samples.shape}, float32 of shape (t,) is needed")
    if rate != int(rate) or rate < 1:
        raise ValueError("sound: its rate is not a positive whole number of Hz")
    if not len(samples):
        raise ValueError("sound: no samples")
    if not np.isfinite(samples).all():
        raise ValueError("sound: samples that are not finite")
    return samples.astype(np.float32, copy=False), int(rate)


@contextmanager
def _threads_shared_by(workers: int) -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // workers))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
