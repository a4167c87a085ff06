"""Published checkpoints in small: read to the bit, refused by name, and translated as torch's own layers do."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from analysis.tasks.captions.checkpoint import MASKS, load_decoder
from analysis.tasks.captions.decoding import Continued, beam, greedy
from analysis.tasks.captions.mappers import HEADS
from modtrans_core.vectors import unit

EMBEDDINGS = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
BOTH = pytest.mark.parametrize("mapper", ["MLP", "transformer"])


@pytest.fixture
def load(small, save):
    return lambda mapper, **options: load_decoder(save(small.state(mapper)), small.numbers, **options)


@BOTH
def test_every_tensor_is_read_back_to_the_bit(small, load, mapper):
    state, decoder = small.state(mapper), load(mapper)
    read = {f"clip_project.{name}": tensor for name, tensor in decoder.mapper.state_dict().items()}
    read |= {f"gpt.{name}": tensor for name, tensor in decoder.model.state_dict().items()}
    assert {*state} - {*read} == {name for name in state if name.endswith((".attn.bias", ".masked_bias"))}
    assert all(torch.equal(tensor, state[name]) for name, tensor in read.items())
    words = torch.randn(2, 7, small.WIDTH)
    assert torch.equal(decoder.model(inputs_embeds=words).logits, small.gpt2()(inputs_embeds=words).logits)


def test_the_transformer_is_torchs_own(small, load):
    state, width = small.state("transformer"), small.WIDTH
    x, part = torch.from_numpy(EMBEDDINGS), {n.removeprefix("clip_project."): t for n, t in state.items()}
    layer = nn.TransformerEncoderLayer(width, HEADS, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
    oracle = nn.TransformerEncoder(layer, small.LAYERS, enable_nested_tensor=False).eval()
    for number, one in enumerate(oracle.layers):
        of = {n.removeprefix(f"transformer.layers.{number}."): t for n, t in part.items()}
        one.load_state_dict({
            "self_attn.in_proj_weight": torch.cat([of["attn.to_queries.weight"], of["attn.to_keys_values.weight"]]),
            "self_attn.in_proj_bias": torch.zeros(3 * width),
            **{f"self_attn.out_proj.{what}": of[f"attn.project.{what}"] for what in ("weight", "bias")},
            **{f"{name}.{what}": of[f"{name}.{what}"] for name in ("norm1", "norm2") for what in ("weight", "bias")},
            **{f"linear{i}.{what}": of[f"mlp.fc{i}.{what}"] for i in (1, 2) for what in ("weight", "bias")},
        })  # fmt: skip
    projected = (x @ part["linear.weight"].T + part["linear.bias"]).reshape(4, 4, width)
    expected = oracle(torch.cat([projected, part["prefix_const"].repeat(4, 1, 1)], 1))[:, 4:]
    torch.testing.assert_close(load("transformer").mapper(x), expected, atol=1e-4, rtol=1e-4)


def test_the_mlp_has_a_tanh_between_two_layers(small, load):
    state = small.state("MLP")
    weight, bias = ([state[f"clip_project.model.{i}.{what}"].numpy() for i in (0, 2)] for what in ("weight", "bias"))
    expected = (np.tanh(EMBEDDINGS @ weight[0].T + bias[0]) @ weight[1].T + bias[1]).reshape(4, 3, small.WIDTH)
    found = load("MLP").mapper(torch.from_numpy(EMBEDDINGS))
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


@BOTH
@torch.inference_mode()
def test_a_model_that_remembers_says_what_it_says_when_it_reads_all_anew(small, load, mapper):
    decoder, model = load(mapper, unit=True), small.gpt2()
    said = []
    for row in unit(EMBEDDINGS):
        prefix = decoder.mapper(torch.from_numpy(row)[None])
        for tokens, score in [*beam(Continued(decoder.model, prefix[0]), (2, 3), 3, 8), (None, None)]:
            chosen = greedy(Continued(decoder.model, prefix[0]), (2, 3), 8) if tokens is None else tokens
            read = torch.cat([prefix, model.transformer.wte(torch.tensor([chosen]))], 1)
            logits = model(inputs_embeds=read).logits[0, prefix.shape[1] - 1 : -1]
            if tokens is None:
                assert logits.argmax(1).tolist() == chosen
                said.append(" ".join(map(str, chosen)))
            else:
                reached = torch.log_softmax(logits, 1).gather(1, torch.tensor([tokens]).T)
                assert score == pytest.approx(float(reached.mean()), abs=1e-4)
    decoder = dataclasses.replace(decoder, stop=(2, 3))
    assert decoder.caption(EMBEDDINGS, width=1, longest=8) == said and len({*said}) > 1


def test_a_beam_ends_at_the_first_stop_and_greedy_at_each(load):
    decoder = dataclasses.replace(load("transformer"), stop=(99,))  # no word of its: captions are as long as they may
    free = decoder.caption(EMBEDDINGS[:1], width=1, longest=6)[0].split()
    stopped = dataclasses.replace(decoder, stop=(99, int(free[1])))
    assert stopped.caption(EMBEDDINGS[:1], width=1, longest=6) == [" ".join(free[: free.index(free[1]) + 1])]
    assert stopped.caption(EMBEDDINGS[:1], width=2, longest=6) == decoder.caption(EMBEDDINGS[:1], width=2, longest=6)


def test_a_decoder_of_raw_embeddings_is_given_their_length_back(load):
    decoder, other = load("MLP"), load("transformer")  # as published: an MLP reads raw embeddings
    assert not decoder.unit and other.unit
    seen = []
    decoder.mapper.register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()))
    said = decoder.caption(EMBEDDINGS, width=2, longest=4, length=9.0)
    np.testing.assert_allclose(torch.cat(seen), 9.0 * unit(EMBEDDINGS), rtol=1e-5)
    assert said == decoder.caption(100 * EMBEDDINGS, width=2, longest=4, length=9.0)  # of the direction alone
    with pytest.raises(ValueError, match="length: None, the mean length of raw training embeddings is needed"):
        decoder.caption(EMBEDDINGS)
    with pytest.raises(ValueError, match=r"length: 9.0, none for a decoder of unit embeddings is needed"):
        other.caption(EMBEDDINGS, length=9.0)
    with pytest.raises(ValueError, match="beam: 0, 1 to 1000 is"):
        other.caption(EMBEDDINGS, width=0)


def test_a_decoder_says_no_caption_that_is_longer_than_its_places(load):
    decoder = load("transformer")  # of 128 places, and a prefix of 3
    assert decoder.caption(EMBEDDINGS[:1], width=1, longest=125)
    with pytest.raises(ValueError, match="decoder: places: 128, at least 129, of prefix and caption, is needed"):
        decoder.caption(EMBEDDINGS[:1], width=1, longest=126)


def without(name):
    return lambda state: state.pop(name)


def more(name, shape=(2, 2)):
    return lambda state: state.update({name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without("gpt.transformer.h.1.mlp.c_fc.bias"), r"missing: gpt\.transformer\.h\.1\.mlp\.c_fc\.bias$"),
        (without("gpt.lm_head.weight"), r"missing: gpt\.lm_head\.weight$"),
        (without("gpt.transformer.wte.weight"), r"missing: gpt\.transformer\.wte\.weight$"),
        (without("clip_project.prefix_const"), r"missing: clip_project\.prefix_const$"),
        (without("clip_project.transformer.layers.1.norm2.bias"), r"missing: clip.*layers\.1\.norm2\.bias$"),
        (more("gpt.transformer.h.0.attn.more"), r"unknown: gpt\.transformer\.h\.0\.attn\.more$"),
        (more("clip_project.bias"), r"unknown: clip_project\.bias$"),
        (more("epoch", ()), "unknown: epoch$"),
        (more("gpt.transformer.ln_f.bias", (3,)), r"ln_f\.bias: \(3,\), the shape \(128,\) is needed"),
        (more("gpt.lm_head.weight", (40, 128)), r"gpt\.lm_head\.weight: 'other values'"),
    ],
)
def test_what_is_missing_unknown_or_misshapen_is_named(small, save, spoil, words):
    state = small.state("transformer")
    spoil(state)
    with pytest.raises(ValueError, match=words):
        load_decoder(save(state), small.numbers)


def test_only_tensors_are_read_from_a_file(save, small, tmp_path):
    made = []

    class Harmful:
        def __reduce__(self):
            return made.append, ("run",)

    for state, words in (
        (
            {"clip_project.model.0.weight": Harmful()},
            r"\.pt: is no file of tensors alone, and",
        ),
        ([torch.zeros(2)], "a dictionary of tensors"),
        ({"model": {"weight": torch.zeros(2)}}, "a dictionary of tensors"),
    ):
        with pytest.raises(ValueError, match=words):
            load_decoder(save(state), small.numbers)
    (tmp_path / "plain.pt").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"plain\.pt: is no file of tensors alone, and is not read; a dictionary"):
        load_decoder(tmp_path / "plain.pt", small.numbers)
    assert made == []


def test_checkpoints_that_were_made_to_harm_are_one_line_that_names_the_file(small, save, tmp_path):
    state = small.state("MLP")
    whole = save(state).read_bytes()
    huge = torch.ones(1).as_strided((10**6, 10**6), (0, 0))
    for name in state:  # a number that stands for a tensor of any shape, and shapes of no decoder
        kinds = [
            torch.ones(2, 64, dtype=torch.int8),
            torch.ones(2, 64, dtype=torch.complex64),
            torch.eye(64).to_sparse(),
        ]
        others = [] if MASKS.fullmatch(name) else [torch.ones(()), torch.ones(0, 64), torch.ones(3, 64), *kinds]
        for tensor in (huge, *others):
            with pytest.raises(ValueError, match="decoder.pt: ") as caught:
                load_decoder(save({**state, name: tensor}), small.numbers)
            assert "\n" not in str(caught.value)
    deep = {f"gpt.transformer.h.{layer}.x": torch.ones(1) for layer in range(2000)}
    with pytest.raises(ValueError, match="decoder.pt: layers: 2000, no more than"):
        load_decoder(save({**state, **deep}), small.numbers)
    rng = np.random.default_rng(0)
    for _ in range(20):
        place = int(rng.integers(0, len(whole)))
        (tmp_path / "torn.pt").write_bytes(whole[:place])
        with pytest.raises(ValueError, match="torn.pt: ") as caught:
            load_decoder(tmp_path / "torn.pt", small.numbers)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="gone.pt: there is no such file"):
        load_decoder(tmp_path / "gone.pt", small.numbers)
