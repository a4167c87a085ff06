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
# # What gamma does
#
# When does the residual of zhat = p + gamma F(c) help, which gamma is best, and what does gamma = 1 cost?
# Translators made of a ridge map p = cM and several directions F, on the phase diagram over s = |p| and the
# alignment u of F with the residual; their cosine against gamma with gamma calibrated on validation pairs;
# and what the bound guarantees as gamma grows.

# %% tags=["parameters"]
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: a synthetic pair set with a known answer
source: str = "image"  # modality of the condition
target: str = "text"  # modality of the target
runs: str = ""  # run folders of modtrans train, separated by commas, to mark as well
items: int = 3000  # items used at most, before the split; all of them where runs are marked
features: int = 256  # random features of the learned direction F
delta: float = 0.01  # the bound guarantees a level with probability 1 - delta; below 1/2
confidence: float = 0.95  # of a limit or an interval
seed: int = 0  # of the synthetic pairs, the split, the features and the random direction
out: str = "results/06_gamma"  # folder for figures, tables and metrics.json

# %%
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis.experiments.synthetic import synthetic_pairs
from analysis.paper.runner import write_metrics
from analysis.paper.tables import save_table
from analysis.plots import gamma as figures
from analysis.plots.style import PAGE, paper_style, save_figure
from analysis.theory.arrays import row_cosine
from analysis.theory.bound import cosine as orthogonal_cosine
from analysis.theory.gamma import (
    best_gamma,
    break_even_alignment,
    calibrate_gamma,
    ceiling,
    general_best_gamma,
    general_cosine,
    guaranteed_level,
)
from analysis.theory.intervals import mean_interval
from analysis.theory.premises import Parts
from analysis.translators import Ridge
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.vectors import unit

# %% [markdown]
# ## Pairs
# Split by group; a row is one (condition, target) pair. Synthetic pairs carry their answer E[z|c] with them.

# %%
rng = np.random.default_rng(seed)
if pairs:
    data = PairedEmbeddings.load(pairs)
else:
    data, answer = synthetic_pairs(items, 8, 96, 0.7, 5, rng)
    data = replace(data, arrays={**data.arrays, "answer": answer})
if len(data) > items and not runs:
    data = data.take(rng.permutation(len(data))[:items])
parts = dict(zip(("train", "validation", "test"), data.split(seed), strict=True))


def rows(part):
    """Conditions and targets of all pairs, unit rows, and the item of each."""
    c, z, of_c, of_z = part.pairings(source, target)
    return unit(c)[of_c], unit(z)[of_z], part.rows(source)[1][of_c]


split = {name: rows(part) for name, part in parts.items()}
(c, z, _), (held_c, held_z, _) = split["train"], split["validation"]
d = z.shape[1]
print(f"{len(data):,} items; rows: {', '.join(f'{name} {len(x[0]):,}' for name, x in split.items())}")

# %% [markdown]
# ## Translators
# `learned` predicts the ridge map's residual from random features. `mean` is the direction of E[z|c] - p, known
# for synthetic pairs. `sample` is another target of the same item, where all have one: for synthetic pairs what a
# perfect sampler of p(z|c) returns, for real ones better than that, as it knows the item and not c alone.
# `random` is chance.

# %%
ridge = Ridge().fit(c, z, (held_c, held_z))
weights = rng.standard_normal((c.shape[1], features)) * 2.0
rest, held_rest = (y - ridge.translate(x) for x, y in ((c, z), (held_c, held_z)))
learned = Ridge().fit(np.tanh(c @ weights), rest, (np.tanh(held_c @ weights), held_rest))


def directions(name):
    """F of all rows of a part of the split, by name."""
    part, (c, z, item) = parts[name], split[name]
    found = {"learned": learned.translate(np.tanh(c @ weights)), "random": rng.standard_normal(z.shape)}
    if "answer" in part.arrays:
        found["mean"] = part.modality("answer")[item] - ridge.translate(c)
    several = part.counts.get(target)
    if several is not None and several.min() > 1:
        vectors, owner = part.rows(target)
        *_, of_z = part.pairings(source, target)
        first = np.searchsorted(owner, item)
        found["sample"] = vectors[first + (of_z - first + 1) % several[item]]
    return {name: unit(f) for name, f in found.items()}


held_f, test_f = directions("validation"), directions("test")
held_p, test_p = (ridge.translate(split[name][0]) for name in ("validation", "test"))
translators = {
    f"{name} F": ((held_p, held_f[name]), (test_p, f))
    for name, f in test_f.items()
    if name in held_f  # where items have one target or more, a part may happen to have only items with more
}

# %% [markdown]
# ## Trained runs
# A run that was trained on these pairs is marked on its own test part alone, so that has to be this one.

# %%
for folder in filter(None, (text.strip() for text in runs.split(","))):
    from modtrans_core import Translator
    from modtrans_core.cli import held_out

    own, translator = held_out(Path(folder), data), Translator.load(folder)
    if len(own) < len(data) and own.fingerprint() != parts["test"].fingerprint():
        raise ValueError(f"{folder}: its test part is another one; set seed to its split seed, {seed} is not")
    if (translator.source, translator.target) != (source, target):
        raise ValueError(f"{folder}: translates {translator.source} to {translator.target}, not {source} to {target}")
    translator.check(data)
    found = [translator.parts(split[name][0]) for name in ("validation", "test")]
    translators[Path(folder).name] = tuple((x.projection, x.residual) for x in found)

# %% [markdown]
# ## Calibration
# gamma is chosen on the validation rows, whole groups at a time, and evaluated on the test rows. gamma* = rho u
# is read off the phase diagram at the test means of s and u; `general` takes the angles between p, f and z as
# they are. Every translator has the directions of an orthogonal one: scale p to the foot of z on it, and split
# off the part of f along p. That one has s = cos(z, p), and another u and weight.


# %%
GAMMAS = 1.5 * np.linspace(0.0, 1.0, 101) ** 2  # dense where the best gammas are
group = {name: parts[name].labels[split[name][2]] for name in ("validation", "test")}
z = Parts.of(test_p, test_f["random"], 0.0, split["test"][1]).target


def equal_orthogonal(p, f, z, gamma):
    """s, u and weight, (n,), of the orthogonal translator with the cosines of p + gamma f."""
    length, lean, s = np.linalg.norm(p, axis=1), row_cosine(p, f), row_cosine(p, z)
    axis = p / length[:, None]
    u = row_cosine(z - s[:, None] * axis, f - lean[:, None] * axis)
    return s, u, s * gamma * np.sqrt(1.0 - lean**2) / (length + gamma * lean)


table, curve, gain, calibrations = [], [], [], {}
for name, (held, (p, f)) in translators.items():
    chosen = calibrations[name] = calibrate_gamma(*held, held_z, group=group["validation"], confidence=confidence)
    measured = Parts.of(p, f, 0.0, z)
    p, f = measured.projection, measured.direction
    s, equal = np.linalg.norm(p, axis=1), equal_orthogonal(p, f, z, 1.0)
    products = [np.einsum("nd,nd->n", x, y) for x, y in ((z, p), (z, f), (p, f))]
    cosine = {gamma: general_cosine(gamma, *products, s) for gamma in (*GAMMAS, 1.0, chosen.gamma)}
    for gamma in GAMMAS:
        for where, values in ((curve, cosine[gamma]), (gain, cosine[gamma] - cosine[0.0])):
            where.append({"name": name, "gamma": gamma, **asdict(mean_interval(values, group["test"], confidence))})
    turned = (equal[0] <= 0.0) | (equal[2] < 0.0)  # p points away from z, or f undoes p: not this geometry
    equal_cosine = orthogonal_cosine(equal[1], np.abs(equal[0]), np.abs(equal[2]))
    mismatch = np.abs(equal_cosine - cosine[1.0])[~turned].max(initial=0.0)
    u = mean_interval(measured.alignment, group["test"], confidence)
    gained = mean_interval(cosine[chosen.gamma] - cosine[0.0], group["test"], confidence)
    length = min(float(s.mean()), 1.0)  # a trained projection may be longer than any orthogonal one
    general = general_best_gamma(*(x.mean() for x in products), np.sqrt(np.mean(s**2)))
    table.append(
        {
            "name": name,
            "s": length,
            "u": u.value,
            "u_low": u.low,
            "u_high": u.high,
            "best": best_gamma(u.value, length),
            "general": general if np.isfinite(general) else np.nan,
            "calibrated": chosen.gamma,
            "cosine_0": cosine[0.0].mean(),
            "cosine_calibrated": cosine[chosen.gamma].mean(),
            "cosine_1": cosine[1.0].mean(),
            "lower_limit": chosen.lower_limit,
            "certified": chosen.certified_gamma,
            "gain_low": gained.low,
            "gain_high": gained.high,
            "s_equal": equal[0].mean(),
            "u_equal": equal[1].mean(),
            "weight_equal": equal[2].mean(),
            "mismatch": mismatch,
        }
    )
table, curve, gain = pd.DataFrame(table), pd.DataFrame(curve), pd.DataFrame(gain)
columns = {
    "name": "translator", "s": "s", "u": "u", "best": "gamma*", "general": "general", "calibrated": "calibrated",
    "cosine_0": "cosine at 0", "cosine_calibrated": "at calibrated", "cosine_1": "at 1", "lower_limit": "lower limit",
}  # fmt: skip
save_table(table[list(columns)].rename(columns=columns), out, "calibration")
print(table.drop(columns=["u_low", "u_high", "certified", "mismatch"]).round(3).to_string(index=False))

# %% [markdown]
# ## Phase diagram
# A mark above the line of a gamma says that this gamma beats gamma = 0, if p, r and f are perpendicular. Where
# they are not, an open mark: the orthogonal translator of the same directions, which the diagram judges right, with
# `weight_equal` for gamma = 1.


# %%
with paper_style():
    figure, ax = plt.subplots(figsize=(PAGE / 2, 3.0))
    figures.phase_diagram((0.2, 1.0), table, ax)
    save_figure(figure, out, "phase")

# %% [markdown]
# ## Cosine against gamma
# Shaded: the interval of the mean over groups. Marks: the calibrated gamma.

# %%
with paper_style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 2.5))
    figures.measured_curves(curve, table, left)
    left.set(ylabel=f"test cosine, {len(z):,} pairs")
    left.axvline(1.0, color="0.5", linestyle=":", linewidth=0.8)
    left.legend(loc="lower left")
    near = np.clip(2.5 * table["calibrated"].max(), 0.1, GAMMAS[-1])
    figures.measured_curves(gain[gain["gamma"] <= near], table, right)
    top = max(0.005, gain["high"].max())
    right.axhline(0.0, color="0.5", linestyle=":", linewidth=0.8)
    right.set(ylabel=r"gain over $\gamma=0$", ylim=(-1.5 * top, 1.1 * top))
    figure.get_layout_engine().set(wspace=0.06)
    save_figure(figure, out, "curves")

# %% [markdown]
# ## What the bound costs, and the ceiling at gamma = 1
# The level guaranteed for a random direction only falls as gamma grows. At gamma = 1 even the residual's own
# direction scores (s^2 + rho) / sqrt(s^2 + 1), less than the linear part alone where s is large. A mark below the
# dotted line: gamma = 1 is worse than gamma = 0.

# %%
s = float(table["s"][0])
itself = Parts.of(test_p, unit(z - test_p), 1.0, z).cosine.mean()
grid = np.linspace(0.01, 0.99, 981)
turn = float(grid[break_even_alignment(grid) > 1.0][0])
with paper_style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 2.8))
    figures.guarantee(s, sorted({16, d, 4096}), delta, ax=left)
    figures.fixed_gamma(d, table.assign(s=table["cosine_0"], cosine=table["cosine_1"]), delta, ax=right)
    figure.get_layout_engine().set(wspace=0.06)
    save_figure(figure, out, "guarantee")
print(f"ceiling at gamma = 1: {ceiling(s):.3f} by formula, {itself:.3f} on these pairs; s = {s:.3f}")
print(f"u needed at gamma = 1: {break_even_alignment(s):.3f}; above s = {turn:.3f} no direction is enough")

# %% [markdown]
# ## The closed forms, on rows that are exactly orthogonal
# Every mark of the diagram as 64 rows that all have its s and u.


# %%
def orthogonal(s, u, n=64):
    """p, f and z with |p| = s, p perpendicular to r = z - p, f perpendicular to p, and the alignment u."""
    z, e, g = np.moveaxis(np.linalg.qr(rng.standard_normal((n, d, 3)))[0], 2, 0)
    rho = np.sqrt(1.0 - s**2)
    p = s * (s * z + rho * e)
    return p, u * (z - p) / rho + np.sqrt(1.0 - u**2) * g, z


closed = {row.name: calibrate_gamma(*orthogonal(row.s, row.u)).gamma for row in table.itertuples() if row.s < 1.0}
p, f, truth = orthogonal(s, 1.0)
perfect = row_cosine(p + f, truth)
levels = guaranteed_level(delta, s, GAMMAS, d)

# %% [markdown]
# ## Conclusion
# In the orthogonal geometry the residual helps up to twice rho u and a little more. gamma = 1 asks for an
# alignment above the upper line; below it, the network makes the linear map worse. A small calibrated gamma
# never harms the rows that it has seen, and the lower limit says what is sure of new ones. The bound by itself
# never asks for gamma > 0.

# %%
named = table.set_index("name")
for name, calibration in calibrations.items():
    assert calibration.cosine >= calibration.linear_cosine, f"{name}: calibration harms its own rows"
    assert name not in closed or abs(closed[name] - named.loc[name, "best"]) < 1e-5, f"{name}: gamma* is not rho u"
assert (table["mismatch"] < 1e-6).all(), "the orthogonal translator of the same directions must score the same"
assert delta < 0.5 and (np.diff(levels) < 0.0).all(), "the guaranteed level must fall as gamma grows"
assert np.allclose(ceiling(s), (s**2 + np.sqrt(1 - s**2)) / np.sqrt(s**2 + 1))
assert np.allclose(perfect, ceiling(s)), "a perfect direction must reach the ceiling, and no more"
assert named.loc["random F", "cosine_1"] < named.loc["random F", "cosine_0"], "a random direction must harm"
assert pairs or named.loc["mean F", "cosine_calibrated"] > named.loc["mean F", "cosine_0"] + 0.005
metrics = {
    "translators": {name: row.to_dict() for name, row in named.iterrows()},
    "confidence": confidence,
    "delta": delta,
    "d": d,
    "rows": {name: len(x[0]) for name, x in split.items()},
    "groups": {name: len(np.unique(labels)) for name, labels in group.items()},
    "guaranteed": {str(g): float(guaranteed_level(delta, s, g, d)) for g in (0.0, 0.2, 1.0)},
    "at_one": {"s": s, "ceiling": ceiling(s), "ceiling_measured": itself, "needed": break_even_alignment(s)},
    "hopeless_above": turn,
}
write_metrics(out, metrics)
