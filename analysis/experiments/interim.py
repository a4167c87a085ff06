"""Interim: baselines and certificates until analysis.translators has them as methods."""

from dataclasses import dataclass

import numpy as np

from analysis.theory import certify as certificates
from analysis.translators import baselines
from modtrans_core.vectors import unit


@dataclass(frozen=True)
class Baseline:
    name: str

    def fit(self, trial):
        fitted, held = ([x.numpy() for x in part.unit_pairs()] for part in (trial.train, trial.validation))
        found = baselines(trial.train.k, trial.train.d, full=True)[self.name]().fit(*fitted, validation=held)
        return Found(found)


class Found:
    def __init__(self, found):
        self.found = found

    def translate(self, c):
        return self.found.translate(unit(c))


def preset(name):
    return Baseline(name)


def certify_translator(translator, pairs, alpha, confidence=0.95):
    rng = np.random.default_rng(0)
    condition, item = pairs.rows(translator.facts.source)
    condition = condition[certificates._one_of_each(item, len(item), rng)]
    target, counts = pairs.modality(translator.facts.target), pairs.counts.get(translator.facts.target)
    parts = translator.parts(condition)
    return certificates.certify(*parts, target, alpha, confidence, counts=counts, group=pairs.group, rng=rng)
