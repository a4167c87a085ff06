"""What kind of source a path looks like."""

from __future__ import annotations

from pathlib import Path

from modtrans_core.embed.sources import coco, flickr, folder
from modtrans_core.store.files import refuse_closed

SIGNS = {  # kind: patterns of paths in the folder, any of which gives it away; the first kind that fits is taken
    "coco": (
        *(f"annotations/captions_{part}{year}.json" for year in coco.YEARS for part in coco.PARTS),
        *coco.KARPATHY,
    ),
    "flickr": (*flickr.KARPATHY, *flickr.TOKENS, *flickr.TABLES),
    "celeba": ("list_attr_celeba.txt", "list_attr_celeba.csv", "Anno/list_attr_celeba.txt"),
    "cifar10": ("data_batch_1.bin", "data_batch_1", "cifar-10-batches-bin", "cifar-10-batches-py"),
    "datasets": ("dataset_dict.json", "state.json"),
    "webdataset": ("*.tar", "*.tar.gz"),
    "folder": (*folder.CAPTIONS, "*.txt", "*/*.txt"),
}


def kind_of(path: Path) -> str:
    """The kind of source that lies at a path.

    Raises
    ------
    ValueError
        If it looks like none; the message lists what was looked for.
    """
    if path.is_file() and path.suffix == ".tar":
        return "webdataset"
    refuse_closed(path)
    for kind, signs in SIGNS.items():
        if any(True for sign in signs for _ in path.glob(sign)):
            return kind
    sought = "; ".join(f"{kind}: {', '.join(signs)}" for kind, signs in SIGNS.items())
    raise ValueError(f"{path}: looks like no source; looked for ({sought}); or name the kind, as in folder:{path}")
