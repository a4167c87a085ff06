# %% [markdown]
# # Which weight of the residual pays, and what does it cost at most?
#
# **Question.** When does the residual of $\hat z = p + \gamma F(c)$ help, and which $\gamma$ is best? And what does
# $\gamma = 1$ cost?

# %% tags=["parameters"]
out: str = "results/06_gamma"  # folder for figures, tables and metrics.json
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: a synthetic pair set with a known answer
source: str = "image"  # modality of the condition
target: str = "text"  # modality of the target, of at least 3 numbers
runs: str = ""  # run folders of modtrans train, separated by commas, to mark as well
items: int = 3000  # items used at most, before the split; all of them where runs are marked
features: int = 256  # random features of the learned direction F
delta: float = 0.01  # the bound guarantees a level with probability 1 - delta; below 1/2
confidence: float = 0.95  # of a limit or an interval
seed: int = 0  # of the synthetic pairs, the split, the features and the random direction

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
import numpy as np

from analysis.experiments import weights
from analysis.experiments.data import is_openmoji, refuse_few
from analysis.paper.runner import established, write_metrics
from analysis.paper.tables import save_data, save_table
from analysis.plots import gamma as figures
from analysis.plots.style import make_figure
from analysis.theory.gamma import guaranteed_level

# %% [markdown]
# ## Translators
# A ridge map $p = cM$ and several directions $F$. `learned` predicts its residual from random features. `mean` is the
# direction of $E[z \mid c] - p$, known for synthetic pairs. `sample` is another target of the same item, where all have
# one: for synthetic pairs what a perfect sampler of $p(z \mid c)$ returns, for real ones better, as it knows the item.
# `random` is chance. A run that was trained on these pairs is marked on its own test part.

# %%
rng = np.random.default_rng(seed)
data = weights.pair_set(pairs, items, rng, (source, target), whole=bool(runs))
parts = dict(zip(("train", "validation", "test"), data.split(seed), strict=True))
refuse_few(**parts)
split = {name: weights.rows(part, source, target) for name, part in parts.items()}
held, test, d = split["validation"], split["test"], split["test"].z.shape[1]
translators = weights.linear_translators(split["train"], held, test, features, rng)
for folder in filter(None, map(str.strip, runs.split(","))):
    translators |= weights.trained(folder, data, parts, source, target)
print(f"{len(data):,} items; rows: {', '.join(f'{name} {len(part.c):,}' for name, part in split.items())}")

# %% [markdown]
# ## Which gamma is best?
# Let $s = |p|$ be the length of the projection, $\rho = \sqrt{1 - s^2}$ that of the residual, and $u$ the alignment of
# $F$ with it. $\gamma$ is chosen on the validation rows, whole groups at a time, and evaluated on the test rows.
# $\gamma^* = \rho u$ is read off the phase diagram at the test means of $s$ and $u$; `general` takes the angles between
# $p$, $f$ and $z$ as they are.

# %%
table, curve, gain, calibrations = weights.measure(translators, held, test, confidence)
columns = {"name": "translator", "s": "s", "u": "u", "best": "gamma*", "general": "general", "calibrated": "calibrated"}
columns |= {"cosine_0": "cosine at 0", "cosine_calibrated": "at calibrated", "cosine_1": "at 1"}
columns |= {"lower_limit": "lower limit"}
save_table(table[list(columns)].rename(columns=columns), out, "calibration")
table.drop(columns=["u_low", "u_high", "certified", "mismatch"]).round(3)

# %%
save_data(table.assign(d=d, delta=delta, pairs=len(test.z)), out, "weights")
make_figure(figures.phase, out)

# %% [markdown]
# A mark above the line of a $\gamma$ says that this $\gamma$ beats $\gamma = 0$, if $p$, $r$ and $f$ are perpendicular.
# Where they are not, there is an open mark as well: of the translator that has the same directions made perpendicular,
# and scores the same. It stands where the diagram judges it right, with `weight_equal` in the place of $\gamma = 1$.
#
# ## How does the cosine change with gamma?
# Shaded: the interval of the mean over groups. Marks: the calibrated $\gamma$.

# %%
save_data(curve, out, "curve")
save_data(gain, out, "gain")
make_figure(figures.curves, out)

# %% [markdown]
# The calibrated $\gamma$ never harms the rows that it was chosen on, and the lower limit says what is sure of new ones.
#
# ## What does the bound guarantee, and what can $\gamma = 1$ reach?
# A mark below the dotted line: $\gamma = 1$ is worse than $\gamma = 0$.

# %%
s = float(table["s"][0])
fixed = weights.fixed_weights(translators["random F"], test, s, delta)
levels = guaranteed_level(delta, s, weights.GAMMAS, d)
assert (np.diff(levels) <= 0.0).all(), "the guaranteed level falls as gamma grows"
make_figure(figures.guarantee, out)
told = table.set_index("name")[["best", "cosine_0", "cosine_calibrated", "cosine_1"]]
print("In numbers: gamma* = rho u, and the cosine at 0, at the calibrated gamma and at 1", told.round(3), "", sep="\n")
fixed

# %% [markdown]
# The level guaranteed for a random direction only falls as $\gamma$ grows. At $\gamma = 1$ even the residual's own
# direction scores $(s^2 + \rho)/\sqrt{s^2 + 1}$, less than the linear part alone where $s$ is large.
#
# **Answer.** In the orthogonal geometry $\gamma = \rho u$ is best, and the residual helps up to twice that and a little
# more. $\gamma = 1$ asks for an alignment that few directions have; with less, the residual makes the linear map worse.

# %%
named = table.set_index("name")
closed, perfect, even = weights.closed_forms(table, s, d, rng)
for name, calibration in calibrations.items():
    assert calibration.cosine >= calibration.linear_cosine, f"{name}: calibration harms its own rows"
    assert name not in closed or abs(closed[name] - named.loc[name, "best"]) < 1e-5, f"{name}: gamma* is not rho u"
assert (table["mismatch"] < 1e-6).all(), "the orthogonal translator of the same directions must score the same"
ceilings = np.append(perfect, fixed["at_one"]["ceiling"])
assert np.allclose(ceilings, (s**2 + np.sqrt(1 - s**2)) / np.sqrt(s**2 + 1)), "a perfect direction reaches it, no more"
assert np.allclose(even, s), "at break-even the residual must neither help nor harm"
gains = named[["cosine_calibrated", "cosine_1"]].sub(named["cosine_0"], axis=0).T
true = {"a random direction harms at gamma = 1": gains["random F"]["cosine_1"] < 0.0}
true |= {} if pairs else {"the known mean helps": gains["mean F"]["cosine_calibrated"] > 0.005}
metrics = {"translators": named.to_dict("index"), "confidence": confidence, "delta": delta, "d": d, **fixed}
metrics["findings"] = established(true, items >= 800 and (not pairs or is_openmoji(data)))
write_metrics(out, metrics | {of: {x: size(part) for x, part in split.items()} for of, size in weights.SIZES.items()})
