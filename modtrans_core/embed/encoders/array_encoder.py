"""Vectors that were computed elsewhere: rows of an array, found by place or by key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modtrans_core.embed.encoders.base import Encoder
from modtrans_core.store.files import refuse_special, sha256
from modtrans_core.store.headers import refuse_members
from modtrans_core.store.mapped import refuse_changed, state_of
from modtrans_core.vectors import ROWS

if TYPE_CHECKING:
    import torch

UNIT = 1e-3  # rows are taken for unit vectors where all norms are so close to 1


class ArrayEncoder(Encoder):
    """Rows of a file, as they are.

    Parameters
    ----------
    path : `.npy`, an array (n, d) whose row i belongs to the i-th entry of the source; it is mapped into memory. Or
        `.npz` with `key` (n,), text, and `vectors` (n, d), found by the item's key.
    modality : what the rows stand for; anything.
    device : for the other encoders' sake; nothing is computed.

    Raises
    ------
    ValueError
        If the file is not such an array, float16, float32 or float64, or two rows have one key.
    """

    precomputed, batch_size = True, 8192

    def __init__(self, path: str, modality: str, device: str | torch.device | None = None):
        import torch

        self.name, self.modality, self.device = f"array:{path}", modality, torch.device("cpu")
        self._path = Path(path)
        self._vectors, self._place = self._read(self._path)
        self._state = state_of(self._path)
        vectors = self._vectors
        if vectors.ndim != 2 or not vectors.size or vectors.dtype.kind != "f" or vectors.dtype.itemsize > 8:
            raise ValueError(
                f"{self.name}: {vectors.dtype} of shape {vectors.shape}, "
                "float16, float32 or float64 of shape (n, d) is needed"
            )
        if self._place is not None and len(self._place) != len(vectors):
            raise ValueError(f"{self.name}: {len(self._place)} different keys for {len(vectors)} vectors")
        self.dimension = vectors.shape[1]
        self.normalised = self._unit()
        self._sha256 = sha256(self._path)

    def _read(self, path: Path) -> tuple[np.ndarray, dict[str, int] | None]:
        if path.suffix not in (".npy", ".npz"):
            raise ValueError(f"{self.name}: unknown suffix, .npy or .npz is needed")
        refuse_special(path)
        try:
            if path.suffix == ".npz":
                refuse_members(path)
            found = np.load(path, mmap_mode="r", allow_pickle=False)
            if path.suffix == ".npy":
                return found, None
            with found:
                missing = [name for name in ("key", "vectors") if name not in found]
                if missing:
                    raise ValueError(f"no array {missing[0]!r}; key and vectors are needed")
                key, vectors = found["key"], found["vectors"]
        except Exception as error:  # a damaged file makes its reader raise nearly anything
            raise ValueError(f"{self.name}: {_reason(error)}") from None
        if key.ndim != 1 or key.dtype.kind not in "USiu":
            raise ValueError(f"{self.name}: key is {key.dtype} of shape {key.shape}, text of shape (n,) is needed")
        try:
            names = np.char.decode(key, "utf-8") if key.dtype.kind == "S" else key.astype(str)
        except UnicodeDecodeError:
            raise ValueError(f"{self.name}: key is not UTF-8") from None
        return vectors, {name: place for place, name in enumerate(names.tolist())}

    def _unit(self) -> bool:
        """Whether the finite rows that are not zero have unit norm."""
        for start in range(0, len(self._vectors), ROWS):
            with np.errstate(over="ignore"):
                norm = np.linalg.norm(self._vectors[start : start + ROWS].astype(np.float64), axis=1)
            norm = norm[np.isfinite(norm) & (norm > 0)]
            if (abs(norm - 1) > UNIT).any():
                return False
        return True

    def check_length(self, n: int | None) -> None:
        if self._place is None and len(self._vectors) != n:
            entries = "an unknown number of" if n is None else n
            raise ValueError(
                f"{self.name}: {len(self._vectors)} rows for {entries} entries of the source; "
                "one row an entry is needed, or an .npz with keys"
            )

    def prepare(self, item: tuple[int | None, str]) -> np.ndarray:
        place, key = item
        if self._place is not None:
            place = self._place.get(key)
        if place is None or not 0 <= place < len(self._vectors):
            raise ValueError("no precomputed vector")
        try:
            refuse_changed(self._path, self._state)
            with np.errstate(over="ignore"):
                row = np.asarray(self._vectors[place], dtype=np.float32)
            refuse_changed(self._path, self._state)
        except ValueError as error:  # which is no matter of this item
            raise RuntimeError(f"{self.name}: {error}") from None
        if not (np.isfinite(row).all() and row.any()):
            raise ValueError("precomputed vector is zero or not finite")
        return row

    def forward(self, prepared: Sequence[np.ndarray]) -> torch.Tensor:
        import torch

        return torch.from_numpy(self._rows(prepared))

    def _rows(self, batch: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(batch)  # not scaled again where they have unit norm

    def facts(self) -> dict[str, Any]:
        return self._facts("numpy", self._sha256, "precomputed")


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return str(error) if "needed" in str(error) else "not a readable array file (pickled ones are not read)"
