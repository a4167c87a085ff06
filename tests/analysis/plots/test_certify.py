"""Figures of certificates."""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis.experiments.limits_certificates import curves
from analysis.plots import certificates as figures
from analysis.theory.certify import Observed, curve
from analysis.theory.selective import risk_curve, select


def test_curves_bands_and_dominance():
    rng = np.random.default_rng(21)
    figure, axes = plt.subplots(1, 2)
    found = curve(Observed.of(rng.uniform(0.2, 0.8, 50)), np.linspace(0, 1, 30), 0.9)
    bands = curves({"one": found}, {"bound": np.linspace(1.0, 0.0, 30)})
    assert figures.reached(bands, axes[0]) is axes[0]
    assert len(axes[0].lines) == 4
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), found.observed)
    v = rng.random(500)
    assert figures.above_chance(figures.share_beaten({"random": v, "poor": v**2}, 0.01), axes[1]) is axes[1]
    uniform, poor, critical = (axes[1].lines[i].get_ydata() for i in range(3))
    assert uniform.max() < critical[0] < poor.max()
    plt.close(figure)


def test_risk_against_coverage():
    score = np.linspace(0.05, 0.95, 400)
    observed = Observed.of(np.where(np.random.default_rng(22).random(400) > score, 0.4, 0.6), expected=score)
    risks, found = risk_curve(observed, 0.5), select(observed, 0.5, 0.95, risk=0.3)
    figure, ax = plt.subplots()
    both = pd.concat([pd.DataFrame(risks._asdict()).assign(of=of) for of in ("one", "other")])
    none = replace(found, threshold=None)
    chosen = pd.DataFrame([{**vars(own), "of": of} for of, own in (("one", found), ("other", none))])
    assert figures.risk_coverage(both, chosen, ax) is ax
    line, point, *_ = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), np.transpose([risks.coverage, risks.missed]))
    assert point.get_xydata().tolist() == [[found.coverage, found.missed]] and len(ax.lines) == 4
    edge = ax.collections[0].get_paths()[0].vertices
    assert edge[:, 1].max() == risks.high.max() and set(ax.lines[-1].get_ydata()) == {0.3}
    plt.close(figure)


def test_usable_translations_of_a_trial_where_nothing_is_expected():
    """As of pairs that were shuffled."""
    hopeless = Observed.of(np.linspace(-0.2, 0.2, 400), expected=np.full(400, 0.005))
    some = Observed.of(np.linspace(0.2, 0.9, 400), expected=np.linspace(0.2, 0.9, 400))
    curves, chosen = [], []
    for seed, observed in enumerate((hopeless, some)):
        curves.append(pd.DataFrame(risk_curve(observed, 0.5)._asdict()).assign(seed=seed, of="items"))
        chosen.append({**vars(select(observed, 0.5, 0.95, risk=0.3)), "seed": seed})
    for trials in ((0,), (0, 1)):
        table = pd.concat([curves[seed] for seed in trials])
        figure = figures.usable(table, pd.DataFrame([chosen[seed] for seed in trials]))
        lines = [len(ax.lines[0].get_xdata()) for ax in figure.axes[: len(trials)]]
        assert lines == [len(curves[seed]) for seed in trials] and lines[0] == 0
        notes = [[text.get_text() for text in ax.texts] for ax in figure.axes[: len(trials)]]
        assert ["nothing is expected to reach .01" in said for said in notes] == [True, False][: len(trials)]
        plt.close(figure)
