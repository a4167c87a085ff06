# %% [markdown]
# # What does F add to the conditional mean?
#
# **Question.** The preset `calibrated` translates by the conditional mean m(c) alone, whose length should be the cosine
# to expect: does that come true, item by item? And what do draws m + gamma F add, and by which law of F: cosine,
# recall, diversity, an honest spread?

# %% tags=["parameters"]
out: str = "results/10_residual_role"  # folder for figures, tables and metrics.json
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: OpenMoji, embedded once and cached
source: str = "image"  # modality to translate from
target: str = "text"  # modality to translate to
seeds: int = 3  # splits and trainings, each with its own seed
draws: int = 10  # K, draws of an item
items: int = 800  # test items, at most, of a seed; the gallery of every ranking
landmarks: int = 1024  # radial basis functions of the calibrated map, at most
alpha: float = 0.4  # cosine to be reached by a translation that may be used; chosen without the test pairs
risk: float = 0.2  # share of those that may miss it
share: float = 0.9  # share of new translations that shall stay above their floors
denoiser_steps: int = 100  # optimiser steps of the DDIM that learns the residual's direction

# %%
from functools import partial

import pandas as pd
from matplotlib import pyplot as plt

from analysis.experiments.data import load_pairs
from analysis.experiments.residual_role import LIST, MEAN, MEASURES, SIBLING, residual_role, usable
from analysis.experiments.trial import every_trial
from analysis.paper.runner import report, write_metrics
from analysis.paper.tables import mean_and_spread, save_table
from analysis.plots import certificates, style
from analysis.plots import residual_role as figures
from analysis.theory.reliability import reliability

# %% [markdown]
# ## Laws of F behind one m
# With E[z|c] = m and |z| = 1, E|z - m|^2 = 1 - |m|^2, so that gamma(c) = sqrt(1 - |m|^2), and the laws of the unit
# vector F are compared behind the same m and the same gamma: isotropic; Gaussian, with the second moment of the
# training residuals' directions (what `draw` gives); residuals of training conditions near c; a DDIM
# trained on those directions. Beside them: m alone, the K targets nearest to m as another way to be diverse, and
# another target of the same item, which only someone who knows the item can draw.

# %%
work = partial(residual_role, draws=draws, items=items, landmarks=landmarks, denoiser_steps=denoiser_steps)
told = partial(report, out, text="fits and draws")
roles = every_trial(work, load_pairs(pairs)[1], [(source, target)], seeds, told)
scores = pd.concat([role.scores for role in roles], ignore_index=True)
cosines = pd.concat([role.cosines for role in roles], ignore_index=True)
save_table(scores, out, "runs")

# %% [markdown]
# ## Is the length of m the cosine to expect?
# Test items in ten bins of equal size by |m|. An exact prediction lies on the diagonal.

# %%
found = {
    seed: reliability(part["expected"], part["observed"], part["group"].to_numpy())
    for seed, part in cosines.groupby("seed")
}
table = pd.DataFrame([{"seed": seed, **one._asdict()} for seed, one in found.items()]).drop(columns="bins")
save_table(table, out, "reliability")
with style.paper_style():
    shown = min(seeds, 3)
    figure, axes = plt.subplots(1, shown, figsize=(style.PAGE / 3 * shown, 2.7), squeeze=False)
    for (seed, one), ax in zip(found.items(), axes[0], strict=False):
        figures.reliability_diagram(one, ax).set_xlabel(f"expected cosine $|\\hat z|$, seed {seed}")
    style.save_figure(figure, out, "reliability")
table.round(3)

# %% [markdown]
# It is: bins of the expected cosine lie near the diagonal, and items rank by it.
#
# ## Which translations may be used, and how good is each at least?
# Those whose expected cosine is so high that, with confidence .95, at most the share `risk` of them misses alpha: the
# less risk, the fewer are accepted. The floor of a translation is its expected cosine less a margin.

# %%
selections, curves, use = usable(roles, alpha, risk, share)
save_table(use, out, "usable")
with style.paper_style():
    figure, axes = plt.subplots(1, min(seeds, 3), figsize=(style.PAGE / 3 * min(seeds, 3), 2.4), squeeze=False)
    for seed, ax in enumerate(axes[0]):
        chosen = {of: each[seed] for of, each in selections.items()}
        certificates.risk_coverage({of: each[seed] for of, each in curves.items()}, chosen, risk, ax)
    style.save_figure(figure, out, "usable")
use.round(3)

# %% [markdown]
# ## What do draws add?
# Cosine, recall of one draw and of the best of K (rankings are centered); the energy score of the draws as a forecast,
# in all coordinates and in the 16 that vary most; the cosine of two draws; the cosine of a draw and the nearest target;
# coverage of an item's targets, and precision. By the law of K draws the cosine of their mean is that of one draw over
# sqrt(A + (1 - A)/K), A the cosine of two draws: `predicted` from one draw's cosine.

# %%
measures = [*MEASURES, "energy_leading", "predicted"]
summary = mean_and_spread(scores, ["law"], measures)
save_table(summary, out, "laws")
with style.paper_style():
    figure, axes = plt.subplots(1, 3, figsize=(style.PAGE, 2.4))
    figures.measured_against(scores, "precision", "coverage", axes[0])
    figures.measured_against(scores, "similarity", "energy", axes[1])
    figures.measured_against(scores, "nearest", "energy_leading", axes[2])
    legend = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(legend.values(), legend.keys(), loc="outside upper center", ncols=7)
    style.save_figure(figure, out, "draws")
summary.drop(columns=[f"{name}_sd" for name in measures]).round(3)

# %% [markdown]
# Draws are a far better forecast than m, whatever the law of F, which counts where targets vary most: there isotropic
# noise is too narrow. It disturbs rankings least, but its draws are like no target.
#
# ## Where does the spread come from?
# The squared length that m lacks is partly the targets' own diversity, 1 - E<z, z'> for two targets of an item, and
# partly what the translator does not know about the item (over items that have two targets). Draws show both.

# %%
mean = summary.set_index("law")
laws = [law for law in mean.index if law not in (MEAN, LIST, SIBLING)]
unexplained = float((1 - cosines["expected"] ** 2).mean())
own, log_scores = float(1 - mean.loc[SIBLING, "similarity"]), [role.log_score for role in roles]
is_best = mean.loc[laws, "best_recall_at_1"] < mean.loc[LIST, "best_recall_at_1"]
metrics = {"laws": {law: row.to_dict() for law, row in mean.iterrows()}}
metrics |= {"reliability": table.drop(columns="seed").mean().to_dict()}
metrics |= {"reliability_sd": table.drop(columns="seed").std(ddof=1).to_dict(), "log_score": sum(log_scores) / seeds}
metrics |= {"usable": use.mean().to_dict() | {"alpha": alpha, "risk": risk, "share": share}}
metrics |= {"list_is_best": bool(is_best.all()), "spread": unexplained, "spread_own": own}
metrics |= {"gallery": int(scores["gallery"].max()), "draws": draws, "seeds": seeds}
print(f"spread of the draws {unexplained:.3f}: {own:.3f} the targets' own, {unexplained - own:.3f} not known")
print(f"log density of the Gaussian over the isotropic law: {metrics['log_score']:.3f} nats a coordinate")

# %% [markdown]
# **Answer.** An honest spread, and no cosine: a draw has about |m|^2, and the mean of draws returns to m from below. It
# adds no recall, and no diversity worth having: the items nearest to m are the better list.

# %%
for law in laws:
    assert mean.loc[law, "energy"] < 0.9 * mean.loc[MEAN, "energy"], f"{law}: draws must be a better forecast than m"
    assert mean.loc[law, "cosine"] < mean.loc[law, "cosine_of_mean"] < mean.loc[MEAN, "cosine"] + 0.005
    assert abs(mean.loc[law, "predicted"] - mean.loc[law, "cosine_of_mean"]) < 0.02, "the law of K draws"
assert scores["gallery"].max() < 500 or is_best.all(), "no list beats m's, where there are enough items to tell"
assert (table["error"] < 0.08).all() and (table["rank_correlation"] > 0.3).all(), "|m| must tell the cosine"
assert mean.loc["Gaussian", "energy_leading"] < mean.loc["isotropic", "energy_leading"]
assert min(log_scores) > 0, "the Gaussian must say more about unseen residuals than no preference"
assert all(one.threshold is None or one.missed < risk for kept in selections.values() for one in kept)
assert (use["floor"] > use["same_floor"]).sum() >= 0.5 * use["floor"].notna().sum(), "|m| must raise the floors"
write_metrics(out, metrics)
