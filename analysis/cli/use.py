"""The verbs `caption`, `generate` and `migrate`: what a translation is used for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from tyro.conf import Positional

from modtrans_core.checks import naming, refuse_unless
from modtrans_core.cli.verb import say
from modtrans_core.extras import refuse_missing


@dataclass(frozen=True)
class Caption:
    """Example: modtrans caption runs/first pairs.npz captions.csv --decoder coco_weights.pt --length 10

    Say what a translation shows. The conditions of a pair set are translated, and a published caption decoder, ClipCap
    or CapDec, puts each into words; it has to be one for the encoder that the run translates into. Where the items have
    captions of their own, the metrics of COCO's evaluation are printed, of those that the run was not fitted to.
    """

    needs: ClassVar = {"downstream": ("transformers",)}
    writes: ClassVar = ("output",)

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    pairs: Positional[Path]
    """conditions, one vector an item: a pair set (file or folder) whose source modality is taken, or a .npy array"""
    output: Annotated[Positional[Path], tyro.conf.arg(metavar="OUT.csv")]
    """table to write, with the columns key and caption"""
    decoder: Annotated[Path, tyro.conf.arg(metavar="CHECKPOINT.pt")]
    """checkpoint as published: a mapper and GPT-2. Nothing but tensors is read from it"""
    tokenizer: str = "gpt2"
    """GPT-2's tokenizer: a folder, or a name that transformers downloads"""
    unit: bool | None = None
    """the decoder was trained on unit embeddings. Default: as published, a transformer was and an MLP was not"""
    length: float | None = None
    """of a decoder that was not: the mean length of raw training embeddings, which translations are brought to"""
    beam: int = 5
    """candidates of the beam search; 1: the likeliest word each time"""
    references: Path | None = None
    """captions to score by: a pair set that has some, or a .json file {key: [caption, ...]}. Default: those of PAIRS"""
    limit: int | None = None
    """at most so many items, evenly spaced. Default: all"""
    json: bool = False
    """print one JSON object"""
    overwrite: bool = False
    """replace OUT.csv when it is there"""

    def run(self) -> None:
        from analysis.tasks.captions import checkpoint
        from analysis.tasks.captions.write import caption_items, read_references, scores, write_captions
        from analysis.tasks.items import asked, familiar, refuse_limit, translated
        from modtrans_core import load
        from modtrans_core.store.files import refuse_existing

        refuse_unless(self.output.suffix == ".csv", "OUT", str(self.output), "a name that ends in .csv")
        refuse_existing(self.output, self.overwrite)
        checkpoint.refuse_numbers(self.beam, self.length)
        refuse_limit(self.limit)
        translator = load(self.run_folder)
        names, conditions = asked(translator, self.pairs, self.limit)
        told = self.references or self.pairs
        references = read_references(told) if told.suffix != ".npy" else {}
        seen = familiar(translator, self.pairs).intersection(names) if references else set()
        tested = references.keys() & set(names) - seen
        needed = "captions of an item that the run was not fitted to"
        refuse_unless(bool(tested) or self.references is None, "references", str(told), needed)
        if tested:
            refuse_missing(("pycocoevalcap",), "downstream")
        read = checkpoint.read_checkpoint(self.decoder, unit=self.unit)
        checkpoint.refuse_length(self.length, read.unit)
        zhat = translated(translator, conditions, read.dimension)
        decoder = checkpoint.load_decoder(read, self.tokenizer)
        captions = caption_items(decoder, names, zhat, width=self.beam, length=self.length)
        write_captions(self.output, captions)
        say(f"{self.output}: {len(captions)} captions")
        if references and not tested:
            say("nothing is scored: no item that the run was not fitted to has captions")
        if not tested:
            return
        if seen:
            say(f"scored without {len(seen)} of them, which the run was fitted to")
        found = scores([one for one in captions if one[0] not in seen], references)
        shown = {name: f"{value:.4f}" if isinstance(value, float) else value for name, value in found.items()}
        print(json.dumps(found) if self.json else "\n".join(f"{name:8} {value}" for name, value in shown.items()))


@dataclass(frozen=True)
class Generate:
    """Example: modtrans generate runs/first pairs.npz pictures/ --model karlo-v1-alpha-image-variations --limit 8

    Draw what a translation shows. The conditions of a pair set are translated into image embeddings, and a diffusion
    model that reads those draws each: Karlo or Stable unCLIP, of the CLIP that the run translates into. A picture is
    the same wherever its item stands.
    """

    needs: ClassVar = {"downstream": ("diffusers",)}
    writes: ClassVar = ("output",)

    run_folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """run folder of `modtrans train`"""
    pairs: Positional[Path]
    """conditions, one vector an item: a pair set (file or folder) whose source modality is taken, or a .npy array"""
    output: Annotated[Positional[Path], tyro.conf.arg(metavar="OUT")]
    """folder for 000000.png, ... and pictures.csv, which names their items"""
    model: Path
    """folder of kakaobrain/karlo-v1-alpha-image-variations, or of a Stable unCLIP for image variations"""
    length: float | None = None
    """of raw embeddings, which translations are brought to. Default: from --prior, or from the model's normalizer"""
    prior: Path | None = None
    """folder of kakaobrain/karlo-v1-alpha, whose prior knows the length"""
    steps: int | None = None
    """denoising steps. Default: the model's"""
    seed: int = 0
    """of the noise"""
    limit: int | None = None
    """at most so many items, evenly spaced. Default: all"""
    batch: int = 4
    """pictures at once"""
    device: str = "cpu"
    """cpu or cuda"""
    overwrite: bool = False
    """replace OUT when it is there"""

    def run(self) -> None:
        from analysis.tasks import generation
        from analysis.tasks.items import asked, refuse_limit, translated
        from modtrans_core import load
        from modtrans_core.device import device_of
        from modtrans_core.store.files import refuse_existing

        refuse_existing(self.output, self.overwrite)
        generation.refuse_numbers(self.length, self.steps, self.seed, self.batch)
        refuse_limit(self.limit)
        device, model = device_of(self.device), generation.read_model(self.model)
        length = generation.raw_length(self.prior or self.model) if self.length is None else self.length
        translator = load(self.run_folder)
        names, conditions = asked(translator, self.pairs, self.limit)
        zhat = translated(translator, conditions, model.dimension)
        if self.steps is not None:
            generation.refuse_steps(model, self.steps)
        generation.draw_items(
            generation.load_generator(model, device), names, zhat, self.output, length,
            steps=self.steps, seed=self.seed, batch=self.batch,
        )  # fmt: skip
        say(f"{self.output}: {len(names)} pictures, of embeddings of length {length:.2f}")


@dataclass(frozen=True)
class Migrate:
    """Example: modtrans migrate old.npy new.npy --pairs reembedded.npz --queries queries.npz

    Change the encoder of an index without embedding it again: fit a translator to documents that were re-embedded, say
    what it keeps of the recall that a full re-embedding would have, and write the translated index unless that may be
    less than --retain. Documents are rows of OLD. reembedded.npz holds `row`, which documents (m,), and `new`, their
    vectors by the new encoder (m, d); a few thousand, drawn at random. queries.npz holds `new`, vectors of queries by
    the new encoder (n, d), and `row`, the document that answers each; some hundreds, like those to come. A query with
    several answers is as many rows. It may hold `group`, equal for queries that depend on each other; without it those
    of one answer, and those of one vector, are, unless that joins too many. It may hold `mean` (d,), of the unit
    vectors of other queries: NEW.npy is then less its own mean, for queries less that one, which often finds more.
    Where the limit is low since too little is known of the new ranking, re-embed the documents that --wanted names, add
    them to reembedded.npz with `fit` (m,) False for these, and run again.
    """

    writes: ClassVar = ("new", "wanted")

    old: Positional[Path]
    """the index: a .npy array (N, k), left on disk, or a pair set or folder with one modality"""
    new: Annotated[Positional[Path], tyro.conf.arg(metavar="NEW.npy")]
    """the translated index to write: unit vectors (N, d), float32"""
    pairs: Path
    """.npz of the re-embedded documents, as above"""
    queries: Path
    """.npz of the queries, as above"""
    retain: float = 0.9
    """write nothing unless at least this share of the recall is surely kept; choose it before you look"""
    k: int = 10
    """the recall is that among so many nearest"""
    confidence: float = 0.95
    """probability with which the certificate holds"""
    preset: str = "ridge"
    """the translator, as in `modtrans train`, not one whose rows depend on those beside them; choose it by other
    queries: of the best of several by these the certificate does not hold"""
    largest_group: int | None = None
    """how many queries a group can have at most, among new ones too. Default: as many as the largest here"""
    wanted: Annotated[Path | None, tyro.conf.arg(metavar="FILE.npy")] = None
    """also write which documents to re-embed for a sharper certificate, (w,)"""
    overwrite: bool = False
    """replace NEW.npy, and FILE.npy, when they are there"""
    json: bool = False
    """print one JSON object"""

    def run(self) -> None:
        import numpy as np

        from analysis.tasks import migration
        from analysis.theory.words import at_least
        from modtrans_core import fit, preset
        from modtrans_core.progress import reporting
        from modtrans_core.store.files import refuse_existing, write_npy

        for name, share in (("retain", self.retain), ("confidence", self.confidence)):
            refuse_unless(0 < share < 1, name, share, "a share strictly between 0 and 1")
        refuse_unless(self.k >= 1, "k", self.k, "at least 1")
        preset(self.preset)
        for file in (self.new, *([self.wanted] if self.wanted else [])):
            refuse_unless(file.suffix == ".npy", str(file), file.suffix, "a name that ends in .npy")
            refuse_existing(file, self.overwrite)
        index = migration.load_index(self.old)
        refuse_unless(self.k < len(index), "k", self.k, f"less than the {len(index)} documents of the index")
        arrays = migration.read_arrays(self.pairs, ("new", "row"), ("new", "row", "fit"))
        with naming(self.pairs):
            documents = migration.Reembedded.of(**arrays)
        arrays = migration.read_arrays(self.queries, ("new", "row"), ("new", "row", "group", "mean"))
        with naming(self.queries):
            queries = migration.Queries.of(**arrays)
            queries.refuse_unfit(len(index), documents.new.shape[1])
        most = int(np.unique(queries.group, return_counts=True)[1].max())
        group = self.largest_group
        refuse_unless(
            group is None or group >= most, "largest-group", group, f"at least {most}, as the largest group here,"
        )
        with naming(self.pairs):
            pairs = documents.pairs(index, queries)
        translator = fit(pairs, "old", "new", preset=self.preset)
        translate = migration.to_unit(translator, None if queries.mean is None else pairs.modality("old"))
        with reporting(None, len(index), "rank", "document") as report:
            found = migration.ranked(translate, index, queries, documents, self.k, report)
        sizes = len(index), len(documents.row)
        said = migration.retained(found, queries, sizes, self.k, self.confidence, self.largest_group)
        print(json.dumps(said.to_dict()) if self.json else "\n".join(said.lines()), flush=True)
        if self.wanted is not None:
            write_npy(self.wanted, (len(found.wanted),), np.int64, [found.wanted])
            say(f"{self.wanted}: {len(found.wanted)} documents to re-embed for a sharper certificate")
        if said.limit < self.retain:
            short = at_least(said.limit)
            raise ValueError(f"retain: {short} is sure, {self.retain:g} is needed; {self.new} was not written")
        with reporting(None, len(index), "translate", "document") as report:
            shape = migration.write_translated(translate, index, self.new, report)
        say(f"{self.new}: {shape[0]} vectors of dimension {shape[1]}, unit norm")
