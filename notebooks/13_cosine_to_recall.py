# %% [markdown]
# # Does a higher cosine mean a better ranking?
#
# **Question.** Which cosine with its target must a translation have, for the right item to be found whatever the
# direction of the error? And where cosine and ranking part, what moves the ranking?

# %% tags=["parameters"]
out: str = "results/13_cosine_to_recall"  # folder for figures, tables and metrics.json
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: OpenMoji, embedded once and cached
source: str = "image"  # modality to translate from
target: str = "text"  # modality to translate to, of at least 2 numbers
seeds: int = 3  # splits, each with its own seed
items: int = 0  # use at most this many items, evenly spaced; 0: all
landmarks: int = 256  # radial basis functions of the calibrated map, at most

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
from functools import partial

import pandas as pd

from analysis.experiments.cosine_to_recall import cosine_to_recall
from analysis.experiments.data import at_most, is_openmoji, load_pairs
from analysis.experiments.trial import every_trial
from analysis.paper.runner import established, report, write_metrics
from analysis.paper.tables import mean_and_spread, nested, save_data, save_table
from analysis.plots import cosine_to_recall as figures
from analysis.plots.style import make_figure

# %% [markdown]
# ## Which cosine is enough?
# Let $c$ be the largest cosine of a target with another item of the gallery. By the triangle inequality of angles, a
# translation with $\cos(z, \hat z) > \sqrt{(1 + c)/2}$ has rank 1. For every smaller cosine there is a translation that
# has it and ranks lower. With $c$ the $k$-th largest, rank $k$ or better follows. Each item has one condition and one
# target here.

# %%
work = partial(cosine_to_recall, landmarks=landmarks)
told = partial(report, out, text="fits and rankings")
path = at_most(load_pairs(pairs, route=(source, target))[1], items)
data = load_pairs(str(path))[0]
found = every_trial(work, path, [(source, target)], seeds, told)
rankings, items, lengths = (pd.concat(tables, ignore_index=True) for tables in zip(*found, strict=True))
columns = ["needed_1", "needed_10", "cosine"]
enough = items[columns].quantile([0.001, 0.01, 0.1, 0.5, 0.9])
enough.round(3)

# %% [markdown]
# ## What does the ranking depend on instead?
# The other items of the gallery score, for a query, with some mean and some spread. If these scores were normal and
# independent, the rank would be binomial: that is the `law` beside the measured recall. Centered rankings go by what is
# left of each vector less the mean of the training targets. `hub_skew` is the skewness of how often an item is among
# the ten nearest: a few items, the hubs, are named by many queries.

# %%
scores = [f"{name}_at_{k}" for k in (1, 10) for name in ("recall", "law", "forced")]
table = mean_and_spread(rankings, ["method", "ranking"], ["cosine", *scores, "hub_skew", "gallery"])
save_table(table, out, "rankings")
table.drop(columns=[name for name in table if name.endswith("_sd")]).round(3)

# %% [markdown]
# ## What does shrinking do?
# A translation is the mean plus a deviation $\delta$. Let the deviation of the ridge map be $t$ times as long. The
# mean's part of an item's score is the same for every query. It does not shrink with $t$, and the smaller $t$, the more
# it decides.

# %%
moved = lengths.groupby("t").mean(numeric_only=True)
save_table(moved.drop(columns="seed").reset_index(), out, "lengths")
save_data(items, out, "items")
save_data(lengths, out, "length_runs")
make_figure(figures.cosine_to_recall, out)
raw = moved.drop(index=float("inf"))
best, ranks_best = raw["cosine"].idxmax(), raw["recall_at_10"].idxmax()
print(f"In numbers: a cosine of .8 is enough for {(items['needed_1'] <= 0.8).mean():.2%} of items.")
print(f"The best cosine is at t = {best:g}, of recall@10 {raw.loc[best, 'recall_at_10']:.3f};")
print(f"the best recall is at t = {ranks_best:g}, {raw['recall_at_10'].max():.3f}.")
moved[["cosine", "recall_at_10", "law_at_10", "hub_skew"]].round(3)

# %% [markdown]
# **Answer.** No. A cosine of .8 is enough for hardly any item, so that what a ranking finds is decided by the direction
# of the error and not by its size. Shrinking a translation to the mean raises the cosine, makes hubs and costs recall.
#
# The law foretells that loss, but not how high the recall is: scores are not normal, and items come in clusters.

# %%
metrics = {"items": len(items), "seeds": seeds, "gallery": float(table["gallery"].iloc[0])}
metrics |= {f"enough_at_{k}": float((items[f"needed_{k}"] <= 0.8).mean()) for k in (1, 10)}
metrics |= {"needed": float(items["needed_1"].median()), "methods": nested(table, "method", "ranking")}
metrics |= {name: {"t": t, **raw.loc[t].to_dict()} for name, t in (("best", best), ("ranks_best", ranks_best))}
metrics |= {"shortest": raw.iloc[0].to_dict(), "centered": moved.iloc[-1].to_dict()}
metrics["law_error"] = float((rankings["recall_at_10"] - rankings["law_at_10"]).abs().mean())
for k in (1, 10):
    assert (rankings[f"forced_at_{k}"] <= rankings[f"recall_at_{k}"] + 0.01).all(), "what is forced is found"
shortest, at_best = metrics["shortest"], raw.loc[ranks_best]
true = {"a cosine of .8 is enough for hardly any item": metrics["enough_at_1"] < 0.01}
true["the best ranking has a longer deviation than the best cosine"] = ranks_best > best
true["shrinking makes hubs"] = shortest["hub_skew"] > at_best["hub_skew"]
true["and costs recall by the law too"] = shortest["law_at_10"] < at_best["law_at_10"]
metrics["findings"] = established(true, is_openmoji(data) and metrics["gallery"] >= 500)
write_metrics(out, metrics)
