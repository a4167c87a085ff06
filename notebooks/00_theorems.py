# %% [markdown]
# # Which statements hold, under which assumptions?
#
# **Question.** What do the poster and this package claim, and does each claim survive a check that could refute it?

# %% tags=["parameters"]
out: str = "results/00_theorems"  # folder for tables and metrics.json
seed: int = 0  # of the simulations

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
import numpy as np
import pandas as pd

from analysis.experiments.theorems import STATEMENTS, table
from analysis.paper.runner import write_metrics
from analysis.paper.tables import save_table

# %% [markdown]
# ## Each statement, what it assumes, and what a check found
# A check with random draws refutes a true statement with a chance of $10^{-6}$. `claimed` is what this project says of
# the statement, `found` what the check says; `where` is the function that computes it.

# %%
pd.set_option("display.max_colwidth", None, "display.max_rows", None)
found = table(STATEMENTS, np.random.default_rng(seed))
save_table(found, out, "statements")
found[["statement", "assumes", "claimed", "found", "number", "where"]]

# %% [markdown]
# ## What proves it, and what tests it

# %%
found[["name", "source", "proof", "tests"]]

# %% [markdown]
# **Answer.** Every check agrees with what this project claims. Some of the poster's statements hold under the
# assumptions that stand beside them; the others are refuted by an example.

# %%
metrics = {"statements": found.to_dict("records"), "refuted": int((~found["found"]).sum())}
assert (found["claimed"] == found["found"]).all(), found.loc[found["claimed"] != found["found"], "name"].tolist()
print(f"In numbers: {len(found)} statements, {metrics['refuted']} of them refuted, as claimed.")
assert {"poster"} <= set(found.loc[~found["found"], "source"])
write_metrics(out, metrics)
