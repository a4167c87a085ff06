# %% [markdown]
# # Do more pairs still make a better translator?
#
# **Question.** Does quality go on rising with pairs and with seconds, and how near does it come to the best there is?
# When is a network on top of a closed form worth its time?

# %% tags=["parameters"]
out: str = "results/14_more_pairs"  # folder for figures, tables and metrics.json
largest: int = 10_000  # training pairs, at least 1000; of 1,000, 3,000, 10,000 and so on those up to it are tried
landmarks: int = 512  # radial basis functions of the calibrated map, at most
seeds: int = 3  # splits, each with its own seed

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
from functools import partial
from pathlib import Path

import pandas as pd

from analysis.experiments.growth import BEST, CLOSED, NETWORK, RANKING, SETS, growth, write_set
from analysis.experiments.trial import every_trial
from analysis.paper.runner import established, report, write_metrics
from analysis.paper.tables import mean_and_spread, nested, save_data, save_table
from analysis.plots import growth as figures
from analysis.plots.style import make_figure

# %% [markdown]
# ## How does the cosine grow?
# Targets have a von Mises-Fisher law about $\mu(c)$, so that the best mean cosine is one number. $\mu$ has a linear
# part and one of waves. Of a few waves a network can find the directions. Many make $\mu$ like a draw from a Gaussian
# process, where nothing beats regression by its kernel. The network learns what `calibrated` leaves on pairs that it
# has not seen, and is kept where it gains .002 of cosine on held-out pairs.

# %%
tables = {}
for name, count in SETS.items():
    told = partial(report, out, text=f"fits, {name}")
    path = write_set(count, largest, Path(out) / f"waves-{count}.npz")
    found = every_trial(partial(growth, landmarks=landmarks), path, [("image", "text")], seeds, told)
    tables[name] = pd.concat(found, ignore_index=True).assign(set=name)
    path.unlink()
scores = pd.concat(tables.values(), ignore_index=True)
save_data(scores, out, "runs")
table = mean_and_spread(scores, ["set", "pairs", "method"], ["cosine", RANKING, "seconds", "gain"])
save_table(table, out, "growth")
table.round(4)

# %%
make_figure(figures.growth, out)

# %% [markdown]
# The dotted line is the best that any translator can reach.
#
# **Answer.** Yes. A linear map has all it can learn after a thousand pairs; `calibrated` goes on rising. A network
# pays from ten thousand pairs on if the non-linear part depends on few directions. If it depends on many, none is
# kept.

# %%
most = scores["pairs"].max()
last = scores[scores["pairs"] == most].groupby(["set", "method"])["cosine"].mean()
first = scores[scores["pairs"] == scores["pairs"].min()].groupby(["set", "method"])["cosine"].mean()
metrics = {"best": BEST, "largest": int(most), "seeds": seeds, "landmarks": landmarks}
metrics |= {"sets": nested(table.astype({"pairs": str}), "set", "method", "pairs")}
true = {}
for name in SETS:
    print(f"In numbers: {name}, {most:,} pairs:", ", ".join(f"{one} {score:.4f}" for one, score in last[name].items()))
    assert last[name].max() < BEST + 0.005, "nothing is better than the best, but for the noise of the test"
    if most >= 10_000:
        true[f"{name}: the non-linear part is learned"] = last[name, CLOSED] > last[name, "ridge"] + 0.01
        true[f"{name}: more pairs are better"] = last[name, CLOSED] > first[name, CLOSED]
    true[f"{name}: a network that harms is not kept"] = last[name, NETWORK] > last[name, CLOSED] - 0.002
metrics["findings"] = established(true, landmarks >= (512 if most >= 10_000 else 64))
write_metrics(out, metrics)
