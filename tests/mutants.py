"""Gross errors, planted one at a time into a copy of the project, that tests and notebooks have to notice.

    python tests/mutants.py                 # all of them, with a table of what noticed and what did not
    python tests/mutants.py gamma 05        # those whose name, file or checks contain one of the words

A mutant is one text in one file in place of another. A check is a file of tests, or the stem of a notebook, which is
run as it stands with a scratch folder for its results. Every check of a mutant has to fail, after it has passed on the
code as it is. The exit status is 1 where a survivor has no explanation, or less than `KILLED` of all checks noticed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
COPIED = ("modtrans_core", "analysis", "notebooks", "tests", "pyproject.toml")
KILLED = 0.9  # share of the checks that have to notice
PATIENCE = 600  # seconds after which a check that does not end has noticed

THEORY, OF_THEORY = "analysis/theory", "tests/analysis/theory"


class Mutant(NamedTuple):
    """One error: in `file` stands `new` in place of `old`, which is there once."""

    name: str
    file: str
    old: str
    new: str
    checks: tuple[str, ...]
    """files of tests, below the root, and stems of notebooks"""
    survives: str = ""
    """why no check can notice; empty: each has to"""


# fmt: off
MUTANTS = [
    Mutant("train: a recorded step sees the first batch again", "modtrans_core/recorded.py",
        "        for held, given in zip(self.batch, (c, z), strict=True):\n            held.copy_(given)\n", "",
        ("tests/core/test_recorded.py",)),
    Mutant("hub: the card scores what was trained on too", "modtrans_core/hub.py",
        "held = translator.facts.unseen(test)", "held = test", ("tests/core/test_hub.py",)),
    Mutant("onnx: a graph is kept whatever it says", "modtrans_core/layouts/onnx.py", "apart <= limit",
        "apart >= 0", ("tests/core/layouts/test_onnx.py",)),
    Mutant("onnx: the residual is left out of the graph", "modtrans_core/poster/model.py",
        "return c @ self.M + self.config.gamma * direction\n", "return c @ self.M + 0 * direction\n",
        ("tests/core/layouts/test_onnx.py",)),
    Mutant("pack: columns of dimensions are sorted by name", "modtrans_core/layouts/arrays.py",
        "or [one for one in there if fnmatchcase(one, column)]",
        "or sorted(one for one in there if fnmatchcase(one, column))", ("tests/core/layouts/test_arrays.py",)),
    Mutant("estimator: groups are forgotten", "analysis/translators/estimator.py",
        'PairedEmbeddings({"X": c, "y": z}, group=group)', 'PairedEmbeddings({"X": c, "y": z})',
        ("tests/analysis/translators/test_estimator.py",)),
    Mutant("tasks: the mean is left in centered queries", "analysis/tasks/retrieval.py",
        "own = unit(own) if scaled or mean is None else own",
        "own = unit(own + (0 if scaled or mean is None else mean))",
        ("tests/analysis/tasks/test_retrieval.py", "tests/analysis/tasks/test_classification.py")),
    Mutant("tasks: dual looks at a bank of one", "analysis/tasks/retrieval.py", "others = q if bank is None",
        "others = q[:1] if bank is None", ("tests/analysis/tasks/test_retrieval.py",)),
    Mutant("scores: average precision counts ranks from 0", "modtrans_core/scores.py",
        "/ (len(every) - np.searchsorted(every, level))", "/ (len(every) - np.searchsorted(every, level) - 1).clip(1)",
        ("tests/core/test_scores.py",)),
    Mutant("tasks: class recall is accuracy", "analysis/tasks/classification.py",
        "float((found[sizes > 0] / sizes[sizes > 0]).mean())", "float(found.sum() / sizes.sum())",
        ("tests/analysis/tasks/test_classification.py",)),
    Mutant("pairs: labels stay behind when items are taken", "modtrans_core/pairs.py",
        "{name: values[items] for name", '{name: values[: len(items)] if name == "label" else values[items] for name',
        ("tests/core/test_pairs.py",)),
    Mutant("LAFITE: half of the condition is left", "analysis/translators/perturbed.py", "own: float = 0.25",
        "own: float = 0.75",
        ("tests/analysis/translators/test_perturbed.py", "tests/analysis/experiments/test_poster_tables.py")),
    Mutant("CapDec: the noise of a whole vector has variance v", "analysis/translators/perturbed.py",
        "noise=0.016**0.5", "noise=(0.016 / 512) ** 0.5", ("tests/analysis/translators/test_perturbed.py",)),
    Mutant("language-free: both sides of the same items are read", "analysis/translators/language_free.py",
        "np.flatnonzero(side == 0), np.flatnonzero(side == 1)", "np.flatnonzero(side == 0), np.flatnonzero(side == 0)",
        ("tests/analysis/translators/test_language_free.py",)),
    Mutant("language-free: the posterior of twice the variance", "analysis/translators/language_free.py",
        "spectrum / (spectrum + t)", "spectrum / (spectrum + 2 * t)",
        ("tests/analysis/translators/test_language_free.py",)),
    Mutant("C3: the mean is left in", "analysis/translators/c3.py", "normalize(rows.double() - mean, dim=1)",
        "normalize(rows.double() - 0 * mean, dim=1)", ("tests/analysis/translators/test_c3.py",)),
    Mutant("LAFITE trained: the contrast has no right answer", "analysis/translators/learned_noise.py",
        "right = torch.arange(len(c), device=c.device)", "right = torch.arange(len(c), device=c.device).flip(0)",
        ("tests/analysis/translators/test_learned_noise.py",)),
    Mutant("tables: a mechanism is claimed that does not hold", "analysis/experiments/poster_tables.py",
        "ours is not None and holds", "ours is not None", ("tests/analysis/experiments/test_poster_tables.py",)),
    Mutant("questions: what all answers share counts too", "analysis/tasks/questions.py", "vectors[first] - mean[own])",
        "vectors[first])", ("tests/analysis/tasks/test_questions.py",)),
    Mutant("modalities: shuffled pairs are the pairs", "analysis/experiments/modalities.py",
        "order, target, pairs = rng.permutation(len(pairing.pairs)), pairing.target, pairing.pairs",
        "order, target, pairs = np.arange(len(pairing.pairs)), pairing.target, pairing.pairs",
        ("tests/analysis/experiments/test_modalities.py",)),
    Mutant("packages: the padding of an ar archive is not skipped", "modtrans_core/embed/sources/tars.py",
        "file.seek(int(size) + int(size) % 2, os.SEEK_CUR)", "file.seek(int(size), os.SEEK_CUR)",
        ("tests/core/embed/sources/test_packages.py",)),
    Mutant("stamps: groups are as deep as folders go", "modtrans_core/embed/sources/tuxpaint.py",
        "parent.parts[:_FOLDERS]", "parent.parts", ("tests/core/embed/sources/test_packages.py",)),
    Mutant("search: the mean is left in the queries", "modtrans_core/search.py",
        "away_from(translator.mean.cpu().numpy(), rows)", "away_from(0 * translator.mean.cpu().numpy(), rows)",
        ("tests/core/test_search.py", "tests/core/cli/test_rank.py")),
    Mutant("search: queries together do not correct each other", "modtrans_core/search.py",
        "return translator.gallery_vectors(z, together)", "return translator.gallery_vectors(z)",
        ("tests/core/test_search.py",)),
    Mutant("captions: values stand before keys", "analysis/tasks/captions/mappers.py",
        "*self.to_keys_values(x).chunk(2, dim=-1)]", "*self.to_keys_values(x).chunk(2, dim=-1)[::-1]]",
        ("tests/analysis/tasks/captions/test_checkpoint.py",)),
    Mutant("captions: an MLP is given unit embeddings", "analysis/tasks/captions/checkpoint.py",
        "is_transformer if unit is None else unit", "True if unit is None else unit",
        ("tests/analysis/tasks/captions/test_checkpoint.py", "tests/analysis/tasks/captions/test_write.py")),
    Mutant("captions: what has ended grows longer", "analysis/tasks/captions/decoding.py", "lengths = lengths + ~ended",
        "lengths = lengths + 1", ("tests/analysis/tasks/captions/test_decoding.py",)),
    Mutant("captions: candidates are ranked by the sum", "analysis/tasks/captions/decoding.py",
        "(totals / lengths[:, None]).flatten()", "totals.flatten()",
        ("tests/analysis/tasks/captions/test_decoding.py",)),
    Mutant("captions: a prefix is trained to say the token that it has read", "analysis/tasks/captions/prefix.py",
        ".logits[:, k - 1 : -1]", ".logits[:, k:]", ("tests/analysis/tasks/captions/test_prefix.py",)),
    Mutant("captions: centered is plain", "analysis/experiments/captions.py",
        "_nearest(away_from(trial.mean, zhat), centred)", "_nearest(unit(zhat), unit(gallery))",
        ("tests/analysis/experiments/test_captions.py",)),
    Mutant("generation: embeddings keep length 1", "analysis/tasks/generation.py", "raw = (part * length)",
        "raw = part", ("tests/analysis/tasks/test_generation.py",)),
    Mutant("generation: one generator for all pictures of a batch", "analysis/tasks/generation.py",
        "generator=own, output_type", "generator=own[0], output_type", ("tests/analysis/tasks/test_generation.py",)),
    Mutant("search: items of a later piece are numbered from 0", "modtrans_core/search.py", "nearer + first", "nearer",
        ("tests/core/test_search.py",)),
    Mutant("ranking: an item scores by its worst vector", "modtrans_core/ranking.py", 'score, "amax")',
        'score, "amin", include_self=False)', ("tests/core/test_search.py", "tests/core/cli/test_rank.py")),
    Mutant("sphere: the law of one dimension more", f"{THEORY}/sphere.py", "self._nu = (self.n - 1.0) / 2.0",
        "self._nu = self.n / 2.0", (f"{OF_THEORY}/test_sphere.py", "01_alignment_law")),
    Mutant("sphere: both tails are one", f"{THEORY}/sphere.py",
        "return np.where(np.less(x, 0.0), -np.expm1(log_far), np.exp(log_far))[()]", "return np.exp(log_far)[()]",
        (f"{OF_THEORY}/test_sphere.py", "01_alignment_law")),
    Mutant("sphere: a variance of 1 / (n + 2)", f"{THEORY}/sphere.py", "((2 * j + 1) / (self.n + 2 * j))",
        "((2 * j + 1) / (self.n + 2 * j + 2))", (f"{OF_THEORY}/test_sphere.py",)),
    Mutant("simulation: the same directions again and again", "analysis/experiments/simulation.py",
        "vectors = (rng.standard_normal((len(block), n)) for block in blocks)",
        "vectors = (np.repeat(rng.standard_normal((1, n)), len(block), 0) for block in blocks)",
        ("tests/analysis/experiments/test_simulation.py", "01_alignment_law")),
    Mutant("simulation: tests that never reject", "analysis/experiments/simulation.py",
        "probability = np.clip(np.asarray(probabilities, dtype=float), 0.0, 1.0)", "probability = count / draws",
        ("tests/analysis/experiments/test_simulation.py", "01_alignment_law", "03_cosine_bound")),
    Mutant("betting: stakes that no size makes bolder", f"{THEORY}/betting.py", "centre = CENTRE * scale * np.sqrt(",
        "centre = CENTRE * np.sqrt(", (f"{OF_THEORY}/test_betting.py",)),
    Mutant("betting: the mean size in place of the root mean square", f"{THEORY}/betting.py",
        "float(np.sqrt(np.mean(other**2)))", "float(np.mean(other))", (f"{OF_THEORY}/test_betting.py",)),
    Mutant("certify: the sizes of groups that are held out", "analysis/translators/certify.py",
        "other = ~np.isin(labels, pairs.groups)", "other = labels == labels",
        ("tests/analysis/translators/test_certify.py",)),
    Mutant("selective: sizes that are forgotten", f"{THEORY}/selective.py",
        "scale = boldness(largest, self.pairs.sizes)", "scale = 1.0", (f"{OF_THEORY}/test_selective.py",)),
    Mutant("bound: the complement's dimension is that of the sphere", f"{THEORY}/bound.py", '"complement": -1}',
        '"complement": 0}', (f"{OF_THEORY}/test_bound.py", "03_cosine_bound")),
    Mutant("bound: beta without the length of the translation", f"{THEORY}/bound.py", "growth = gamma / (length + s)",
        "growth = gamma / (2.0 * s)", (f"{OF_THEORY}/test_bound.py", "03_cosine_bound")),
    Mutant("bound: a quadrature error of 0", f"{THEORY}/quadrature.py",
        "return integral, np.abs(integral - values @ half)", "return integral, np.zeros_like(integral)",
        (f"{OF_THEORY}/test_bound.py",)),
    Mutant("bound: the general integral forgets the length of zhat", f"{THEORY}/bound.py",
        "length = np.sqrt((s - gamma) ** 2 + 2.0 * gamma * s * from_pole)",
        "length = np.hypot(s, gamma) + 0.0 * from_pole", (f"{OF_THEORY}/test_bound.py", "03_cosine_bound")),
    Mutant("bound: the overstatement at the positive root", f"{THEORY}/bound.py", "worst = -np.sqrt(-np.expm1(",
        "worst = np.sqrt(-np.expm1(", (f"{OF_THEORY}/test_bound.py", "03_cosine_bound")),
    Mutant("limit law: a direction has no component along the projection", f"{THEORY}/limit_law.py",
        "return np.hypot(1.0, np.where(", "return np.hypot(1.0, 0.0 * np.where(",
        (f"{OF_THEORY}/test_limit_law.py", f"{OF_THEORY}/test_identities.py", "03_cosine_bound")),
    Mutant("limit law: one of two terms", f"{THEORY}/limit_law.py", "np.hypot(b * b + gamma * gamma, a * b)",
        "(b * b + gamma * gamma)",
        (f"{OF_THEORY}/test_limit_law.py", f"{OF_THEORY}/test_identities.py", "00_theorems")),
    Mutant("Poisson binomial: tilted, and not tilted back", f"{THEORY}/poisson_binomial.py",
        "np.exp(theta * np.arange(k, -1, -1))", "np.ones(k + 1)", (f"{OF_THEORY}/test_poisson_binomial.py",)),
    Mutant("check of the bound: a row at alpha does not reach it", f"{THEORY}/strategies.py",
        "pairs.cosine >= alpha, ~", "pairs.cosine > alpha, ~", ("tests/property/test_strategies.py",)),
    Mutant("check of the bound: every row has the mean bound", f"{THEORY}/strategies.py",
        "fewer_than_expected(int(reached.sum()), bounds)",
        "fewer_than_expected(int(reached.sum()), np.full(len(bounds), bounds.mean()))",
        ("tests/property/test_strategies.py",)),
    Mutant("decomposition: the residual is not what is left", f"{THEORY}/decomposition.py",
        "residual = target - projection\n", "residual = target - 0.99 * projection\n",
        (f"{OF_THEORY}/test_decomposition.py", "02_projection_residual")),
    Mutant("decomposition: ridge without its penalty", f"{THEORY}/decomposition.py",
        'return np.square(self.singular) + number("ridge", ridge, low=0.0)', "return np.square(self.singular)",
        (f"{OF_THEORY}/test_decomposition.py", "02_projection_residual")),
    Mutant("decomposition: a left-out sample is not left out", f"{THEORY}/decomposition.py",
        "residual = self.residual * scale[:, None]", "residual = self.residual * 1.0",
        (f"{OF_THEORY}/test_decomposition.py", "02_projection_residual")),
    Mutant("decomposition: the gap to another projection", f"{THEORY}/decomposition.py",
        '"projection_gap": _relative(projection - squares,', '"projection_gap": _relative(projection,',
        (f"{OF_THEORY}/test_decomposition.py", "02_projection_residual")),
    Mutant("decomposition: an effective dimension that is the rank", f"{THEORY}/decomposition.py",
        "return float(total**2 / np.square(self.spectrum).sum()) if total > 0 else 0.0",
        "return float((self.spectrum > 0).sum()) if total > 0 else 0.0",
        (f"{OF_THEORY}/test_decomposition.py", "02_projection_residual")),
    Mutant("limits: the skill's interval without the share of items with several targets", f"{THEORY}/limits.py",
        " / several.mean()", "", (f"{OF_THEORY}/test_limits.py",)),
    Mutant("limits: the population floor weighs captions, not items", f"{THEORY}/limits.py", "total / counts[:, None]",
        "total", (f"{OF_THEORY}/test_limits.py",)),
    Mutant("limits: a ceiling of any targets", f"{THEORY}/limits.py",
        "ceiling_interval(targets, counts, group, confidence) if independent else None",
        "ceiling_interval(targets, counts, group, confidence)", (f"{OF_THEORY}/test_limits.py",)),
    Mutant("least absolute deviations: the gap is 0", f"{THEORY}/least_absolute.py",
        "return LeastAbsolute(linear_map, subgradient, max(float(gap), 0.0))",
        "return LeastAbsolute(linear_map, subgradient, 0.0)", (f"{OF_THEORY}/test_least_absolute.py",)),
    Mutant("least absolute deviations: the dual is what the solver gives", f"{THEORY}/least_absolute.py",
        "dual = result.x - space.project(result.x)", "dual = result.x", (f"{OF_THEORY}/test_least_absolute.py",)),
    Mutant("least absolute deviations: the map is that of least squares", f"{THEORY}/least_absolute.py",
        "linear_map = np.stack([solution for solution, _ in columns], axis=1)",
        "linear_map = np.linalg.lstsq(condition, target)[0]",
        (f"{OF_THEORY}/test_least_absolute.py", "02_projection_residual")),
    Mutant("gamma: the break-even doubled", f"{THEORY}/gamma.py", "needed = (s / rho) * (gamma /",
        "needed = 2.0 * (s / rho) * (gamma /", (f"{OF_THEORY}/test_gamma.py", "06_gamma")),
    Mutant("gamma: the largest gamma that helps halved", f"{THEORY}/gamma.py", "crossing = 2.0 * along /",
        "crossing = along /", (f"{OF_THEORY}/test_gamma.py", "06_gamma")),
    Mutant("gamma: the peak without the residual's length", f"{THEORY}/gamma.py", "return rho * in_range(",
        "return 1.0 * in_range(", (f"{OF_THEORY}/test_gamma.py", "06_gamma")),
    Mutant("gamma: a certified gamma that may harm", f"{THEORY}/gamma.py",
        "return self.gamma if self.lower_limit >= 0.0 else 0.0",
        "return self.gamma if self.lower_limit >= -0.02 else 0.0", (f"{OF_THEORY}/test_gamma.py",)),
    Mutant("confidence: missing labels are one group", f"{THEORY}/confidence.py", "(found != found).any()", "False",
        (f"{OF_THEORY}/test_confidence.py",)),
    Mutant("gamma: chosen without groups", f"{THEORY}/gamma.py",
        "labels = group_numbers(group, len(z))",
        "labels = group_numbers(None, len(z))", (f"{OF_THEORY}/test_gamma.py",)),
    Mutant("gamma: the guaranteed level of the other tail", f"{THEORY}/gamma.py",
        "u = -alignment_law(d, geometry).isf(", "u = alignment_law(d, geometry).isf(",
        (f"{OF_THEORY}/test_gamma.py", "06_gamma")),
    Mutant("gamma: chosen and checked on the same rows", f"{THEORY}/gamma.py",
        "limit = lower_mean_limit((sums / counts)[1::2],", "limit = lower_mean_limit((sums / counts)[::2],",
        (f"{OF_THEORY}/test_gamma.py",)),
    Mutant("calibration: gamma is chosen without groups", "analysis/experiments/weights.py",
        "best_gamma(*chosen_on, held.z, group=held.group, confidence", "best_gamma(*chosen_on, held.z, confidence",
        ("tests/analysis/experiments/test_weights.py",)),
    Mutant("translation: gamma is chosen without groups", "analysis/experiments/translation.py",
        "best_gamma(held, held_f, held_z, group=trial.validation.group)",
        "best_gamma(held, held_f, held_z, group=None)", ("tests/analysis/experiments/test_translation.py",)),
    Mutant("residual laws: a flow that learns the way back", "analysis/experiments/residual_laws.py",
        "- (end - start)).square()", "- (start - end)).square()",
        ("tests/analysis/experiments/test_residual_laws.py",)),
    Mutant("residual laws: the last weights in place of the best", "analysis/experiments/residual_laws.py",
        "(energy := self.judge(average)) < self.energy:", "(energy := self.judge(average)) < np.inf:",
        ("tests/analysis/experiments/test_residual_laws.py",)),
    Mutant("residual role: a set that is calibrated on itself", "analysis/experiments/residual_role.py",
        "least[half != side]", "least[half == side]", ("tests/analysis/experiments/test_residual_role.py",)),
    Mutant("draws: a set about the first draw alone", f"{THEORY}/draws.py", "for k in range(1, draws.shape[1])",
        "for k in range(1, 1)", (f"{OF_THEORY}/test_draws.py",)),
    Mutant("draws: the energy score without the spread of the draws", f"{THEORY}/draws.py",
        "return total / counts - _mean_distance(draws) / 2.0 if K > 1 else total / counts", "return total / counts",
        (f"{OF_THEORY}/test_draws.py",)),
    Mutant("draws: a draw counts as its own sibling", f"{THEORY}/draws.py",
        "return np.divide(total - counts, counts * (counts - 1.0),", "return np.divide(total, counts * (counts - 0.0),",
        (f"{OF_THEORY}/test_draws.py",)),
    Mutant("retrieval: a threshold that is a hair too low", f"{THEORY}/retrieval.py",
        "np.clip(rival, -1.0, 1.0)) / 2.0)", "np.clip(rival, -1.0, 1.0)) / 2.02)", (f"{OF_THEORY}/test_retrieval.py",)),
    Mutant("retrieval: an item is a rival of itself", f"{THEORY}/retrieval.py",
        "        score[np.arange(len(item)), item] = -np.inf\n", "",
        (f"{OF_THEORY}/test_retrieval.py", "13_cosine_to_recall")),
    Mutant("retrieval: the limit of hits that are alike", f"{THEORY}/retrieval.py",
        "max(float(hits.sum()) - 1.0, 0.0) / len(hits)", "1.0", (f"{OF_THEORY}/test_retrieval.py",)),
    Mutant("retrieval: items for groups", f"{THEORY}/retrieval.py", "labels = group_numbers(group, len(hits))",
        "labels = np.arange(len(hits))", (f"{OF_THEORY}/test_retrieval.py",)),
    Mutant("retrieval: the law of one rank less", f"{THEORY}/retrieval.py", "stats.binom.cdf(k - 1, n - 1, ahead)",
        "stats.binom.cdf(k, n - 1, ahead)", (f"{OF_THEORY}/test_retrieval.py", "00_theorems")),
    Mutant("samples: one draw more", f"{THEORY}/samples.py", "(1.0 - agreement) / samples",
        "(1.0 - agreement) / (samples + 1)", (f"{OF_THEORY}/test_samples.py", "00_theorems", "05_limits_certificates")),
    Mutant("samples: the mean of draws as good as all of them", f"{THEORY}/samples.py", "(1.0 - agreement) / samples",
        "0.0", (f"{OF_THEORY}/test_samples.py", "00_theorems", "05_limits_certificates")),
    Mutant("joint fit: the response to the direction turned round", f"{THEORY}/joint_fit.py", "targets - gamma * fixed",
        "targets + gamma * fixed", (f"{OF_THEORY}/test_joint_fit.py", "00_theorems")),
    Mutant("joint fit: a residual of no length", f"{THEORY}/joint_fit.py", "axis=1) - gamma).mean()", "axis=1)).mean()",
        (f"{OF_THEORY}/test_joint_fit.py", "00_theorems")),
    Mutant("rotational: without the part along the axis", f"{THEORY}/rotational.py", "z_mu * q_mu + along * s",
        "along * s", (f"{OF_THEORY}/test_rotational.py", "00_theorems")),
    Mutant("rotational: the law of one dimension more", f"{THEORY}/rotational.py", "AlignmentLaw(d - 2.0).cdf",
        "AlignmentLaw(d - 1.0).cdf", (f"{OF_THEORY}/test_rotational.py", "00_theorems")),
    Mutant("confidence: the raw share for a lower limit", f"{THEORY}/confidence.py",
        "return float(special.betainccinv(k, n - k + 1, confidence)) if k else 0.0", "return k / n",
        (f"{OF_THEORY}/test_confidence.py", f"{OF_THEORY}/test_coverage.py", "05_limits_certificates", "00_theorems")),
    Mutant("confidence: a mean of groups as of items", f"{THEORY}/confidence.py",
        "labels = group_numbers(group, len(influence))", "labels = np.arange(len(influence))",
        (f"{OF_THEORY}/test_confidence.py", f"{OF_THEORY}/test_reliability.py")),
    Mutant("betting: items for groups", f"{THEORY}/betting.py",
        "labels = group_numbers(group, len(values))\n    counts", "labels = np.arange(len(values))\n    counts",
        (f"{OF_THEORY}/test_betting.py", f"{OF_THEORY}/test_coverage.py", "05_limits_certificates")),
    Mutant("betting: the observed mean for a limit", f"{THEORY}/betting.py",
        "return float(brentq(surplus, LEAST, mean, xtol=1e-12))", "return mean",
        (f"{OF_THEORY}/test_betting.py", f"{OF_THEORY}/test_coverage.py", "05_limits_certificates", "00_theorems")),
    Mutant("betting: capitals are added, not averaged", f"{THEORY}/betting.py",
        "np.logaddexp.reduce(won) - np.log(len(stakes))", "np.logaddexp.reduce(won)",
        (f"{OF_THEORY}/test_betting.py", f"{OF_THEORY}/test_coverage.py")),
    Mutant("betting: running capitals are added, not averaged", f"{THEORY}/betting.py", "np.log(STAKES / delta)",
        "np.log(1.0 / delta)", (f"{OF_THEORY}/test_betting.py",)),
    Mutant("betting: either side of an interval has the whole risk", f"{THEORY}/betting.py",
        "one_side = shared(confidence, 2)", "one_side = shared(confidence, 1)",
        (f"{OF_THEORY}/test_betting.py",)),
    Mutant("survival: a band ten times too narrow", f"{THEORY}/survival.py",
        "return SurvivalBand(cosine, share, lower, upper, confidence)",
        "return SurvivalBand(cosine, share, 0.9 * share + 0.1 * lower, 0.9 * share + 0.1 * upper, confidence)",
        (f"{OF_THEORY}/test_survival.py", f"{OF_THEORY}/test_coverage.py", "05_limits_certificates")),
    Mutant("survival: the band of one order statistic for all", f"{THEORY}/survival.py",
        "inside_probability(n, ranks, *edges(np.exp(log_eta)))",
        "inside_probability(n, ranks[:1], *(x[:1] for x in edges(np.exp(log_eta))))",
        (f"{OF_THEORY}/test_survival.py", "05_limits_certificates")),
    Mutant("survival: a quantile of one rank more", f"{THEORY}/survival.py", "cosine[below.sum() - 1]",
        "cosine[min(below.sum(), len(cosine) - 1)]", (f"{OF_THEORY}/test_survival.py",)),
    Mutant("survival: a band of items without Bonferroni", f"{THEORY}/survival.py", "shared(confidence, 2 * LEVELS)",
        "shared(confidence, 1)", (f"{OF_THEORY}/test_survival.py",)),
    Mutant("survival: near certainty the noise decides", f"{THEORY}/survival.py",
        "1.0 - confidence >= CERTAIN and surplus(found) > 0.0", "surplus(found) > 0.0 > surplus(most)",
        (f"{OF_THEORY}/test_survival.py",)),
    Mutant("survival: items weigh by their pairs", f"{THEORY}/survival.py", "1.0 / (pairs[item] * len(first))",
        "np.full(len(item), 1.0 / len(item))", (f"{OF_THEORY}/test_survival.py",)),
    Mutant("certify: without Bonferroni", f"{THEORY}/certify.py",
        "shared(confidence, len(makers))", "shared(confidence, 1)",
        (f"{OF_THEORY}/test_certify.py", "05_limits_certificates")),
    Mutant("certify: two levels without Bonferroni", f"{THEORY}/certify.py", "shared(confidence, len(QUANTILES))",
        "shared(confidence, 1)", (f"{OF_THEORY}/test_certify.py",)),
    Mutant("certify: items for groups", f"{THEORY}/certify.py",
        "item_lower_limit(share, observed.group, confidence, **observed.bets)",
        "item_lower_limit(share, None, confidence)", (f"{OF_THEORY}/test_certify.py", "05_limits_certificates")),
    Mutant("certify: an item weighs by its pairs", f"{THEORY}/certify.py", "/ np.bincount(self.item)",
        "/ np.bincount(self.item).mean()", (f"{OF_THEORY}/test_certify.py",)),
    Mutant("certify: all pairs as independent in the premises", f"{THEORY}/certify.py", "parts.take(found.first)",
        "parts", (f"{OF_THEORY}/test_certify.py", "05_limits_certificates")),
    Mutant("certify: expectations without groups", f"{THEORY}/certify.py",
        "            group=observed.group,\n            **observed.bets,\n", "", (f"{OF_THEORY}/test_certify.py",)),
    Mutant("certify: what was fitted to is not left out", "analysis/translators/certify.py",
        "facts.unseen(pairs, targets=not seen_targets)\n    condition, item = pairs.rows(facts.source)\n    target =",
        "(facts.refuse(pairs), pairs)[1]\n    condition, item = pairs.rows(facts.source)\n    target =",
        ("tests/analysis/translators/test_certify.py",)),
    Mutant("evaluate: what was fitted to is not left out", "modtrans_core/cli/use.py",
        "keep = ~left_out if (own := _own_test(run, pairs)) is None else ~left_out & own",
        "keep = np.ones(n, dtype=bool) if (own := _own_test(run, pairs)) is None else own",
        ("tests/core/cli/test_use.py",)),
    Mutant("seen: every item counts as unseen", "modtrans_core/seen.py", "np.flatnonzero(~self.left_out(targets))",
        "np.arange(len(self.group))", ("tests/core/test_seen.py", "tests/analysis/translators/test_certify.py")),
    Mutant("seen: groups do not go with their items", "modtrans_core/seen.py",
        "return (np.bincount(which, own) > 0)[which]", "return own", ("tests/core/test_seen.py",)),
    Mutant("seen: a copy of fewer digits is another row", "modtrans_core/seen.py",
        "return 5.5 if d >= FEW and by_chance <= CHANCE else 1.5", "return 0.5", ("tests/core/test_seen.py",)),
    Mutant("seen: crowds of near rows are never joined", "modtrans_core/seen.py", "for number in np.unique(part)[1:]:",
        "for number in ():", ("tests/core/test_seen.py",)),
    Mutant("data: an address is a file of the folder", "modtrans_core/embed/sources/hugging_face.py",
        'ADDRESS = re.compile("://|::")', 'ADDRESS = re.compile("never")',
        ("tests/core/embed/sources/test_hugging_face.py",)),
    Mutant("pairs: what is a view of another array is taken for nobody's", "modtrans_core/vectors.py",
        "base.obj if isinstance(base, memoryview) else base.base\n", "None\n", ("tests/core/store/test_contents.py",)),
    Mutant("run: the old one goes before the new one is written", "modtrans_core/run.py",
        "    with scratch_folder(folder / MODEL) as new:",
        "    clear(folder)\n    with scratch_folder(folder / MODEL) as new:",
        ("tests/core/test_run.py",)),
    Mutant("run: the old one goes before the new one is fitted", "modtrans_core/run.py",
        "    if not old:\n        run.describe()", "    if True:\n        run.describe()", ("tests/core/test_run.py",)),
    Mutant("classification: equal scores are the first class's", "analysis/tasks/classification.py",
        "    top = scores >= best - TIE\n", "    top = np.eye(scores.shape[1], dtype=bool)[scores.argmax(axis=1)]\n",
        ("tests/analysis/tasks/test_classification.py",)),
    Mutant("dominance: beaten by, for beaten", f"{THEORY}/dominance.py", "return 1.0 - reach.probability",
        "return reach.probability", (f"{OF_THEORY}/test_dominance.py", "05_limits_certificates")),
    Mutant("dominance: a direction of one dimension more", f"{THEORY}/dominance.py", "low=smallest), d)",
        "low=smallest), d + 1)", (f"{OF_THEORY}/test_dominance.py",)),
    Mutant("dominance: the projection does not lean", f"{THEORY}/dominance.py", "general_probability(cosine, a, b,",
        "general_probability(cosine, a, 0.0 * np.asarray(b),", (f"{OF_THEORY}/test_dominance.py", "00_theorems")),
    Mutant("dominance: one decile is enough", f"{THEORY}/dominance.py", "1.0 - grid).max()", "1.0 - grid).min()",
        (f"{OF_THEORY}/test_dominance.py",)),
    Mutant("dominance: support at the level of no test", f"{THEORY}/dominance.py", "above = pairs - np.searchsorted",
        "above = pairs - 0 * np.searchsorted", (f"{OF_THEORY}/test_dominance.py", "05_limits_certificates")),
    Mutant("premises: three tests without Bonferroni", f"{THEORY}/premises.py", " / TESTS  # Bonferroni", "",
        (f"{OF_THEORY}/test_premises.py",)),
    Mutant("premises: the exact claim in the orthogonal geometry", f"{THEORY}/premises.py",
        "general_probability(alpha, *pairs.frame, pairs.gamma, d).probability)", "bound)",
        (f"{OF_THEORY}/test_premises.py", "05_limits_certificates")),
    Mutant("premises: a projection as long as it likes", f"{THEORY}/premises.py", "possible = s <= 1.0 + ROUNDING",
        "possible = s < np.inf", (f"{OF_THEORY}/test_premises.py",)),
    Mutant("selection: it does not stop at the first that stands", f"{THEORY}/selective.py",
        "        else:\n            carried = 0.0\n", "        else:\n            carried += 0.0\n",
        (f"{OF_THEORY}/test_selective.py",)),
    Mutant("selection: every start has the whole risk", f"{THEORY}/selective.py", "shared(confidence, len(begin))",
        "confidence", (f"{OF_THEORY}/test_selective.py",)),
    Mutant("selection: items for groups", f"{THEORY}/selective.py",
        "group, largest = self.pairs.group, self.pairs.largest_group",
        "group, largest = np.arange(self.pairs.items), 1", (f"{OF_THEORY}/test_selective.py",)),
    Mutant("conformal: n for n + 1", f"{THEORY}/conformal.py", "share * (pairs.groups + 1)", "share * pairs.groups",
        (f"{OF_THEORY}/test_conformal.py",)),
    Mutant("conformal: right on average alone", f"{THEORY}/conformal.py",
        "return bool(bdtrc(held.sum() - 1.0, pairs.groups, share) <= delta)", "return True",
        (f"{OF_THEORY}/test_conformal.py", "00_theorems")),
    Mutant("conformal: every category has the whole risk", f"{THEORY}/conformal.py",
        "shared(confidence, len(kinds))", "confidence",
        (f"{OF_THEORY}/test_conformal.py",)),
    Mutant("conformal: a floor of the other sign", f"{THEORY}/conformal.py", "expected[pair] - part.cosine",
        "part.cosine - expected[pair]", (f"{OF_THEORY}/test_conformal.py",)),
    Mutant("reliability: the error by chance without groups", f"{THEORY}/reliability.py", "labels[items], 0.6827)",
        "None, 0.6827)", (f"{OF_THEORY}/test_reliability.py",)),
    Mutant("reliability: errors of either sign cancel", f"{THEORY}/reliability.py",
        '(weight * np.abs(table["expected"] - table["observed"])).sum()',
        '(weight * (table["expected"] - table["observed"])).sum()', (f"{OF_THEORY}/test_reliability.py",)),
    Mutant("reliability: too low is never refuted", f"{THEORY}/reliability.py", "refuted=not low <= 0.0 <= high",
        "refuted=high < 0.0", (f"{OF_THEORY}/test_reliability.py", "tests/analysis/translators/test_certify.py")),
    Mutant("retrieval: a rival's own cosine is enough", f"{THEORY}/retrieval.py",
        "np.sqrt((1.0 + np.clip(rival, -1.0, 1.0)) / 2.0)", "np.clip(rival, -1.0, 1.0)",
        (f"{OF_THEORY}/test_retrieval.py", "00_theorems", "13_cosine_to_recall")),
    Mutant("limit law: kappa squared", f"{THEORY}/limit_law.py", "along, 0.0))[()]", "along, 0.0))[()] ** 2",
        (f"{OF_THEORY}/test_limit_law.py", f"{OF_THEORY}/test_identities.py", "03_cosine_bound")),
    Mutant("Poisson binomial: fewer, for no more", f"{THEORY}/poisson_binomial.py", "_law(p)[: k + 1].sum()",
        "_law(p)[:k].sum()", (f"{OF_THEORY}/test_poisson_binomial.py",)),
    Mutant("Poisson binomial: what is certain is not counted", f"{THEORY}/poisson_binomial.py",
        "- int((p == 1.0).sum())", "- 0", (f"{OF_THEORY}/test_poisson_binomial.py",)),
    Mutant("limits: the fourth moment keeps targets that meet themselves", f"{THEORY}/limits.py",
        " - 4.0 * np.square(rows)", " - 2.0 * np.square(rows)",
        (f"{OF_THEORY}/test_limits.py", "05_limits_certificates")),
    Mutant("limits: the skill of a ceiling of 1", f"{THEORY}/limits.py",
        "value = skill(cosine.value, floor.value, top)", "value = skill(cosine.value, floor.value, 1.0)",
        (f"{OF_THEORY}/test_limits.py",)),
    Mutant("decomposition: a residual that is rounding counts", f"{THEORY}/decomposition.py", "EXACT = 1e-10",
        "EXACT = 0.0", (f"{OF_THEORY}/test_decomposition.py",)),
    Mutant("synthetic: the cosine with mu is not rejected", "analysis/experiments/synthetic.py",
        "log_ratio >= -rng.standard_exponential(len(left))", "log_ratio >= -np.inf",
        ("tests/analysis/experiments/test_synthetic.py",)),
    Mutant("synthetic: the best cosine of one dimension more", "analysis/experiments/synthetic.py",
        "(d + 2 * step + kappa * ratio)", "(d + 1 + 2 * step + kappa * ratio)",
        ("tests/analysis/experiments/test_synthetic.py",)),
    Mutant("synthetic: every block is the first", "analysis/experiments/synthetic.py", "default_rng([seed, 1, block])",
        "default_rng([seed, 1])", ("tests/analysis/experiments/test_synthetic.py",)),
    Mutant("network: each half is translated by the fit to itself", "modtrans_core/calibrated/network.py",
        "np.flatnonzero(half != side)", "np.flatnonzero(half == side)", ("tests/core/calibrated/test_network.py",)),
    Mutant("network: the answers of other conditions beside a condition", "modtrans_core/calibrated/network.py",
        "self.of_c[torch.from_numpy(self.chosen(step)[mine])]",
        "self.of_c[torch.from_numpy(self.chosen(step + 1)[mine])]", ("tests/core/calibrated/test_network.py",)),
    Mutant("network: kept whatever it gains", "modtrans_core/calibrated/network.py",
        "looks.best is None or looks.gain < GAIN", "looks.best is None", ("tests/core/calibrated/test_network.py",)),
    Mutant("network: nothing is given up early", "modtrans_core/calibrated/network.py",
        "if self.since >= PATIENCE or (", "if self.since >= 10**9 or (False and ",
        ("tests/core/calibrated/test_network.py",)),
    Mutant("bench: the limit of what is plentiful", "analysis/bench/report.py", "float(min(rate / operations",
        "float(max(rate / operations", ("tests/analysis/bench/test_run.py",)),
    Mutant("low-rank: the least directions in place of the leading ones", "analysis/translators/low_rank.py",
        "svd(cross / root, full_matrices=False)[2].T", "svd(cross / root, full_matrices=False)[2][::-1].T",
        ("tests/analysis/translators/test_low_rank.py",)),
    Mutant("low-rank: directions of the map, whatever the conditions are", "analysis/translators/low_rank.py",
        "svd(cross / root, full_matrices=False)[2].T", "svd(cross / root**2, full_matrices=False)[2].T",
        ("tests/analysis/translators/test_low_rank.py",)),
    Mutant("MLP: InfoNCE of one direction", "analysis/translators/mlp.py",
        "(cross_entropy(logits, right) + cross_entropy(logits.T, right)) / 2", "cross_entropy(logits, right)",
        ("tests/analysis/translators/test_mlp.py",)),
    Mutant("MLP: one target in two pairs is set against itself", "analysis/translators/mlp.py",
        "logits = logits.masked_fill(same.fill_diagonal_(False), -torch.inf)",
        "logits = logits.masked_fill(same & False, -torch.inf)", ("tests/analysis/translators/test_mlp.py",)),
    Mutant("presets: each interval for itself alone", "analysis/experiments/presets.py",
        "each = 1.0 - (1.0 - CONFIDENCE) / (different * (1 if score == AT_RIDGE else len(rivals)))",
        "each = CONFIDENCE", ("tests/analysis/experiments/test_presets.py",)),
    Mutant("presets: every item is its own group", "analysis/experiments/presets.py",
        "found = mean_interval(ours - theirs, group, each)", "found = mean_interval(ours - theirs, None, each)",
        ("tests/analysis/experiments/test_presets.py",)),
    Mutant("presets: points of any cosine are comparable", "analysis/experiments/presets.py",
        "near = ours[ours >= theirs[level] - WITHIN]", "near = ours[ours >= -1.0]",
        ("tests/analysis/experiments/test_presets.py",)),
    Mutant("presets: a rival is given its worst ranking", "analysis/experiments/presets.py",
        "max(recalls, key=np.mean)", "min(recalls, key=np.mean)", ("tests/analysis/experiments/test_presets.py",)),
    Mutant("presets: level with one rival is ahead", "analysis/experiments/presets.py",
        '"behind" if "behind" in found else "level" if "level" in found else "ahead"',
        '"behind" if "behind" in found else "ahead"', ("tests/analysis/experiments/test_presets.py",)),
]
# fmt: on
"""what is planted; a text that the code no longer has is an error of `tests/test_mutants.py`"""


def check(folder: Path, name: str) -> bool:
    """Whether a file of tests, or a notebook, passes on the copy of the project in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-p", "no:cacheprovider", name]
    with tempfile.TemporaryDirectory() as scratch:
        if not name.endswith(".py"):
            text = (folder / "notebooks" / f"{name}.py").read_text()
            script = Path(scratch) / f"{name}.py"
            script.write_text(text.replace(f'out: str = "results/{name}"', f"out: str = {scratch!r}"))
            command = [sys.executable, str(script)]
        try:
            return not subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, timeout=PATIENCE
            ).returncode
        except subprocess.TimeoutExpired:
            return False


@contextmanager
def planted(mutant: Mutant | None) -> Iterator[Path]:
    """A copy of the project with the mutant in it, or as it is."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, folder / name)
        if mutant is not None:
            (folder / mutant.file).write_text(mutated(mutant))
        yield folder


def mutated(mutant: Mutant) -> str:
    """The file's text with the error; ValueError where `old` is not there just once."""
    text = (ROOT / mutant.file).read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.name}: {text.count(mutant.old)} places in {mutant.file} have its text, 1 is needed")
    return text.replace(mutant.old, mutant.new)


def passes(mutant: Mutant | None, name: str) -> bool:
    """Whether the check passes with the mutant planted."""
    with planted(mutant) as folder:
        return check(folder, name)


def main() -> None:
    """Plant them all, and print what noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="of the mutants to plant; none: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="checks at a time")
    options = parser.parse_args()
    chosen = [one for one in MUTANTS if not options.words or any(word in str(one) for word in options.words)]
    if not chosen:
        parser.error(f"no mutant has {' or '.join(options.words)} in it")
    pairs = [(mutant, name) for mutant in chosen for name in mutant.checks]
    with ThreadPoolExecutor(options.jobs) as pool:
        sound = sorted({name for _, name in pairs})
        as_it_is = dict(zip(sound, pool.map(lambda name: passes(None, name), sound), strict=True))
        broken = [name for name, passed in as_it_is.items() if not passed]
        if broken:
            sys.exit(f"fails without any mutant: {', '.join(broken)}")
        alive, unexplained = 0, 0
        for (mutant, name), passed in zip(pairs, pool.map(lambda pair: passes(*pair), pairs), strict=True):
            verdict = f"SURVIVES  {mutant.survives}" if passed else "killed"
            print(f"{mutant.name:60}  {name:45}  {verdict}", flush=True)
            alive, unexplained = alive + passed, unexplained + (passed and not mutant.survives)
    killed = 1.0 - alive / len(pairs)
    print(f"{len(pairs)} checks of {len(chosen)} mutants: {killed:.1%} noticed, {unexplained} survivors unexplained")
    sys.exit(killed < KILLED or unexplained > 0)


if __name__ == "__main__":
    main()
