# %% [markdown]
# # Which of the poster's numbers can be had again, and what do the others say?
#
# **Question.** What becomes of each number in the poster's Tables 2 to 6: is it reproduced, or only the mechanism
# behind it, or neither, and why? And how much of a cosine near .8 needs pairs at all?

# %% tags=["parameters"]
out: str = "results/15_poster_tables"  # folder for figures, tables and metrics.json
data: str = ""  # folder of packages from npm and Debian; empty: the rows that need one are named as left out
pairs: str = ""  # Table 2: pair sets with one space for both modalities, such as CLIP's; commas between them
tables: str = "2, 3, 4, 5, 6"  # which of them
seeds: int = 3  # splits, each with its own seed
items: int = 1000  # items of a pair set in Tables 2 to 4, at most, evenly spaced; 0: all
steps: int = 150  # optimiser steps of the poster's translator in Tables 2 to 4: short; it starts at the ridge map

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
from functools import partial
from pathlib import Path

from analysis.experiments.packages import PACKAGES
from analysis.experiments.poster_tables import TITLES, as_frame, as_text, best_words, chosen_from, table
from analysis.experiments.table_2 import NEAR, RATIO
from analysis.paper.runner import established, report, write_metrics
from analysis.paper.tables import save_table
from analysis.plots.poster_tables import poster
from analysis.plots.style import make_figure

# %% [markdown]
# ## The poster's number, ours, and one word
# *Reproduced*: the poster's data set and an encoder of the same kind, and a cosine within .02 of the printed one. *In
# mechanism*: what makes the number as it is was measured on other data or encoders, and holds. *Could not be*: neither,
# and why. Table 2 is measured where both modalities share a space. VDLGAN's row has a linear Gaussian model after its
# idea. C3 is scored between collapsed vectors, beside their own **floor**: the cosine of the training targets' mean,
# whatever the input.

# %%
chosen = chosen_from(tables, pairs)
folder = Path(data) if data else None
more = {number: {"steps": steps, "items": items} for number in (2, 3, 4)}
more[2]["pairs"] = [Path(file.strip()) for file in pairs.split(",") if file.strip()]
rows = []
for number in chosen:
    tell = partial(report, out, text=f"Table {number}")
    rows += table(number, folder, seeds, tell, **more.get(number, {}))
frame = as_frame(rows)
save_table(frame, out, "poster")
print(as_text(rows))

# %%
there = {name for name, one in PACKAGES.items() if folder and any(folder.glob(one.pattern))}
for name, package in PACKAGES.items():
    if name not in there:
        print(f"left out: {package.holds}; {package.command}")

# %% [markdown]
# ## The poster's number against ours
# Ours has other data and other encoders, and so another floor: look where a point stands between its own floor and 1.

# %%
make_figure(poster, out)

# %% [markdown]
# ## LAFITE's row is CLIP-GEN's
# The noise of weight .75 divides every cosine by $\sqrt{10}$, whatever the data: in the poster's own row, and in ours.
# CapDec's, of variance $v$ a coordinate, divides it by $\sqrt{1 + v d}$. What a linear Gaussian model reaches without a
# pair stands beside ridge regression, which has them.

# %%
true = {}
if 2 in chosen:
    measured = frame[(frame["table"] == 2) & (frame["splits"] > 0)].copy()
    measured["row"] = measured["row"].str.removeprefix("COCO: ").str.removeprefix("CC3M: ")
    side = measured.pivot_table(index="data", columns="row", values="ours", sort=False)
    side["LAFITE / CLIP-GEN"] = side["LAFITE"] / side["CLIP-GEN"]
    save_table(side.reset_index(), out, "side_by_side")
    print(side.round(3).T.to_string())
    verdicts = set(frame.loc[frame["row"] == "COCO: LAFITE", "verdict"])
    true["LAFITE is the identity / sqrt(10)"] = ((side["LAFITE"] - RATIO * side["CLIP-GEN"]).abs() < NEAR).all()
    true["its row is reproduced, or its mechanism"] = verdicts <= {"reproduced", "reproduced in mechanism", ""}

# %% [markdown]
# **Answer.** LAFITE's row is CLIP-GEN's divided by $\sqrt{10}$, in the poster's table and in every space measured here.
# Of the others the mechanism was reproduced wherever it was measured; the numbers themselves take the poster's data. A
# cosine without its floor is no evidence that anything was learned from pairs.

# %%
words = best_words(rows)
print("In numbers, of what the poster prints:", ", ".join(f"{word} {count}" for word, count in words.items()))
if 2 in chosen:
    print(f"LAFITE / CLIP-GEN is {side['LAFITE / CLIP-GEN'].min():.3f} to {side['LAFITE / CLIP-GEN'].max():.3f}.")
assert (frame.loc[frame["verdict"] == "could not be", "why"].str.len() > 0).all(), "each says why"
metrics = {"findings": established(true, not pairs and (not items or items >= 200))}
metrics |= {"words": words, "printed": sum(words.values()), "seeds": seeds, "left_out": sorted(set(PACKAGES) - there)}
metrics["titles"] = {number: TITLES[number] for number in chosen}
write_metrics(out, metrics | {"rows": frame.astype(object).where(frame.notna(), None).to_dict("records")})
