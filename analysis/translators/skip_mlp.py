"""The network of the released code: plain layers, each of which sees the input again."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from modtrans_core.poster.denoiser import frequencies, sinusoid


class SkipMLP(nn.Module):
    """An MLP with the input concatenated to every hidden layer.

    The input is (x_t, c, time); each hidden layer is SiLU(LayerNorm(linear)) of the layer before it and of the input,
    and so is the linear output layer's argument. The idea is that of the latent network of Diffusion Autoencoders
    (Preechakul et al. 2022, arXiv 2111.15640, appendix A). With 10 hidden layers of width 2048 and d = k = 512 it has
    73 M parameters.

    It has the interface of `modtrans_core.poster.denoiser.Denoiser`: `embed` the conditions once, then call.

    Parameters
    ----------
    d : dimension of x. Its coordinates should have variance near 1.
    k : dimension of the condition. Unit vectors are expected; the network scales them by sqrt(k).
    width, depth, dropout : units of a hidden layer, number of them, probability that a unit is dropped.
    """

    frequency: Tensor

    def __init__(self, d: int, k: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.k = k
        self.null = nn.Parameter(torch.randn(k) / math.sqrt(k))  # the condition that stands for "none"
        self.embed_t = nn.Sequential(nn.Linear(2 * (d // 2), width), nn.SiLU(), nn.Linear(width, d))
        given = d + k + d  # x_t, c, time
        before = [0] + [width] * (depth - 1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(previous + given, width), nn.LayerNorm(width), nn.SiLU(), nn.Dropout(dropout))
            for previous in before
        )
        self.out = nn.Linear(width + given, d)
        self.register_buffer("frequency", frequencies(d), persistent=False)

    def embed(self, c: Tensor | None, drop: Tensor | None = None) -> Tensor:
        """The conditions c (n, k) as the network sees them, (n, k); None is the null condition, (1, k).

        `drop` (n,) bool: rows that become the null condition.
        """
        c = self.null[None] if c is None else c  # (n, k)
        if drop is not None:
            c = torch.where(drop[:, None], self.null, c)  # (n, k)
        return c * math.sqrt(self.k)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Output (n, d) at x_t (n, d), times t (n,) or (1,) and `embed`ded conditions (n, k) or (1, k)."""
        time = self.embed_t(sinusoid(t, self.frequency))  # (n, d)
        given = torch.cat([x, condition.expand(len(x), -1), time.expand(len(x), -1)], dim=1)  # (n, 2 d + k)
        h = x[:, :0]  # the first layer sees the input alone
        for layer in self.layers:
            h = layer(torch.cat([h, given], dim=1))  # (n, width)
        return self.out(torch.cat([h, given], dim=1))  # (n, d)
