"""Every setting of the poster's translator."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import get_args

from modtrans_core.checks import refuse_unless, refuse_unless_in
from modtrans_core.poster.diffusion import Prediction
from modtrans_core.train import TrainConfig

WIDEST, DEEPEST, LONGEST = 2**15, 1000, 10**6
"""units of a layer, blocks and noise levels, at most: more would not fit in memory, or take hours to make"""


@dataclass(frozen=True)
class PosterConfig:
    """zhat = c M + gamma F(c), and how it is trained. The defaults are the preset `poster`.

    What the poster states is gamma, lambda_1, lambda_2, Adam's rate and weight decay, guidance, dropout and residual
    connections. What it leaves open is the default of the field.

    Raises
    ------
    ValueError
        A value out of its range; the message names the setting, the value and what is needed.
    """

    gamma: float = 1.0
    """length of the residual, >= 0"""
    width: int = 384
    """units of a hidden layer"""
    depth: int = 3
    """residual blocks"""
    dropout: float = 0.1
    """probability that a hidden unit is dropped in training"""
    timesteps: int = 1000
    """T, noise levels of the forward process"""
    prediction: Prediction = "v"
    """what the network outputs: the velocity, whose error is never amplified; the noise, whose error reaches x_0
    1/sqrt(alpha_bar) times as large, 55 times at the noisiest level; or the clean vector"""
    steps: int = 1
    """DDIM steps, 1 to timesteps. One returns the conditional mean, which has the best cosine; many draw a sample"""
    guidance: float = 2.0
    """classifier-free guidance scale: 0 ignores the condition, 1 is the plain conditional model"""
    lambda_1: float = 1.0
    """weight of the reconstruction term"""
    lambda_2: float = 2.0
    """weight of the noise term"""
    reconstruction_steps: int = 1
    """DDIM steps through which the reconstruction term is back-propagated; M fits what they leave, so that sampling
    with more steps than these translates worse"""
    condition_dropout: float = 0.1
    """probability that a row sees the learned null condition instead of its own (for guidance)"""
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        refuse_unless(0 <= self.gamma < math.inf, "gamma", self.gamma, "a number >= 0")
        refuse_unless(8 <= self.width <= WIDEST, "width", self.width, f"8 to {WIDEST}")
        refuse_unless(1 <= self.depth <= DEEPEST, "depth", self.depth, f"1 to {DEEPEST}")
        refuse_unless(0 <= self.dropout < 1, "dropout", self.dropout, "a probability in [0, 1)")
        refuse_unless(1 <= self.timesteps <= LONGEST, "timesteps", self.timesteps, f"1 to {LONGEST}")
        refuse_unless_in("prediction", self.prediction, get_args(Prediction))
        for name in ("steps", "reconstruction_steps"):
            steps = getattr(self, name)
            refuse_unless(1 <= steps <= self.timesteps, name, steps, f"1 to timesteps = {self.timesteps}")
        refuse_unless(0 <= self.guidance < math.inf, "guidance", self.guidance, "a number >= 0")
        refuse_unless(0 <= self.lambda_1 < math.inf, "lambda_1", self.lambda_1, "a number >= 0")
        refuse_unless(0 <= self.lambda_2 < math.inf, "lambda_2", self.lambda_2, "a number >= 0")
        refuse_unless(self.lambda_1 + self.lambda_2 > 0, "lambda_2", self.lambda_2, "a positive lambda_1 or lambda_2")
        dropped = self.condition_dropout
        refuse_unless(0 <= dropped < 1, "condition_dropout", dropped, "a probability in [0, 1)")
