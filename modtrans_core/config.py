"""Every setting of a translator: frozen dataclasses, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Literal, get_args, get_type_hints

Measure = Literal["eps", "x0", "v"]
ScheduleKind = Literal["linear", "cosine", "constant"]
Goal = Literal["cosine", "retrieval", "balanced"]
NetworkKind = Literal["residual", "skip"]
Normalisation = Literal["row", "batch"]
Guided = Literal["step", "sample"]
NoiseNorm = Literal["l2", "l1"]
Dropping = Literal["row", "batch"]
Decay = Literal["coupled", "decoupled"]


def _require(ok: bool, name: str, value: object, allowed: str) -> None:
    if not ok:
        raise ValueError(f"{name}: {value!r}, {allowed} is needed")


def _require_one_of(settings: object, **kinds: Any) -> None:
    for name, kind in kinds.items():
        _require(getattr(settings, name) in get_args(kind), name, getattr(settings, name), f"one of {get_args(kind)}")


@dataclass(frozen=True)
class LiftConfig:
    """What M is a linear map of: the condition, or the condition lifted with radial basis functions."""

    landmarks: int = 0
    """radial basis functions to choose from, centred on training conditions, for the closed-form map of
    `modtrans_core.calibrate`; 0: M is linear in the condition itself"""
    goal: Goal = "balanced"
    """what the lifted map is chosen by on validation pairs: the cosine, the centered ranking (retrieval), or the best
    ranking among the maps that give up at most .002 of the cosine (balanced)"""

    def __post_init__(self) -> None:
        _require(self.landmarks >= 0, "landmarks", self.landmarks, "at least 0")
        _require(self.goal in get_args(Goal), "goal", self.goal, f"one of {get_args(Goal)}")


@dataclass(frozen=True)
class NetworkConfig:
    """The network eps_theta(x_t, t, c)."""

    width: int = 384
    """units of a hidden layer"""
    depth: int = 3
    """residual blocks; hidden layers where kind is skip"""
    dropout: float = 0.1
    """probability that a hidden unit is dropped in training"""
    kind: NetworkKind = "residual"
    """residual blocks modulated by (t, c), or (skip) plain layers that each see the input again and cost more for it"""

    def __post_init__(self) -> None:
        _require_one_of(self, kind=NetworkKind)
        _require(self.width >= 8, "width", self.width, "at least 8")
        _require(self.depth >= 1, "depth", self.depth, "at least 1")
        _require(0 <= self.dropout < 1, "dropout", self.dropout, "a probability in [0, 1)")


@dataclass(frozen=True)
class DiffusionConfig:
    """The forward process and the error that the network minimises in it."""

    timesteps: int = 1000
    """T, noise levels of the forward process"""
    schedule: ScheduleKind = "linear"
    """noise schedule: beta from 1e-4 to 0.02 (linear), alpha-bar a squared cosine (cosine), beta = 0.008 (constant)"""
    measure: Measure = "eps"
    """what the error is of: the noise, the clean vector, or the velocity"""
    prediction: Measure = "v"
    """what the network outputs: the velocity, whose error is never amplified; the noise, whose error reaches x_0
    1/sqrt(alpha_bar) times as large, 55 times at the noisiest level; or the clean vector"""

    def __post_init__(self) -> None:
        _require(self.timesteps >= 1, "timesteps", self.timesteps, "at least 1")
        _require(self.schedule in get_args(ScheduleKind), "schedule", self.schedule, f"one of {get_args(ScheduleKind)}")
        _require_one_of(self, prediction=Measure, measure=Measure)


@dataclass(frozen=True)
class SamplingConfig:
    """How F(c) is sampled."""

    steps: int = 1
    """DDIM steps, 1 to timesteps. One returns the conditional mean, which has the best cosine; many draw a sample"""
    guidance: float = 2.0
    """classifier-free guidance scale: 0 ignores the condition, 1 is the plain conditional model"""
    guided: Guided = "step"
    """what guidance combines: the predictions of every step, or (sample) two whole samples from independent noises"""
    normalisation: Normalisation = "row"
    """what the sampled vector is divided by: its own norm, or (batch) the norm of the whole batch, which leaves each of
    B rows a length of about 1/sqrt(B) and makes a translation depend on the rows beside it"""

    def __post_init__(self) -> None:
        _require(self.steps >= 1, "steps", self.steps, "at least 1")
        _require(self.guidance >= 0, "guidance", self.guidance, "a number >= 0")
        _require_one_of(self, guided=Guided, normalisation=Normalisation)


@dataclass(frozen=True)
class ObjectiveConfig:
    """lambda_1 E|z - zhat|_1 + lambda_2 E|eps - eps_theta(z_t, t, c)|_2^2, norms summed over coordinates."""

    lambda_1: float = 1.0
    """weight of the reconstruction term"""
    lambda_2: float = 2.0
    """weight of the noise term"""
    reconstruction_steps: int = 1
    """DDIM steps through which the reconstruction term is back-propagated; M fits what they leave, so that sampling
    with more steps than these translates worse"""
    condition_dropout: float = 0.1
    """probability that a row sees the learned null condition instead of its own (for guidance)"""
    reconstruction_guidance: float = 1.0
    """guidance scale in the reconstruction term; other than 1, it goes back through the unconditional sampler too"""
    noise_norm: NoiseNorm = "l2"
    """norm of the noise term: squared l2, as printed, or l1, which fits a conditional median instead of the mean"""
    dropping: Dropping = "row"
    """what is dropped at once: a row, or (batch) every row of a step, which then has no reconstruction term"""

    def __post_init__(self) -> None:
        _require(self.lambda_1 >= 0, "lambda_1", self.lambda_1, "a number >= 0")
        _require(self.lambda_2 >= 0, "lambda_2", self.lambda_2, "a number >= 0")
        _require(self.lambda_1 + self.lambda_2 > 0, "lambda_2", self.lambda_2, "a positive lambda_1 or lambda_2")
        _require(self.reconstruction_steps >= 1, "reconstruction_steps", self.reconstruction_steps, "at least 1")
        _require(
            0 <= self.condition_dropout < 1, "condition_dropout", self.condition_dropout, "a probability in [0, 1)"
        )
        guidance = self.reconstruction_guidance
        _require(guidance >= 0, "reconstruction_guidance", guidance, "a number >= 0")
        _require_one_of(self, noise_norm=NoiseNorm, dropping=Dropping)
        if self.dropping == "batch" and self.condition_dropout > 0:  # a dropped step would have no loss at all
            _require(self.lambda_2 > 0, "lambda_2", self.lambda_2, "a number > 0 where whole batches are dropped")


@dataclass(frozen=True)
class TrainConfig:
    """The optimiser and the length of a run."""

    steps: int = 2000
    """optimiser steps"""
    batch: int = 64
    """pairs a step; all of them where the training set is smaller"""
    learning_rate: float = 1e-4
    """Adam's step size"""
    weight_decay: float = 1e-2
    """Adam's L2 penalty"""
    ema: float = 0.99
    """decay of the moving average of the weights, shorter in the first steps; the average is what translates, and 0
    makes it the last weights themselves"""
    checkpoint_every: int = 200
    """steps between checkpoints of a run that has a folder"""
    decay: Decay = "coupled"
    """how the penalty acts: added to the gradient (coupled), or subtracted from the weights beside it (AdamW)"""

    def __post_init__(self) -> None:
        _require(self.steps >= 0, "steps", self.steps, "at least 0")
        _require(self.batch >= 1, "batch", self.batch, "at least 1")
        _require(self.learning_rate > 0, "learning_rate", self.learning_rate, "a positive number")
        _require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "a number >= 0")
        _require_one_of(self, decay=Decay)
        _require(0 <= self.ema < 1, "ema", self.ema, "a number in [0, 1)")
        _require(self.checkpoint_every >= 1, "checkpoint_every", self.checkpoint_every, "at least 1")


@dataclass(frozen=True)
class Config:
    """A translator zhat = c M + gamma F(c), and how it is trained."""

    gamma: float = 1.0
    """length of the residual; 0 where there are landmarks, whose samples have a gamma of each condition's own"""
    seed: int = 0
    """seed of the weights, the order of the pairs and the training noise, each its own stream"""
    lift: LiftConfig = field(default_factory=LiftConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        _require(0 <= self.gamma < float("inf"), "gamma", self.gamma, "a number >= 0")
        _require(self.seed >= 0, "seed", self.seed, "an integer >= 0")
        if self.lift.landmarks:
            _require(self.gamma == 0, "gamma", self.gamma, "0 where there are landmarks (lift.landmarks)")
            trained, weight = self.train.steps > 0, self.objective.lambda_1
            _require(not trained or weight == 0, "objective.lambda_1", weight, "0 where there are landmarks")
        most = self.diffusion.timesteps
        _require(self.sampling.steps <= most, "sampling.steps", self.sampling.steps, f"at most timesteps = {most}")
        steps = self.objective.reconstruction_steps
        _require(steps <= most, "objective.reconstruction_steps", steps, f"at most timesteps = {most}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Config:
        """The inverse of `to_dict`; an unknown or ill-typed setting is a ValueError that names it."""
        return _from_dict(Config, values, "")


def _from_dict(cls: type, values: Mapping[str, Any], path: str) -> Any:
    known = get_type_hints(cls)
    for name in values:
        _require(name in known, f"{path}{name}", values[name], f"a setting among {', '.join(known)}")
    made: dict[str, Any] = {}
    for item in fields(cls):
        if item.name not in values:
            continue
        kind, value = known[item.name], values[item.name]
        if is_dataclass(kind):
            made[item.name] = _from_dict(kind, value, f"{path}{item.name}.")  # type: ignore[arg-type]
        else:
            expected = (int, float) if kind is float else kind if kind is int else str
            ok = isinstance(value, expected) and not isinstance(value, bool)
            _require(ok, f"{path}{item.name}", value, getattr(kind, "__name__", "text"))
            made[item.name] = value
    return cls(**made)


PRESETS: dict[str, Config] = {
    # The poster's text: gamma 1, lambda 1 and 2, Adam 1e-4 with weight decay 1e-2, guidance, dropout, residual
    # connections, every row of F(c) normalised by itself. What it leaves open is the default of the field.
    "poster": Config(),
    # What the authors' published code does where it differs from their text. Its moving average of the weights is kept
    # and never used, so that the last weights translate: ema = 0. Guidance 1 + w, w = 5. Not taken over, because it is
    # a matter of scoring: there, validation targets are normalised by statistics of the validation targets themselves.
    "released": Config(
        network=NetworkConfig(kind="skip", width=2048, depth=10, dropout=0.0),
        diffusion=DiffusionConfig(schedule="constant", prediction="eps"),
        sampling=SamplingConfig(steps=50, guidance=6.0, guided="sample", normalisation="batch"),
        objective=ObjectiveConfig(
            lambda_1=2.0,
            lambda_2=1.0,
            reconstruction_steps=50,
            reconstruction_guidance=6.0,
            noise_norm="l1",
            dropping="batch",
        ),
        train=TrainConfig(batch=256, decay="decoupled", ema=0.0),
    ),
    # Ours: the conditional mean in closed form, as a map of the lifted condition. Samples add a Gaussian residual, also
    # in closed form; with train.steps > 0 (and a wider network) the denoiser learns the residual instead, which takes
    # more than one DDIM step to sample.
    "calibrated": Config(
        gamma=0.0,
        lift=LiftConfig(landmarks=6144),
        network=NetworkConfig(width=8, depth=1),
        sampling=SamplingConfig(steps=20, guidance=1.0),
        objective=ObjectiveConfig(lambda_1=0.0),
        train=TrainConfig(steps=0),
    ),
}


def preset(name: str) -> Config:
    """The configuration of that name."""
    _require(name in PRESETS, "preset", name, f"one of {', '.join(PRESETS)}")
    return PRESETS[name]
