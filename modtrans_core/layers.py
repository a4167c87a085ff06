"""Layers that are faster than torch's on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

ONEDNN_FROM = 2**16
"""weights of a layer from which oneDNN gains more than the change of layout takes"""


class Linear(nn.Linear):
    """torch's, which on a CPU learns by oneDNN, float32: that saves a fifth to a third of a training on AMD's."""

    def forward(self, x: Tensor) -> Tensor:
        learns = self.training and torch.is_grad_enabled() and self.weight.numel() >= ONEDNN_FROM
        plain = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32
        plain &= not torch.is_anomaly_enabled()  # which looks for NaN in gradients that oneDNN has in its own layout
        if not (learns and plain and torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
            return super().forward(x)
        return linear(x.to_mkldnn(), self.weight, self.bias).to_dense()
