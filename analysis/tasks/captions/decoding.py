"""Captions word by word: the likeliest next token each time, or several candidates at once (beam search).

The language model is a `Continuation`: it says how likely each token is to be next, and remembers what it has read.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any, Protocol

import torch
from torch import Tensor

from modtrans_core.extras import require

LONGEST = 67
"""tokens of a caption, at most, as published"""


class Continuation(Protocol):
    """What is likely to come next, after a prefix and the tokens chosen so far."""

    first: Tensor
    """log-probabilities (v,) of the first token"""

    def after(self, parents: Tensor, tokens: Tensor) -> Tensor:
        """Log-probabilities (b, v) of the next token, after token i was added to the candidate parents[i], (b,) each.

        Before the first call there is one candidate, 0; afterwards the b of the call before.
        """


class Continued:
    """The `Continuation` of a prefix by a causal language model of transformers.

    Parameters
    ----------
    model : a `transformers` model for causal language modelling.
    prefix : word vectors (k, w).
    """

    def __init__(self, model: Any, prefix: Tensor) -> None:
        self.model, self.read = model, require("transformers", "encoders").DynamicCache()
        newer = "cache" in inspect.signature(model.forward).parameters
        self.memory = {"cache" if newer else "past_key_values": self.read}
        self.first = self._next(prefix[None])[0]

    def after(self, parents: Tensor, tokens: Tensor) -> Tensor:
        self.read.reorder_cache(parents)
        return self._next(self.model.get_input_embeddings()(tokens[:, None]))

    @torch.inference_mode()
    def _next(self, words: Tensor) -> Tensor:
        said = self.model(inputs_embeds=words, use_cache=True, **self.memory)
        found = torch.log_softmax(said.logits[:, -1].float(), dim=-1)
        if found.isnan().any():
            raise ValueError("caption: the decoder's numbers are not finite, of an embedding of that length")
        return found


def greedy(language: Continuation, stop: Collection[int], longest: int = LONGEST) -> list[int]:
    """The likeliest token each time, until one of `stop`, which is kept.

    Parameters
    ----------
    language : what continues a prefix.
    stop : tokens that end a caption.
    longest : tokens, at most.
    """
    found, scores = [int(language.first.argmax())], language.first
    while found[-1] not in stop and len(found) < longest:
        scores = language.after(scores.new_zeros(1, dtype=torch.int64), torch.tensor(found[-1:], device=scores.device))
        found.append(int(scores.argmax()))
    return found


def beam(
    language: Continuation, stop: Collection[int], width: int = 5, longest: int = LONGEST
) -> list[tuple[list[int], float]]:
    """The candidates of a beam search, as ClipCap ranks them.

    A candidate's score is the mean log-probability of its tokens. In each step every candidate is continued by every
    token, and those with the best scores are kept. One that has ended is kept as it is, with its length and score.

    Parameters
    ----------
    language : what continues a prefix.
    stop : tokens that end a caption.
    width : candidates that are kept.
    longest : tokens, at most.

    Returns
    -------
    Tokens and score of each candidate, the best first.

    Notes
    -----
    The mean favours long captions: a candidate that goes on with likely tokens outruns one that ended with an unlikely
    one. With width 1 it is `greedy`.
    """
    sums, tokens = language.first.topk(min(width, len(language.first)))
    chosen, lengths = tokens[:, None], torch.ones_like(sums)
    ended = torch.isin(tokens, torch.tensor([*stop], device=tokens.device))
    parents = torch.zeros_like(tokens)
    while not ended.all() and chosen.shape[1] < longest:
        more = language.after(parents, tokens)
        more[ended] = -torch.inf
        more[ended, 0] = 0.0  # the one continuation of what has ended: a token that is not read
        lengths = lengths + ~ended
        totals = sums[:, None] + more
        best = (totals / lengths[:, None]).flatten().topk(min(width, int((totals > -torch.inf).sum())))
        parents, tokens = best.indices // more.shape[1], best.indices % more.shape[1]
        sums, lengths, over = totals.flatten()[best.indices], lengths[parents], ended[parents]
        chosen = torch.cat([chosen[parents], tokens[:, None]], dim=1)
        ended = over | torch.isin(tokens, torch.tensor([*stop], device=tokens.device))
    score = sums / lengths
    order = score.argsort(descending=True).tolist()
    return [(chosen[i, : int(lengths[i])].tolist(), float(score[i])) for i in order]
