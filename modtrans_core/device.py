"""Where the work is done."""

from __future__ import annotations

import torch


def default_device() -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def the_device(name: str | torch.device | None) -> torch.device:
    """The device of that name; None is the default one.

    Raises
    ------
    ValueError
        There is no such device here.

    Examples
    --------
    >>> the_device("cpu")
    device(type='cpu')
    >>> the_device("gpu")
    Traceback (most recent call last):
    ValueError: device: 'gpu', cpu, cuda or cuda:N that is here is needed
    """
    try:
        place = torch.device(name) if name else default_device()
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError):  # an AssertionError where torch was built without it
        raise ValueError(f"device: {str(name)!r}, cpu, cuda or cuda:N that is here is needed") from None
    return place
