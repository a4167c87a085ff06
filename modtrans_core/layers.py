"""Layers that are faster than torch's on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

ONEDNN_FROM = 2**16
"""weights of a layer from which oneDNN gains more than the change of layout takes"""


class Linear(nn.Linear):
    """torch's, which on a CPU learns by oneDNN, float32: of a training on an AMD processor that saves a quarter."""

    def forward(self, x: Tensor) -> Tensor:
        learns = self.training and torch.is_grad_enabled() and torch.backends.mkldnn.is_available()
        plain = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32
        if not (learns and plain and self.weight.numel() >= ONEDNN_FROM):
            return super().forward(x)
        return linear(x.to_mkldnn(), self.weight, self.bias).to_dense()
