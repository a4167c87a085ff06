"""BERT-like models and CLAP of transformers, tiny and random, and folders as the hub keeps them."""

import hashlib
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from safetensors.torch import save_file

from modtrans_core.cli import VERBS
from modtrans_core.cli.verb import run
from modtrans_core.embed.encoders import identity, load_encoder
from modtrans_core.embed.encoders.folders import loading, refuse_no_words
from modtrans_core.embed.encoders.transformers_encoder import resampled
from modtrans_core.pairs import PairedEmbeddings

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "heart", "the", "key", "farmer", "in"]
WORDS += ["field", "and", "rain"]
TEXTS = ["a red heart", "the farmer in the red field and the rain", "key", "the heart in the rain"]
RATE = 48000


def tokenizer(limit):
    """A WordPiece tokenizer that puts [CLS] and [SEP] around a text, as BERT's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=limit,
    )


SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 0,
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        transformers.BertModel(transformers.BertConfig(**SMALL, max_position_embeddings=32)).save_pretrained(folder)
    tokenizer(24).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["rand_trunc", "fusion"])
def clap(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("clap")
    audio = {"window_size": 4, "spec_size": 256, "patch_embeds_hidden_size": 8, "hidden_size": 16, "depths": [1, 1]}
    audio |= {"num_attention_heads": [2, 2], "num_hidden_layers": 2, "enable_fusion": request.param == "fusion"}
    config = transformers.ClapConfig(
        text_config={**SMALL, "max_position_embeddings": 20}, audio_config=audio, projection_dim=12
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        transformers.ClapModel(config).save_pretrained(folder)
    tokenizer(512).save_pretrained(folder)
    transformers.ClapFeatureExtractor(truncation=request.param).save_pretrained(folder)
    return folder


def pooler_output(found):
    return found if isinstance(found, torch.Tensor) else found.pooler_output


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_pooled_texts_agree_with_the_library(bert, pool):
    """One text at a time, so that the oracle has no padding to leave out."""
    encoder = load_encoder(f"transformers:{pool}/{bert}", "text", "cpu")
    ours = encoder.encode(TEXTS)
    model = transformers.BertModel.from_pretrained(bert).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(bert)
    for row, text in zip(ours, TEXTS, strict=True):
        with torch.inference_mode():
            states = model(**tokens(text, return_tensors="pt")).last_hidden_state[0]
        np.testing.assert_allclose(row, states.mean(0) if pool == "mean" else states[0], atol=1e-5)
    facts = encoder.facts()
    assert (facts["dimension"], facts["normalised"], facts["modality"]) == (16, False, "text")
    assert "at most 24 tokens" in facts["preprocessing"]
    assert ("mean over tokens" if pool == "mean" else "the first token") in facts["preprocessing"]
    assert facts["weights_sha256"] == hashlib.sha256((bert / "model.safetensors").read_bytes()).hexdigest()
    assert np.linalg.norm(ours, axis=1).min() > 2


def test_a_text_that_is_too_long_is_cut(bert):
    encoder = load_encoder(f"transformers:mean/{bert}", "text", "cpu")
    long = " ".join(["rain", "key"] * 100)
    np.testing.assert_allclose(
        encoder.encode([long, "key"]), encoder.encode([long[: long.index("key") + 3 + 11 * 9], "key"]), atol=1e-6
    )
    assert encoder.tokens([long])["input_ids"].shape == (1, 24)
    whole = " ".join(["rain"] * 400)
    fits = max(n for n in range(400) if not encoder.cuts(whole[: 5 * n]))
    assert encoder.tokens([whole[: 5 * fits]])["attention_mask"].sum() in (23, 24) and encoder.cuts(long)


def test_roberta_s_first_positions_are_the_padding_s(tmp_path):
    config = transformers.RobertaConfig(**SMALL, max_position_embeddings=20)
    transformers.RobertaModel(config).save_pretrained(tmp_path)
    tokenizer(10**30).save_pretrained(tmp_path)
    encoder = load_encoder(f"transformers:mean/{tmp_path}", "text", "cpu")
    assert encoder.max_tokens == 20 - (config.pad_token_id + 1)
    assert np.isfinite(encoder.encode(["rain " * 50])).all()


def test_weights_that_a_configuration_names_are_read_where_they_are_the_model_s(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "named")
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(said | {"transformers_weights": "model.safetensors"}))
    found, whole = (load_encoder(f"transformers:mean/{one}", "text", "cpu") for one in (folder, bert))
    np.testing.assert_array_equal(found.encode(TEXTS), whole.encode(TEXTS))


def test_half_precision_weights_compute_in_float32(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "half")
    transformers.BertModel.from_pretrained(bert).half().save_pretrained(folder)
    encoder = load_encoder(f"transformers:mean/{folder}", "text", "cpu")
    assert {parameter.dtype for parameter in encoder.network.parameters()} == {torch.float32}
    whole = load_encoder(f"transformers:mean/{bert}", "text", "cpu").encode(TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS), whole, atol=0.02)


def test_a_quantized_model_is_named(bert, tmp_path):
    """Those of the hub have this in their configuration; transformers reads it and refuses other numbers for it."""
    folder = shutil.copytree(bert, tmp_path / "quantized")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "gguf"}}))
    with pytest.raises(ValueError, match=f"^transformers:mean/{folder}: "):
        load_encoder(f"transformers:mean/{folder}", "text", "cpu")


def test_a_model_with_two_towers_is_not_pooled(clap):
    with pytest.raises(ValueError, match="clap is no BERT-like model"):
        load_encoder(f"transformers:mean/{clap}", "text", "cpu")


def test_clap_s_texts_agree_with_the_library(clap):
    encoder = load_encoder(f"transformers:clap/{clap}", "text", "cpu")
    model, tokens = transformers.ClapModel.from_pretrained(clap).eval(), tokenizer(512)
    ours = encoder.encode(TEXTS)
    for row, text in zip(ours, TEXTS, strict=True):
        with torch.inference_mode():
            np.testing.assert_allclose(
                row, pooler_output(model.get_text_features(**tokens(text, return_tensors="pt")))[0], atol=1e-5
            )
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
    assert encoder.facts()["normalised"] is True and encoder.dimension == 12


def test_clap_s_sounds_agree_with_the_library(clap):
    """Sounds of 1 s, of the whole window, and longer, whose first 10 s count; no draw decides anything."""
    encoder = load_encoder(f"transformers:clap/{clap}", "audio", "cpu")
    rng = np.random.default_rng(0)
    sounds = [rng.normal(scale=0.1, size=n).astype(np.float32) for n in (RATE, 10 * RATE, 12 * RATE)]
    ours = encoder.encode([(sound, RATE) for sound in sounds])
    model = transformers.ClapModel.from_pretrained(clap).eval()
    extractor = transformers.ClapFeatureExtractor.from_pretrained(clap)
    for row, sound in zip(ours, sounds, strict=True):
        features = extractor(sound[: 10 * RATE], sampling_rate=RATE, return_tensors="pt")
        features["is_longer"] = torch.tensor([[False]])
        features["input_features"] = features["input_features"].float()
        with torch.inference_mode():
            np.testing.assert_allclose(row, pooler_output(model.get_audio_features(**features))[0], atol=1e-5)
    np.testing.assert_array_equal(encoder.encode([(sounds[2], RATE)]), encoder.encode([(sounds[2], RATE)]))
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
    assert "48000 Hz" in encoder.facts()["preprocessing"] and "the first 10 s" in encoder.facts()["preprocessing"]


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 96000])
def test_a_tone_is_the_same_tone_at_another_rate(rate):
    """Closed form: sin(2 pi f t) sampled at the target rate, away from the ends of the filter."""
    seconds, frequency = 1.0, 440.0
    tone = np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate).astype(np.float32)
    found = resampled(tone, rate, RATE)
    expected = np.sin(2 * np.pi * frequency * np.arange(len(found)) / RATE)
    assert found.dtype == np.float32 and len(found) == RATE
    np.testing.assert_allclose(found[4800:-4800], expected[4800:-4800], atol=5e-3)


def test_a_cut_sound_is_the_beginning_of_the_whole(clap):
    """Cutting before the resampling filter or behind it is the same to the bit."""
    encoder = load_encoder(f"transformers:clap/{clap}", "audio", "cpu")
    sound = np.random.default_rng(1).normal(scale=0.1, size=14 * 44100).astype(np.float32)
    cut = resampled(sound, 44100, RATE)[: 10 * RATE]
    np.testing.assert_array_equal(encoder.prepare((sound, 44100)), encoder.prepare((cut, RATE)))
    assert encoder.cuts((sound, 44100)) and not encoder.cuts((cut, RATE))


@pytest.mark.parametrize(
    ("samples", "rate", "words"),
    [
        (np.zeros(0, np.float32), 16000, "no samples"),
        (np.zeros((9, 2), np.float32), 16000, r"float32 of shape \(9, 2\)"),
        (np.zeros(9, np.int16), 16000, "int16"),
        (np.full(9, np.nan, np.float32), 16000, "not finite"),
        (np.zeros(9, np.float32), 0, "rate"),
        (np.zeros(9, np.float32), 44100.5, "rate"),
    ],
)
def test_a_sound_that_is_none_is_refused(clap, samples, rate, words):
    encoder = load_encoder(f"transformers:clap/{clap}", "audio", "cpu")
    with pytest.raises(ValueError, match=words):
        encoder.prepare((samples, rate))


def test_pickled_missing_and_foreign_weights_are_refused(bert, tmp_path, monkeypatch):
    folder = shutil.copytree(bert, tmp_path / "model")
    name = f"transformers:mean/{folder}"
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"no model\.safetensors in"):
        load_encoder(name, "text")
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin is pickled, which is not read"):
        load_encoder(name, "text")
    state = transformers.BertModel.from_pretrained(bert).state_dict()
    from safetensors.torch import save_file

    state.pop("encoder.layer.1.output.dense.weight")
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="lack 1 tensors of the network, encoder.layer.1.output.dense.weight first"):
        load_encoder(name, "text")
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ValueError, match="^transformers:mean/[^\n]*$"):
        load_encoder(name, "text")


@pytest.fixture(scope="module")
def sentences(bert, tmp_path_factory):
    """The network of `bert` as a folder of sentence-transformers."""
    st = pytest.importorskip("sentence_transformers")
    modules = st.models if hasattr(st, "models") else pytest.importorskip("sentence_transformers.models")
    folder = tmp_path_factory.mktemp("sentences")
    steps = [modules.Transformer(str(bert)), modules.Pooling(16, "mean")]
    st.SentenceTransformer(modules=steps, device="cpu").save(str(folder))
    return folder


def tensors(change):
    """What changes the tensors of a folder."""
    from safetensors.torch import load_file, save_file

    def spoil(folder):
        held = load_file(folder / "model.safetensors")
        change(held)
        save_file(held, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def without_words(folder):
    for file in [*folder.glob("tokenizer*"), *folder.glob("vocab*")]:
        file.unlink()


def fewer_words(folder):
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 9}
    (folder / "config.json").write_text(json.dumps(config))
    name = "embeddings.word_embeddings.weight"
    tensors(lambda held: held.update({name: held[name][:9].clone()}))(folder)


def device(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("/dev/zero")


def a_folder_in_its_place(folder):
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()


def elsewhere(folder):
    (folder / "modules.json").write_text(
        json.dumps([{"path": "0_More", "type": "sentence_transformers.models.Pooling"}])
    )
    (folder / "0_More").symlink_to(shutil.copytree(folder, folder.with_name("other")))


@pytest.mark.parametrize(
    ("left", "whole"),
    [
        (["tokenizer.json"], True),
        (["vocab.json", "merges.txt"], True),
        (["vocab.json"], False),
        (["merges.txt"], False),
    ],
)
def test_a_tokenizer_has_one_file_or_all_of_several(tmp_path, left, whole):
    """GPT-2's, whose class names the several alone."""
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1, "<|endoftext|>": 2}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    made = transformers.GPT2Tokenizer.from_pretrained(tmp_path)
    made.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    for file in {"tokenizer.json", "vocab.json", "merges.txt"} - {*left}:
        (tmp_path / file).unlink()
    if whole:
        refuse_no_words("it", made, tmp_path, 3)
        with pytest.raises(ValueError, match="it: the tokenizer has a token 2, but the network's are 0 to 1"):
            refuse_no_words("it", made, tmp_path, 2)
    else:
        with pytest.raises(ValueError, match="it: no vocabulary .*; tokenizer.json or vocab.json and merges.txt is"):
            refuse_no_words("it", made, tmp_path)


QUERY = "encoder.layer.0.attention.self.query.weight"


@pytest.mark.parametrize("library", ["transformers:mean/", "sentence-transformers:"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (tensors(lambda held: held.pop(QUERY)), f"the weights lack 1 tensors of the network, {QUERY} first"),
        (
            tensors(lambda held: held.update({QUERY: torch.ones(3, 3)})),
            rf"{QUERY}: \(3, 3\), \(16, 16\), the network's",
        ),
        (without_words, "no vocabulary of a tokenizer in .*; tokenizer.json"),
        (fewer_words, "the tokenizer has a token 14, but the network's are 0 to 8"),
        (lambda folder: os.mkfifo(folder / "more.json"), "more.json is not a file"),
        (device, "model.safetensors is not a file"),
        (a_folder_in_its_place, "config.json is not a file"),
        (elsewhere, "0_More: a link to a folder; copy the folder there"),
        (lambda folder: (folder / "config.json").write_text("{"), ""),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), ""),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer.json: not valid JSON"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(bert, sentences, tmp_path, capfd, library, spoil, words):
    """What is missing would be drawn at random, or be an empty vocabulary; a pipe would be read for ever."""
    folder = shutil.copytree(bert if library.startswith("transformers") else sentences, tmp_path / "model")
    spoil(folder)
    with pytest.raises(ValueError, match=f"^({library})?{folder}.*{words}") as caught:
        load_encoder(f"{library}{folder}", "text", "cpu")
    assert "\n" not in str(caught.value) and capfd.readouterr().err == ""


@pytest.fixture(scope="module")
def router(bert, tmp_path_factory):
    """Networks of their own for queries and documents, a norm after both: sentence-transformers' Router."""
    st, modules = pytest.importorskip("sentence_transformers"), pytest.importorskip("sentence_transformers.models")
    folder = tmp_path_factory.mktemp("router")
    one, other = ([modules.Transformer(str(bert)), modules.Pooling(16, "mean")] for _ in range(2))
    other.insert(1, modules.WeightedLayerPooling(16, num_hidden_layers=2, layer_start=2))  # of the last layer alone
    steps = [modules.Router.for_query_document(one, other, default_route="query"), modules.Normalize()]
    st.SentenceTransformer(modules=steps, device="cpu").save(str(folder))
    return folder


def test_a_router_in_a_checkpoint_beside_a_router_is_no_part_of_it(router, tmp_path):
    folder = shutil.copytree(router, tmp_path / "model")
    before = load_encoder(f"sentence-transformers:{folder}", "text", "cpu").facts()["weights_sha256"]
    shutil.copytree(router, folder / "checkpoint-5")
    assert load_encoder(f"sentence-transformers:{folder}", "text", "cpu").facts()["weights_sha256"] == before
    tensors(lambda held: held[QUERY].add_(1))(folder / "document_0_Transformer")
    assert load_encoder(f"sentence-transformers:{folder}", "text", "cpu").facts()["weights_sha256"] != before


@pytest.mark.parametrize("route", ["query", "document"])
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (tensors(lambda held: held.pop(QUERY)), f"the weights lack 1 tensors of the network, {QUERY} first"),
        (without_words, "no vocabulary of a tokenizer in .*; tokenizer.json"),
    ],
)
def test_each_route_of_a_router_is_whole(sentences, router, tmp_path, route, spoil, words):
    rows = load_encoder(f"sentence-transformers:{router}", "text", "cpu").encode(TEXTS)
    plain = load_encoder(f"sentence-transformers:{sentences}", "text", "cpu").encode(TEXTS)
    np.testing.assert_allclose(rows, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)
    folder = shutil.copytree(router, tmp_path / "model")
    spoil(folder / f"{route}_0_Transformer")
    with pytest.raises(ValueError, match=words):
        load_encoder(f"sentence-transformers:{folder}", "text", "cpu")


def test_a_sound_model_is_taken_whatever_lies_in_the_working_directory(sentences, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in re.findall(r'"([\w-]+)"', (sentences / "sentence_bert_config.json").read_text()):
        (tmp_path / word).touch()
    load_encoder(f"sentence-transformers:{sentences}", "text", "cpu")


def test_layers_that_share_their_weights_may_be_more_than_the_tensors(tmp_path):
    config = transformers.AlbertConfig(**SMALL | {"num_hidden_layers": 30}, embedding_size=8)
    transformers.AlbertModel(config).save_pretrained(tmp_path)
    tokenizer(24).save_pretrained(tmp_path)
    assert load_encoder(f"transformers:mean/{tmp_path}", "text", "cpu").dimension == 16


def test_a_transformer_may_have_a_folder_of_its_own(sentences, tmp_path):
    """As the library saved it until its version 2."""
    folder = shutil.copytree(sentences, tmp_path / "model")
    listed = json.loads((folder / "modules.json").read_text())
    (folder / "0_BERT").mkdir()
    for file in [*folder.glob("*.json"), *folder.glob("model*")]:
        if file.name != "modules.json":
            file.rename(folder / "0_BERT" / file.name)
    (folder / "modules.json").write_text(json.dumps([listed[0] | {"path": "0_BERT"}, *listed[1:]]))
    rows = [
        load_encoder(f"sentence-transformers:{place}", "text", "cpu").encode(TEXTS) for place in (folder, sentences)
    ]
    np.testing.assert_array_equal(*rows)
    tensors(lambda held: held.pop(QUERY))(folder / "0_BERT")
    with pytest.raises(ValueError, match=f"the weights lack 1 tensors of the network, {QUERY} first"):
        load_encoder(f"sentence-transformers:{folder}", "text", "cpu")


@pytest.mark.parametrize(
    ("file", "added", "words"),
    [
        (
            "sentence_bert_config.json",
            {"processor_kwargs": {"tokenizer_file": "OUTSIDE"}},
            "tokenizer_file: '/",
        ),
        ("sentence_bert_config.json", {"tokenizer_name_or_path": "OUTSIDE"}, "tokenizer_name_or_path: '/"),
        ("sentence_bert_config.json", {"model_args": {"attn": ["OUTSIDE"]}}, "attn: '/"),
        ("sentence_bert_config.json", {"max_seq_length": -5}, ""),
        ("sentence_bert_config.json", {"of_no_use_args": "long" * 1000}, "of_no_use"),
        ("config_sentence_transformers.json", {"prompts": {"q": 5}, "default_prompt_name": "q"}, ""),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "model_type: 'SparseEncoder'"),
        ("config.json", {"attn_implementation": "evil/kernel"}, "attn_implementation: 'evil/kernel'"),
        ("config.json", {"attn_implementation": {"": "evil/kernel"}}, "attn_implementation: 'evil/kernel'"),
        (
            "sentence_bert_config.json",
            {"model_args": {"attn_implementation": {"text_config": "evil/kernel"}}},
            "attn_implementation: 'evil/kernel'",
        ),
        (
            "sentence_bert_config.json",
            {"config_args": {"_attn_implementation_internal": "evil/kernel"}},
            "_attn_implementation_internal: 'evil/kernel'",
        ),
        ("config.json", {"num_hidden_layers": 10**6}, "num_hidden_layers: 1000000, at most 1000 is needed"),
        (
            "sentence_bert_config.json",
            {"processing_kwargs": {"text": {"padding": "max_length", "max_length": 10**8}}},
            "max_length: 100000000, at most 1000000 is needed",
        ),
        ("config.json", {"hidden_size": 10**8}, "Embedding.weight of 15 x 100000000 the network is far larger than"),
        ("config.json", {"max_position_embeddings": 10**8}, "of 100000000 x 16 the network .*, 39 tensors of 5,"),
    ],
)
def test_a_description_that_leads_elsewhere_or_is_wrong_is_one_line(sentences, tmp_path, file, added, words):
    folder, outside = shutil.copytree(sentences, tmp_path / "model"), tmp_path / "outside.json"
    shutil.copy(folder / "tokenizer.json", outside)
    added = json.loads(json.dumps(added).replace("OUTSIDE", str(outside)))
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | added))
    with pytest.raises(ValueError, match=f"^sentence-transformers:{folder}: .*{words}") as caught:
        load_encoder(f"sentence-transformers:{folder}", "text", "cpu")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_the_training_beside_a_model_is_no_part_of_it(sentences, tmp_path):
    names = [f"sentence-transformers:{sentences}", f"transformers:mean/{sentences}"]
    alone = [(load_encoder(name, "text", "cpu").facts()["weights_sha256"], identity(name)) for name in names]
    folder = shutil.copytree(sentences, tmp_path / "model")
    beside = shutil.copytree(sentences, folder / "checkpoint-5")
    (beside / "model.safetensors").write_bytes(b"cut off")
    (beside / "pytorch_model.bin").write_bytes(b"pickled")
    (beside / "adapter_config.json").write_text("{}")
    (beside / "tokenizer.json").write_text("")
    (beside / "config.json").write_text("")
    (beside / "router_config.json").write_text('{"types": {"0": "sentence_transformers.models.Router"}}')
    (folder / "best").symlink_to(beside)
    (beside / "0").mkdir()
    shutil.copy(sentences / "model.safetensors", beside / "0")
    for name, (digest, of) in zip(names, alone, strict=True):
        named = name.replace(str(sentences), str(folder))
        assert load_encoder(named, "text", "cpu").facts()["weights_sha256"] == digest
        assert identity(named)["sha256"] == of["sha256"]


@pytest.mark.parametrize("beside", ["onnx", "openvino"])
def test_a_copy_for_another_runtime_is_not_looked_at(sentences, tmp_path, beside):
    folder = shutil.copytree(sentences, tmp_path / "model")
    (folder / beside).mkdir()
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 30522}
    (folder / beside / "config.json").write_text(json.dumps(config))
    (folder / beside / "model.onnx").write_bytes(b"onnx")
    encoder = load_encoder(f"sentence-transformers:{folder}", "text", "cpu")
    np.testing.assert_array_equal(
        encoder.encode(TEXTS), load_encoder(f"sentence-transformers:{sentences}", "text", "cpu").encode(TEXTS)
    )


def test_a_limit_of_0_is_none_as_nothing_is_cut(sentences, tmp_path):
    folder = shutil.copytree(sentences, tmp_path / "model")
    held = json.loads((folder / "sentence_bert_config.json").read_text()) | {"max_seq_length": 0}
    (folder / "sentence_bert_config.json").write_text(json.dumps(held))
    encoder = load_encoder(f"sentence-transformers:{folder}", "text", "cpu")
    assert not encoder.cuts("rain") and "at most" not in encoder.facts()["preprocessing"]
    short, long = encoder.encode(["rain", "rain " * 5 + "the"])
    assert np.abs(short - long).max() > 0.01


def test_static_embeddings_have_no_limit(tmp_path, capfd):
    """Model2vec's kind: a tokenizer of `tokenizers`, and any number of tokens."""
    st, modules = pytest.importorskip("sentence_transformers"), pytest.importorskip("sentence_transformers.models")
    words = tokenizer(24).backend_tokenizer
    made = st.SentenceTransformer(modules=[modules.StaticEmbedding(words, embedding_dim=8)], device="cpu")
    made.prompts, made.default_prompt_name = {"q": "the "}, "q"
    made.save(str(tmp_path))
    capfd.readouterr()
    encoder = load_encoder(f"sentence-transformers:{tmp_path}", "text", "cpu")
    np.testing.assert_array_equal(encoder.encode(TEXTS), made.encode(TEXTS))
    assert not encoder.cuts("rain " * 1000)
    assert encoder.facts()["preprocessing"] == "the model's tokenizer, after 'the ', StaticEmbedding"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("limit", ["abc", 0, -3])
def test_a_tokenizer_whose_limit_is_no_number_of_tokens_is_one_line(bert, tmp_path, limit):
    folder = shutil.copytree(bert, tmp_path / "model")
    held = json.loads((folder / "tokenizer_config.json").read_text()) | {"model_max_length": limit}
    (folder / "tokenizer_config.json").write_text(json.dumps(held))
    with pytest.raises(ValueError, match=f"^transformers:mean/{folder}: "):
        load_encoder(f"transformers:mean/{folder}", "text", "cpu")


def test_code_that_a_model_brings_is_not_run(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "another", "auto_map": {"AutoConfig": "c.C", "AutoModel": "c.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "c.py").write_text("raise SystemExit('run')")
    with pytest.raises(ValueError, match="^transformers:mean/[^\n]*$"):
        load_encoder(f"transformers:mean/{folder}", "text")


@pytest.mark.parametrize(
    ("name", "modality", "words"),
    [
        ("transformers:max/a/b", "text", ["'max'", "mean, cls, clap"]),
        ("transformers:mean/a/b", "audio", ["mean encodes text, no audio"]),
        (
            "transformers:mean/nobody/no-such-model",
            "text",
            ["nobody/no-such-model", "cannot be fetched", "local folder"],
        ),
        ("transformers:mean//no/such/folder", "text", ["/no/such/folder is not a folder"]),
        ("transformers:mean/./none", "text", ["./none is not a folder"]),
        ("sentence-transformers:nobody/no-such-model", "text", ["nobody/no-such-model", "cannot be fetched"]),
    ],
)
def test_mistakes_are_one_line(name, modality, words):
    with pytest.raises(ValueError) as caught:
        load_encoder(name, modality)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_hub_id_is_read_from_the_cache(bert, tmp_path, monkeypatch):
    """The hub's own layout: a reference to a revision, and a snapshot of it."""
    import huggingface_hub

    repository = tmp_path / "models--someone--tiny-bert"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(bert, repository / "snapshots" / ("0" * 40))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    cached = load_encoder("transformers:mean/someone/tiny-bert", "text", "cpu")
    local = load_encoder(f"transformers:mean/{bert}", "text", "cpu")
    np.testing.assert_array_equal(cached.encode(TEXTS), local.encode(TEXTS))
    found = identity("transformers:mean/someone/tiny-bert")
    assert found["sha256"] == identity(f"transformers:mean/{bert}")["sha256"] != cached.facts()["weights_sha256"]


@pytest.mark.parametrize("unit", [True, False])
def test_a_folder_of_sentence_transformers_agrees_with_the_library(bert, tmp_path, monkeypatch, unit):
    st = pytest.importorskip("sentence_transformers")
    modules = st.models if hasattr(st, "models") else pytest.importorskip("sentence_transformers.models")
    words = modules.Transformer(str(bert))
    steps = [words, modules.Pooling(16, "cls"), modules.Dense(16, 8)] + [modules.Normalize()] * unit
    direct = st.SentenceTransformer(modules=steps, device="cpu")
    direct.save(str(tmp_path / "model"))
    monkeypatch.chdir(tmp_path)
    encoder = load_encoder("sentence-transformers:./model", "text", "cpu")
    np.testing.assert_allclose(encoder.encode(TEXTS), direct.encode(TEXTS), atol=1e-6)
    facts = encoder.facts()
    assert (facts["encoder"], facts["normalised"], facts["dimension"]) == ("sentence-transformers:./model", unit, 8)
    assert "cls pooling, Dense" in facts["preprocessing"]
    listed = [tmp_path / "model" / name for name in ("2_Dense/model.safetensors", "model.safetensors")]
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(tmp_path / 'model')}\n" for p in listed]
    assert facts["weights_sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    dense = tmp_path / "model" / "2_Dense"
    (dense / "model.safetensors").rename(dense / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"2_Dense/pytorch_model\.bin is pickled"):
        load_encoder("sentence-transformers:./model", "text", "cpu")


def test_sounds_and_texts_through_the_command_line(clap, bert, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    folder, out = tmp_path / "sounds", tmp_path / "pairs.npz"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("rain", "wind"):
        soundfile.write(folder / f"{name}.wav", rng.uniform(-0.5, 0.5, 16_000), 16_000)
    (folder / "cut.wav").write_bytes((folder / "rain.wav").read_bytes()[:900])
    rows = ["rain.wav,rain falls", "rain.wav,heavy rain", "cut.wav,rain", "wind.wav,wind blows"]
    (folder / "captions.csv").write_text("\n".join(["file,caption", *rows]))
    arguments = [f"folder:{folder}", "--out", str(out), "--set", "modality=audio", "--device", "cpu"]
    arguments += ["--audio-encoder", f"transformers:clap/{clap}", "--text-encoder", f"transformers:cls/{bert}"]
    assert run(VERBS, "modtrans", "", ["embed", *arguments]) == 0
    pairs = PairedEmbeddings.load(out)
    assert pairs.key.tolist() == ["rain.wav", "wind.wav"] and pairs.counts["text"].tolist() == [2, 1]
    assert pairs.metadata["dataset"]["skipped"] == {"damaged sound": 1}
    sounds = [soundfile.read(folder / f"{name}.wav", dtype="float32") for name in ("rain", "wind")]
    ours = load_encoder(f"transformers:clap/{clap}", "audio", "cpu").encode(sounds)
    np.testing.assert_allclose(pairs.arrays["audio"], ours, atol=1e-5)
    texts = load_encoder(f"transformers:cls/{bert}", "text", "cpu").encode(["rain falls", "heavy rain", "wind blows"])
    np.testing.assert_allclose(pairs.rows("text")[0], texts, atol=1e-5)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "[enforce fail at alloc_cpu.cpp:127] can't allocate memory: you tried",
            "model: it takes more than the machine",
        ),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", "model: it takes more than the GPU has"),
    ],
)
def test_a_model_that_does_not_fit_is_named(said, words):
    with pytest.raises(MemoryError, match=f"^{words}"), loading("model"):
        raise RuntimeError(said)


def test_a_network_may_be_made_beside_one_that_is_bounded(tmp_path):
    """The bound is of the thread that reads the model, and ends with it."""
    save_file({"a": torch.ones(3)}, tmp_path / "model.safetensors")
    large = partial(torch.nn.Linear, 4096, 4096, device="meta")
    with loading("model", tmp_path), ThreadPoolExecutor(1) as pool:
        torch.nn.Linear(3000, 3000, device="meta")
        pool.submit(large).result()
    large()
    needed = "^model: a size in config.json: with Linear.weight of 4096 x 4096 .*, 1 tensors of 3 numbers; "
    with pytest.raises(ValueError, match=needed), loading("model", tmp_path):
        large()


@pytest.mark.parametrize("kept", ["", "0_CLIPModel"])
def test_texts_of_a_clip_model_are_the_librarys(tmp_path, kept):
    """Its words are in the network of its texts; older folders have it in a folder of its own."""
    st = pytest.importorskip("sentence_transformers")
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**size, "vocab_size": len(WORDS), "max_position_embeddings": 16, "eos_token_id": 3, "projection_dim": 12}
    image = {**size, "image_size": 8, "patch_size": 4, "projection_dim": 12}
    config = transformers.CLIPConfig(text_config=text, vision_config=image, projection_dim=12)
    with torch.random.fork_rng():
        transformers.CLIPModel(config).save_pretrained(tmp_path / kept)
    tokenizer(16).save_pretrained(tmp_path / kept)
    transformers.CLIPImageProcessor(size=8, crop_size=8).save_pretrained(tmp_path / kept)
    if kept:
        listed = [{"idx": 0, "name": "0", "path": kept, "type": "sentence_transformers.models.CLIPModel"}]
        (tmp_path / "modules.json").write_text(json.dumps(listed))
    encoder = load_encoder(f"sentence-transformers:{tmp_path}", "text", "cpu")
    library = st.SentenceTransformer(str(tmp_path), device="cpu")
    np.testing.assert_allclose(encoder.encode(TEXTS), library.encode(TEXTS), atol=1e-6)
