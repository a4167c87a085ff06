# %% [markdown]
# # How fast, against how well, and how near the limit?
#
# **Question.** How fast do translators train and translate, against how well? And how near is that to what the machine
# can do?

# %% tags=["parameters"]
out: str = "results/09_speed"  # folder for figures, tables and metrics.json
results: str = ""  # bench.json of a run of `modtrans bench`; empty: it is run here
profile: str = "smoke"  # of a run that is made here: check (only that it runs), smoke, default or full
device: str = ""  # cpu or cuda, where it is run here; empty: a GPU when there is one

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
from pathlib import Path

import pandas as pd

from analysis.bench.report import text
from analysis.bench.run import bench
from analysis.paper.runner import established, write_metrics
from analysis.paper.tables import save_data, save_table
from analysis.plots import speed
from analysis.plots.style import make_figure
from modtrans_core.notebook import refuse_unless
from modtrans_core.store.files import read_description

# %% [markdown]
# ## How fast, and how well?
# The numbers are those of `modtrans bench`: either of a run that was made before, or of a profile, made here.
# Contenders are measured in turn, round after round; a ratio is taken within a round, so that a busy machine slows both
# of its sides. Networks are trained for a stated time, closed forms are fitted whole.

# %%
fields = {"contenders": "a list", "ratios": "a list", "requirements": "a list"}
fields |= {"machine": "an object", "settings": "an object", "left_out": "an object"}
content = read_description(results, fields) if results else bench(Path(out) / "bench", profile, device=device or None)
ours = [row for row in content["contenders"] if row["name"] == "calibrated, linear"]
refuse_unless(len(ours) == 1, "results", results, "a run of `modtrans bench` with 'calibrated, linear'")
contenders = pd.json_normalize(content["contenders"], sep="_")
kept = ["name", "train", "translate", "launches", "share", "quality_seconds", "quality_cosine"]
kept += [f"quality_centered_recall_at_{k}" for k in (1, 10)]
save_table(contenders.reindex(columns=kept), out, "contenders")
print(text(content))

# %%
save_data(speed.measured(content), out, "speed")
make_figure(speed.speed, out)

# %% [markdown]
# A peer that samples pays for a large network in every step; a closed form multiplies once. The **floor** that the
# report names is the cosine of the training targets' mean, whatever the input, and *centered* recall ranks by what is
# left of each vector less that mean.
#
# ## Which requirements are met?
# What a translator that is worth choosing should reach, and what stands behind each number. What is not met stays in
# the table.

# %%
requirements = pd.DataFrame(content["requirements"])
save_table(requirements, out, "requirements")
requirements

# %% [markdown]
# **Answer.** A closed form translates faster than every peer that samples. A ridge map is a closed form too, and is not
# slower by such a factor.

# %%
linear = ours[0]
priors = [row for row in content["contenders"] if "prior" in row["name"]]
metrics = {name: content[name] for name in ("machine", "settings", "left_out", "contenders", "ratios", "requirements")}
assert all(row["translate"] > 0 and row["quality"]["cosine"] <= 1 for row in content["contenders"])
for row in (linear, *priors):
    said = f"{row['translate']:,.0f} translations a second, cosine {row['quality']['cosine']:.3f}"
    print(f"In numbers: {row['name']}, {said}.")
true = {"a closed form is above its floor": linear["quality"]["cosine"] > linear["quality"]["floor"]}
true["it is faster than every peer that samples"] = all(linear["translate"] > row["translate"] for row in priors)
metrics["findings"] = established(true, not results)
write_metrics(out, metrics)
