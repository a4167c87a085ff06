"""A decoder that is trained: it learns to say what an embedding was made from, and the language model stays."""

import numpy as np
import pytest
import torch

from analysis.tasks.captions.prefix import train_decoder
from modtrans_core import PairedEmbeddings, Pairing, TrainConfig

TEXTS = ["5", "6 7", "8 9 10", "11", "12 5", "6 12 7 9"]
CONFIG = TrainConfig(steps=80, batch=6, learning_rate=5e-3, weight_decay=0.0, ema=0.9)


@pytest.fixture(scope="module")
def pairing():
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    return Pairing(PairedEmbeddings({"text": vectors}), "text", "text")


def test_it_says_what_an_embedding_was_made_from(pairing, small):
    model = small.gpt2()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    decoder = train_decoder(pairing, TEXTS, model, small.numbers, k=2, hidden=32, noise=1e-4, config=CONFIG)
    ended = [f"{text} 0" for text in TEXTS]
    assert decoder.caption(3 * pairing.z, width=1, longest=6) == ended == decoder.caption(pairing.z, longest=6)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert decoder.unit and decoder.dimension == 6


def test_the_loss_is_that_of_the_tokens_and_their_end_alone(pairing, small, monkeypatch):
    """One step at learning rate ~0: the loss by the log-probabilities of each text read by itself."""
    seen = []
    monkeypatch.setattr("analysis.tasks.captions.prefix.train", lambda module, loss, batches, *_, **__: seen.append(
        (module, loss, *next(iter(batches.iterate(range(1)))))) or module)  # fmt: skip
    model = small.gpt2()
    train_decoder(pairing, TEXTS, model, small.numbers, k=2, hidden=32, noise=0.0, config=CONFIG)
    mapper, loss, c, tokens = seen[0]
    total, count = 0.0, 0
    for row, vector in zip(tokens, c, strict=True):
        text = TEXTS[int(np.abs(pairing.z @ vector.numpy()).argmax())]
        expected = torch.tensor([*map(int, text.split()), 0])
        assert torch.equal(row[: len(expected)], expected) and (row[len(expected) :] < 0).all()
        read = torch.cat([mapper(vector[None]), model.transformer.wte(expected[None])], 1)
        logits = model(inputs_embeds=read).logits[0]
        for place, token in enumerate(expected.tolist(), 1):
            total, count = total - float(torch.log_softmax(logits[place], 0)[token].detach()), count + 1
    assert float(loss(mapper, c, tokens)["total"].detach()) == pytest.approx(total / count, abs=1e-4)


def test_texts_are_one_a_target(pairing, small):
    with pytest.raises(ValueError, match="texts: 5, one a target, 6, is needed"):
        train_decoder(pairing, TEXTS[:5], small.gpt2(), small.numbers)
