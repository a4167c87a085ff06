# %% [markdown]
# # What does a ranking depend on more, the map or the score?
#
# **Question.** Where a translation ranks a gallery, how much is won by another map, and how much by another score of
# the same map? And what is wrong with the cosine?

# %% tags=["parameters"]
out: str = "results/16_retrieval"  # folder for figures, tables and metrics.json
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: OpenMoji, embedded once and cached
source: str = "image"  # one modality; both routes are run
target: str = "text"  # the other modality
seeds: int = 5  # splits, each with its own seed
items: int = 0  # use at most this many items, evenly spaced; 0: all
landmarks: int = 128  # radial basis functions of the calibrated map, at most

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
from functools import partial

import pandas as pd

from analysis.experiments.data import at_most, is_drawn, is_openmoji, load_pairs
from analysis.experiments.retrieval import MEASURES, gains, retrieval, sheet
from analysis.experiments.trial import Trial, every_trial
from analysis.paper.runner import established, report, write_metrics
from analysis.paper.tables import mean_and_spread, nested, save_data, save_table
from analysis.plots.retrieval import contact_sheet, recalls
from analysis.plots.style import make_figure
from modtrans_core import PairedEmbeddings

# %% [markdown]
# ## Which score finds what?
# A translation is the mean of the targets plus a deviation, $\hat z = \bar z + \delta$. The mean's part of an item's
# score is the same for every query: a bonus for some items, which become **hubs**, named by many queries among their
# first ten. **Centered** scores rank by what is left of each vector less that mean. `csls` and `inverted` lower an item
# by how near it is to translations of training conditions, `dual` by how near it is to the test queries themselves: it
# is **transductive**, and a query has another result beside other queries. `own` is what `calibrated` ranks by
# (`modtrans rank`). The maps are fitted to the training part, the strength of a correction is chosen on the validation
# part. For mAP variants in skin or gender are correct too; anti-hubs are the items that no query names.

# %%
told, both = partial(report, out, text="methods and scores"), [(source, target), (target, source)]
path = at_most(load_pairs(pairs, route=(source, target))[1], items)
found = pd.concat(every_trial(partial(retrieval, landmarks=landmarks), path, both, seeds, told), ignore_index=True)
table = mean_and_spread(found, ["route", "method", "score", "transductive"], MEASURES)
save_data(found, out, "runs")
save_table(table, out, "retrieval")
shown = ["recall_at_1", "recall_at_10", "median_rank", "mrr", "map", "hub_skew", "anti_hubs", "gallery"]
table.set_index(["route", "method", "score", "transductive"])[shown].round(3)

# %%
make_figure(recalls, out)

# %% [markdown]
# ## What is another score worth, and what is another map?
# Of the inductive scores, on the same splits: the gain of the best score of a map over its cosine, and that of the best
# map over the worst by one score. The margin is the standard deviation over splits, which share items.

# %%
won = gains(found)
save_table(won, out, "gains")
for row in won.itertuples():
    print(f"In numbers: {row.route}, {row.measure}: another score {row.of_score:+.3f}, another map {row.of_map:+.3f}.")
won.round(3)

# %% [markdown]
# ## How does it look?
# Words as queries, and the first pictures by the ridge map: by cosine, centered, and by the inverted softmax with a
# bank. What is right is framed.

# %%
data = PairedEmbeddings.load(path)
if is_drawn(data) and {"image", "text"} == {source, target}:
    save_data(sheet(Trial.of(data, "text", "image", 0)).table(), out, "sheet")
    make_figure(contact_sheet, out)

# %% [markdown]
# **Answer.** On the score. Any of these maps finds more by a corrected score than another map finds by cosine.
# Centering is free and helps every map. A bank of training translations adds to it, and leaves fewer items that no
# query finds. `dual` needs the other queries, and most of what it wins is won without them. The best score that needs
# no other queries is `own`, of a map made for ranking together with its score.

# %%
metrics = {"items": len(data), "seeds": seeds, "gallery": float(table["gallery"].iloc[0])}
metrics["routes"] = {route: nested(part, "method", "score") for route, part in table.groupby("route", sort=False)}
metrics["gains"] = nested(won, "route", "measure")
assert table["recall_at_1"].le(table["recall_at_10"]).all(), "what is first is among the first ten"
means, true = table.set_index(["route", "method", "score"]), {}
for (route, method), part in means.groupby(level=[0, 1], sort=False):
    by, name, own = part.loc[route, method], f"{route}, {method}", part[~part["transductive"]]["mrr"]
    true[f"{name}: centering helps"] = by.loc["centered", "mrr"] > by.loc["cosine", "mrr"]
    true[f"{name}: and a bank adds to it"] = by.loc["inverted, centered", "mrr"] > by.loc["centered", "mrr"]
    true[f"{name}: fewer are lost"] = by.loc["inverted, centered", "anti_hubs"] < by.loc["cosine", "anti_hubs"] / 2
    true |= {f"{name}: own is the best": own.idxmax()[-1] == "own"} if method == "calibrated" else {}
broad = won[won["measure"] != "recall_at_1"]
true["the score matters more than the map"] = (broad["of_score"] > 1.5 * broad["of_map"]).all()
metrics["findings"] = established(true, is_openmoji(data) and metrics["gallery"] >= 500 and landmarks >= 64)
write_metrics(out, metrics)
