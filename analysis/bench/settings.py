"""Sizes and lengths of a run of the bench."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

_FROM_ZERO = ("landmarks", "guided_quality", "coco", "seed", "patience", "guidance", "budget", "at_least")


@dataclass(frozen=True)
class Settings:
    """One run of the bench; the defaults are those of the profile `default`.

    Raises
    ------
    ValueError
        A number below its least value, or sizes that do not go together.
    """

    d: int = 512
    """dimension of conditions and targets"""
    intrinsic: int = 64
    """dimensions of the subspace of R^d that conditions fill: an encoder's embeddings do not fill their space evenly"""
    noise: float = 0.7
    """|noise| over |signal| of a target: .7 puts the best mean cosine near .82"""
    train: int = 20_000
    """training pairs"""
    validation: int = 1_000
    """validation pairs"""
    test: int = 1_000
    """test pairs; also the retrieval gallery"""
    batches: tuple[int, ...] = (256, 1_024)
    """pairs of an optimiser step; the last is the one whose share of the matrix rate is required"""
    translated: int = 1_024
    """conditions translated in a call"""
    rounds: int = 3
    """times that each throughput is measured, all contenders in turn"""
    steps: int = 10
    """sampling steps of a diffusion model"""
    timed_steps: int = 2
    """sampling steps that a throughput is timed over, and scaled from"""
    guidance: float = 2.0
    """guidance scale where guidance is on"""
    guided_quality: bool = True
    """score the guided translations too"""
    budget: float = 40.0
    """seconds that a network is trained for before it is scored"""
    at_least: float = 0.3
    """seconds that a throughput is measured over, at least"""
    patience: float = 20.0
    """a measurement that took longer, in seconds, is not repeated in later rounds"""
    landmarks: tuple[int, ...] = (0, 512, 2_048, 4_096)
    """sizes of our closed-form translator; 0 is the ridge map c M"""
    linear_pairs: int = 100_000
    """pairs of the linear fit"""
    streamed: tuple[int, int] = (131_072, 524_288)
    """numbers of pairs at which the memory of a streamed fit is measured"""
    coco: int = 0
    """items with five captions of the training at COCO's size (82,783); 0: left out"""
    seed: int = 0
    """of data, weights and noise"""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            least = 0 if item.name in _FROM_ZERO else 1e-6 if item.name == "noise" else 1
            for number in value if isinstance(value, tuple) else (value,):
                if not least <= number < float("inf"):
                    raise ValueError(f"{item.name}: {number}, allowed is a number of at least {least}")
        for smaller, larger in (("intrinsic", "d"), ("timed_steps", "steps")):
            number, most = getattr(self, smaller), getattr(self, larger)
            if number > most:
                raise ValueError(f"{smaller}: {number}, allowed is at most {larger} = {most}")
        if max(self.batches) > self.train:
            raise ValueError(f"batches: {max(self.batches)}, allowed is at most the {self.train} training pairs")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


PROFILES: dict[str, Settings] = {
    "check": Settings(
        d=64, intrinsic=16, train=800, validation=100, test=50, batches=(16, 32), translated=32, rounds=2,
        timed_steps=1, guided_quality=False, budget=0.3, at_least=0.01, patience=1.0, landmarks=(0, 64),
        linear_pairs=5_000, streamed=(8_192, 32_768),
    ),
    "smoke": Settings(
        d=256, train=4_000, validation=300, test=100, batches=(32, 128), translated=128, rounds=2, timed_steps=1,
        guided_quality=False, budget=2.0, at_least=0.05, patience=2.0, landmarks=(0, 256), linear_pairs=20_000,
        streamed=(16_384, 65_536),
    ),
    "default": Settings(),
    "full": Settings(
        train=100_000, validation=2_000, test=2_000, rounds=7, timed_steps=10, budget=1_800.0, at_least=1.0,
        patience=600.0, streamed=(1_048_576, 10_485_760),
    ),
}  # fmt: skip

COCO = 82_783
"""pictures of COCO 2014's training part"""


def profile(name: str, gpu: bool = False) -> Settings:
    """The settings of that profile; on a GPU, but for the small ones, with the training at COCO's size."""
    if name not in PROFILES:
        raise ValueError(f"profile: {name!r}, one of {', '.join(PROFILES)} is needed")
    return replace(PROFILES[name], coco=COCO if gpu and name not in ("check", "smoke") else 0)
