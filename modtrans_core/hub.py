"""Translators in the form of the Hugging Face hub: a run folder with a model card, saved, loaded and pushed.

A translator is any object behind `modtrans_core.protocol.Translator`, so that these are functions and no base class.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from modtrans_core.checks import in_one_line, place, refuse_unless
from modtrans_core.extras import require
from modtrans_core.methods import evaluate, load
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.protocol import Translator
from modtrans_core.run import CARD, DESCRIPTION, LIBRARY, MODEL, SEEN, drop_card, is_card, signed
from modtrans_core.store.files import refuse_existing, replacing

SCORES = {
    "cosine": "mean cosine of a translation with its target",
    "floor": "the same of the mean of the training targets, whatever the input",
    "ceiling": "what no translation can exceed",
    "skill": "share of the way from floor to ceiling, or to 1",
    "own_recall_at_1": "recall@1 by the translator's own ranking",
    "own_recall_at_10": "recall@10 by the same",
    "gallery": "items that are ranked",
}
"""what a card says of a translator, and what each number is"""


def save_pretrained(
    translator: Translator,
    folder: str | Path,
    *,
    test: PairedEmbeddings | None = None,
    certificate: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a translator and its model card into a new folder; `modtrans` verbs take it as a run folder.

    Parameters
    ----------
    folder : receives what `translator.save` writes, and `README.md`.
    test : pairs whose items that the translator was not fitted to are scored for the card, beside the name and the
        licence of their data set. Default: the card says that nothing was measured.
    certificate : what `modtrans certify` printed, or the `text()` of a certificate of `analysis.theory.certify`.
    overwrite : replace the translator and the card that the folder holds; a card that was changed is kept as
        `README.md.old`.

    Raises
    ------
    ValueError
        The folder holds a translator or a `README.md`, or one that is no card; none of the items is new to it.

    Examples
    --------
    >>> import numpy as np, modtrans_core as mt
    >>> rng = np.random.default_rng(0)
    >>> pairs = mt.PairedEmbeddings({"image": rng.normal(size=(90, 4)), "text": rng.normal(size=(90, 3)) + 1})
    >>> train, test = pairs.split(0, (0.8, 0.2))
    >>> save_pretrained(mt.fit(train), "mine", test=test)
    >>> from_pretrained("mine")
    CalibratedTranslator(image 4 -> text 3, balanced)
    """
    folder = place("folder", folder)
    text = card(translator, test, certificate)
    refuse_existing(folder / CARD, overwrite)
    if (folder / CARD).exists() and not is_card(folder / CARD):
        raise ValueError(f"{folder / CARD}: is no card of a translator; choose another folder, or remove it")
    translator.save(folder, overwrite)
    drop_card(folder / CARD)
    with replacing(folder / CARD) as temporary:
        temporary.write_text(text, encoding="utf-8")


def from_pretrained(
    name: str | Path,
    *,
    revision: str | None = None,
    token: str | None = None,
    device: str | torch.device | None = None,
) -> Translator:
    """Read a translator from a folder or, where there is none of that name, from a repository of the hub.

    Parameters
    ----------
    name : a folder, or `owner/name`.
    revision, token : branch, tag or commit of the repository; who asks for it. Default: those of `huggingface_hub`.
    device : Default: a GPU when there is one.

    Raises
    ------
    ValueError
        What lies there is no translator, or it cannot be reached.
    ModuleNotFoundError
        `huggingface_hub` is not installed, and there is no such folder.
    """
    if place("name", name).is_file():
        raise ValueError(f"{name}: a file, a folder or owner/name is needed")
    if not Path(name).is_dir():
        hub = require("huggingface_hub", "hub")
        wanted = [DESCRIPTION, MODEL, SEEN]
        try:
            name = hub.snapshot_download(str(name), revision=revision, token=token, allow_patterns=wanted)
        except (OSError, ValueError) as error:  # as the hub's are
            why = in_one_line(error)
            raise ValueError(f"{name}: is no folder here, and cannot be fetched from the hub: {why}") from error
    return load(name, device)


def push_to_hub(
    translator: Translator,
    repository: str,
    *,
    test: PairedEmbeddings | None = None,
    certificate: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
) -> str:
    """Write a translator and its card into a repository of the hub, which is made where there is none.

    What the translator was fitted to goes along as sketches of 16 bytes a vector, by which it knows its training rows
    again.

    Parameters
    ----------
    repository : `owner/name`.
    test, certificate : for the card; see `save_pretrained`.
    private, token, revision : see `huggingface_hub.HfApi`.

    Returns
    -------
    The address of the commit.

    Raises
    ------
    ValueError
        The repository cannot be written, such as without a network or a token.
    """
    api = require("huggingface_hub", "hub").HfApi(token=token)
    with TemporaryDirectory() as folder:
        save_pretrained(translator, folder, test=test, certificate=certificate)
        message = f"A translator from {translator.facts.source} to {translator.facts.target}"
        sent = {"repo_id": repository, "folder_path": folder, "revision": revision, "commit_message": message}
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            return str(api.upload_folder(**sent))
        except Exception as error:  # the hub's, and those of whatever it reaches the network by
            why = f"to {api.endpoint}: {in_one_line(error)}"
            remedy = "look at the network, and at the token of `hf auth login`; save_pretrained needs neither"
            raise ValueError(f"{repository}: cannot be written {why}; {remedy}") from error


def card(translator: Translator, test: PairedEmbeddings | None = None, certificate: str | None = None) -> str:
    """The model card of a translator, in Markdown; see `save_pretrained`."""
    refuse_unless(isinstance(test, PairedEmbeddings | None), "test", test, "a PairedEmbeddings")
    refuse_unless(isinstance(certificate, str | None), "certificate", certificate, "a text")
    facts = translator.facts
    encoders = [
        f"- {name}: {_line(facts.encoders.get(name, {}).get('encoder', 'not known'))}"
        for name in (facts.source, facts.target)
    ]
    text = "\n".join(
        [
            "---",
            LIBRARY,
            f"tags: [embeddings, modality-translation, {json.dumps(translator.method.replace(' ', '-'))}]",
            "---",
            f"# {facts.source} → {facts.target}",
            "",
            f"Translates {facts.source} vectors of dimension {facts.k} into {facts.target} vectors of dimension"
            f" {facts.d}. Method: {_line(translator.method)}.",
            "",
            "```python",
            "from modtrans_core.hub import from_pretrained",
            "",
            'translator = from_pretrained("FOLDER-OR-REPOSITORY")',
            f"zhat = translator.translate(c)  # (n, {facts.k}) -> (n, {facts.d})",
            "```",
            "",
            "## Encoders",
            "",
            *encoders,
            "",
            "## Scores",
            "",
            *_measured(translator, test),
            "",
            "## Certificate",
            "",
            *(["None was made."] if certificate is None else ["```text", *certificate.strip().splitlines(), "```"]),
            "",
            "",
        ]
    )
    return signed(text)


def _line(text: object) -> str:
    """A text of a pair set in one line, so that it begins no heading of its own."""
    return " ".join(str(text).split())


def _measured(translator: Translator, test: PairedEmbeddings | None) -> list[str]:
    if test is None:
        return ["Nothing was measured."]
    held = translator.facts.unseen(test)
    scores: dict[str, Any] = evaluate(translator, held)
    known = held.metadata.get("dataset")
    data = known if isinstance(known, dict) else {"name": known}
    name = _line(data.get("name") or "a data set without a name")
    licence = f", licence {_line(data['licence'])}" if data.get("licence") else ""
    if translator.facts.seen is None:
        seen = ". What it was fitted to is not known"
    else:
        seen = ", none of which it was fitted to"
    rows = [(key, scores[key], what) for key, what in SCORES.items()]
    said = [(key, "not known" if value is None else f"{value:.4g}", what) for key, value, what in rows]
    return [
        f"Of {len(held)} items of {name}{licence}{seen}.",
        "",
        "| score | value | what it is |",
        "|---|--:|---|",
        *(f"| {key} | {value} | {what} |" for key, value, what in said),
    ]
