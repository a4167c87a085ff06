# %% [markdown]
# # Does the residual help? The poster's translator beside its baselines
#
# **Question.** On real pairs, split so that no variant of a test item was seen in training, in both directions and over
# several seeds: how does `zhat = c M + gamma F(c)` compare with predictions that need no network?
#
# Most of the time goes into training; `steps` and `seeds` scale it.

# %% tags=["parameters"]
out: str = "results/04_translation"  # folder for figures, tables and metrics.json
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: OpenMoji, embedded once and cached
source: str = "image"  # one modality; both directions are run
target: str = "text"  # the other modality
seeds: int = 3  # splits and trainings, each with its own seed
steps: int = 500  # optimiser steps of a training

# %%
from functools import partial

import pandas as pd
from matplotlib import pyplot as plt

from analysis.experiments.translation import MANY, translation
from analysis.experiments.trial import SCORES, every_trial
from analysis.paper.runner import report, write_metrics
from analysis.paper.tables import mean_and_spread, save_table
from analysis.plots.style import PAGE, paper_style, save_figure
from analysis.plots.translation import cosine_and_recall, gamma_curves, summary
from analysis.translators import not_applicable
from modtrans_core import PairedEmbeddings

# %%
if not pairs:
    from modtrans_core.embed.pair_set import cached_openmoji

    pairs = str(cached_openmoji())
data = PairedEmbeddings.load(pairs)
data

# %% [markdown]
# Every method is fitted on the training part; a ridge penalty, and the gamma of the last row, are chosen on the
# validation part; what is printed is the test part. "Best gamma" keeps the trained parts and changes gamma alone;
# "ridge + best gamma F" asks what the trained F adds to a map that was fitted without it.
#
# The poster's translator stands here twice. By one DDIM step, through which it was trained too, F(c) is a conditional
# mean. By 50 steps it is a sample. Those are too many to train through on a CPU, and M fits what F leaves after the
# number of steps that it was trained with. So that row is trained by the noise term alone, and its M is the ridge map.

# %%
directions = [(source, target), (target, source)]
found = every_trial(
    partial(translation, steps=steps), pairs, directions, seeds,
    lambda done, total: report(out, done, total, "training"),
)  # fmt: skip
scores, curve, certificates = (pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True))
save_table(scores, out, "runs")

# %%
table = mean_and_spread(scores, ["direction", "method"], SCORES)
save_table(table, out, "translation")
table.round(3)

# %% [markdown]
# The cosine alone, and the cosine beside retrieval. The shaded band runs from the floor (the training mean, whatever
# the input) to the ceiling (what two captions of one picture allow, where items have several).

# %%
with paper_style():
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.5), sharex=False)
    for ax, direction in zip(axes, scores["direction"].unique(), strict=True):
        summary(scores[scores["direction"] == direction], ax=ax)
save_figure(figure, out, "cosine")

# %%
with paper_style():
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.5))
    for ax, direction in zip(axes, scores["direction"].unique(), strict=True):
        cosine_and_recall(scores[scores["direction"] == direction], ax=ax)
    axes[0].get_legend().remove()
save_figure(figure, out, "cosine_recall")

# %% [markdown]
# A certificate for each trained translator: with 95% confidence, how often it reaches the median cosine that the ridge
# map has on the validation part; the bound's value for that, and whether the trained alignment dominates the uniform
# law.

# %%
save_table(certificates, out, "certificates")
certificates.round(3)

# %% [markdown]
# What gamma does to the trained parts: the mean test cosine as gamma grows from 0, the linear part, past the 1
# of the poster.

# %%
with paper_style():
    figure, ax = plt.subplots()
    gamma_curves(curve, ax=ax)
save_figure(figure, out, "gamma")

# %%
mean = table.set_index(["direction", "method"])
metrics = {
    "directions": {
        direction: {method: row.to_dict() for method, row in mean.loc[direction].iterrows()}
        for direction in scores["direction"].unique()
    },
    "items": len(data),
    "gallery": int(scores["gallery"].iloc[0]),
    "seeds": seeds,
    "steps": steps,
    "not_applicable": not_applicable(data.modality(source).shape[-1], data.modality(target).shape[-1]),
    "certificates": certificates.to_dict("records"),
    "dataset": data.metadata.get("dataset", {}),
}
for direction in metrics["directions"]:
    rows = metrics["directions"][direction]
    assert abs(rows["constant mean"]["skill"]) < 0.05, "a constant prediction has no skill"
    assert rows["ridge"]["cosine"] > rows["constant mean"]["cosine"], "a linear map must beat the training mean"
    for best, linear in (("poster, best gamma", "poster, gamma 0"), ("ridge + best gamma F", "ridge")):
        assert rows[best]["cosine"] > rows[linear]["cosine"] - 0.02, "the best gamma must not harm"
    assert rows[MANY]["cosine"] < rows["ridge"]["cosine"], "a sample has a lower cosine than the conditional mean"
write_metrics(out, metrics)
