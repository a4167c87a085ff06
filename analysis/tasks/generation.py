"""Pictures of translations, by diffusion models that read an image embedding of CLIP.

Karlo (github.com/kakaobrain/karlo) is an unCLIP (Ramesh et al. 2022, arXiv 2204.06125): an embedding of CLIP ViT-L/14
becomes four words of context and a part of the time embedding of a decoder at 64 pixels, and two networks enlarge its
picture to 256. Stable unCLIP is Stable Diffusion 2.1 with the same entry. Both read the embedding as CLIP gives it, not
scaled to length 1, so that a translation is brought to that length first.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.embed.encoders.folders import LOCAL, loading, refuse_absent, refuse_no_words, refuse_unreadable
from modtrans_core.extras import require
from modtrans_core.noise import keys
from modtrans_core.progress import Progress, reporting
from modtrans_core.store.files import read_description, replacing_folder
from modtrans_core.store.headers import reading
from modtrans_core.vectors import unit

KARLO, STABLE = "UnCLIPImageVariationPipeline", "StableUnCLIPImg2ImgPipeline"
ANY_SCHEDULER = ""
"""stands for the class that model_index.json names, a scheduler of diffusers"""
_READERS = {"feature_extractor": "transformers.CLIPImageProcessor", "tokenizer": "transformers.CLIPTokenizer"}
"""parts whose classes have had several names"""
_CLIP = {"image_encoder": "transformers.CLIPVisionModelWithProjection", **_READERS}
PARTS = {
    KARLO: {
        "decoder_scheduler": "diffusers.UnCLIPScheduler",
        "super_res_scheduler": "diffusers.UnCLIPScheduler",
        **_CLIP,
        "text_encoder": "transformers.CLIPTextModelWithProjection",
        "text_proj": "UnCLIPTextProjModel",
        "decoder": "diffusers.UNet2DConditionModel",
        "super_res_first": "diffusers.UNet2DModel",
        "super_res_last": "diffusers.UNet2DModel",
    },
    STABLE: {
        "scheduler": ANY_SCHEDULER,
        "image_noising_scheduler": ANY_SCHEDULER,
        **_CLIP,
        "text_encoder": "transformers.CLIPTextModel",
        "image_normalizer": "diffusers.pipelines.stable_diffusion.StableUnCLIPImageNormalizer",
        "unet": "diffusers.UNet2DConditionModel",
        "vae": "diffusers.AutoencoderKL",
    },
}
"""of each pipeline, subfolder -> class; that of `text_proj` stands beside the pipeline, where nothing exports it"""
LIBRARIES = ("diffusers", "transformers", "stable_diffusion", "unclip")
"""that the parts of a published pipeline are from"""
ENTRY = {KARLO: "image_embeddings", STABLE: "image_embeds"}
"""what each pipeline calls an image embedding"""
STEPS = {KARLO: "decoder_num_inference_steps", STABLE: "num_inference_steps"}
"""and its denoising steps"""
SCHEDULER = {KARLO: "decoder_scheduler", STABLE: "scheduler"}
"""and the part that these are of"""


class Model(NamedTuple):
    """What a model's folder says of itself."""

    folder: Path
    kind: str
    """of pipeline, one of `PARTS`"""
    classes: Mapping[str, str]
    """part -> class"""
    dimension: int
    """of the image embeddings that it reads"""


def read_model(folder: str | Path) -> Model:
    """The descriptions in a model's folder, checked; no weights are read, and nothing is imported.

    Parameters
    ----------
    folder : of `kakaobrain/karlo-v1-alpha-image-variations`, or of a Stable unCLIP for image variations.

    Raises
    ------
    ValueError
        No such pipeline; a part of it is missing, or of another class.
    """
    folder = Path(folder)
    file = folder / "model_index.json"
    refuse_unless(file.is_file(), "model", str(folder), "a folder with model_index.json")
    refuse_unreadable("model", folder)
    index = read_description(file, {"_class_name": "text"})
    kind = index["_class_name"]
    refuse_unless_in("model", kind, PARTS)
    classes = {}
    for part, known in PARTS[kind].items():
        refuse_unless((folder / part).is_dir(), "model", str(folder), f"a subfolder {part}")
        if known != ANY_SCHEDULER and part not in index:
            classes[part] = known
            continue
        named = index.get(part)
        pair = isinstance(named, list) and len(named) == 2 and all(isinstance(one, str) for one in named)
        refuse_unless(pair, f"{file}: {part}", named, "a list of a library and a class")
        refuse_unless_in(f"{file}: {part}", named[0], LIBRARIES)
        if known and part not in _READERS:
            refuse_unless_in(f"{file}: {part}", named[1], [known.rpartition(".")[2]])
        classes[part] = known or ".".join(named)
    config = folder / "image_encoder" / "config.json"
    dimension = read_description(config, {"projection_dim": "a whole number from 1 on"})["projection_dim"]
    return Model(folder, kind, classes, dimension)


def load_generator(model: Model | str | Path, device: str | torch.device = "cpu", **options: Any) -> Any:
    """A pipeline of diffusers, from a folder as it was published.

    Parameters
    ----------
    model : of `read_model`, or its folder.
    options : of each network's `from_pretrained`, such as a dtype. Default: float32, whatever the files hold.

    Raises
    ------
    ValueError
        No such pipeline; a part of it is missing, damaged, pickled, or lacks tensors.

    Notes
    -----
    The parts are loaded one by one and put together: diffusers no longer finds the class of `text_proj` when it loads
    Karlo's as a whole, and of none does it say which tensors are missing.
    """
    model, diffusers = model if isinstance(model, Model) else read_model(model), require("diffusers", "downstream")
    parts = {part: _loaded(model, part, **options) for part in model.classes}
    with loading(model.folder), _quiet(diffusers):
        pipeline = getattr(diffusers, model.kind)(**parts)
    return pipeline.to(device)


def refuse_numbers(length: float | None = None, steps: int | None = None, seed: int = 0, batch: int = 1) -> None:
    """Refuse numbers that no picture can be drawn with."""
    if length is not None:
        refuse_unless(np.isfinite(length) and length > 0, "length", length, "a positive number")
    refuse_unless(steps is None or steps >= 1, "steps", steps, "at least 1")
    refuse_unless(seed >= 0, "seed", seed, "at least 0")
    refuse_unless(batch >= 1, "batch", batch, "at least 1")


def refuse_steps(model: Model, steps: int) -> None:
    """Refuse denoising steps that the model's scheduler has not; no weights are read."""
    part = SCHEDULER[model.kind]
    scheduler = _loaded(model, part)
    with loading(model.folder / part):
        trained = int(scheduler.config.num_train_timesteps)
    possible = 1 <= steps <= trained
    if possible:
        try:
            scheduler.set_timesteps(steps)
            possible = bool((scheduler.timesteps < trained).all())
        except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError):
            possible = False
    needed = f"a number of steps that the model's {type(scheduler).__name__} can choose among its {trained}"
    refuse_unless(possible, "steps", steps, needed)


def raw_length(folder: str | Path) -> float:
    """The length of CLIP's image embeddings, sqrt(|mean|^2 + |std|^2), from the mean and the standard deviation of each
    coordinate that a model keeps: Karlo's prior (`kakaobrain/karlo-v1-alpha`) or Stable unCLIP's normalizer.

    Raises
    ------
    ValueError
        The folder has neither.
    """
    for part, mean, std in (("prior", "clip_mean", "clip_std"), ("image_normalizer", "mean", "std")):
        files = sorted((Path(folder) / part).glob("*.safetensors"))
        if files:
            from safetensors import safe_open

            with reading(files[0]), safe_open(files[0], framework="pt") as file:
                moments = [file.get_tensor(name).double().numpy() for name in (mean, std)]
            length = float(np.hypot(np.linalg.norm(moments[0]), np.linalg.norm(moments[1])))
            refuse_unless(np.isfinite(length) and length > 0, f"{files[0]}: length", length, "a positive number")
            return length
    raise ValueError(f"length: none given, and {folder} has no prior or image_normalizer to take it from")


def pictures(
    pipeline: Any, embeddings: np.ndarray, length: float, *, seed: int = 0, batch: int = 4, **settings: Any
) -> Iterator[np.ndarray]:
    """The picture of each embedding (n, d), (h, w, 3) uint8.

    Each picture has a generator of its own, which its embedding's direction and the seed decide. So it is the same
    wherever it stands and whatever stands beside it. With one generator for a batch it would depend on its place.

    Parameters
    ----------
    pipeline : of `load_generator`.
    embeddings : image embeddings of the CLIP that the pipeline reads, of any length.
    length : which they are brought to, that of raw embeddings; see `raw_length`.
    batch : pictures at once.
    settings : of the pipeline, such as the steps that `STEPS` names.
    """
    refuse_numbers(length, seed=seed, batch=batch)
    entry, directions = ENTRY[type(pipeline).__name__], torch.from_numpy(unit(embeddings))
    if entry == ENTRY[STABLE]:
        settings = {"prompt": "", **settings}
    pipeline.set_progress_bar_config(disable=True)
    made = 0
    for part in directions.split(batch):
        seeds = [np.random.SeedSequence([seed, key % 2**64]) for key in keys(part).tolist()]
        own = [torch.Generator().manual_seed(int(one.generate_state(1, np.uint64)[0])) for one in seeds]
        given = {name: [value] * len(part) if name == "prompt" else value for name, value in settings.items()}
        raw = (part * length).to(pipeline.device, pipeline.image_encoder.dtype)
        with loading(f"{type(pipeline).__name__}: no picture is drawn"):
            found = pipeline(**{entry: raw}, generator=own, output_type="np", **given).images
        for picture in found:
            if not np.isfinite(picture).all():
                raise ValueError(f"picture {made}: not finite, of an embedding of length {length:g}")
            yield (255 * picture).round().astype(np.uint8)
            made += 1


def draw_items(
    pipeline: Any,
    names: Sequence[str],
    embeddings: np.ndarray,
    folder: str | Path,
    length: float,
    *,
    steps: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> None:
    """Write the picture of each item's embedding, `000000.png` and on, and `pictures.csv`, which names their items.

    Parameters
    ----------
    names, embeddings : of the items, (n,) and (n, d); see `analysis.tasks.items`.
    folder : to write, whole or not at all.
    steps : of the (first) denoising. Default: the pipeline's.
    progress : called with (pictures done, in all). Default: a bar on stderr when someone watches.
    options : of `pictures`.
    """
    from PIL import Image

    if steps is not None:
        options[STEPS[type(pipeline).__name__]] = steps
    with replacing_folder(folder) as temporary, reporting(progress, len(names), "draw", "picture") as report:
        for number, picture in enumerate(pictures(pipeline, embeddings, length, **options)):
            Image.fromarray(picture).save(temporary / f"{number:06}.png")
            report(number + 1, len(names))
        with open(temporary / "pictures.csv", "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["picture", "key"])
            lines.writerows((f"{number:06}.png", name) for number, name in enumerate(names))


def _loaded(model: Model, part: str, **options: Any) -> Any:
    """A part of a pipeline from its folder, whole; nothing pickled is read."""
    diffusers, folder = require("diffusers", "downstream"), model.folder / part
    with loading(folder, folder), _quiet(diffusers):
        of = _class(diffusers, model, part)
        if not issubclass(of, torch.nn.Module):
            made, info = of.from_pretrained(folder, local_files_only=True), None
        else:
            made, info = of.from_pretrained(folder, **LOCAL, output_loading_info=True, **options)
            made = made if options else made.float()  # the libraries differ in whether a half one is loaded as such
    if info is not None:
        refuse_absent(folder, info)
    if part == "tokenizer":
        refuse_no_words(folder, made, folder)
        most = made.model_max_length  # all prompts are padded to it
        refuse_unless(isinstance(most, int) and 1 <= most <= 4096, f"{folder}: model_max_length", most, "1 to 4096")
    return made


def _class(diffusers: Any, model: Model, part: str) -> Any:
    """The class of a part of a pipeline."""
    module, _, name = model.classes[part].rpartition(".")
    if PARTS[model.kind][part] == ANY_SCHEDULER:
        refuse_unless_in("scheduler", name, diffusers.schedulers.KarrasDiffusionSchedulers.__members__)
    if not module:  # beside the pipeline; where that is depends on the version
        module = getattr(diffusers, model.kind).__module__.rpartition(".")[0] + ".text_proj"
    return getattr(require(module, "downstream"), name)


@contextmanager
def _quiet(diffusers: Any) -> Iterator[None]:
    """Without what diffusers says of a pipeline that is no longer developed, and of what we check."""
    level, bar = diffusers.logging.get_verbosity(), diffusers.logging.is_progress_bar_enabled()
    diffusers.logging.set_verbosity(50)  # what it calls an error is raised, too
    diffusers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        diffusers.logging.set_verbosity(level)
        if bar:
            diffusers.logging.enable_progress_bar()
