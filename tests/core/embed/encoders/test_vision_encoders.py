"""timm and open_clip: preprocessing and features are the library's own, weights come from a file or a known tag."""

import hashlib

import numpy as np
import pytest

from modtrans_core.embed.encoders import load_encoder

SMALL_TIMM, SMALL_CLIP = "test_vit", "ViT-S-32-alt"
DINOV2 = "vit_small_patch14_dinov2.lvd142m"
TEXTS = ["a red heart", "a farmer in a field"]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in [(224, 224), (300, 200), (90, 161)]]


@pytest.mark.parametrize("model", [SMALL_TIMM, "test_resnet", "test_efficientnet.r160_in1k", DINOV2])
def test_timm_s_preprocessing_is_timm_s(model, images):
    timm = pytest.importorskip("timm")
    import torch
    from PIL import Image

    encoder = load_encoder(f"timm:{model}/random", "image", "cpu")
    config = timm.data.resolve_model_data_config(timm.create_model(model))
    transform = timm.data.create_transform(**config, is_training=False)
    expected = torch.stack([transform(Image.fromarray(image)) for image in images])
    found = encoder.pixels([encoder.prepare(image) for image in images])
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)
    assert f"to {config['input_size'][-1]} px" in encoder.facts()["preprocessing"]
    assert f"crop_pct {config['crop_pct']:g}" in encoder.facts()["preprocessing"]


def test_a_dinov2_has_no_head_and_pictures_of_518_px(images):
    timm = pytest.importorskip("timm")
    import torch

    encoder = load_encoder(f"timm:{DINOV2}/random", "image", "cpu")
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(0)
        model = timm.create_model(DINOV2).eval()
        direct = model(encoder.pixels([encoder.prepare(images[1])]))
    assert (encoder.dimension, encoder.normalised) == (384, False) and model.num_classes == 0
    np.testing.assert_allclose(encoder.encode(images[1:2]), direct, atol=1e-4)
    assert "to 518 px" in encoder.facts()["preprocessing"]


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet"])
def test_batch_norms_are_folded_into_convolutions(model, images):
    timm = pytest.importorskip("timm")
    import torch

    from modtrans_core.embed.encoders.timm_encoder import folded

    network = timm.create_model(model).eval()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.random.fork_rng(), torch.inference_mode(False), torch.no_grad():
        torch.manual_seed(0)
        for norm in norms:  # as after a training
            for drawn in (norm.weight.uniform_, norm.running_var.uniform_):
                drawn(0.5, 1.5)
            norm.bias.normal_(0, 0.1)
            norm.running_mean.normal_(0, 0.1)
        x = torch.randn(2, 3, 160, 160)
        quick = folded(network, 160)
        assert norms and not any(isinstance(module, torch.nn.BatchNorm2d) for module in quick.modules())
        torch.testing.assert_close(quick(x), network(x), atol=1e-5, rtol=1e-4)
    assert isinstance(norms[0], torch.nn.BatchNorm2d) and norms[0] in list(network.modules()), "it is left as it was"


def test_a_norm_is_not_folded_if_others_see_its_convolution():
    import torch

    from modtrans_core.embed.encoders.timm_encoder import folded

    class Around(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)
            self.norm.running_var.fill_(4.0)

        def forward_features(self, x):
            x = self.conv(x)
            return x + self.norm(x)

    network = Around().eval()
    assert folded(network, 16) is network


@pytest.fixture
def timm_file(tmp_path):
    """Random weights of `test_vit` in a file, and the model that they are of."""
    timm = pytest.importorskip("timm")
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = timm.create_model(SMALL_TIMM).eval()
    file = tmp_path / "model.safetensors"
    save_file(model.state_dict(), file)
    return file, model


def test_a_tag_of_timm_is_fetched_from_the_hub(timm_file, images, monkeypatch):
    import huggingface_hub
    import torch

    file, model = timm_file
    asked = []
    snapshot = lambda *args, allow_patterns: asked.append((*args, allow_patterns)) or str(file.parent)  # noqa: E731
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    for name in (f"timm:{SMALL_TIMM}/r160_in1k", f"timm:{SMALL_TIMM}.r160_in1k/r160_in1k"):
        encoder = load_encoder(name, "image", "cpu")
        with torch.inference_mode():
            pixels = encoder.pixels([encoder.prepare(image) for image in images])
            direct = model.forward_head(model.forward_features(pixels), pre_logits=True)
        np.testing.assert_allclose(encoder.encode(images), direct, atol=1e-5)
        assert encoder.facts()["weights_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert asked == [("timm/test_vit.r160_in1k", "model.safetensors")] * 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"timm:{SMALL_TIMM}/r160_in1k", ["timm/test_vit.r160_in1k", "cannot be fetched", "a local .safetensors file"]),
        (f"timm:{DINOV2}/lvd142m", ["timm/vit_small_patch14_dinov2.lvd142m", "cannot be fetched"]),
        (f"timm:{DINOV2}/imagenet", ["'imagenet'", "random, a .safetensors file, lvd142m"]),
        ("timm:test_vit.no_such_tag/random", ["'test_vit.no_such_tag'"]),
        ("open_clip:RN50/openai", ["'openai' of RN50", "cannot be fetched", "open_clip:RN50/FILE"]),
        ("open_clip:ViT-B-32/openai", ["'openai' of ViT-B-32", "cannot be fetched", "open_clip:ViT-B-32/FILE"]),
        ("open_clip:ViT-L-14/laion2b_s32b_b82k", ["'laion2b_s32b_b82k' of ViT-L-14", "cannot be fetched"]),
        ("open_clip:roberta-ViT-B-32/random", ["open_clip:roberta-ViT-B-32/random: "]),
    ],
)
def test_what_cannot_be_fetched_is_one_line(name, words, monkeypatch, tmp_path):
    pytest.importorskip("open_clip")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", lambda **_: pytest.fail("asked again for each file"))
    with pytest.raises(ValueError) as caught:
        load_encoder(name, "image")
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def _no_network(*args, **options):
    raise OSError("no network")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_of_open_clip_weights(images, tmp_path, suffix):
    open_clip = pytest.importorskip("open_clip")
    import torch
    from PIL import Image
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, _, preprocess = open_clip.create_model_and_transforms(SMALL_CLIP)
    file = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), file)
    name = f"open_clip:{SMALL_CLIP}/{file}"
    with torch.inference_mode():
        pictures = torch.stack([preprocess(Image.fromarray(image)) for image in images])
        direct_images = model.eval().encode_image(pictures, normalize=True)
        direct_texts = model.encode_text(open_clip.get_tokenizer(SMALL_CLIP)(TEXTS), normalize=True)
    encoder = load_encoder(name, "image", "cpu")
    np.testing.assert_allclose(encoder.encode(images), direct_images, atol=1e-5)
    np.testing.assert_allclose(load_encoder(name, "text", "cpu").encode(TEXTS), direct_texts, atol=1e-5)
    assert encoder.facts()["weights_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


class Bomb:
    """Pickled code: what unpickling calls."""

    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize("content", ["pickled code", "junk", "other tensors", "junk.safetensors"])
def test_a_file_that_is_no_weights_is_one_line(tmp_path, content, capsys):
    pytest.importorskip("open_clip")
    import torch

    file = tmp_path / ("weights.safetensors" if content.endswith("safetensors") else "weights.pt")
    if content.startswith("junk"):
        file.write_bytes(b"junk" * 100)
    else:
        torch.save({"code": Bomb()} if content == "pickled code" else {"a.weight": torch.zeros(2)}, file)
    with pytest.raises(ValueError, match=r"^open_clip:[^\n]*weights\.[^\n]*$") as caught:
        load_encoder(f"open_clip:{SMALL_CLIP}/{file}", "image")
    if content == "other tensors":
        assert str(caught.value).endswith("its tensors do not fit the model")
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("model", "dimension", "size"), [("RN50", 1024, 224), ("ViT-B-32", 512, 224), ("ViT-L-14", 768, 224)]
)
@pytest.mark.parametrize("modality", ["image", "text"])
def test_the_models_of_clip_are_known(model, dimension, size, modality, monkeypatch):
    """By name, tag and dimension; a small network stands in for theirs."""
    open_clip = pytest.importorskip("open_clip")
    create = open_clip.create_model_and_transforms
    asked = []

    def small(name, pretrained, **options):
        asked.append((name, pretrained, options["force_quick_gelu"]))
        return create(SMALL_CLIP, **options)

    monkeypatch.setattr(open_clip, "create_model_and_transforms", small)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: "")
    monkeypatch.setattr(open_clip, "download_pretrained", lambda tag: __file__)
    encoder = load_encoder(f"open_clip:{model}/openai", modality, "cpu")
    assert asked == [(model, "openai", True)]
    assert encoder.dimension == dimension
    assert (f"size ({size}, {size})" if modality == "image" else "77 tokens") in encoder.facts()["preprocessing"]
