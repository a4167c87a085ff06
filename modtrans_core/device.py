"""Where the work is done."""

from __future__ import annotations

import torch


def default_device() -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
