"""Pictures of translations, by diffusion models that read an image embedding of CLIP.

Karlo (github.com/kakaobrain/karlo) is an unCLIP (Ramesh et al. 2022, arXiv 2204.06125): an embedding of CLIP ViT-L/14
becomes four words of context and a part of the time embedding of a decoder at 64 pixels, and two networks enlarge its
picture to 256. Stable unCLIP is Stable Diffusion 2.1 with the same entry. Both read the embedding as CLIP gives it, not
scaled to length 1, so that a translation is brought to that length first.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.tasks.items import translated
from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.extras import require
from modtrans_core.noise import keys
from modtrans_core.progress import Progress, reporting
from modtrans_core.protocol import Translator
from modtrans_core.store.files import read_description, replacing_folder
from modtrans_core.store.headers import reading
from modtrans_core.vectors import unit

KARLO, STABLE = "UnCLIPImageVariationPipeline", "StableUnCLIPImg2ImgPipeline"
PARTS = {
    "decoder": "diffusers.UNet2DConditionModel",
    "super_res_first": "diffusers.UNet2DModel",
    "super_res_last": "diffusers.UNet2DModel",
    "decoder_scheduler": "diffusers.UnCLIPScheduler",
    "super_res_scheduler": "diffusers.UnCLIPScheduler",
    "text_encoder": "transformers.CLIPTextModelWithProjection",
    "tokenizer": "transformers.CLIPTokenizer",
    "image_encoder": "transformers.CLIPVisionModelWithProjection",
    "feature_extractor": "transformers.CLIPImageProcessor",
}
"""subfolder -> class; the tenth part, `text_proj`, has a class that diffusers does not export"""
LIBRARIES = ("diffusers", "transformers", "stable_diffusion", None)
"""that the parts of a published pipeline are from; the last stands for a part that is left out"""
ENTRY = {KARLO: "image_embeddings", STABLE: "image_embeds"}
"""what each pipeline calls an image embedding"""
STEPS = {KARLO: "decoder_num_inference_steps", STABLE: "num_inference_steps"}
"""and its denoising steps"""


def load_generator(folder: str | Path, device: str | torch.device = "cpu", **options: Any) -> Any:
    """A pipeline of diffusers, from a folder as it was published.

    Parameters
    ----------
    folder : of `kakaobrain/karlo-v1-alpha-image-variations`, or of a Stable unCLIP for image variations.
    options : of each part's `from_pretrained`, such as a dtype.

    Raises
    ------
    ValueError
        No such pipeline; a part of it is missing.

    Notes
    -----
    Karlo's parts are loaded one by one and put together, because diffusers no longer finds the class of `text_proj`
    when it loads the pipeline as a whole.
    """
    diffusers, folder = require("diffusers", "downstream"), Path(folder)
    refuse_unless((folder / "model_index.json").is_file(), "model", str(folder), "a folder with model_index.json")
    index = read_description(folder / "model_index.json", {"_class_name": "text"})
    kind = index["_class_name"]
    refuse_unless_in("model", kind, ENTRY)
    for part, named in index.items():  # diffusers imports what is named there
        if isinstance(named, list) and not part.startswith("_"):
            refuse_unless_in(f"{folder / 'model_index.json'}: {part}", (*named, None)[0], LIBRARIES)
    if kind == STABLE:
        return diffusers.StableUnCLIPImg2ImgPipeline.from_pretrained(folder, **options).to(device)
    for part in [*PARTS, "text_proj"]:
        refuse_unless((folder / part).is_dir(), "model", str(folder), f"a subfolder {part}")
    with _quiet(diffusers):
        pipeline = diffusers.UnCLIPImageVariationPipeline
        beside = import_module(pipeline.__module__.rpartition(".")[0] + ".text_proj")  # where, depends on the version
        classes = {part: _class(name) for part, name in PARTS.items()} | {"text_proj": beside.UnCLIPTextProjModel}
        parts = {part: of.from_pretrained(folder / part, **options) for part, of in classes.items()}
        return pipeline(**parts).to(device)


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

            with reading(files[0]), safe_open(files[0], framework="np") as file:
                moments = [file.get_tensor(name).astype(np.float64) for name in (mean, std)]
            return float(np.hypot(np.linalg.norm(moments[0]), np.linalg.norm(moments[1])))
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
    refuse_unless(np.isfinite(length) and length > 0, "length", length, "a positive number")
    entry, directions = ENTRY[type(pipeline).__name__], torch.from_numpy(unit(embeddings))
    if entry == ENTRY[STABLE]:
        settings = {"prompt": "", **settings}
    pipeline.set_progress_bar_config(disable=True)
    for part in directions.split(batch):
        seeds = [np.random.SeedSequence([seed, key % 2**64]) for key in keys(part).tolist()]
        own = [torch.Generator().manual_seed(int(one.generate_state(1, np.uint64)[0])) for one in seeds]
        given = {name: [value] * len(part) if name == "prompt" else value for name, value in settings.items()}
        weights = pipeline.image_encoder.dtype
        raw = (part * length).to(pipeline.device, weights)
        for picture in pipeline(**{entry: raw}, generator=own, output_type="np", **given).images:
            yield (255 * picture).round().astype(np.uint8)


def draw_items(
    translator: Translator,
    pipeline: Any,
    pairs: str | Path,
    folder: str | Path,
    length: float,
    *,
    steps: int | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> int:
    """Write the picture of each item's translation, `000000.png` and on, and `pictures.csv`, which names their items.

    Parameters
    ----------
    pairs : conditions, one vector an item; see `analysis.tasks.items.translated`.
    folder : to write, whole or not at all.
    steps : of the (first) denoising. Default: the pipeline's.
    limit : at most so many items, evenly spaced.
    progress : called with (pictures done, in all). Default: a bar on stderr when someone watches.
    options : of `pictures`.

    Returns
    -------
    How many pictures.
    """
    from PIL import Image

    wanted = getattr(pipeline.image_encoder.config, "projection_dim", translator.facts.d)
    keys, zhat = translated(translator, pairs, wanted, limit)
    if steps is not None:
        options[STEPS[type(pipeline).__name__]] = steps
    with replacing_folder(folder) as temporary, reporting(progress, len(keys), "draw", "picture") as report:
        for number, picture in enumerate(pictures(pipeline, zhat, length, **options)):
            Image.fromarray(picture).save(temporary / f"{number:06}.png")
            report(number + 1, len(keys))
        with open(temporary / "pictures.csv", "w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(["picture", "key"])
            lines.writerows((f"{number:06}.png", key) for number, key in enumerate(keys))
    return len(keys)


def _class(name: str) -> Any:
    """A class by the module and the name that it has there."""
    module, of = name.split(".")
    return getattr(require(module, "downstream"), of)


@contextmanager
def _quiet(diffusers: Any) -> Iterator[None]:
    """Without the notice that Karlo's pipeline is no longer developed."""
    level = diffusers.logging.get_verbosity()
    diffusers.logging.set_verbosity_error()
    try:
        yield
    finally:
        diffusers.logging.set_verbosity(level)
