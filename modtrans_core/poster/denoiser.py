"""The network of the diffusion part."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from modtrans_core.layers import Linear


class Denoiser(nn.Module):
    """A residual MLP whose blocks are modulated by the time and the condition.

    Its output is the velocity v by default, so that eps_theta = sqrt(1 - alpha_bar) x_t + sqrt(alpha_bar) v: the noise
    is predicted by a residual connection from x_t. At the noisy end x_t is nearly all of the noise, and an error in an
    eps that is predicted directly would be amplified 1 / sqrt(alpha_bar_T) times in x_0.

    Each block is x + g * MLP((1 + a) * LayerNorm(x) + b). The modulation (a, b, g) is computed once from (t, c) and
    shared by the blocks, each with an offset of its own (adaLN-single, Chen et al. 2023, arXiv 2310.00426); its gates
    start at zero, so that every block starts as the identity (Peebles and Xie 2023, arXiv 2212.09748).

    Parameters
    ----------
    d : dimension of x. Its coordinates should have variance near 1.
    k : dimension of the condition. Unit vectors are expected; the network scales them by sqrt(k).
    width, depth, dropout : units of a hidden layer, number of blocks, probability that a hidden unit is dropped.
    """

    frequency: Tensor

    def __init__(self, d: int, k: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.k = k
        self.null = nn.Parameter(torch.randn(k) / math.sqrt(k))  # the condition that stands for "none"
        self.embed_x = Linear(d, width)
        self.embed_c = Linear(k, width)
        self.embed_t = nn.Sequential(Linear(2 * (width // 2), width), nn.SiLU(), Linear(width, width))
        self.modulation = nn.Sequential(nn.SiLU(), _zero(Linear(width, 3 * width)))
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(depth))
        self.out = nn.Sequential(nn.LayerNorm(width), _zero(Linear(width, d)))
        self.register_buffer("frequency", frequencies(width), persistent=False)

    def embed(self, c: Tensor | None, drop: Tensor | None = None) -> Tensor:
        """The conditions c (n, k) as the network sees them, (n, width); None is the null condition, (1, width).

        `drop` (n,) bool: rows that become the null condition. One embedding serves every step of a sampler.
        """
        c = self.null[None] if c is None else c  # (n, k)
        if drop is not None:
            c = torch.where(drop[:, None], self.null, c)  # (n, k)
        return self.embed_c(c * math.sqrt(self.k))  # (n, width)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Output (n, d) at x_t (n, d), times t (n,) or (1,) and `embed`ded conditions (n, width) or (1, width)."""
        time = self.embed_t(sinusoid(t, self.frequency))  # (n, width)
        shared = self.modulation(time + condition)  # (n, 3 width)
        h = self.embed_x(x) + condition  # (n, width)
        for block in self.blocks:
            h = block(h, shared)  # (n, width)
        return self.out(h)  # (n, d)


class Block(nn.Module):
    """One modulated residual block, width -> width."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.offset = nn.Parameter(torch.zeros(3 * width))
        self.mlp = nn.Sequential(Linear(width, width), nn.SiLU(), nn.Dropout(dropout), Linear(width, width))

    def forward(self, h: Tensor, shared: Tensor) -> Tensor:
        scale, shift, gate = (shared + self.offset).chunk(3, dim=1)  # each (n, width)
        modulated = torch.addcmul(shift, 1 + scale, self.norm(h))  # (n, width)
        return torch.addcmul(h, gate, self.mlp(modulated))  # h + gate MLP, (n, width)


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def frequencies(width: int) -> Tensor:
    """Frequencies (width // 2,) of the time features, from 1 down to nearly 1e-4: wavelengths 2 pi to 2 pi 10^4."""
    return torch.exp(-math.log(1e4) * torch.arange(width // 2) / (width // 2))


def sinusoid(t: Tensor, frequency: Tensor) -> Tensor:
    """Features (n, 2 half) of the times t (n,): the cosines and the sines of `frequencies` (half,)."""
    angle = t[:, None].float() * frequency  # (n, half)
    return torch.cat([angle.cos(), angle.sin()], dim=1)  # (n, 2 half)
