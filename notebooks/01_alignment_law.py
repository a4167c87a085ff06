# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The law of the alignment
#
# Is the alignment U = <e, f> of a random direction f in R^n distributed as the poster's integrand says, and
# with which n? Directions are drawn as normalised normal vectors in n = 1, 2, 4, ... dimensions; how often U
# exceeds a threshold is held against the exact probability with an exact binomial test.

# %% tags=["parameters"]
largest_n: int = 512  # dimensions 1, 2, 4, ... up to this one
draws: int = 20_000  # directions in each dimension
false_alarm: float = 1e-6  # chance that the simulation rejects a right law, all thresholds together
seed: int = 0  # of the directions
out: str = "results/01_alignment_law"  # folder for figures, tables and metrics.json

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy import stats

from analysis.paper.runner import write_metrics
from analysis.paper.tables import save_table
from analysis.plots import law as figures
from analysis.plots.style import PAGE, paper_style, save_figure
from analysis.theory.sphere import AlignmentLaw

# %% [markdown]
# ## The law
# Two atoms for n = 1, the arcsine law for n = 2, uniform for n = 3, then a bell of width 1/sqrt(n).

# %%
with paper_style():
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.4))
    figures.densities([1, 2, 3, 4, 16, 64], axes[0])
    figures.log_tails([16, 512, 1024, 10_000], axes[1])
    save_figure(figure, out, "law")

# %% [markdown]
# ## Directions
# Counts above seven quantiles in each dimension. The printed integrand with h2 = n is the law in n + 1.

# %%
rng = np.random.default_rng(seed)
rows = []
for n in 2 ** np.arange(int(np.log2(largest_n)) + 1):
    blocks = np.array_split(np.arange(draws), -(-draws * n // 2**22))
    vectors = (rng.standard_normal((len(block), n)) for block in blocks)
    u = np.concatenate([v[:, 0] / np.linalg.norm(v, axis=1) for v in vectors])
    law, printed = AlignmentLaw(n), AlignmentLaw(n + 1)
    for x in np.unique(law.ppf([0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])):
        row = {"n": n, "x": x, "expected": law.sf(x), "printed": printed.sf(x), "count": int((u > x).sum())}
        rows.append(row | {"draws": draws})
table = pd.DataFrame(rows)
for name, column in (("p_value", "expected"), ("p_value_printed", "printed")):
    tests = zip(table["count"], table[column], strict=True)
    table[name] = [stats.binomtest(count, draws, p).pvalue for count, p in tests]
save_table(table, out, "simulation", decimals=4)

# %%
with paper_style():
    figure, ax = plt.subplots()
    figures.deviations(table, false_alarm, ax)
    save_figure(figure, out, "simulation")

# %% [markdown]
# ## Which dimensions the simulation tells apart
# The smallest p-value in each dimension, times the number of tests.

# %%
smallest = (table.groupby("n")[["p_value", "p_value_printed"]].min() * len(table)).clip(upper=1.0).reset_index()
save_table(smallest, out, "p_values")
print(smallest.to_string(index=False))

# %% [markdown]
# ## Conclusion
# The counts agree with the law in n dimensions at every threshold. The law in n + 1 dimensions, which is the
# printed integrand for h2 = n, is refuted where n is small; the two differ by about 0.12/n, so telling them
# apart takes a number of directions that grows with n squared.

# %%
metrics = {
    "smallest_p_value": float(smallest["p_value"].min()),
    "printed_refuted_up_to_n": int(smallest.loc[smallest["p_value_printed"] < false_alarm, "n"].max()),
    "tests": len(table),
    "draws": draws,
}
assert metrics["smallest_p_value"] > false_alarm
assert metrics["printed_refuted_up_to_n"] >= 2
write_metrics(out, metrics)
