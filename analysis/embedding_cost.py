"""What embedding takes an item: measured on this machine's CPU, and worked out for a GPU.

`python -m analysis.embedding_cost` prints the table. On the CPU an encoder encodes the items of `SAMPLES`, read and
decoded from bytes as a source would; weights are random where none come with a package, which does not change the time.
For the GPU nothing is measured but the preparation, on one thread here: the operations of a forward pass are counted by
torch, the rates are those of `analysis.cost.Device`, and preparation and network work side by side:

    seconds = max(preparation / CPUs, operations / (share of the peak * peak))
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.cost import Device
from modtrans_core.embed.encoders import IMAGE_ENCODER, TEXT_ENCODER, Encoder, load_encoder
from modtrans_core.embed.sources.reading import read

ENCODERS = (  # name, modality, items to time
    (IMAGE_ENCODER, "image", 128),
    ("open_clip:ViT-B-32/random", "image", 64),
    ("open_clip:ViT-L-14/random", "image", 8),
    ("open_clip:RN50/random", "image", 64),
    ("timm:vit_small_patch14_dinov2.lvd142m/random", "image", 8),
    (TEXT_ENCODER, "text", 1024),
    ("open_clip:ViT-B-32/random", "text", 128),
    ("geoclip:location/geoclip", "location", 4096),
)
CPUS = 16  # that prepare what one GPU encodes
WORDS = ["a", "photo", "of", "two", "dogs", "and", "child", "who", "play", "with", "red", "ball", "near", "the", "sea"]


@dataclass(frozen=True)
class Cost:
    """What an encoder takes.

    Parameters
    ----------
    seconds : an item on the CPU, all threads, preparation among it.
    preparation : an item, read, decoded and prepared, on one thread; the median.
    operations : of a forward pass, an item; a multiplication and an addition are two.
    """

    encoder: str
    modality: str
    seconds: float
    preparation: float
    operations: float

    def on_gpu(self, device: Device, cpus: int = CPUS) -> tuple[float, str]:
        """Seconds an item, and what they are spent on: `preparation` or `network`."""
        network = self.operations / (device.matrix_share * device.bfloat16)
        return max((self.preparation / cpus, "preparation"), (network, "network"))


def measure(encoder: Encoder, items: int, seed: int = 0) -> Cost:
    """Time an encoder on so many made-up items, after two that are not timed, and count what one takes."""
    from torch.utils.flop_counter import FlopCounterMode

    rng = np.random.default_rng(seed)
    values = [SAMPLES[encoder.modality](rng) for _ in range(items)]
    encoder.encode(_Read(encoder.modality, values[:2]))
    prepared, marks = [], [time.perf_counter()]
    for item in _Read(encoder.modality, values):
        prepared.append(encoder.prepare(item))
        marks.append(time.perf_counter())
    start = time.perf_counter()
    encoder.encode(_Read(encoder.modality, values))
    seconds = (time.perf_counter() - start) / items
    with FlopCounterMode(display=False) as counter:
        encoder.forward(prepared[:1])
    operations = float(counter.get_total_flops())
    return Cost(encoder.name, encoder.modality, seconds, float(np.median(np.diff(marks))), operations)


def table(costs: Iterable[Cost], items: int = 10**5, device: Device | None = None) -> str:
    """Markdown: what so many items take on this CPU and, worked out, on one GPU."""
    device = device or Device()
    lines = [
        f"| encoder | modality | {items:,} on the CPU | GFLOP | preparation, ms | {items:,} on one GPU | limit |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for cost in costs:
        seconds, limit = cost.on_gpu(device)
        lines.append(
            f"| `{cost.encoder}` | {cost.modality} | {_spoken(items * cost.seconds)} | {_number(cost.operations / 1e9)}"
            f" | {1e3 * cost.preparation:.2g} | {_spoken(items * seconds)} | {limit} |"
        )
    return "\n".join(lines)


class _Read(Sequence[Any]):
    """Values that are read and decoded when they are taken."""

    def __init__(self, modality: str, values: Sequence[Any]) -> None:
        self.modality, self.values = modality, values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return read(self.modality, self.values[index])


def _spoken(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{_number(seconds / size)} {unit}"
    return f"{_number(seconds)} s"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _picture(rng: np.random.Generator) -> bytes:
    """A JPEG of 640 x 480, smooth with a little grain, of about 90 kB as photographs on the web have."""
    from PIL import Image

    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    Image.fromarray((smooth + rng.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)).save(
        buffer, "JPEG", quality=90
    )
    return buffer.getvalue()


def _text(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, 12))


def _location(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(-80, 80)), float(rng.uniform(-180, 180))


SAMPLES: dict[str, Callable[[np.random.Generator], Any]] = {"image": _picture, "text": _text, "location": _location}


def main() -> None:
    """Print the table, a line as soon as it is known."""
    for number, (name, modality, items) in enumerate(ENCODERS):
        lines = table([measure(load_encoder(name, modality, "cpu"), items)]).splitlines()
        print(*lines[2 if number else 0 :], sep="\n", flush=True)


if __name__ == "__main__":
    main()
