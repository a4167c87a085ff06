"""What fitting a translator costs, from the shapes and the stated rates of a device: a model, not a measurement.

`python -m analysis.cost` prints the table. Every entry is a count (operations, numbers read and written, operators
launched, bytes sent: formulas in the shapes, which the tests hold against torch's own counters) divided by a rate, a
parameter of `Device` with its source. Disk, host and device work side by side, as do the units of a device:

    seconds = max(disk, host, matrix, memory, launches) + link + solve

and a set that fits into half of a device is put there first, so that disk and host come before the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple


@dataclass(frozen=True)
class Device:
    """Rates of one device and of the process that feeds it. Defaults: NVIDIA H100 SXM."""

    name: str = "H100 SXM"
    bfloat16: float = 989e12
    """dense matrix products, FLOP/s, peak (NVIDIA H100 data sheet)"""
    float32: float = 67e12
    """FLOP/s, peak, without TF32 (same)"""
    float64: float = 67e12
    """FLOP/s, peak, with tensor cores (same)"""
    memory: float = 3.35e12
    """HBM3, bytes/s, peak (same)"""
    capacity: float = 80e9
    """bytes (same)"""
    inside: float = 450e9
    """bytes/s each way between the devices of a machine (same: NVLink, 900 GB/s both ways)"""
    between: float = 50e9
    """bytes/s each way between machines (NVIDIA DGX H100 data sheet: 400 Gb/s for each device)"""
    a_machine: int = 8
    """devices of a machine (same)"""
    matrix_share: float = 0.5
    """assumed: share of the peak that matrix products reach"""
    memory_share: float = 0.8
    """assumed: share of the peak that reading and writing reaches"""
    launch: float = 4e-6
    """assumed: seconds to launch one operator without compiling"""
    host: float = 2e5
    """vectors/s that a thread reads from the page cache, checks and scales to length 1 (d = 512, about what this code
    did on one core of a shared virtual machine)"""
    threads: int = 8
    """threads of a process that do so; assumed to add up"""
    disk: float = 7e9
    """bytes/s of a machine (assumed: one PCIe 4 NVMe drive), in pages of 4 KiB"""


class Pairs(NamedTuple):
    """A pair set: so many conditions of k numbers, each with so many targets of d numbers."""

    name: str
    conditions: int
    targets: int
    k: int = 512
    d: int = 512


SETS = (Pairs("COCO", 82_783, 5), Pairs("CC3M", 3_300_000, 1), Pairs("LAION-400M", 400_000_000, 1))


PARTS = ("matrix", "memory", "launches", "host", "disk", "link", "solve")


class Cost(NamedTuple):
    """Seconds of each part, and what limits the whole."""

    matrix: float
    memory: float
    launches: float
    host: float
    disk: float
    link: float
    solve: float
    held: float
    """bytes that a device holds"""
    moved: float
    """bytes that a device reads and writes in its memory"""
    read: float
    """bytes that a machine reads from disk"""
    stays: bool = False
    """whether the set is first put on the device as a whole, and not read while the device works"""

    @property
    def seconds(self) -> float:
        read, work = max(self.disk, self.host), max(self.matrix, self.memory, self.launches)
        return (read + work if self.stays else max(read, work)) + self.link + self.solve

    @property
    def limit(self) -> str:
        return max(PARTS, key=lambda part: getattr(self, part))


CHUNK = 8192
"""conditions of a chunk of the normal equations"""
PENALTIES = {"linear": 9, "lifted": 12}
VALIDATION = 65_536
"""validation items on which a penalty is chosen, at most a tenth of the set"""


def closed_form(pairs: Pairs, devices: int, landmarks: int = 0, device: Device | None = None) -> Cost:
    """One pass of normal equations over the conditions, one for the mean of the targets, then the solves.

    Linear (float32 products, float64 sums): 2 k (k + d) FLOP a condition, one eigendecomposition of 9 k^3 FLOP, and
    2 k^2 d FLOP a penalty. Lifted with L landmarks: f = k + L + 1 features at 2 k L FLOP, 2 f (f + d) FLOP for the
    sums, and for each penalty a Cholesky factor of f^3 / 3 and two solves of 2 f^2 (k + d) together. One bandwidth.
    """
    device = device or Device()
    k, d, f = pairs.k, pairs.d, pairs.k + (landmarks + 1 if landmarks else 0)
    conditions = pairs.conditions / devices
    chunks = ceil(pairs.conditions / CHUNK / devices)
    per_condition = 2 * f * (f + d) + 2 * k * landmarks
    sums = f * (f + d)
    judged = 2 * min(VALIDATION, 0.1 * pairs.conditions) * f * d
    solve: float
    if landmarks:
        solve = PENALTIES["lifted"] * (f**3 / 3 + 2 * f**2 * (k + d) + judged)
    else:
        solve = 9 * f**3 + PENALTIES["linear"] * (2 * f**2 * d + judged)
    moved = 4 * conditions * (2 * (k + d) + 6 * landmarks) + chunks * sums * (4 + 4 + 8 + 8)
    read = 2 * pairs.conditions * (pairs.k + 2 * pairs.targets * pairs.d) / _machines(devices, device)
    return Cost(
        matrix=conditions * per_condition / (device.matrix_share * device.float32),
        memory=moved / (device.memory_share * device.memory),
        moved=moved,
        launches=chunks * 20 * device.launch,
        host=conditions * (1 + 2 * pairs.targets) / (device.host * device.threads),
        disk=read / device.disk,
        read=read,
        link=_all_reduce(8 * sums, devices, device),
        solve=solve / (device.matrix_share * device.float64),
        held=8 * sums * 3 + 4 * CHUNK * (f + k + d),
    )


class Network(NamedTuple):
    """Shapes of the denoiser and of the objective."""

    width: int = 384
    depth: int = 3
    reconstruction_steps: int = 1


POSTER = Network()


def parameters(pairs: Pairs, network: Network = POSTER) -> int:
    """Numbers that are trained: M, the null condition and the denoiser."""
    k, d, (w, depth, _) = pairs.k, pairs.d, network
    embeddings = (d * w + w) + (k * w + w) + 2 * (w * w + w)
    return k * d + k + embeddings + (3 * w * w + 3 * w) + depth * (2 * w * w + 5 * w) + (2 * w + d * w + d)


def flops(pairs: Pairs, network: Network = POSTER) -> int:
    """FLOP of the objective and its gradient for one pair, both terms: matrix products, 2 for a multiply-add.

    A product costs twice its forward again in the backward, once where its input needs no gradient.
    """
    k, d, (w, depth, S) = pairs.k, pairs.d, network
    trunk = d * w + 3 * w * w + depth * 2 * w * w + w * d
    noise = 3 * (trunk + k * w + 2 * w * w) - d * w - w * w
    reconstruction = S * 3 * trunk - d * w + 2 * k * w + 2 * k * d
    return 2 * (noise + reconstruction)


def random_numbers(pairs: Pairs, network: Network = POSTER) -> int:
    """Drawn for each pair: two noises, a time, a condition's drop, and the dropout of every block of every pass."""
    return 2 * pairs.d + 2 + (network.reconstruction_steps + 1) * network.depth * network.width


def numbers_moved(pairs: Pairs, network: Network = POSTER) -> float:
    """Read and written for each pair by the operators of objective and gradient, none fused with another.

    A formula in the shapes with coefficients found by counting; each operator's inputs and outputs count once.
    """
    k, d, (w, depth, S) = pairs.k, pairs.d, network
    return (S + 1) * depth * (89 * w + 4) + S * (35 * w + 51 * d + 4) + 57.5 * w + 90 * d + 18 * k + 64


def operators(network: Network = POSTER) -> int:
    """Launched for a step: a formula in the shapes with coefficients found by counting."""
    return (network.reconstruction_steps + 1) * (36 * network.depth + 88) + 23


def trained(pairs: Pairs, devices: int, batch: int, network: Network = POSTER, device: Device | None = None) -> Cost:
    """One pass of gradient training over the pairs, in batches of `batch` over all devices, bfloat16 products.

    Every process draws the random numbers of the whole batch, so that this part does not shrink with their number. The
    optimiser reads and writes 9 float32 numbers a parameter (weight, gradient, two moments, moving average); products
    read and write each weight about 4.5 times a pass of the network. A set that fits into half of a device is read by
    every process, once, and stays there.
    """
    device = device or Device()
    total = pairs.conditions * pairs.targets
    batch = min(batch, total)
    steps = total / batch
    count = parameters(pairs, network)
    own = batch / devices
    passes = network.reconstruction_steps + 1
    shrinks = 2 * own * numbers_moved(pairs, network)
    stays_whole = 4 * batch * random_numbers(pairs, network) + 4 * 9 * count + 2 * 4.5 * passes * count
    resident = 4 * pairs.conditions * (pairs.k + pairs.targets * pairs.d)
    stays = resident <= device.capacity / 2
    vectors = pairs.conditions * (1 + pairs.targets) if stays else 2 * total / devices
    on_disk = 2 * pairs.conditions * (pairs.k + pairs.targets * pairs.d)
    pages = total * (max(2 * pairs.k, 4096) + max(2 * pairs.d, 4096))  # a row at random lies in a page of its own
    read = on_disk if stays else pages / _machines(devices, device)
    moved = steps * (shrinks + stays_whole)
    return Cost(
        matrix=steps * own * flops(pairs, network) / (device.matrix_share * device.bfloat16),
        memory=moved / (device.memory_share * device.memory),
        moved=moved,
        launches=steps * operators(network) * device.launch,
        host=vectors / (device.host * device.threads),
        disk=read / device.disk,
        read=read,
        link=steps * _all_reduce(4 * count, devices, device),
        solve=0.0,
        held=4 * 6 * count + own * numbers_moved(pairs, network) / 3 * 2 + (resident if stays else 0),
        stays=stays,
    )


def _machines(devices: int, device: Device) -> int:
    return ceil(devices / device.a_machine)


def _all_reduce(size: float, devices: int, device: Device) -> float:
    """Seconds of a ring: every device sends and receives 2 (p - 1) / p times the size, at the slowest link's rate."""
    rate = device.inside if devices <= device.a_machine else device.between
    return 2 * (devices - 1) / devices * size / rate


def table(
    sets: Sequence[Pairs] = SETS,
    devices: Sequence[int] = (1, 64),
    landmarks: int = 4096,
    rows: int = 8192,
    device: Device | None = None,
) -> str:
    """The model as Markdown; `rows` is the network's batch on one device, and an eighth of it on each of many."""
    device = device or Device()
    columns = [
        "pairs",
        "devices",
        "fit",
        *(f"{part} s" for part in PARTS),
        "**seconds**",
        "pairs/s",
        "limit",
        "GB held",
        "GB moved",
        "GB read",
    ]
    lines = [" | ".join(columns), " | ".join("---" if name in ("pairs", "fit", "limit") else "--:" for name in columns)]
    for pairs in sets:
        for p in devices:
            costs = {
                "linear": closed_form(pairs, p, 0, device),
                f"lifted, L = {landmarks:,}": closed_form(pairs, p, landmarks, device),
                "network, one pass": trained(pairs, p, rows if p == 1 else rows // 8 * p, device=device),
            }
            for name, cost in costs.items():
                parts = " | ".join(f"{value:.2g}" for value in cost[: len(PARTS)])
                rate = pairs.conditions * pairs.targets / cost.seconds
                lines.append(
                    f"{pairs.name} | {p} | {name} | {parts} | **{cost.seconds:.2g}** | {rate:.1e} | {cost.limit}"
                    f" | {cost.held / 1e9:.2g} | {cost.moved / 1e9:.2g} | {cost.read / 1e9:.2g}"
                )
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    print(table())
