"""What a translator was fitted to, what it can, and how conditions come in and translations go out."""

import numpy as np
import pytest
import torch

from modtrans_core import PairedEmbeddings, fit
from modtrans_core.noise import normal
from modtrans_core.protocol import Draws, Expects, Facts, HasParts, able, conditions, in_pieces, like, whole_samples

K, D = 6, 5
B32, L14 = "open_clip:ViT-B-32/openai", "open_clip:ViT-L-14/openai"
CPU = torch.device("cpu")


@pytest.fixture
def c():
    return np.random.default_rng(0).normal(size=(11, K)).astype(np.float32)


def facts(encoders=None):
    return Facts("image", "text", K, D, encoders or {})


def pairs(k=K, **metadata):
    return PairedEmbeddings({"image": np.ones((2, k)), "text": np.ones((2, D))}, metadata=metadata)


def test_facts_are_those_of_the_pairs():
    made = Facts.of(pairs(image={"encoder": B32}, text={"encoder": "x"}), "text", "image")
    assert made == Facts("text", "image", D, K, {"text": {"encoder": "x"}, "image": {"encoder": B32}})
    assert str(made) == "text 5 -> image 6"


def test_other_pairs_are_refused():
    facts().refuse(pairs())
    with pytest.raises(ValueError, match="image: dimension 7, but the translator was trained on 6"):
        facts().refuse(pairs(7))
    facts().refuse(pairs(7), "text")  # only one side was asked about
    trained = facts({"image": {"encoder": "open_clip:RN50/openai"}})
    with pytest.raises(ValueError, match="encoder timm:x/y, but the translator was trained on open_clip:RN50/openai"):
        trained.refuse(pairs(image={"encoder": "timm:x/y"}))


@pytest.mark.parametrize(
    ("here", "trained", "words"),
    [
        ({"encoder": L14}, {"encoder": B32}, f"image: encoder {L14}, but the translator was trained on {B32}"),
        (
            {"encoder": L14, "weights_sha256": "a", "preprocessing": "p"},
            {"encoder": B32, "weights_sha256": "b", "preprocessing": "q"},
            f"image: encoder {L14}, but the translator was trained on {B32}",
        ),
        (
            {"encoder": "open_clip:m/w.pt", "weights_sha256": "a"},
            {"encoder": "open_clip:m/w.pt", "weights_sha256": "b"},
            "image: encoder open_clip:m/w.pt with weights_sha256 a, "
            "but the translator was trained on open_clip:m/w.pt with weights_sha256 b",
        ),
        (
            {"encoder": "transformers:cls/f", "weights_sha256": "a", "preprocessing": "first"},
            {"encoder": "transformers:mean/f", "weights_sha256": "a", "preprocessing": "mean"},
            "image: encoder transformers:cls/f with preprocessing first, "
            "but the translator was trained on transformers:mean/f with preprocessing mean",
        ),
        (
            {"encoder": "timm:m/random", "weights_sha256": None},
            {"encoder": "timm:m/w.safetensors", "weights_sha256": "a"},
            "image: encoder timm:m/random, but the translator was trained on timm:m/w.safetensors",
        ),
    ],
)
def test_pairs_of_another_encoder_are_refused_by_both_names(here, trained, words):
    with pytest.raises(ValueError) as caught:
        facts({"image": trained}).refuse(pairs(image=here))
    assert str(caught.value) == words
    facts({"image": trained}).refuse(pairs(image=trained))


@pytest.mark.parametrize(
    ("here", "trained"),
    [
        (
            {"encoder": "open_clip:m/new/w.pt", "weights_sha256": "a"},
            {"encoder": "open_clip:m/w.pt", "weights_sha256": "a"},
        ),
        ({"encoder": B32, "weights_sha256": "a"}, {}),
        ({}, {"encoder": B32, "preprocessing": "p"}),
        (
            {"preprocessing": "p", "precision": "float32"},
            {"preprocessing": "p", "precision": "bfloat16 autocast on CUDA"},
        ),
        (  # rows that were computed elsewhere: their file says nothing about the encoder
            {"encoder": "array:test.npy", "weights_sha256": "a", "preprocessing": "precomputed"},
            {"encoder": B32, "weights_sha256": "b", "preprocessing": "p"},
        ),
    ],
)
def test_pairs_of_the_same_encoder_are_taken_wherever_its_file_lies(here, trained):
    facts({"image": trained}).refuse(pairs(image=here))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c[:, :-1], rf"c: shape \(11, 5\), \(n, {K}\) is needed \(image vectors\)"),
        (lambda c: c[0], "c: shape"),
        (lambda c: np.where(np.arange(11)[:, None] == 4, 0, c), "row 4"),
        (lambda c: np.where(np.arange(11)[:, None] == 4, np.nan, c), "row 4"),
        (lambda c: np.where(np.arange(11)[:, None] == 4, np.inf, c), "row 4"),
    ],
)
def test_bad_conditions_are_refused(c, change, words):
    for given in (change(c).astype(np.float32), torch.from_numpy(change(c).astype(np.float64))):
        with pytest.raises(ValueError, match=words) as caught:
            conditions(given, facts(), CPU)
        assert "\n" not in str(caught.value)


def test_a_pair_set_is_no_conditions():
    pairs = PairedEmbeddings({"image": np.ones((2, 4)), "text": np.ones((2, 3))})
    with pytest.raises(ValueError, match=r"c: a pair set, its vectors are needed: pairs.modality\('image'\)"):
        conditions(pairs, Facts.of(pairs, "image", "text"), torch.device("cpu"))


def test_conditions_become_unit_vectors_and_are_left_alone(c):
    expected = torch.from_numpy(c / np.linalg.norm(c, axis=1, keepdims=True))
    before = c.copy()
    for given in (
        c,
        c.astype(np.float64),
        c.tolist(),
        np.asfortranarray(c),
        torch.from_numpy(c),
        7 * c,
        c.astype(">f4"),
    ):
        found = conditions(given, facts(), CPU)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(conditions(c[::-1], facts(), CPU), expected.flip(0))
    np.testing.assert_array_equal(c, before)
    assert conditions(c[:0], facts(), CPU).shape == (0, K)


def test_results_are_of_the_kind_that_was_given(c):
    value = torch.ones(2)
    assert like(value, torch.from_numpy(c)) is value and isinstance(like(value, c), np.ndarray)


@pytest.mark.parametrize(("samples", "rows"), [(1, 4), (2, 2), (100, 1)])
def test_about_so_many_results_are_made_at_once(monkeypatch, samples, rows):
    monkeypatch.setattr("modtrans_core.protocol.ROWS", 4)
    seen = []

    def work(a, b):
        seen.append(len(a))
        return a + b

    a, b = torch.arange(7.0), 10 * torch.arange(7.0)
    assert torch.equal(in_pieces(work, a, b, samples=samples), a + b)
    assert sum(seen) == 7 and max(seen) == rows


def test_a_translator_is_asked_what_it_can():
    rng = np.random.default_rng(0)
    translator = fit(PairedEmbeddings({"image": rng.normal(size=(40, 4)), "text": rng.normal(size=(40, 3)) + 1}))
    assert able(translator, Draws) is translator and able(translator, Expects) is translator
    with pytest.raises(ValueError, match=r"parts: method 'calibrated' cannot do it, and a method that can is needed"):
        able(translator, HasParts)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: torch.ones(2, K, dtype=torch.bool), "'torch.bool', a tensor of real numbers"),
        (lambda: torch.quantize_per_tensor(torch.ones(2, K), 0.1, 0, torch.qint8), "'torch.qint8', a tensor of real"),
        (lambda: torch.nested.nested_tensor([torch.ones(K), torch.ones(2)]), "not sparse and not nested"),
        (lambda: torch.ones(2, K, device="meta"), "'meta', a device that holds numbers"),
        (lambda: torch.ones(2, K, dtype=torch.float64) * 1e-42, "row 0; finite vectors at least 1e-36 long"),
        (lambda: np.ones((2, K)) * 1e-42, "row 0; finite vectors at least 1e-36 long"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_without_directions_are_refused_in_one_line(given, words):
    with pytest.raises(ValueError, match=f"^c: .*{words}"):
        conditions(given(), facts(), CPU)


@pytest.mark.parametrize(
    ("samples", "words"),
    [(0, "0, a whole number from 1 on"), (1.5, "1.5, a whole number from 1 on"), (10**12, "GiB, at most")],
)
def test_draws_that_no_memory_holds_are_refused_before_they_are_made(samples, words):
    with pytest.raises(ValueError, match=f"^samples: .*{words}"):
        whole_samples(samples, 2, D)


@pytest.mark.parametrize("seed", [2**63, 0.5, None])
def test_seeds_of_noise_are_integers_of_64_bits(seed):
    with pytest.raises(ValueError, match="^seed: .*an integer of 64 bits"):
        normal(torch.arange(2), (3,), seed)
