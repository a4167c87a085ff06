# %% [markdown]
# # What is F good for?
#
# **Question.** The preset `calibrated` translates by the conditional mean $m(c)$ alone, whose length should be the
# cosine to expect: does that come true, item by item? Do draws $m + \gamma F$ add a better forecast, smaller sets that
# hold the target or a better list, and does $F$ have to be trained for it?

# %% tags=["parameters"]
out: str = "results/10_residual_role"  # folder for figures, tables and metrics.json
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: OpenMoji, embedded once and cached
source: str = "image"  # modality to translate from, and back to, of at least 2 numbers
target: str = "text"  # modality to translate to, and back from, of at least 2 numbers
seeds: int = 3  # splits and trainings, each with its own seed
draws: int = 10  # K, draws of an item, at least 2
items: int = 340  # test items of a seed that are drawn for, at most, and at least 20; the gallery of every ranking
landmarks: int = 512  # radial basis functions of the calibrated map, at most
alpha: float = 0.4  # cosine to be reached by a translation that may be used; chosen without the test pairs
risk: float = 0.3  # share of those that may miss it
share: float = 0.9  # share of new translations that shall stay above their floors, and of targets in their sets
steps: int = 25  # optimiser steps of the two networks that learn the residual's direction

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
from functools import partial

import pandas as pd

from analysis.experiments.data import is_openmoji, load_pairs
from analysis.experiments.residual_role import LISTS, MEAN, MIRRORED, compared, mirrored, residual_role, which_usable
from analysis.experiments.trial import every_trial
from analysis.paper.runner import established, report, write_metrics
from analysis.paper.tables import nested, save_data, save_table
from analysis.plots import residual_role as figures
from analysis.plots.certificates import usable
from analysis.plots.style import make_figure
from analysis.theory.reliability import reliability

# %% [markdown]
# ## Laws of $F$ added to one $m$
# With $E[z \mid c] = m$ and $|z| = 1$, $E|z - m|^2 = 1 - |m|^2$, so that $\gamma(c) = \sqrt{1 - |m|^2}$. Five laws of
# the unit vector $F$ are compared, with the same $m$ and the same $\gamma$: isotropic; Gaussian, with the second moment
# of the residuals' directions (what `draw` gives); residuals of training conditions near $c$; a DDIM; and flow
# matching, which starts from the Gaussian law. The networks keep the step that is best on the validation pairs, which
# may be none.

# %%
work = partial(residual_role, draws=draws, share=share, items=items, landmarks=landmarks, steps=steps)
told = partial(report, out, text="fits and draws")
data, path = load_pairs(pairs, route=(source, target))
everything = every_trial(work, path, [(source, target), (target, source)], seeds, told)
roles = everything[::2]  # there; the others are the way back
there, back = (found[0].laws["route"].iloc[0] for found in (roles, everything[1:]))
cosines = pd.concat([role.cosines for role in roles], ignore_index=True)

# %% [markdown]
# ## Is the length of $m$ the cosine to expect?
# Test items in ten bins of equal size by $|m|$. An exact prediction lies on the diagonal.

# %%
found = {
    seed: reliability(part["expected"], part["observed"], part["group"].to_numpy(), bins=min(10, len(part)))
    for seed, part in cosines.groupby("seed")
}
table = pd.DataFrame([{"seed": seed, **one._asdict()} for seed, one in found.items()]).drop(columns="bins")
save_table(table, out, "reliability")
bins = [pd.DataFrame(one.bins).assign(seed=seed) for seed, one in found.items()]
save_data(pd.concat(bins), out, "reliability_bins")
make_figure(figures.reliability, out)
told = {"|m| tells the cosine": (table["rank_correlation"] > 0.3).all()}
told |= {"|m| is the cosine to expect": (table["error"] < 0.08).all()}
table.round(3)

# %% [markdown]
# It is: bins of the expected cosine lie near the diagonal, and items rank by it.
#
# ## Which translations may be used, and how good is each at least?
# Those whose expected cosine is so high that, with confidence .95, at most the share `risk` of them misses $\alpha$.
# The less risk, the fewer are accepted. How good each is at least (`floor`) is its expected cosine less a margin; it is
# no constant's cosine, which is called the floor elsewhere.

# %%
selections, curves, use = which_usable(roles, alpha, risk, share)
save_table(use, out, "usable")
save_data(selections, out, "selections")
save_data(curves, out, "risk_curves")
make_figure(usable, out)
true = {"|m| raises the floors": (use["floor"] > use["same_floor"]).sum() >= 0.5 * use["floor"].notna().sum()}
use.round(3)

# %% [markdown]
# ## What do draws add, and what does training?
# The energy score of the draws as a forecast, in all coordinates and in the 16 that vary most. The share of the gallery
# in a set that holds the target with probability `share`: what is near enough to one of the $K$ draws (probabilistic
# conformal prediction). The recall of $K$ lists of $k$ together; for $m$ alone, that of its $K k$ nearest. Rankings and
# sets are centered: they go by the direction from the training mean. `lean` is $|E F|^2$, which is 0 where $m$ is the
# mean of the draws; `kept` is the step of a training. Beside OpenMoji stand pairs whose residual has two opposite
# directions, each as likely: there $F$ is needed.

# %%
everything += mirrored(min(seeds, 3), draws=draws, share=share)
summary, apart = compared(everything)
save_table(summary, out, "laws")
save_table(apart, out, "differences", decimals=4)
make_figure(figures.draws, out)
summary.round(4)

# %% [markdown]
# Draws are a far better forecast than $m$, and the Gaussian law is better than the isotropic one where targets vary
# most. Training adds next to nothing: validation pairs stop it at its start or soon after. The sets and lists about $m$
# alone are the best, since draws blur both. On the mirrored pairs flow matching, trained in the same way, has the best
# forecast and small sets.

# %%
laws = {route: part.set_index("law") for route, part in summary.groupby("route", sort=False)}
metrics = {"laws": laws[there].T.to_dict(), "reliability": table.drop(columns="seed").mean().to_dict()}
metrics |= {"usable": use.mean().to_dict() | {"alpha": alpha, "risk": risk, "share": share}}
metrics |= {"routes": nested(summary, "route", "law"), "differences": nested(apart, "route", "measure", "law")}
metrics |= {"draws": draws, "seeds": seeds, "there": there, "back": back}
as_found, won = draws >= 10 and share == 0.9, apart.query("route == @MIRRORED and measure == 'energy'").set_index("law")
wins = won.loc["flow matching", "high"] < 0 and laws[MIRRORED]["set_size"].idxmin() != MEAN
metrics["findings"] = established({"F wins where it is needed": wins}, as_found)
energies = ", ".join(f"{law} {energy:.4f}" for law, energy in laws[there]["energy"].items())
print(f"In numbers: {there}, the cosine of m is {laws[there].loc[MEAN, 'cosine']:.3f}.")
print(f"Energy scores, of which less is better: {energies}.")
apart.set_index(["route", "measure", "law"]).round(4)

# %% [markdown]
# **Answer.** $F$ adds spread and nothing else. Draws are an honest forecast, to which training adds less than a
# hundredth of its score; $m$ alone has the better cosine, the smaller sets and the better lists. A trained $F$ wins
# where the residual has two opposite directions, which is not seen in these embeddings.

# %%
for route in (there, back):
    own, away = laws[route], apart[apart["route"] == route].set_index(["measure", "law"])
    drawn, mean = own.drop(MEAN), own.loc[MEAN]
    true[f"{route}: draws are a better forecast than m"] = (drawn["energy"] < 0.9 * mean["energy"]).all()
    true[f"{route}: no draws beat the cosine of m"] = (drawn["cosine_of_mean"] < mean["cosine"] + 0.005).all()
    true[f"{route}: the law of K draws"] = ((drawn["predicted"] - drawn["cosine_of_mean"]).abs() < 0.02).all()
    if seeds * items >= 1000:  # enough to tell
        gain = -away.loc["energy"]["low"] / own.loc["Gaussian", "energy"]
        true[f"{route}: no law of F is better than the Gaussian by a hundredth"] = (gain < 0.01).all()
        true[f"{route}: draws make no smaller set than m"] = (drawn["set_size"] > mean["set_size"]).all()
        true[f"{route}: draws make no better list than m"] = (drawn[LISTS] < mean[LISTS]).all(axis=None)
assert (selections["threshold"].isna() | (selections["missed"] < risk)).all(), "of the accepted, fewer miss"
metrics["findings"] |= established(told | true, as_found and is_openmoji(data) and min(items, landmarks) >= 128)
write_metrics(out, metrics)
