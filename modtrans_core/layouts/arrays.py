"""A pair set from arrays in files of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from modtrans_core.checks import refuse_unless
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.store.headers import reading

FIELDS = ("group", "key", "label", "own_split")
"""what a pair set may have beside its modalities"""


def pack(files: Mapping[str, str | Path]) -> PairedEmbeddings:
    """Read a pair set from `.npy` files, row i of every one of which belongs to the same item.

    Parameters
    ----------
    files : for each modality the file of its vectors, (n, d) or (n, m, d). `group` names what items belong together,
        (n,) integers or strings; `key`, `label` and `own_split` are those of `PairedEmbeddings`.

    Raises
    ------
    ValueError
        A file that is missing, damaged or no `.npy`, or arrays that do not go together.

    Examples
    --------
    >>> np.save("image.npy", np.eye(3, 4))
    >>> np.save("ids.npy", ["cat", "dog", "cat"])
    >>> pack({"image": "image.npy", "group": "ids.npy"}).groups
    array([0, 1, 0])
    """
    arrays = {}
    for name, file in files.items():
        path = Path(file)
        refuse_unless(path.suffix == ".npy", name, str(file), "a .npy file")
        refuse_unless(path.exists(), name, str(file), "a file that exists")
        with reading(path):
            arrays[name] = np.load(path, allow_pickle=False)
    given = {name: arrays.pop(name) for name in FIELDS if name in arrays}
    if "group" in given and given["group"].dtype.kind == "U":
        given["group"] = np.unique(given["group"], return_inverse=True)[1]
    try:
        return PairedEmbeddings(arrays, **given)
    except ValueError as error:
        named = files.get(str(error).partition(":")[0])
        raise ValueError(f"{named}: {error}" if named else str(error)) from None


def named_files(given: Sequence[str], option: str = "pairs") -> dict[str, str]:
    """The files of `NAME=FILE` texts by their names; none twice."""
    files: dict[str, str] = {}
    for text in given:
        name, equals, file = text.partition("=")
        refuse_unless(bool(name and equals and file) and name not in files, option, text, "NAME=FILE, each name once,")
        files[name] = file
    return files


def load_pairs(given: str | Path) -> PairedEmbeddings:
    """A pair set in any layout, or that of `NAME=FILE,NAME=FILE,...`; see `pack`."""
    several = "=" in str(given) and not Path(given).exists()
    return pack(named_files(str(given).split(","))) if several else PairedEmbeddings.load(given)
