# %% [markdown]
# # Is the law of a random direction's alignment what simulation finds?
#
# **Question.** Is the alignment $U = \langle e, f \rangle$ of a random direction $f \in \mathbb{R}^n$ distributed as
# the poster's integrand says? And with which $n$?

# %% tags=["parameters"]
out: str = "results/01_alignment_law"  # folder for figures, tables and metrics.json
largest_n: int = 512  # dimensions 1, 2, 4, ... up to this one, at least 2
draws: int = 20_000  # directions in each dimension
false_alarm: float = 1e-6  # chance that the simulation rejects a right law, all thresholds together
seed: int = 0  # of the directions

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
import numpy as np

from analysis.experiments.simulation import count_alignments
from analysis.paper.runner import write_metrics
from analysis.paper.tables import save_data, save_table
from analysis.plots import law
from analysis.plots.style import make_figure
from modtrans_core.notebook import refuse_unless

# %% [markdown]
# ## What does the law look like?
# $\frac{1 + U}{2}$ has a $\mathrm{Beta}\left(\frac{n - 1}{2}, \frac{n - 1}{2}\right)$ distribution.

# %%
make_figure(law.law, out)

# %% [markdown]
# For $n = 1$ it has two atoms. For $n = 2$ it is the arcsine law, for $n = 3$ it is uniform, and from there on a bell
# of width $1/\sqrt{n}$.
#
# ## Do drawn directions follow it?
# Directions are normalised normal vectors in $n = 1, 2, 4, \dots$ dimensions. How often $U$ exceeds seven quantiles is
# held against the exact probability. The printed integrand with $h_2 = n$ is the law in $n + 1$ dimensions.

# %%
table = count_alignments(2 ** np.arange(int(np.log2(largest_n)) + 1), draws, np.random.default_rng(seed))
save_data(table.assign(false_alarm=false_alarm), out, "simulation")
make_figure(law.simulation, out)

# %% [markdown]
# The counts agree with the law in $n$ dimensions at every threshold.
#
# ## Which dimensions does the simulation tell apart?
# The smallest p-value of an exact binomial test in each dimension, times the number of tests.

# %%
smallest = (table.groupby("n")[["p_value", "p_value_printed"]].min() * len(table)).clip(upper=1.0).reset_index()
save_table(smallest, out, "p_values")
smallest

# %% [markdown]
# **Answer.** Yes, with $n$ the dimension of the space. The printed integrand is the law in $n + 1$ dimensions and is
# refuted where $n$ is small.
#
# The two differ by about $0.12/n$, so that telling them apart takes a number of directions that grows with $n^2$.

# %%
refuted = smallest.loc[smallest["p_value_printed"] < false_alarm, "n"].max()
refuse_unless(refuted >= 2, "draws", draws, "enough to tell the printed integrand from the law in 2 dimensions, which")
metrics = {
    "smallest_p_value": float(smallest["p_value"].min()),
    "printed_refuted_up_to_n": int(refuted),
    "tests": len(table),
    "draws": draws,
}
print(f"In numbers: {len(table)} thresholds, smallest p-value times their number {metrics['smallest_p_value']:.2g}.")
print(f"The printed integrand is refuted up to n = {metrics['printed_refuted_up_to_n']}.")
assert metrics["smallest_p_value"] > false_alarm, "the simulation rejects the law"
write_metrics(out, metrics)
