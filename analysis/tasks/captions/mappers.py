"""Networks that turn one embedding into the k word vectors that a language model reads before a caption.

Both are those of ClipCap (Mokady et al. 2021, "ClipCap: CLIP Prefix for Image Captioning", arXiv 2111.09734, section
3), whose names and shapes a checkpoint repeats.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEADS = 8
"""of attention in the transformer; no shape in a checkpoint tells it"""


class MLPMapper(nn.Module):
    """Two layers with tanh between them, from an embedding (n, d) to a prefix (n, k, w).

    Parameters
    ----------
    d : dimension of the embedding.
    w : width of the language model.
    k : vectors of the prefix.
    hidden : width between the layers. Default: half of the output, as published.
    """

    def __init__(self, d: int, w: int, k: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden, self.w = hidden or w * k // 2, w
        self.model = nn.Sequential(nn.Linear(d, hidden), nn.Tanh(), nn.Linear(hidden, w * k))

    def forward(self, embedding: Tensor) -> Tensor:
        prefix: Tensor = self.model(embedding)
        return prefix.unflatten(1, (-1, self.w))


class TransformerMapper(nn.Module):
    """A transformer that reads j projections of an embedding (n, d) and k constants; what it says at the constants is
    the prefix (n, k, w).

    Parameters
    ----------
    d : dimension of the embedding.
    w : width of the language model, a multiple of `HEADS`.
    k : vectors of the prefix.
    j : projections of the embedding.
    layers : of the transformer.
    hidden : width inside each layer's MLP.
    """

    def __init__(self, d: int, w: int, k: int, j: int, layers: int, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d, j * w)
        self.prefix_const = nn.Parameter(torch.randn(k, w))
        self.transformer = nn.Module()
        self.transformer.layers = nn.ModuleList(_Layer(w, hidden) for _ in range(layers))

    def forward(self, embedding: Tensor) -> Tensor:
        k, w = self.prefix_const.shape
        x = torch.cat([self.linear(embedding).unflatten(1, (-1, w)), self.prefix_const.expand(len(embedding), k, w)], 1)
        for layer in self.transformer.layers:  # type: ignore[union-attr]
            x = layer(x)
        return x[:, -k:]


class _Layer(nn.Module):
    """Attention and MLP, each of the normalised input and added to it."""

    def __init__(self, w: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(w), nn.LayerNorm(w)
        self.attn, self.mlp = _Attention(w), nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(w, hidden), nn.Linear(hidden, w)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp.fc2(F.relu(self.mlp.fc1(self.norm2(x))))  # type: ignore[operator]


class _Attention(nn.Module):
    """Every vector attends to all; keys stand before values in their common map."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.to_queries = nn.Linear(w, w, bias=False)
        self.to_keys_values = nn.Linear(w, 2 * w, bias=False)
        self.project = nn.Linear(w, w)

    def forward(self, x: Tensor) -> Tensor:
        both = [self.to_queries(x), *self.to_keys_values(x).chunk(2, dim=-1)]
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in both)
        said: Tensor = self.project(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return said
