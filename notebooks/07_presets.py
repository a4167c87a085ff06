# %% [markdown]
# # Is one translator best by cosine and by ranking?
#
# **Question.** On real pairs, is there one translator that has the best cosine and the best ranking at once? Where
# there is not, how much of one does it cost to have more of the other?

# %% tags=["parameters"]
out: str = "results/07_presets"  # folder for figures, tables and metrics.json
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: OpenMoji, embedded once and cached
source: str = "image"  # one modality; both routes are run
target: str = "text"  # the other modality
seeds: int = 5  # splits, each with its own seed
items: int = 0  # use at most this many items, evenly spaced; 0: all

# %%
from functools import partial
from pathlib import Path

from analysis.experiments.data import at_most, load_pairs
from analysis.experiments.presets import GOALS, JUDGED, compare, duels, verdicts
from analysis.experiments.trial import SCORES
from analysis.paper.runner import report, write_metrics
from analysis.paper.tables import mean_and_spread, nested, save_table
from analysis.plots.presets import fronts
from analysis.plots.style import paper_style, save_figure

# %% [markdown]
# ## How good is every method?
# Every method is given the training and the validation part, and chooses what it has to choose there. `calibrated` is
# fitted at points of its front: the best cosine, more and more weight on the ranking, the best ranking. What is printed
# is the test part. `ranked` is the recall by its own ranking; a rival is given the best of three.

# %%
path = at_most(load_pairs(pairs)[1], items, Path(out) / "pairs.npz")
both = [(source, target), (target, source)]
scores, gains = compare(path, both, seeds, partial(report, out, text="fitting"))
table = mean_and_spread(scores, ["route", "method"], [*SCORES, *JUDGED[1:], "seconds"])
save_table(scores, out, "runs")
save_table(table, out, "presets")
table.round(3)

# %%
with paper_style():
    save_figure(fronts(table), out, "front")

# %% [markdown]
# Full dots are `calibrated`, its points joined, open ones its rivals: what lies to the right of the line and above it
# would be better in both scores.
#
# ## Is a point of the front ahead of each rival?
# Both translate the same test items, and the interval of their mean difference is over groups of items, for all points
# and rivals together. Splits share items, so that more of them make no narrower interval: the margin is the mean of
# theirs. In the cosine each rival meets the point of the best cosine. In the ranking it meets the lowest point that
# gives up at most .01 of the rival's cosine.

# %%
judged = duels(gains)
save_table(judged, out, "duels")
judged.drop(columns="route").round(3)

# %%
reached = verdicts(judged)
save_table(reached, out, "verdicts")
reached[["route", "score", "verdict", "reached", "not_ahead"]]

# %% [markdown]
# **Answer.** No one point, but one front: ...

# %%
gallery = int(scores["gallery"].iloc[0])
metrics = {"routes": nested(table, "route", "method"), "verdicts": reached.to_dict("records")}
metrics |= {"items": len(load_pairs(str(path))[0]), "gallery": gallery, "seeds": seeds}
for rows in metrics["routes"].values():
    points = [rows[f"calibrated, {goal}"] for goal in GOALS]
    assert points[0]["cosine"] > rows["constant mean"]["cosine"], "a translator must beat the mean"
    assert points[0]["cosine"] > rows["ridge"]["cosine"] - 0.01, "bending must not harm the cosine"
    best = max(point["ranked_recall_at_1"] for point in points)
    assert gallery < 500 or points[-1]["ranked_recall_at_1"] > best - 0.03, "retrieval is chosen by its ranking"
assert gallery < 500 or "behind" not in set(reached["verdict"]), "no rival is surely better where it is comparable"
write_metrics(out, metrics)
