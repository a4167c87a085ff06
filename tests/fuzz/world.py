# ruff: noqa: E501 (a call is one line)
"""Sound inputs of every kind, and the calls that read them: what a case of the fuzz begins with."""

import contextlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.cli import VERBS_HERE
from modtrans_core import PairedEmbeddings
from modtrans_core.cli.verb import run


@dataclass(frozen=True)
class Kind:
    """A call of the command line, and which of the files it reads are spoilt.

    Parameters
    ----------
    inputs : files and folders of the world that are there.
    spoilt : of these, what is mutated: files or folders; `a/*` is any file in it. Nothing: the arguments are.
    arguments : the call.
    """

    inputs: tuple[str, ...]
    spoilt: tuple[str, ...]
    arguments: tuple[str, ...]


SMALL = ("--preset", "poster", "--device", "cpu", "--train-steps", "20", "--set", "width=8", "depth=1", "timesteps=10")
VECTORS = ("--image-encoder", "array:image.npz", "--text-encoder", "array:rows.npy")
BY_KEY = ("--image-encoder", "array:image.npz", "--text-encoder", "array:image.npz")
RUNS = ("run", "calibrated", "poster")


def _of(inputs, spoilt, *calls):
    return [Kind(tuple(inputs.split()), tuple(spoilt.split()), tuple(call.split())) for call in calls]


READS = [
    *_of("pairs.npz", "pairs.npz", "convert pairs.npz out.safetensors", "convert pairs.npz out",
         "train pairs.npz --out out --preset ridge", "convert pairs.npz out --layout shards --shard-items 20"),
    *_of("pairs.safetensors", "pairs.safetensors", "convert pairs.safetensors out.npz", "convert pairs.safetensors out",
         "train pairs.safetensors --out out --preset procrustes"),
    *_of("run pairs.npz", "pairs.npz", "evaluate run pairs.npz", "translate run pairs.npz out.npz",
         "rank run pairs.npz pairs.npz out.csv", "certify run pairs.npz", "evaluate run pairs.npz --json --ranking"),
    *_of("run c.npy", "c.npy", "translate run c.npy out.npy", "translate run c.npy out", "rank run c.npy c.npy out.npz"),
    *_of("layout", "layout layout/*", "convert layout out.npz", "train layout --out out --preset ridge"),
    *_of("shards", "shards shards/*", "convert shards out.npz", "convert shards out"),
    *(kind for name in RUNS for kind in _of(f"{name} c.npy pairs.npz", f"{name}/*", f"translate {name} c.npy out.npy",
      f"evaluate {name} pairs.npz", f"certify {name} pairs.npz", f"rank {name} c.npy pairs.npz out")),
    *_of("half pairs.npz", "half/*", f"train pairs.npz --out half --resume {' '.join(SMALL)}"),
    *_of("begun pictures image.npz rows.npy", "begun/embed.json begun/.embedding/000000.json begun/*",
         f"embed folder:pictures --out begun --shard-items 3 {' '.join(VECTORS)}",
         f"embed folder:pictures --out begun --shard-items 3 --overwrite {' '.join(VECTORS)}",
         "convert begun out.npz"),
    *_of("pictures image.npz rows.npy", "pictures/captions.csv", f"embed folder:pictures --out out {' '.join(VECTORS)}",
         f"embed folder:pictures --out out.npz {' '.join(VECTORS)}"),
    *_of("pictures image.npz rows.npy", "image.npz rows.npy", f"embed folder:pictures --out out.npz {' '.join(VECTORS)}"),
    *_of("coco image.npz rows.npy", "coco/annotations/captions_val2017.json",
         f"embed coco:coco --out out.npz {' '.join(VECTORS)}"),
    *_of("tars image.npz", "tars/0.tar", f"embed webdataset:tars --out out.npz {' '.join(BY_KEY)}"),
    *_of("image.npy text.npy ids.npy", "image.npy text.npy ids.npy", "pack image=image.npy text=text.npy group=ids.npy out.npz",
         "train image=image.npy,text=text.npy --out out --preset ridge"),
    *_of("old.npy documents.npz queries.npz", "old.npy documents.npz queries.npz",
         "migrate old.npy out.npy --pairs documents.npz --queries queries.npz --retain 0.01 --k 3"),
]  # fmt: skip
"""calls with a spoilt file"""

ASKS = [
    *_of("pairs.npz", "", "train pairs.npz --out out --preset ridge --seed 1 --split-seed 2 --fractions 0.7 0.1 0.2 --set penalty=1",
         "train pairs.npz --out out --goal cosine --set landmarks=10 --source image --target text",
         f"train pairs.npz --out out --fractions 0.7 0.1 0.2 --seed 3 {' '.join(SMALL)} gamma=0.5 train.batch=8",
         "convert pairs.npz out --layout shards --dtype float16 --shard-items 7 --independent text",
         "convert pairs.npz out.npz --dtype float16 --independent text"),
    *_of("poster c.npy", "", "translate poster c.npy out.npy --steps 2 --guidance 1.5 --seed 3"),
    *_of("calibrated c.npy pairs.npz", "", "translate calibrated c.npy out.npy --samples 2 --seed 1 --expected-cosine outer.npy",
         "translate calibrated pairs.npz out.npz --accept 0.1", "rank calibrated c.npy pairs.npz out.csv -k 3 --together",
         "certify calibrated pairs.npz --alpha 0.3 --confidence 0.9 --select --risk 0.5 --start 0.4 --floor 0.5 --largest-group 2",
         "certify calibrated pairs.npz --recall 3 --split test --alpha 0.2", "evaluate calibrated pairs.npz --limit 5 --split all"),
    *_of("", "", "bound --alpha 0.5 --projection 0.7 --gamma 1 --dim 6 --geometry uniform",
         "bound --alpha 0.1 --projection 0.2 --dim 3 --gamma 0.5 --geometry printed"),
    *_of("pictures image.npz rows.npy", "",
         f"embed folder:pictures --out out.npz --limit 4 --shard-items 2 --dtype float16 {' '.join(VECTORS)} --set captions=captions.csv"),
    *_of("old.npy documents.npz queries.npz", "", "migrate old.npy out.npy --pairs documents.npz --queries queries.npz "
         "--retain 0.1 --k 3 --confidence 0.9 --preset ridge --largest-group 2 --wanted outer.npy"),
]  # fmt: skip
"""calls with a spoilt argument"""


def call(arguments):
    """A verb as the command line runs it: exit status, stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = run(VERBS_HERE, "modtrans", "", list(arguments))
        except SystemExit as stop:
            status = stop.code
    return status, out.getvalue(), err.getvalue()


def make(folder: Path):
    """Write the sound inputs into a folder."""
    from PIL import Image

    before = Path.cwd()
    os.chdir(folder)
    try:
        rng = np.random.default_rng(0)
        c, noise = rng.normal(size=(60, 8)).astype(np.float32), rng.normal(size=(60, 6)).astype(np.float32)
        z = c @ rng.normal(size=(8, 6)).astype(np.float32) + noise
        metadata = {"independent": ["text"], "image": {"encoder": "A"}, "text": {"encoder": "B"}}
        pairs = PairedEmbeddings(
            {"image": c, "text": z}, group=np.arange(60) // 2, key=np.arange(60).astype(str), metadata=metadata
        )
        pairs.save("pairs.npz")
        pairs.save("pairs.safetensors")
        np.save("c.npy", c)
        np.save("image.npy", c)
        np.save("text.npy", z)
        np.save("rows.npy", z[:8])
        np.save("ids.npy", np.arange(60) // 2)
        for name in ("pictures", "coco/val2017", "coco/annotations", "tars"):
            Path(name).mkdir(parents=True)
        names = [f"{i}.png" for i in range(8)]
        for place in ("pictures", "coco/val2017"):
            for name in names:
                Image.new("RGB", (4, 4)).save(f"{place}/{name}")
        rows = "".join(f"{name},a picture {name},train\n" for name in names)
        Path("pictures/captions.csv").write_text(f"file,caption,split\n{rows}")
        annotations = {
            "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
            "annotations": [{"image_id": i, "id": i, "caption": f"a {name}"} for i, name in enumerate(names)],
        }
        Path("coco/annotations/captions_val2017.json").write_text(json.dumps(annotations))
        keys = [f"{place}{name}" for place in ("", "val2017/", "0/") for name in (*names, *range(8))]
        np.savez("image.npz", key=np.array(keys), vectors=rng.normal(size=(len(keys), 5)))
        with tarfile.open("tars/0.tar", "w") as tar:
            for i in range(4):
                for name, content in ((f"{i}.png", Path(f"pictures/{i}.png").read_bytes()), (f"{i}.txt", b"a text"),
                                      (f"{i}.json", b'{"status": "success", "caption": "a"}')):  # fmt: skip
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        np.save("old.npy", c)
        np.savez("documents.npz", row=np.arange(0, 60, 2), new=z[::2])
        np.savez("queries.npz", row=np.arange(1, 60, 2), new=z[1::2] + 0.1)
        for arguments in (
            "convert pairs.npz layout", "convert pairs.npz shards --layout shards --shard-items 20",
            "train pairs.npz --out run --preset ridge", "train pairs.npz --out calibrated --set landmarks=8",
            f"train pairs.npz --out poster {' '.join(SMALL)}", f"train pairs.npz --out half {' '.join(SMALL)}",
            f"embed folder:pictures --out begun --shard-items 3 {' '.join(VECTORS)}",
        ):  # fmt: skip
            status, _, err = call(arguments.split())
            assert status == 0, (arguments, err)
        _unfinish()
    finally:
        os.chdir(before)


def _unfinish():
    """Make of the finished training `half` and embedding `begun` what a process leaves that was killed."""
    import torch
    from safetensors.torch import save_file

    from modtrans_core.methods import load
    from modtrans_core.run import Training

    state = Training.start(load("half").requires_grad_(True), torch.optim.Adam, 1e-4, 0.0)
    loss = sum((p.sum() for p in state.module.parameters()), torch.zeros(()))
    loss.backward()
    state.optimizer.step()
    save_file(
        {name: value.contiguous() for name, value in state.tensors().items()},
        "half/training.safetensors",
        {"step": "10"},
    )
    Path("half/model.safetensors").unlink()
    record = json.loads(Path("begun/embed.json").read_text())
    Path("begun/embed.json").write_text(json.dumps({"finished": False, "job": record["job"]}))
    Path("begun/.embedding").mkdir()
    for name in ("000000", "000001"):
        done = {"items": 3, "skipped": []}
        Path(f"begun/.embedding/{name}.json").write_text(json.dumps(done))
    Path("begun/000002.safetensors").unlink()
    Path("begun/000002.parquet").unlink()
