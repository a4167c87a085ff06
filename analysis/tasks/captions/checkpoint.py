"""Published caption decoders: ClipCap's and CapDec's checkpoints, checked name by name and shape by shape.

A checkpoint is a dictionary of tensors: a mapper, whose names begin with `clip_project.`, and GPT-2, whose names begin
with `gpt.`. Sources: Mokady et al. 2021 (ClipCap, arXiv 2111.09734) and Nukrai et al. 2022 (CapDec, arXiv 2211.00575).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from analysis.tasks.captions.decoding import LONGEST, Continued, beam, greedy
from analysis.tasks.captions.mappers import HEADS, MLPMapper, TransformerMapper
from modtrans_core.checks import in_one_line, refuse_unless
from modtrans_core.embed.encoders.folders import loading, refuse_no_words, refuse_unreadable
from modtrans_core.extras import require
from modtrans_core.progress import Progress, reporting
from modtrans_core.store.headers import more_than_tensors
from modtrans_core.vectors import unit

MAPPER, GPT = "clip_project.", "gpt."
HEAD_WIDTH = 64
"""of GPT-2, whatever its size; no shape in a checkpoint tells it"""
WIDEST = 1000
"""candidates of a beam; each holds keys and values of its own"""
STOPS = (13, 764)
"""'.' and ' .' in GPT-2's vocabulary"""
MASKS = re.compile(r"gpt\.transformer\.h\.\d+\.attn\.(masked_)?bias")
"""constants that old checkpoints hold too"""


def refuse_numbers(width: int = 1, length: float | None = None) -> None:
    """Refuse numbers that no caption can be made with."""
    refuse_unless(1 <= width <= WIDEST, "beam", width, f"1 to {WIDEST}")
    if length is not None:
        refuse_unless(np.isfinite(length) and length > 0, "length", length, "a positive number")


def refuse_length(length: float | None, unit: bool) -> None:
    """Refuse a length for a decoder of unit embeddings, and none for another."""
    needed = "none for a decoder of unit embeddings" if unit else "the mean length of raw training embeddings"
    refuse_unless((length is None) == unit, "length", length, needed)


@dataclass(frozen=True)
class Decoder:
    """What turns an embedding into a caption.

    Parameters
    ----------
    mapper : a module from embeddings (n, d) to prefixes (n, k, w).
    model : a causal language model of transformers, whose word vectors are w wide.
    tokenizer : its tokenizer.
    stop : tokens that end a caption.
    unit : whether the mapper was trained on unit embeddings; otherwise on embeddings as their encoder gives them.
    """

    mapper: nn.Module
    model: Any
    tokenizer: Any
    stop: tuple[int, ...] = STOPS
    unit: bool = True

    @property
    def dimension(self) -> int:
        """Of the embeddings."""
        return next(layer.in_features for layer in self.mapper.modules() if isinstance(layer, nn.Linear))

    def caption(
        self,
        embeddings: np.ndarray,
        *,
        width: int = 5,
        longest: int = LONGEST,
        length: float | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """A caption of every embedding (n, d).

        Parameters
        ----------
        width : candidates of the beam search; 1 is greedy.
        longest : tokens of a caption, at most.
        length : the length that embeddings are brought to, where the decoder was not trained on unit ones: the mean
            length of raw training embeddings.
        progress : called with (captions done, in all). Default: a bar on stderr when someone watches.

        Raises
        ------
        ValueError
            A decoder of raw embeddings without a length, or one of unit embeddings with one.
        """
        refuse_numbers(width, length)
        refuse_length(length, self.unit)
        first = next(self.mapper.parameters())
        x = torch.from_numpy(unit(embeddings) * np.float32(length or 1.0)).to(first)
        said: list[str] = []
        with torch.inference_mode(), reporting(progress, len(x), "caption", "item", delay=2) as report:
            for row in x:
                said.append(self._caption(self.mapper(row[None])[0], width, longest))
                report(len(said), len(x))
        return said

    def _caption(self, prefix: Tensor, width: int, longest: int) -> str:
        needed = len(prefix) + longest
        places = getattr(self.model.config, "max_position_embeddings", needed)
        refuse_unless(needed <= places, "decoder: places", places, f"at least {needed}, of prefix and caption,")
        language = Continued(self.model, prefix)
        if width == 1:
            tokens = greedy(language, self.stop, longest)
        else:
            tokens = beam(language, self.stop[:1], width, longest)[0][0]  # as published: ' .' ends no beam
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True)).strip()


class Checkpoint(NamedTuple):
    """What a checkpoint's file holds, before a network is made of it."""

    path: Path
    state: Mapping[str, Tensor]
    unit: bool
    """whether it was trained on unit embeddings"""
    dimension: int
    """of the embeddings that it reads"""


def read_checkpoint(path: str | Path, *, unit: bool | None = None) -> Checkpoint:
    """The tensors of a published checkpoint, or of one of the same layout.

    Parameters
    ----------
    path : a state dictionary as `torch.save` writes it. Nothing but tensors is read from it.
    unit : whether it was trained on unit embeddings. Default: as published, a transformer was, and an MLP was not.

    Raises
    ------
    ValueError
        The file holds anything but tensors, or no mapper.
    """
    state = _tensors(Path(path))
    first, is_transformer = f"{MAPPER}model.0.weight", f"{MAPPER}model.0.weight" not in state
    dimension = _at(state, f"{MAPPER}linear.weight" if is_transformer else first, path)[1]
    return Checkpoint(Path(path), state, is_transformer if unit is None else unit, dimension)


def load_decoder(checkpoint: Checkpoint | str | Path, tokenizer: Any = "gpt2", *, unit: bool | None = None) -> Decoder:
    """The decoder of a published checkpoint, or of one of the same layout.

    Parameters
    ----------
    checkpoint : of `read_checkpoint`, or its file.
    tokenizer : of GPT-2; or the folder or name that transformers loads it from.
    unit : see `read_checkpoint`.

    Raises
    ------
    ValueError
        The file holds anything but tensors; names that are unknown or missing; a tensor of another shape, or that is
        not finite; weights of the output layer that are not the word vectors, as GPT-2's are; a tokenizer with fewer
        words.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = read_checkpoint(checkpoint, unit=unit)
    path, state = checkpoint.path, checkpoint.state
    if isinstance(tokenizer, str | Path):
        tokenizer = _tokenizer(str(tokenizer), _at(state, f"{GPT}transformer.wte.weight", path)[0])
    require("transformers", "encoders")
    with loading(path):
        mapper, model = _mapper(state, path), _gpt(state, path)
    whole = nn.ModuleDict({MAPPER[:-1]: mapper, GPT[:-1]: model})
    wanted = {name: tuple(tensor.shape) for name, tensor in whole.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items() if not MASKS.fullmatch(name)}
    for problem, names in (("missing", wanted.keys() - found), ("unknown", found.keys() - wanted)):
        if names:
            raise ValueError(f"{path}: {problem}: {', '.join(sorted(names))}")
    for name, shape in wanted.items():
        refuse_unless(found[name] == shape, f"{path}: {name}", found[name], f"the shape {shape}")
        refuse_unless(bool(state[name].isfinite().all()), f"{path}: {name}", "not finite", "a tensor of finite numbers")
    head, words = (state[f"{GPT}{name}.weight"] for name in ("lm_head", "transformer.wte"))
    refuse_unless(torch.equal(head, words), f"{path}: {GPT}lm_head.weight", "other values", f"{GPT}transformer.wte's")
    whole.load_state_dict({name: state[name] for name in wanted})
    return Decoder(mapper.eval(), model.eval(), tokenizer, unit=checkpoint.unit)


def _tokenizer(name: str, words: int) -> Any:
    """A tokenizer that knows as many words as the decoder says."""
    what, library = f"tokenizer: {name!r}", require("transformers", "encoders")
    needed = f"{what}, a folder with GPT-2's tokenizer, or a name and a network to download it, is needed"
    hub = require("huggingface_hub", "encoders")
    if Path(name).is_dir():
        refuse_unreadable(what, Path(name))
    with loading(needed):
        if not Path(name).is_dir():  # the library itself asks ten times where there is no network
            name = hub.snapshot_download(name, allow_patterns=["*.json", "*.txt"])
        found = library.AutoTokenizer.from_pretrained(name, trust_remote_code=False, local_files_only=True)
    refuse_no_words(what, found, Path(name))
    refuse_unless(len(found) >= words, what, f"{len(found)} words", f"the decoder's {words}")
    return found


def _tensors(path: Path) -> Mapping[str, Tensor]:
    """The dictionary of tensors in a file, and nothing else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file") from None
    except Exception as error:  # a damaged pickle raises anything
        why = more_than_tensors(error) or f"not a file of tensors ({in_one_line(error)})"
        raise ValueError(f"{path}: {why}; a dictionary of tensors is needed, as state_dict() gives it") from None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError(f"{path}: a dictionary of tensors is needed, as state_dict() gives it")
    held = path.stat().st_size
    for name, tensor in state.items():  # one number can stand for a tensor of any shape
        size = tensor.numel() * tensor.element_size()
        refuse_unless(size <= held, f"{path}: {name}", f"{size} bytes", f"at most {held}, the file's,")
        numbers = tensor.layout == torch.strided and (tensor.is_floating_point() or MASKS.fullmatch(name) is not None)
        refuse_unless(numbers, f"{path}: {name}", f"{tensor.dtype} {tensor.layout}", "a dense tensor of real numbers")
    return state


def _at(state: Mapping[str, Tensor], name: str, path: str | Path) -> tuple[int, ...]:
    """The shape of a tensor that has to be there."""
    if name not in state:
        raise ValueError(f"{path}: missing: {name}")
    shape = tuple(state[name].shape)
    refuse_unless(len(shape) == 2 and 0 not in shape, f"{path}: {name}", shape, "a matrix")
    return shape


def _layers(state: Mapping[str, Tensor], before: str) -> int:
    """How many numbers follow `before` in the names."""
    pattern = re.compile(re.escape(before) + r"(\d+)\.")
    return len({match[1] for name in state if (match := pattern.match(name))})


def _mapper(state: Mapping[str, Tensor], path: str | Path) -> MLPMapper | TransformerMapper:
    """The mapper whose shapes are these, its weights not yet."""
    w = _at(state, f"{GPT}transformer.wte.weight", path)[1]
    if f"{MAPPER}model.0.weight" in state:
        hidden, d = _at(state, f"{MAPPER}model.0.weight", path)
        return MLPMapper(d, w, _at(state, f"{MAPPER}model.2.weight", path)[0] // w, hidden)
    projected, d = _at(state, f"{MAPPER}linear.weight", path)
    k, layers = _at(state, f"{MAPPER}prefix_const", path)[0], f"{MAPPER}transformer.layers."
    hidden = _at(state, f"{layers}0.mlp.fc1.weight", path)[0]
    refuse_unless(w % HEADS == 0, f"{path}: width", w, f"a multiple of {HEADS}")
    return TransformerMapper(d, w, k, projected // w, _layers(state, layers), hidden)


def _gpt(state: Mapping[str, Tensor], path: str | Path) -> Any:
    """GPT-2 of these shapes, its weights not yet."""
    transformers = require("transformers", "encoders")
    words, w = _at(state, f"{GPT}transformer.wte.weight", path)
    refuse_unless(w % HEAD_WIDTH == 0, f"{path}: width", w, f"a multiple of {HEAD_WIDTH}")
    places, layers = _at(state, f"{GPT}transformer.wpe.weight", path)[0], _layers(state, f"{GPT}transformer.h.")
    held = sum(tensor.numel() for tensor in state.values())
    refuse_unless(12 * layers * w * w <= held, f"{path}: layers", layers, f"no more than {held} numbers make")
    sizes = {"n_embd": w, "n_layer": layers, "n_head": w // HEAD_WIDTH, "n_positions": places}
    none = {"bos_token_id": None, "eos_token_id": None}  # GPT-2's are no words of a smaller vocabulary
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=words, **sizes, **none))
