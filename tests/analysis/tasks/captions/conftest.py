"""A small checkpoint with every name that published ones have, and a tokenizer whose tokens are numbers."""

from types import SimpleNamespace

import pytest
import torch
import transformers

WORDS, PLACES, WIDTH, D = 40, 128, 128, 6
LAYERS = 2


class Numbers:
    """Token 3 is the word `3`."""

    eos_token_id = 0

    def __call__(self, text, add_special_tokens):
        return {"input_ids": [int(word) for word in text.split()]}

    def decode(self, tokens, skip_special_tokens):
        return " ".join(str(token) for token in tokens)


def gpt2(seed=0):
    torch.manual_seed(seed)
    sizes = {"vocab_size": WORDS, "n_positions": PLACES, "n_embd": WIDTH, "n_layer": 2, "n_head": 2}
    config = transformers.GPT2Config(**sizes, initializer_range=0.2, bos_token_id=0, eos_token_id=0)
    return transformers.GPT2LMHeadModel(config).eval()


def mlp_shapes(k=3):
    hidden = WIDTH * k // 2
    shapes = {"model.0.weight": (hidden, D), "model.0.bias": (hidden,)}
    return {**shapes, "model.2.weight": (2 * hidden, hidden), "model.2.bias": (2 * hidden,)}


def transformer_shapes(j=4, k=3, hidden=2 * WIDTH):
    shapes = {"linear.weight": (j * WIDTH, D), "linear.bias": (j * WIDTH,), "prefix_const": (k, WIDTH)}
    for layer in range(LAYERS):
        before = f"transformer.layers.{layer}."
        of = {f"{norm}.{what}": (WIDTH,) for norm in ("norm1", "norm2") for what in ("weight", "bias")}
        of |= {"attn.to_queries.weight": (WIDTH, WIDTH), "attn.to_keys_values.weight": (2 * WIDTH, WIDTH)}
        of |= {"attn.project.weight": (WIDTH, WIDTH), "attn.project.bias": (WIDTH,)}
        of |= {"mlp.fc1.weight": (hidden, WIDTH), "mlp.fc1.bias": (hidden,)}
        of |= {"mlp.fc2.weight": (WIDTH, hidden), "mlp.fc2.bias": (WIDTH,)}
        shapes |= {before + name: shape for name, shape in of.items()}
    return shapes


def state_of(shapes, seed=1):
    """What a published file holds, the masks of old ones too."""
    torch.manual_seed(seed)
    state = {f"clip_project.{name}": torch.randn(shape) / shape[-1] ** 0.5 for name, shape in shapes.items()}
    state |= {f"gpt.{name}": tensor.clone() for name, tensor in gpt2().state_dict().items()}
    for layer in range(2):
        state[f"gpt.transformer.h.{layer}.attn.bias"] = torch.ones(1, 1, PLACES, PLACES, dtype=torch.bool)
        state[f"gpt.transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return state


SHAPES = {"MLP": mlp_shapes, "transformer": transformer_shapes}


@pytest.fixture(scope="session")
def small():
    """small.state("MLP") is a checkpoint, small.gpt2() the language model in it, small.numbers the tokenizer."""
    sizes = {"D": D, "WIDTH": WIDTH, "LAYERS": LAYERS}
    return SimpleNamespace(**sizes, gpt2=gpt2, numbers=Numbers(), state=lambda mapper: state_of(SHAPES[mapper]()))


@pytest.fixture
def save(tmp_path):
    def save(state):
        torch.save(state, tmp_path / "decoder.pt")
        return tmp_path / "decoder.pt"

    return save
