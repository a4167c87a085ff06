"""Items that repeat: five captions of a picture that are five rows are one group, and no split tears them apart.

Items belong together that have one name, or an equal row in a modality. But rows of a modality may come from a list, as
names of classes do; then an equal row says nothing of the item, and groups of it would leave whole classes to the test.
A modality is taken for a list where a row is there more than `OFTEN` times on average, or where it has no more
different rows than `FEW`, or than there are classes. In doubt it is none: whole classes that are left to the test make
it harder, captions of one video in two parts make it no test.

Captions that several videos share would join these, and through them nearly all. So names come first, then the modality
of the fewest different rows; and what would make a group of more than `SHARE` of the items joins none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from modtrans_core.vectors import ROWS

OFTEN = 50
"""times that a row is there on average, at most, where it is no entry of a list: a video of MSVD has 41 captions, and a
class of CUB-200 has 59 pictures"""
SHARE = 0.1
"""of all items, that a group has at most by which two kinds of groups are joined"""
FEW = 20
"""different rows up to which a modality is a list: so few groups make no split worth having"""


def repeated(
    arrays: Mapping[str, np.ndarray], key: np.ndarray | None = None, label: np.ndarray | None = None
) -> np.ndarray | None:
    """Groups (n,) of items that repeat, each its own where these are of a list; None where none does.

    Parameters
    ----------
    arrays : rows (n, d) of each modality that is to be looked through.
    key : names (n,) of the items.
    label : the class (n,) of each item, -1 for none.

    Returns
    -------
    The index of the first item of each item's group.

    Examples
    --------
    >>> image, text = np.repeat(np.eye(30), 2, axis=0), np.arange(120.0).reshape(60, 2)
    >>> repeated({"image": image, "text": text})[:6]
    array([0, 0, 2, 2, 4, 4])

    Names of classes are a list:

    >>> repeated({"image": text, "text": image}, label=np.arange(60) // 2)[:6]
    array([0, 1, 2, 3, 4, 5])
    """
    n = max(map(len, arrays.values()), default=0)
    by_name = [] if key is None or len(set(key.tolist())) == len(key) else [np.unique(key, return_inverse=True)[1]]
    by_row, listed = [], False
    for rows in arrays.values():
        different, which = np.unique(numbers(rows), return_inverse=True)
        if is_listed(len(different), len(rows), label):
            listed = True
        elif len(different) < len(rows):
            by_row.append(which)
    return joined([*by_name, *sorted(by_row, key=np.max)]) if by_name or by_row else np.arange(n) if listed else None


def is_list(sets: Sequence[np.ndarray], label: np.ndarray | None = None) -> bool:
    """Whether a modality is taken for entries of a list, of one set or of several together.

    Parameters
    ----------
    sets : its rows (n, d) in each; of vectors (n, m, d) the first of each item counts.
    label : the class of each item, -1 for none.

    Examples
    --------
    >>> is_list([np.repeat(np.eye(9), 10, axis=0)]), is_list([np.eye(90)]), is_list([np.repeat(np.eye(90), 10, axis=0)])
    (True, False, False)
    """
    found = np.concatenate([numbers(rows) for rows in sets])
    return is_listed(len(np.unique(found)), len(found), label)


def is_listed(different: int, n: int, label: np.ndarray | None = None) -> bool:
    """Whether so many different rows among n are taken for the entries of a list; see `is_list`."""
    few = max(FEW, 0 if label is None else len(np.unique(label[label >= 0])))
    return different < n and (different <= few or n > OFTEN * different)


def joined(kinds: Sequence[np.ndarray]) -> np.ndarray:
    """Groups (n,) by the first of several kinds, numbers (n,), joined by those of the others that leave enough."""
    items = np.arange(len(kinds[0]))
    group = together(len(items), [(items, kinds[0])])
    for one in kinds[1:]:
        joint = together(len(items), [(items, group), (items, one)])
        if _largest(joint) <= max(SHARE * len(items), _largest(group), _largest(one)):
            group = joint
    return group


def _largest(group: np.ndarray) -> int:
    return int(np.bincount(group).max())


def together(n: int, shared: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The first item (n,) of those that each item shares a number with, be it through others.

    Parameters
    ----------
    shared : items (N,) and the number (N,) that each of them has, from 0 on; numbers of one entry alone are compared.
    """
    items, numbers, last = [np.arange(n)], [np.arange(n)], n
    for item, number in shared:
        items.append(item)
        numbers.append(last + number)
        last += int(number.max(initial=-1)) + 1
    item, node = np.concatenate(items), n + np.concatenate(numbers)
    graph = coo_array((np.ones(len(item), dtype=bool), (item, node)), shape=(n + last, n + last))
    label = connected_components(graph, directed=False)[1][:n]
    _, first, which = np.unique(label, return_index=True, return_inverse=True)
    return first[which]


def edges(two: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For `together`, items (2E,) and numbers (2E,) that say that the two of each row (E, 2) belong together."""
    return two.ravel(), np.repeat(np.arange(len(two)), 2)


def numbers(rows: np.ndarray) -> np.ndarray:
    """64 bits (n,) of each row (n, d), float32: the same for equal rows, and else for a pair in 2^33 at most; of
    (n, m, d) those of each item's first.
    """
    factors = np.random.default_rng(0).integers(0, 2**63, rows.shape[-1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    found = np.empty(len(rows), dtype=np.uint64)
    for start in range(0, len(rows), ROWS):
        piece = rows[start : start + ROWS] if rows.ndim == 2 else rows[start : start + ROWS][:, 0]
        piece = np.ascontiguousarray(piece, dtype=np.float32) + np.float32(0)  # -0 is 0
        found[start : start + ROWS] = piece.view(np.uint32).astype(np.uint64) @ factors
    return found
