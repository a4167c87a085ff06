"""Models in Hugging Face's layout, a folder of configuration, tokenizer and safetensors: on disk or on the hub."""

from __future__ import annotations

import hashlib
import math
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from logging import ERROR, getLogger
from pathlib import Path, PurePosixPath
from threading import get_ident
from typing import Any

import safetensors

from modtrans_core.checks import in_one_line, naming, refuse, refuse_unless
from modtrans_core.embed.encoders.weights import fetching
from modtrans_core.extras import require
from modtrans_core.store.files import read_json, refuse_special, sha256
from modtrans_core.store.headers import reading

_READ = ("*.json", "*.txt", "*.model", "*.safetensors")  # configurations, tokenizers, weights; nothing pickled
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")  # whole, or in parts; not a variant such as model.fp16
LOCAL = {"use_safetensors": True, "local_files_only": True, "ignore_mismatched_sizes": True}
"""what `from_pretrained` of a network in a folder is told: nothing pickled is read, and nothing fetched; tensors of
another shape are refused by `refuse_absent`, which names one"""
_OWN = re.compile(r"(sentence_transformers|torch\.nn)\.(\w+\.)*[A-Z]\w*")  # no module that one of theirs imports
_INDEX = "model.safetensors.index.json"
_MOST = {
    "num_hidden_layers": 1000,  # which may share their weights
    "num_train_timesteps": 100_000,
    "sample_size": 1024,  # of a side, in pixels or latents
    "embedding_dim": 65_536,  # of a normalizer, which is filled before it is compared
    "max_length": 1_000_000,  # that texts are padded to
}
"""numbers in configurations that no weights bound"""
_VOCABULARIES = ("tokenizer.json", "vocab.json")  # of which a library's message names no file
_SENTENCES = "SentenceTransformer"
_CLASSES = ("activation_function", "tokenizer_class")  # in a module's configuration, imported by their names
_OTHERS = ("allow_all_kernels", "gguf_file", "kernel_config", "use_kernels", "variant")
"""options of a module by which other weights are read, or code is"""


def model_folder(encoder: str, weights: str, instead: str = "a local folder") -> Path:
    """The folder that `weights` names: one on disk, or a hub id's in the hub's cache, fetched if it is not there.

    Parameters
    ----------
    encoder : its name, for messages.
    weights : the path of a folder, or a hub id.
    instead : what else can be given, said where the hub cannot be reached.

    Raises
    ------
    ValueError
        If there is no such folder, it cannot be fetched, or weights in it are missing or pickled alone.
    """
    folder = Path(weights).expanduser()
    if not folder.is_dir():
        if weights.startswith(("/", "./", "../", "~")) or folder.exists():
            raise ValueError(f"{encoder}: {weights} is not a folder")
        hub = require("huggingface_hub", "encoders")
        with fetching(encoder, f"{weights} of the Hugging Face hub", instead):
            folder = Path(
                hub.snapshot_download(weights, allow_patterns=list(_READ), ignore_patterns=["onnx/*", "openvino/*"])
            )
    refuse_unreadable(encoder, folder)
    for pickled in _files_of(folder, "pytorch_model*.bin"):
        if not _weights_in(pickled.parent.iterdir()):
            raise ValueError(
                f"{encoder}: {pickled} is pickled, which is not read; model.safetensors is needed beside it"
            )
    if not _weights_in(_files_of(folder, "*.safetensors")):
        raise ValueError(f"{encoder}: no model.safetensors in {folder}")
    return folder


def refuse_code(encoder: str, folder: Path) -> None:
    """Refuse a sentence-transformers model whose configuration names a class that is not the library's own, a file that
    is not one of the model's, or another kind of model, of which the library would make one of its own.

    The library imports what `modules.json` and the configurations of its modules name, which may be a file beside them;
    and the options of a module in `sentence_bert_config.json` may be paths, or ask for other weights.

    Raises
    ------
    ValueError
        The message names the file and the class, or a part of the model that lies outside its folder.
    """
    for file in _files_of(folder, "*.json"):
        if file.name == "modules.json":
            listed = read_json(file)
            if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
                raise ValueError(f"{encoder}: {file}: a list of modules, each with type and path, is needed")
            for one in listed:
                _refuse_path(encoder, file, str(one.get("path", "")))
                _refuse_class(encoder, file, one.get("type"), always=True)
        elif file.name == "config_sentence_transformers.json":
            found = read_json(file)
            kind = found.get("model_type", _SENTENCES) if isinstance(found, dict) else _SENTENCES
            refuse_unless(
                kind == _SENTENCES, f"{encoder}: {file}: model_type", kind, f"{_SENTENCES}, of dense vectors,"
            )
        elif file.name.endswith("config.json"):
            found = read_json(file)
            options = found.items() if isinstance(found, dict) and file.name.startswith("sentence_") else ()
            for names, one in _values({name: value for name, value in options if name.endswith(("args", "path"))}):
                if isinstance(one, str) and (names[-1] == "tokenizer_name_or_path" or _is_there(one)):
                    refuse(f"{encoder}: {file}: {names[-1]}", one, "no file, as all of a model lies in its folder,")
                if one and (option := next((name for name in names if name in _OTHERS), None)):
                    refuse(f"{encoder}: {file}: {option}", one, "none, as model.safetensors is what is read,")
            types = found.get("types") if isinstance(found, dict) else None
            for route in types if isinstance(types, dict) else ():
                _refuse_path(encoder, file, route)
            named = list(types.values()) if isinstance(types, dict) else []
            named += [found.get(name) for name in _CLASSES] if isinstance(found, dict) else []
            for one in named:
                _refuse_class(encoder, file, one)


def _refuse_path(encoder: str, file: Path, path: str) -> None:
    if path.startswith(("/", "\\")) or ".." in PurePosixPath(path.replace("\\", "/")).parts:
        raise ValueError(f"{encoder}: {file}: path: {path!r}, a folder of the model is needed")


def _is_there(name: str) -> bool:
    return os.path.exists(name) and not os.path.isdir(name)  # which takes any text, where pathlib raises


def _refuse_class(encoder: str, file: Path, named: Any, always: bool = False) -> None:
    own = isinstance(named, str) and _OWN.fullmatch(named) and not (always and named.startswith("torch."))
    if not own and (always or (isinstance(named, str) and "." in named)):
        needed = "a class of sentence-transformers is needed; code that comes with a model is not run"
        raise ValueError(f"{encoder}: {file}: type: {named!r}, {needed}")


def _values(described: Any, names: tuple[str, ...] = ("",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values of a description, however deep, each with its names, the outermost first."""
    if isinstance(described, dict):
        for key, one in described.items():
            yield from _values(one, (*names, key))
    elif isinstance(described, list):
        for one in described:
            yield from _values(one, names)
    else:
        yield names, described


def weights_digest(folder: Path) -> str:
    """The SHA-256 of the file of weights; where there are several, of the list that `sha256sum` makes of them."""
    return _digest(folder, _weights_in(_files_of(folder, "*.safetensors")))


def folder_digest(folder: Path) -> str:
    """The SHA-256 of the list that `sha256sum` makes of all files that are read: weights, configurations, tokenizer."""
    return _digest(folder, _files_of(folder, *_READ))


def _files_of(folder: Path, *patterns: str) -> list[Path]:
    """The files of a model by name; what else lies in its folder, as the checkpoints of its training, is none of it."""
    places, found = _places(folder), {path for pattern in patterns for path in folder.rglob(pattern)}
    return sorted(path for path in found if _spelt(path.parent.relative_to(folder).as_posix()) in places)


def _places(folder: Path) -> set[str]:
    """Where a model is read from, below its folder: there, in its parts or modules, and in the routes of a router."""
    places = {"."}
    if (folder / "model_index.json").is_file():  # a pipeline
        places |= {_spelt(one.name) for one in folder.iterdir()}
    listed = read_json(folder / "modules.json") if (folder / "modules.json").is_file() else []
    named = [one.get("path") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    places |= {_spelt(path) for path in named if isinstance(path, str)}
    for file in sorted(folder.rglob("*config.json"), key=lambda file: len(file.parts)):
        here = file.parent.relative_to(folder).as_posix()
        held = read_json(file) if file.is_file() and _spelt(here) in places else None
        routes = held.get("types") if isinstance(held, dict) else None
        places |= {_spelt(f"{here}/{route}") for route in routes} if isinstance(routes, dict) else set()
    return places


def _spelt(path: str) -> str:
    """A path as file systems may compare it, of which some do not tell A from a."""
    return unicodedata.normalize("NFC", PurePosixPath(path.replace("\\", "/")).as_posix()).casefold()


def _weights_in(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if _WEIGHTS.fullmatch(path.name)]


def _digest(folder: Path, paths: Iterable[Path]) -> str:
    found = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}
    if len(found) == 1:
        return next(iter(found.values()))
    return hashlib.sha256("".join(f"{found[name]}  {name}\n" for name in sorted(found)).encode()).hexdigest()


@contextmanager
def loading(what: object, folder: Path | None = None) -> Iterator[None]:
    """Inside, a library reads a model: it says nothing, nothing is drawn from torch's generator, and whatever it raises
    is one ValueError that begins with `what` is read.

    Parameters
    ----------
    folder : of the weights that its network is for: one that is far larger is refused while it is made.
    """
    import torch

    try:
        bounded = nullcontext() if folder is None else _no_larger_than_weights(folder)
        with bounded, _quiet_transformers(), torch.random.fork_rng(devices=[]):  # unused layers may be drawn
            yield
    except Exception as error:  # a damaged configuration makes a library raise nearly anything
        if isinstance(error, MemoryError) or re.search("(out of|allocate) memory", str(error)):
            where = "GPU" if "CUDA" in str(error) else "machine"
            raise MemoryError(f"{what}: it takes more than the {where} has") from error  # no fault of the model's
        raise ValueError(f"{what}: {in_one_line(error)}") from error


@contextmanager
def _no_larger_than_weights(folder: Path) -> Iterator[None]:
    """Inside, this thread makes no network of far more numbers, or tensors, than the weights in a folder have: sizes
    of a configuration are checked by what comes of them, before memory is filled, whatever a library calls them.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    shapes = [shape for file in _files_of(folder, "*.safetensors") for shape in _shapes(file)]
    held = sum(map(math.prod, shapes))
    tensors, numbers = 4 * len(shapes) + 10_000, 4 * held + 10_000_000  # shared and packed ones are fewer in a file
    thread = get_ident()

    def count(module: Any, name: str, tensor: Any) -> None:
        nonlocal tensors, numbers
        if tensor is None or hasattr(module, name) or get_ident() != thread:  # one that takes another's place is none
            return
        tensors, numbers = tensors - 1, numbers - tensor.numel()
        if min(tensors, numbers) < 0:
            made = f"{type(module).__name__}.{name} of {' x '.join(map(str, tensor.shape))}"
            raise ValueError(
                f"a size in config.json: with {made} the network is far larger than the weights,"
                f" {len(shapes)} tensors of {held:,} numbers; the configuration that was saved with them is needed"
            )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def refuse_absent(what: object, info: Mapping[str, Any], used: Callable[[str], bool] = lambda name: True) -> None:
    """Refuse weights that lack tensors of the network, or have them in another shape: the library would draw these.

    Parameters
    ----------
    info : what `from_pretrained` says of the weights with `output_loading_info`.
    used : whether a tensor of that name has a part in the output.
    """
    if names := sorted(filter(used, info["missing_keys"])):
        raise ValueError(f"{what}: the weights lack {len(names)} tensors of the network, {names[0]} first")
    for name, found, needed in sorted(info["mismatched_keys"]):
        refuse(f"{what}: {name}", tuple(found), f"{tuple(needed)}, the network's shape,")


def refuse_no_words(what: object, tokenizer: Any, place: Path, known: int | None = None) -> None:
    """Refuse a tokenizer whose folder has no vocabulary, of which the library makes one without words, or which has
    tokens that the network does not know.

    Parameters
    ----------
    tokenizer : of transformers.
    place : the folder that it was read from.
    known : tokens of the network, if these are numbered.
    """
    named = dict(tokenizer.vocab_files_names)
    whole, several = named.pop("tokenizer_file", "tokenizer.json"), [*named.values()]  # any may be read from the first
    there = (place / whole).is_file() or (several and all((place / name).is_file() for name in several))
    if tokenizer.vocab_files_names and not there:
        needed = " or ".join(filter(None, [whole, " and ".join(several)]))
        raise ValueError(f"{what}: no vocabulary of a tokenizer in {place}; {needed} is needed")
    last = max(tokenizer.get_vocab().values(), default=0)
    if known is not None and last >= known:
        raise ValueError(f"{what}: the tokenizer has a token {last}, but the network's are 0 to {known - 1}")


def tokens_of(network: Any) -> int | None:
    """How many tokens a network of transformers knows, itself or in its part for texts; None where it does not say."""
    for part in (network, getattr(network, "text_model", network)):
        with suppress(NotImplementedError):
            return getattr(part.get_input_embeddings(), "num_embeddings", None)
    return None


def refuse_unreadable(what: object, folder: Path) -> None:
    """Refuse a folder of a model with a pipe or a device in it, which would be read for ever, with a link to a folder,
    which libraries follow and what looks through a model does not, and one whose descriptions name weights that are no
    part of it.
    """
    places = _places(folder)
    for path in folder.rglob("*"):
        here = _spelt(path.relative_to(folder).as_posix())
        if path.is_symlink() and path.is_dir() and any(f"{place}/".startswith(f"{here}/") for place in places):
            raise ValueError(f"{what}: {path}: a link to a folder; copy the folder there")
    for path in _files_of(folder, *_READ):
        if not path.is_file():
            raise ValueError(f"{what}: {path} is not a file")
        with naming(str(what)):
            refuse_special(path)
            if path.name in _VOCABULARIES:
                read_json(path)
        if path.name == "adapter_config.json":
            raise ValueError(f"{what}: {path}: of an adapter, which names another model; one merged with it is needed")
        if path.name.endswith(".safetensors.index.json"):
            held = read_json(path)
            parts = held.get("weight_map") if isinstance(held, dict) else None
            if not isinstance(parts, dict):
                refuse(f"{what}: {path}: weight_map", parts, "files by tensors")
            kind = _WEIGHTS if path.name == _INDEX else re.compile(r"[^/]+\.safetensors")
            for tensor, file in parts.items():
                beside = isinstance(file, str) and bool(kind.fullmatch(file))
                refuse_unless(beside, f"{what}: {path}: weight_map: {tensor}", file, "weights beside it")
    for path in _files_of(folder, "*config.json"):
        _refuse_elsewhere_and_loops(what, path)


def _refuse_elsewhere_and_loops(what: object, path: Path) -> None:
    """Refuse a configuration that names code of the hub, weights that are no part of the model, or a number that takes
    memory or time without end.
    """
    held = read_json(path)
    for names, value in _values(held):
        if "transformers_weights" in names and value not in (None, "model.safetensors", _INDEX):
            refuse(f"{what}: {path}: transformers_weights", value, f"model.safetensors or {_INDEX}")
        for name in names:  # an implementation may be given by part of the model
            if "implementation" in name and isinstance(value, str) and "/" in value:
                refuse(f"{what}: {path}: {name}", value, "one of transformers' own, for code of the hub is not run,")
        if isinstance(value, int) and value > (most := _MOST.get(names[-1], value)):
            refuse(f"{what}: {path}: {names[-1]}", value, f"at most {most}")


def _shapes(file: Path) -> list[Sequence[int]]:
    """Of the tensors in a file of weights, of which none is read."""
    with reading(file), safetensors.safe_open(file, "pt") as held:
        return [held.get_slice(name).get_shape() for name in held.keys()]  # noqa: SIM118


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep transformers from drawing a bar, and from reporting tensors that we check, while it reads weights; and
    sentence-transformers from telling what its configuration says.
    """
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    sentences = getLogger("sentence_transformers")
    level = sentences.level
    sentences.setLevel(ERROR)
    try:
        yield
    finally:
        sentences.setLevel(level)
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()
