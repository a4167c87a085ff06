"""The calibrated translator: the conditional mean m(c) = E[z|c] in closed form, and a ranking of its own.

    m(c) = expected_length(base(c)),    base(c) = [c, phi_1(c), ..., phi_B(c), 1] M

Where there are very many pairs, a small network may have learned what the base leaves; see
`modtrans_core.calibrated.network`.

For a unit target z, E cos(z, m) = |m| and E|z - m|^2 = 1 - |m|^2. So draws from p(z|c) are m + sqrt(1 - |m|^2) f with a
unit vector f. The vector of the best cosine is not the one that ranks best: what is ranked by is the direction of
[c, phi_1(c), ..., phi_B(c), 1] N, against the targets less their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual
from torch.nn.functional import normalize

from modtrans_core.calibrated.network import WIDTH, Network
from modtrans_core.calibrated.regression import NARROW, RADIAL, radial
from modtrans_core.checks import of_python, refuse_unless
from modtrans_core.noise import keys, normal
from modtrans_core.protocol import (
    Facts,
    Stored,
    Vectors,
    as_asked,
    conditions,
    exactly,
    floating,
    in_pieces,
    like,
    restored,
    targets,
    whole_samples,
)
from modtrans_core.ranking import KINDS, Correction
from modtrans_core.search import rank

GOALS = ("cosine", "balanced", "retrieval")
TOGETHER = 25
"""queries, at least, that correct each other's ranking: of one alone what is near to it would be lowered for that"""
LEAST_COSINE = 1e-3
"""least cosine that a translation expects, so that it always has a direction"""


@dataclass(frozen=True)
class CalibratedConfig:
    """How the map is fitted. The defaults are the preset `calibrated`.

    Raises
    ------
    ValueError
        A value out of its range; the message names the setting, the value and what is needed.
    """

    landmarks: int = 4096
    """radial basis functions of each bandwidth at most, centred on training conditions; 0: the map is linear in the
    condition"""
    goal: str | float = "balanced"
    """what a translation is good for; `rank` ranks best with any. cosine: the highest cosine. retrieval: it is the
    direction that `rank` ranks by, for those who have nothing but the translation. balanced: as far towards retrieval
    as .002 of the cosine allow. A number from 0 (cosine) to 1 (retrieval) lies between them"""
    network: bool = True
    """from 65,536 conditions on: let a small network learn what is left, and keep it where it gains .002 of the cosine
    of conditions that neither has seen"""
    seed: int = 0
    """of the choice of landmarks, of what is left out to weigh them, and of its folds"""

    def __post_init__(self) -> None:
        refuse_unless(self.landmarks >= 0, "landmarks", self.landmarks, "at least 0")
        known = self.goal in GOALS if isinstance(self.goal, str) else 0 <= self.goal <= 1
        refuse_unless(known, "goal", self.goal, f"{', '.join(GOALS)} or a number from 0 to 1")
        refuse_unless(self.seed >= 0, "seed", self.seed, "an integer >= 0")


@dataclass(frozen=True, repr=False, eq=False)
class CalibratedTranslator(Stored):
    """Tensors and, of very many pairs, a small network; no noise schedule, no optimiser.

    Examples
    --------
    >>> import numpy as np, modtrans_core as mt
    >>> rng = np.random.default_rng(0)
    >>> pairs = mt.PairedEmbeddings({"image": rng.normal(size=(90, 4)), "text": rng.normal(size=(90, 3)) + 1})
    >>> translator = mt.fit(pairs)
    >>> translator
    CalibratedTranslator(image 4 -> text 3, balanced)
    >>> translator.translate(np.eye(4)).shape, translator.draw(np.eye(4), samples=5).shape
    ((4, 3), (4, 5, 3))
    >>> nearest, scores = translator.rank(np.eye(4), pairs.modality("text"), k=2)
    >>> nearest.shape, scores.shape
    ((4, 2), (4, 2))
    """

    facts: Facts
    config: CalibratedConfig
    mean: Tensor
    """(d,) float64, of the unit training targets"""
    M: Tensor
    """(k + B L + 1, d), of translations"""
    N: Tensor
    """(k + B L + 1, d), of rankings"""
    landmarks: Tensor
    """(L, k); L = 0 where the map is linear in the condition"""
    bandwidths: Tensor
    """h of each phi_b, (B,)"""
    expected: Tensor
    """(q0, q1, q2, low, high) of `expected_length`"""
    root: Tensor
    """R (d, d) of the residual's direction, see `modtrans_core.calibrated.residual`"""
    bank: Tensor
    """(Q, d), directions that rankings look in at training conditions that were left out"""
    corrections: Tensor
    """(2, 2): kind and parameter of the `modtrans_core.ranking.Correction` of queries by themselves and together"""
    network: Network | None = None
    """what improves the base, where it gained enough"""

    method = "calibrated"

    def __repr__(self) -> str:
        with_network = "" if self.network is None else ", with a network"
        return f"{type(self).__name__}({self.facts}, {self.config.goal}{with_network})"

    @cached_property
    def widths(self) -> list[float]:
        """`bandwidths` as numbers, read back from the device once."""
        found: list[float] = self.bandwidths.tolist()
        return found

    @property
    def device(self) -> torch.device:
        """Where it works."""
        return self.M.device

    def features(self, c: Tensor) -> Tensor:
        """[c, phi_1(c), ..., phi_B(c), 1], (n, k + B L + 1), of the unit conditions c (n, k)."""
        return features(c, self.landmarks, self.widths)

    def base(self, c: Tensor) -> Tensor:
        """What the closed form says, (n, d), of the unit conditions c (n, k)."""
        return self.features(c) @ self.M

    def zhat(self, c: Tensor) -> Tensor:
        """m(c), (n, d), of the unit conditions c (n, k)."""
        said = self.base(c)
        return expected_length(said if self.network is None else self.network(c, said), self.expected)

    def sample(self, c: Tensor, start: Tensor) -> Tensor:
        """Draws (n, samples, d) at the unit conditions c (n, k), from normal numbers (n, samples, d)."""
        m, f = self.zhat(c), normalize(start @ self.root, dim=-1)
        gamma = (1 - m.square().sum(1)).clamp_min(0).sqrt()  # E|z - m|^2 = 1 - |m|^2 for unit z with mean m
        return m[:, None] + gamma[:, None, None] * f

    @as_asked
    def translate(self, c: Vectors) -> Vectors:
        """m(c), (n, d), of the conditions c (n, k), numpy or torch; their length does not matter."""
        return like(in_pieces(self.zhat, conditions(c, self.facts, self.device)), c)

    @as_asked
    def expected_cosine(self, c: Vectors) -> Vectors:
        """The cosine (n,), 0 to 1, that each translation is expected to have with its target: |m|.

        How far that comes true on held-out pairs shows `analysis.theory.reliability.reliability`.
        """
        rows = conditions(c, self.facts, self.device)
        return like(in_pieces(lambda part: self.zhat(part).norm(dim=1).clamp_max(1), rows), c)

    def accept(self, c: Vectors, threshold: float) -> Vectors:
        """Which translations (n,) are expected to have at least this cosine with their targets, True or False.

        `analysis.theory.selective.select`, or `modtrans certify --select`, finds a threshold above which few fall short
        of a cosine, with a guarantee.

        Raises
        ------
        ValueError
            A threshold that is no cosine, conditions of another shape.
        """
        threshold = of_python(threshold)
        refuse_unless(np.ndim(threshold) == 0 and -1 <= threshold <= 1, "threshold", threshold, "a cosine from -1 to 1")
        expected = self.expected_cosine(c)  # float32, which would round the threshold
        return (expected.double() if isinstance(expected, Tensor) else expected.astype(np.float64)) >= threshold

    @as_asked
    def draw(self, c: Vectors, samples: int, *, seed: int = 0) -> Vectors:
        """Draws (n, samples, d) from p(z|c): m + sqrt(1 - |m|^2) f, f of the residuals' Gaussian, normalised.

        The draws of a row do not depend on the rows beside it, nor the first of them on how many there are.

        Parameters
        ----------
        c : conditions (n, k), numpy or torch.
        samples : draws of each, at least 1.
        seed : another one gives other draws.
        """
        samples = whole_samples(samples, len(c), self.facts.d)

        def drawn(part: Tensor) -> Tensor:
            return self.sample(part, normal(keys(part), (samples, self.facts.d), seed))

        return like(in_pieces(drawn, conditions(c, self.facts, self.device), samples=samples), c)

    def rank(
        self, queries: Vectors, gallery: Vectors, k: int = 10, *, together: bool = False
    ) -> tuple[Vectors, Vectors]:
        """The k vectors of the gallery that belong to each query most likely.

        Parameters
        ----------
        queries : conditions (n, k), numpy or torch.
        gallery : vectors (g, d) of the target modality.
        k : 1 to g.
        together : the queries are independent of each other, and of how the gallery was chosen, and may correct each
            other's ranking: a gallery vector that is near to many of them is lowered for all. Ranked like this, a query
            has another result beside other queries. Of fewer than `TOGETHER` each is ranked by itself.

        Returns
        -------
        Their numbers and their scores, best first, (n, k) each.

        Raises
        ------
        ValueError
            k out of range, vectors of another dimension, zero or not finite.
        """
        return rank(self, queries, gallery, k, together=together)

    @as_asked
    def search_vectors(self, c: Vectors) -> Vectors:
        """[q, 1], (n, d + 1), of the conditions c (n, k): the inner product with `gallery_vectors` is `rank`'s score.

        q is the direction that the translator ranks by. In an index of inner products (faiss's `IndexFlatIP`, hnswlib's
        space `ip`) that holds `gallery_vectors`, they find what `rank` finds.
        """
        return like(_with(in_pieces(self._directions, conditions(c, self.facts, self.device)), 1.0), c)

    @as_asked
    def gallery_vectors(self, z: Vectors, together: Vectors | None = None) -> Vectors:
        """[g, -hubness(g)], (n, d + 1), of the targets z (n, d), g the direction of z/|z| - mean; see `search_vectors`.

        The hubness is measured with training conditions, so that a vector does not depend on those beside it; or with
        the search vectors (q, d + 1) of queries that are used `together`, if these are `TOGETHER` or more.
        """
        bank, which = self.bank, 0
        if together is not None and len(together) >= TOGETHER:
            bank, which = torch.as_tensor(together, device=self.device)[:, :-1], 1
        kind, parameter = self.corrections[which].tolist()
        g = normalize(targets(z, self.facts, self.device) - self.mean.float(), dim=1)
        return like(_with(g, -Correction(int(kind), parameter).hubness(bank, g)), z)

    def _directions(self, c: Tensor) -> Tensor:
        return normalize(self.features(c) @ self.N, dim=1)

    def tensors(self) -> dict[str, Tensor]:
        """What is saved."""
        found = {name: getattr(self, name) for name in TENSORS}
        learned = {} if self.network is None else self.network.state_dict()
        return found | {f"{NETWORK}{name}": value for name, value in learned.items()}


NETWORK = "network."
"""what the names of the network's tensors begin with"""
TENSORS = ("mean", "M", "N", "landmarks", "bandwidths", "expected", "root", "bank", "corrections")
"""what is saved of a translator, by name"""


def features(c: Tensor, landmarks: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """[c, phi_1(c), ..., phi_B(c), 1], (n, k + B L + 1), of the unit conditions c (n, k)."""
    L = len(landmarks)
    found = c.new_ones(c.shape[0], c.shape[1] + len(bandwidths) * L + 1)
    found[:, : c.shape[1]] = c
    if L:
        log = c @ landmarks.T - 1  # -|c - l|^2 / 2 for unit vectors
        differentiated = log.requires_grad or unpack_dual(log).tangent is not None
        for b, h in enumerate(bandwidths):
            first = c.shape[1] + b * L
            if h > NARROW and not differentiated:
                torch.exp(log / h, out=found[:, first : first + L])
            else:
                found[:, first : first + L] = radial(c, landmarks, h)
    return found


def expected_length(zhat: Tensor, expected: Tensor) -> Tensor:
    """Rescale every row to the cosine that it is expected to have with its target.

    That length is the best: for a unit vector u, the multiple a u nearest to z in mean square has a = E<z, u>. It is
    q0 + q1 s + q2 s^2 of the row's old length s, kept to [low, high], for `expected` = (q0, q1, q2, low, high).
    """
    s = zhat.norm(dim=1, keepdim=True)
    at = s.clamp(expected[3], expected[4])
    length = (expected[0] + expected[1] * at + expected[2] * at.square()).clamp(LEAST_COSINE, 1.0)
    return zhat / s.clamp_min(torch.finfo(zhat.dtype).tiny) * length


def _with(rows: Tensor, last: Tensor | float) -> Tensor:
    """The rows (n, d) with one more coordinate."""
    column = rows.new_full((len(rows),), last) if isinstance(last, float) else last
    return torch.cat([rows, column[:, None]], dim=1)


def restore(
    facts: Facts, config: CalibratedConfig, tensors: Mapping[str, Tensor], device: torch.device
) -> CalibratedTranslator:
    """The translator of these tensors; a missing or misshapen one is a ValueError."""
    exactly({name: value for name, value in tensors.items() if not name.startswith(NETWORK)}, TENSORS)
    learned = {name.removeprefix(NETWORK): value for name, value in tensors.items() if name.startswith(NETWORK)}
    network = restored(Network(facts.k, facts.d, WIDTH), learned, device) if learned else None
    kinds = {"mean": torch.float64}
    own = {name: floating(name, tensors[name], kinds.get(name, torch.float32)).to(device) for name in TENSORS}
    made = CalibratedTranslator(facts, config, **own, network=network)
    k, d, L, Q = facts.k, facts.d, tensors["landmarks"].numel() // facts.k, tensors["bank"].numel() // facts.d
    B = len(RADIAL) if L else 0
    p = k + B * L + 1
    shapes: dict[str, tuple[int, ...]] = {"mean": (d,), "landmarks": (L, k), "M": (p, d), "N": (p, d)}
    shapes |= {"bandwidths": (B,), "expected": (5,), "root": (d, d), "bank": (Q, d), "corrections": (2, 2)}
    for name, shape in shapes.items():
        found = tuple(getattr(made, name).shape)
        refuse_unless(found == shape, name, found, f"shape {shape}")
    most = config.landmarks
    refuse_unless(most >= L, "landmarks", L, f"at most {most}, as the settings say,")
    for kind, parameter in made.corrections.tolist():
        known = kind in range(len(KINDS)) and (kind == 0 or parameter > 0)
        refuse_unless(known, "corrections", [kind, parameter], "a kind that there is and a positive parameter")
    refuse_unless(Q > 0, "bank", (Q, d), "at least one direction")
    return made
