"""Pipelines of small random parts: loaded as published ones are, and a picture that is a function of its embedding."""

import csv
import json
import os
import shutil
from importlib import import_module
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch
import transformers
from diffusers import UnCLIPImageVariationPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

import modtrans_core as mt
from analysis.cli import VERBS_HERE
from analysis.tasks.generation import KARLO, PARTS, STABLE, load_generator, pictures, raw_length, read_model
from modtrans_core.cli.verb import run

D = 16
EMBEDDINGS = np.random.default_rng(0).normal(size=(3, D)).astype(np.float32)
FEW = {"decoder_num_inference_steps": 2, "super_res_num_inference_steps": 2}


def clip(of=transformers.CLIPTextModelWithProjection):
    """A text and an image encoder of CLIP's form and their tokenizer."""
    torch.manual_seed(0)
    text = transformers.CLIPTextConfig(
        vocab_size=20, hidden_size=D, intermediate_size=16, num_attention_heads=2, num_hidden_layers=1,
        max_position_embeddings=8, projection_dim=D, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    image = transformers.CLIPVisionConfig(
        hidden_size=8, intermediate_size=16, num_attention_heads=2, num_hidden_layers=1, image_size=8, patch_size=4,
        projection_dim=D,
    )  # fmt: skip
    return {
        "text_encoder": of(text),
        "image_encoder": transformers.CLIPVisionModelWithProjection(image),
        "feature_extractor": transformers.CLIPImageProcessor(size=8, crop_size=8),
    }


def tokenizer(folder):
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "a": 3}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=8)


def karlo_parts():
    torch.manual_seed(1)
    common = {"layers_per_block": 1, "block_out_channels": (8, 16), "norm_num_groups": 4, "attention_head_dim": 4}
    common |= {"resnet_time_scale_shift": "scale_shift"}
    decoder = diffusers.UNet2DConditionModel(
        sample_size=8, in_channels=3, out_channels=6, cross_attention_dim=8, class_embed_type="identity",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", **common,
    )  # fmt: skip
    larger = {"sample_size": 16, "in_channels": 6, "out_channels": 3, "add_attention": False}
    larger |= {"down_block_types": ("ResnetDownsampleBlock2D",) * 2, "up_block_types": ("ResnetUpsampleBlock2D",) * 2}
    schedule = {"prediction_type": "epsilon", "num_train_timesteps": 1000}
    beside = import_module(UnCLIPImageVariationPipeline.__module__.rpartition(".")[0] + ".text_proj")
    project = beside.UnCLIPTextProjModel(clip_embeddings_dim=D, time_embed_dim=32, cross_attention_dim=8)
    torch.nn.init.normal_(project.learned_classifier_free_guidance_embeddings)
    return {
        "decoder": decoder, "text_proj": project,
        "super_res_first": diffusers.UNet2DModel(**larger, **common),
        "super_res_last": diffusers.UNet2DModel(**larger, **common),
        "decoder_scheduler": diffusers.UnCLIPScheduler(variance_type="learned_range", **schedule),
        "super_res_scheduler": diffusers.UnCLIPScheduler(variance_type="fixed_small_log", **schedule),
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as Karlo's is published, and the parts in it."""
    folder = tmp_path_factory.mktemp("karlo")
    parts = {**clip(), **karlo_parts(), "tokenizer": tokenizer(folder / "words")}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": KARLO, "_diffusers_version": "0.15.0"}))
    return folder, parts


@pytest.fixture(scope="module")
def karlo(folder):
    return load_generator(folder[0])


def drawn(pipeline, embeddings=EMBEDDINGS, length=5.0, **options):
    return np.stack([*pictures(pipeline, embeddings, length, **{**FEW, **options})]).astype(int)


def test_what_is_loaded_part_by_part_makes_the_same_pictures(folder, karlo):
    made = UnCLIPImageVariationPipeline(**folder[1])
    found = drawn(karlo)
    assert found.shape == (3, 16, 16, 3) and found.std() > 5
    assert np.array_equal(found, drawn(made)) and np.array_equal(found, drawn(karlo))
    assert {*folder[1]} == {*PARTS[KARLO]}


def test_diffusers_itself_no_longer_loads_it(folder):
    """The reason why the parts are put together by hand. Where this fails, `load_generator` can be one call."""
    with pytest.raises((ValueError, AttributeError, OSError)):
        made = UnCLIPImageVariationPipeline(**folder[1])
        made.save_pretrained(folder[0] / "saved")
        UnCLIPImageVariationPipeline.from_pretrained(folder[0] / "saved")


def test_a_picture_does_not_depend_on_its_place_or_on_what_is_beside_it(karlo):
    found = drawn(karlo)
    for other in (drawn(karlo, EMBEDDINGS[::-1])[::-1], drawn(karlo, batch=1), drawn(karlo, 3 * EMBEDDINGS, batch=2)):
        assert np.abs(other - found).max() <= 1  # of 255
    assert np.abs(found[0] - found[1]).max() > 20  # two embeddings have two pictures
    assert np.abs(drawn(karlo, seed=1) - found).max() > 20


def test_with_one_generator_for_a_batch_it_would(karlo):
    """What is avoided: of two equal embeddings the second has another picture, and another one alone."""

    def batch(n):
        raw = torch.from_numpy(EMBEDDINGS[:1]).repeat(n, 1)
        made = karlo(image_embeddings=raw, generator=torch.Generator().manual_seed(0), output_type="np", **FEW)
        return made.images

    both = batch(2)
    assert np.abs(both[0] - both[1]).max() > 0.1 and np.abs(both[0] - batch(1)[0]).max() > 0.1
    same = drawn(karlo, EMBEDDINGS[[0, 0]])
    assert np.abs(same[0] - same[1]).max() <= 1


def test_the_noise_is_that_of_a_direction_and_of_the_seed():
    """Two embeddings begin from noise of their own, at any length, and another seed is other noise."""

    class Pipeline:
        image_encoder, device = SimpleNamespace(dtype=torch.float32), torch.device("cpu")

        def set_progress_bar_config(self, **_):
            pass

        def __call__(self, generator, **_):
            return SimpleNamespace(images=[torch.rand(4, 4, 3, generator=one).numpy() for one in generator])

    Pipeline.__name__ = KARLO

    def first(embeddings, seed=0):
        return np.stack(list(pictures(Pipeline(), embeddings, 1.0, seed=seed)))

    found = first(EMBEDDINGS)
    assert all((found[i] != found[j]).any() for i, j in ((0, 1), (0, 2), (1, 2)))
    np.testing.assert_array_equal(first(EMBEDDINGS * np.float32(4)), found)
    assert (first(EMBEDDINGS, seed=1) != found).any(axis=(1, 2, 3)).all()


def test_embeddings_are_brought_to_the_length_of_raw_ones(karlo):
    seen = []
    hook = karlo.text_proj.register_forward_pre_hook(
        lambda module, given, named: seen.append(named["image_embeddings"].norm(dim=1)), with_kwargs=True
    )
    assert np.abs(drawn(karlo) - drawn(karlo, length=1.0)).max() > 1  # it matters
    hook.remove()
    torch.testing.assert_close(torch.stack(seen), torch.tensor([[5.0] * 3, [1.0] * 3]))
    with pytest.raises(ValueError, match="length: 0.0, a positive number"):
        drawn(karlo, length=0.0)


def test_the_length_is_that_of_the_moments_that_a_model_keeps(tmp_path):
    prior = diffusers.PriorTransformer(num_attention_heads=1, attention_head_dim=4, num_layers=1, embedding_dim=D)
    z = 3.0 + np.random.default_rng(0).normal(size=(4000, D)) * np.linspace(0.5, 2, D)
    prior.clip_mean.data, prior.clip_std.data = (torch.tensor(a)[None].float() for a in (z.mean(0), z.std(0)))
    prior.save_pretrained(tmp_path / "prior")
    assert raw_length(tmp_path) == pytest.approx(np.sqrt((z**2).sum(1).mean()), rel=1e-5)
    with pytest.raises(ValueError, match="has no prior or image_normalizer"):
        raw_length(tmp_path / "prior")


@pytest.fixture(scope="module")
def stable(tmp_path_factory):
    """A folder as diffusers saves a Stable unCLIP, and the pipeline in it."""
    folder = tmp_path_factory.mktemp("stable")
    torch.manual_seed(2)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=D, class_embed_type="projection", projection_class_embeddings_input_dim=2 * D,
    )  # fmt: skip
    normalizer = diffusers.pipelines.stable_diffusion.StableUnCLIPImageNormalizer(embedding_dim=D)
    normalizer.mean.data.fill_(0.5)
    vae = diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, sample_size=8)
    pipeline = diffusers.StableUnCLIPImg2ImgPipeline(
        **clip(transformers.CLIPTextModel), tokenizer=tokenizer(folder / "words"), unet=unet, vae=vae,
        image_normalizer=normalizer,
        scheduler=diffusers.DDIMScheduler(), image_noising_scheduler=diffusers.DDPMScheduler(),
    )  # fmt: skip
    pipeline.save_pretrained(folder / "model")
    return folder / "model", pipeline


def test_stable_unclip_takes_the_same_embeddings(stable, tmp_path):
    folder, pipeline = stable
    assert raw_length(folder) == pytest.approx(np.sqrt(D * (0.5**2 + 1)))
    half = shutil.copytree(folder, tmp_path / "half", ignore=lambda *_: ["unet"])
    file = half / "image_normalizer" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(file).items()}, file)
    assert raw_length(half) == pytest.approx(np.sqrt(D * (0.5**2 + 1)))
    loaded = load_generator(folder)
    assert type(loaded).__name__ == STABLE and read_model(folder).dimension == D
    options = {"num_inference_steps": 2, "height": 8, "width": 8}
    found = [np.stack([*pictures(one, EMBEDDINGS, 5.0, **options)]).astype(int) for one in (pipeline, loaded)]
    assert np.array_equal(*found) and found[0].std() > 1
    loaded.to(torch.float16).save_pretrained(tmp_path / "saved")  # as diffusers' pages do
    saved = load_generator(tmp_path / "saved")
    assert {part.dtype for part in (saved.unet, saved.text_encoder, saved.image_encoder)} == {torch.float32}
    found.append(np.stack([*pictures(saved, EMBEDDINGS, 5.0, **options)]).astype(int))
    assert np.abs(found[2] - found[0]).max() <= 2
    alone = next(pictures(saved, EMBEDDINGS[2:], 5.0, **options)).astype(int)
    assert np.abs(alone - found[0][2]).max() <= 1


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A run, its pairs, and a run that translates into another dimension."""
    folder = tmp_path_factory.mktemp("asked")
    z = np.random.default_rng(0).normal(size=(30, D))
    pairs = mt.PairedEmbeddings({"text": z[:, :8], "image": z}, key=np.array([f"item {i}" for i in range(30)]))
    pairs.save(folder / "pairs.npz")
    mt.fit(pairs, "text", "image", preset="ridge").save(folder / "run")
    mt.fit(pairs, "image", "text", preset="ridge").save(folder / "other")
    return folder


def command(asked, out, model, *more, ran="run", pairs="pairs.npz"):
    where = [str(asked / ran), str(asked / pairs), str(out), "--model", str(model)]
    return run(VERBS_HERE, "modtrans", "", ["generate", *where, *more])


def test_the_command_writes_a_picture_of_each_item(folder, asked, tmp_path, capfd):
    out = tmp_path / "out"
    assert command(asked, out, folder[0], "--length", "5", "--limit", "2", "--steps", "2") == 0
    assert capfd.readouterr().err == f"{out}: 2 pictures, of embeddings of length 5.00\n"  # and nothing of others
    rows = [*csv.reader((out / "pictures.csv").open())]
    assert rows == [["picture", "key"], ["000000.png", "item 0"], ["000001.png", "item 29"]]
    made = np.array(Image.open(out / "000001.png")).astype(int)
    pairs, translator = mt.PairedEmbeddings.load(asked / "pairs.npz"), mt.load(asked / "run")
    zhat, pipeline = translator.translate(pairs.modality("text")), load_generator(folder[0])
    alone = next(pictures(pipeline, zhat[29:], 5.0, decoder_num_inference_steps=2)).astype(int)
    assert np.abs(made - alone).max() <= 1
    assert command(asked, out, folder[0], "--limit", "2", "--overwrite") == 1
    assert "length: none given" in capfd.readouterr().err
    assert command(asked, out, tmp_path / "none", "--overwrite") == 1
    assert "none', a folder with model_index.json is needed" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (STABLE, ["--steps", "0"], "steps: 0, at least 1 is needed"),
        (STABLE, ["--steps", "1001"], "steps: 1001, a number of steps that the model's DDIMScheduler can"),
        (KARLO, ["--steps", "1", "--length", "5"], "steps: 1, a number of steps that the model's UnCLIPScheduler can"),
        (KARLO, ["--steps", "1001", "--length", "5"], "steps: 1001, a number of steps that"),
        (STABLE, ["--batch", "0"], "batch: 0, at least 1 is needed"),
        (STABLE, ["--seed=-1"], "seed: -1, at least 0 is needed"),
        (STABLE, ["--limit", "0"], "limit: 0, a whole number from 1 on is needed"),
        (STABLE, ["--length", "nan"], "length: nan, a positive number is needed"),
        (STABLE, ["--device", "mps"], "device: 'mps', cpu, cuda or cuda:N is needed"),
        (STABLE, {"ran": "none"}, "none"),
        (STABLE, {"pairs": "none.npz"}, "none.npz"),
        (STABLE, {"ran": "other"}, f"translates into 8 dimensions, {D} are needed"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_a_network_is_read(
    folder, stable, asked, tmp_path, capfd, monkeypatch, kind, given, words
):
    read = []
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_: read.append(self))
    monkeypatch.setattr("diffusers.ModelMixin.from_pretrained", lambda *of, **_: read.append(of))
    model, where = (folder if kind == KARLO else stable)[0], given if isinstance(given, dict) else {}
    assert command(asked, tmp_path / "out", model, *(() if where else given), **where) == 1
    said = capfd.readouterr().err
    assert words in said and said.count("\n") == 1 and not read and not (tmp_path / "out").exists()


def rewritten(file, change):
    """A file of tensors or of JSON with a change made to what it holds."""
    if file.suffix == ".json":
        held = json.loads(file.read_text())
        change(held)
        file.write_text(json.dumps(held))
    else:
        held = load_file(file)
        change(held)
        save_file(held, file, metadata={"format": "pt"})


def pickled(folder, harm):
    for file in folder.glob("*.safetensors"):
        file.unlink()
    torch.save({"conv_in.weight": harm}, folder / "diffusion_pytorch_model.bin")
    torch.save({"conv_in.weight": harm}, folder / "pytorch_model.bin")


UNET, IMAGE = "unet/diffusion_pytorch_model.safetensors", "image_encoder/model.safetensors"
TEXT, TOKENS = "text_encoder/model.safetensors", "embeddings.token_embedding.weight"
INDEX, PAIR = "model_index.json", "a list of a library and a class is needed"


@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        (INDEX, lambda held: held.update(unet=["diffusers"]), rf"unet: \['diffusers'\], {PAIR}"),
        (INDEX, lambda held: held.update(unet="../x"), f"unet: '../x', {PAIR}"),
        (INDEX, lambda held: held.update(unet=[None, None]), rf"unet: \[None, None\], {PAIR}"),
        (INDEX, lambda held: held.pop("scheduler"), f"scheduler: None, {PAIR}"),
        (INDEX, lambda held: held.update(unet=["diffusers", "utils"]), "unet: 'utils', UNet2DConditionModel is needed"),
        (INDEX, lambda held: held.update(scheduler=["diffusers", "utils"]), "scheduler: scheduler: 'utils', one of"),
        ("image_encoder/config.json", lambda held: held.update(projection_dim="x"), "projection_dim: 'x', a whole"),
        ("unet/config.json", lambda held: held.update(block_out_channels="x"), "/unet: "),
        ("scheduler/scheduler_config.json", lambda held: held.update(num_train_timesteps="x"), "/scheduler: "),
        (
            "unet/config.json",
            lambda held: held.update(layers_per_block=10**5),
            "/unet: a size in config.json: with .* the network is far larger than the weights, ",
        ),
        ("unet/config.json", lambda held: held.update(sample_size=20000), "sample_size: 20000, at most 1024"),
        (
            "image_normalizer/config.json",
            lambda held: held.update(embedding_dim=10**9),
            "embedding_dim: 1000000000, at",
        ),
        (
            "scheduler/scheduler_config.json",
            lambda held: held.update(num_train_timesteps=3 * 10**8),
            "num_train_timesteps: 300000000, at most 100000",
        ),
        (UNET, lambda held: held.pop("conv_in.bias"), "/unet: the weights lack 1 tensors .*, conv_in.bias first"),
        (UNET, lambda held: held.update({"conv_in.bias": torch.ones(3)}), "/unet: "),
        (IMAGE, lambda held: held.pop("visual_projection.weight"), "/image_encoder: the weights lack 1 tensors"),
        (IMAGE, lambda held: held.update({"visual_projection.weight": torch.ones(3, 3)}), "/image_encoder: "),
        (
            TEXT,
            lambda held: held.pop(next(name for name in held if name.endswith(TOKENS))),
            "/text_encoder: the weights lack 1 tensors",
        ),
        ("tokenizer/tokenizer.json", lambda file: file.unlink(), "/tokenizer: no vocabulary of a tokenizer"),
        (
            "tokenizer/tokenizer_config.json",
            lambda held: held.pop("model_max_length"),
            "/tokenizer: model_max_length: 1[0-9]{30}, 1 to 4096 is needed",
        ),
        ("unet/more.json", os.mkfifo, "unet/more.json is not a file"),
        ("unet", shutil.rmtree, "a subfolder unet is needed"),
        (UNET, lambda file: file.write_bytes(b"abc"), "/unet: "),
        (IMAGE, lambda file: file.write_bytes(b"abc"), "/image_encoder: "),
        ("unet/config.json", lambda file: file.write_text("{"), "/unet/config.json: not valid JSON"),
        ("tokenizer/tokenizer.json", lambda file: file.write_text("{"), "/tokenizer/tokenizer.json: not valid JSON"),
        ("unet", pickled, "/unet: .*no file named diffusion_pytorch_model.safetensors"),
        ("image_encoder", pickled, "/image_encoder: .*no file named model.safetensors"),
    ],
)
def test_a_broken_model_is_one_line_that_names_the_part(stable, tmp_path, capfd, file, spoil, words):
    class Harmful:
        def __reduce__(self):
            return (tmp_path / "ran").mkdir, ()

    model = tmp_path / "model"
    shutil.copytree(stable[0], model)
    before = torch.get_rng_state()
    if spoil is pickled:
        pickled(model / file, Harmful())
    elif spoil.__name__ == "<lambda>" and spoil.__code__.co_varnames == ("held",):
        rewritten(model / file, spoil)
    else:
        spoil(model / file)
    with pytest.raises(ValueError, match=words) as caught:
        load_generator(model)
    assert "\n" not in str(caught.value) and capfd.readouterr().err == ""
    assert not (tmp_path / "ran").exists() and torch.equal(torch.get_rng_state(), before)


def test_a_picture_that_is_not_finite_is_no_picture(stable, asked, tmp_path, capfd):
    assert command(asked, tmp_path / "out", stable[0], "--limit", "1", "--steps", "1", "--length", "1e38") == 1
    assert "picture 0: not finite, of an embedding of length 1e+38" in capfd.readouterr().err
    shutil.copytree(stable[0], tmp_path / "model")
    rewritten(tmp_path / "model" / UNET, lambda held: held["conv_in.bias"].fill_(torch.nan))
    with pytest.raises(ValueError, match="picture 0: not finite, of an embedding of length 5"):
        next(pictures(load_generator(tmp_path / "model"), EMBEDDINGS, 5.0, num_inference_steps=1))
    assert [*tmp_path.iterdir()] == [tmp_path / "model"]


def test_parts_that_do_not_fit_together_are_one_line(stable):
    with pytest.raises(ValueError, match=f"{STABLE}: no picture is drawn: "):
        next(pictures(load_generator(stable[0]), EMBEDDINGS[:, :3], 5.0, num_inference_steps=1))


def test_what_is_no_such_folder_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="a folder with model_index.json is needed"):
        load_generator(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "UnCLIPPipeline"}')
    with pytest.raises(ValueError, match=f"model: 'UnCLIPPipeline', {KARLO} or {STABLE} is needed"):
        load_generator(tmp_path)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": KARLO}))
    with pytest.raises(ValueError, match="a subfolder decoder_scheduler is needed"):
        load_generator(tmp_path)


def test_a_model_that_names_code_of_its_own_is_refused_before_any_is_run(tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    for part in PARTS[STABLE]:
        (tmp_path / part).mkdir()
    index = {"_class_name": STABLE, **{part: ["evil", "Evil"] for part in PARTS[STABLE]}}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"model_index\.json: scheduler: 'evil', one of diffusers, transformers"):
        load_generator(tmp_path)
    assert not (tmp_path / "ran").exists()
    (tmp_path / "model_index.json").write_text("[]")
    with pytest.raises(ValueError, match=r"model_index\.json: \[\], an object in JSON is needed"):
        load_generator(tmp_path)
