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
# # Limits and certificates
#
# How good can a translation be, how good is a constant, what does sampling cost, and what do held-out pairs
# guarantee? Baselines between floor and ceiling with cluster-robust intervals; the K-sample law against a
# perfect sampler; and certificates of three directions F: a learned one, a random one, and the learned one
# turned round.

# %% tags=["parameters"]
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: a synthetic pair set with a known answer
source: str = "image"  # modality of the condition
target: str = "text"  # modality of the target
items: int = 3000  # items used at most, before the split
features: int = 256  # random features of the learned direction F
gamma: float = 0.2  # weight of F in the certified translations
alpha: float = 0.78  # cosine to be certified; 0: the median of the translator with the learned direction
confidence: float = 0.95  # that all statements of a certificate, or one interval, are right
seed: int = 0  # of the synthetic pairs, the split, the features and the draws
out: str = "results/05_limits_certificates"  # folder for figures, tables and metrics.json

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis.experiments.synthetic import mean_length, synthetic_pairs
from analysis.paper.runner import write_metrics
from analysis.paper.tables import save_table
from analysis.plots import certify as certify_figures
from analysis.plots import limits as limits_figures
from analysis.plots.style import PAGE, paper_style, save_figure
from analysis.theory.bound import mixture_probability
from analysis.theory.certify import certify
from analysis.theory.intervals import mean_interval
from analysis.theory.limits import limits, population_floor, sampling_law
from analysis.theory.premises import Parts
from analysis.translators import Ridge, baselines, not_applicable
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.scores import cosine
from modtrans_core.vectors import mean_of_unit, unit

# %% [markdown]
# ## Pairs
# Split by group. Baselines are fitted on one row a target; items with several targets repeat their condition.

# %%
rng = np.random.default_rng(seed)
data = PairedEmbeddings.load(pairs) if pairs else synthetic_pairs(items, 8, 96, 0.7, 5, rng)[0]
data = data.take(rng.permutation(len(data))[:items])
parts = dict(zip(("train", "validation", "test"), data.split(seed), strict=True))


def rows(part):
    """Conditions and targets of all pairs, unit rows."""
    z, item = part.rows(target)
    c = part.modality(source)
    return unit(c if c.ndim == 2 else c[:, 0])[item], unit(z)


train, validation, test = (rows(part) for part in parts.values())
held_out = parts["test"]
Z, counts, group = held_out.modality(target), held_out.counts.get(target), held_out.labels
c = held_out.modality(source)
c = unit(c if c.ndim == 2 else c[:, 0])
mean = mean_of_unit(parts["train"].modality(target), parts["train"].counts.get(target))
print(f"{len(data):,} items, {len(train[0]):,} training pairs, {len(c):,} test items")

# %% [markdown]
# ## Floor and ceiling

# %%
k, d = train[0].shape[1], train[1].shape[1]
translators = {name: make().fit(*train, validation) for name, make in baselines(k, d).items()}
scores = {name: limits(fitted.translate(c), Z, mean, counts, group, confidence) for name, fitted in translators.items()}
table = pd.DataFrame(
    [
        {
            "translator": name,
            "cosine": s.cosine.value,
            "low": s.cosine.low,
            "high": s.cosine.high,
            "skill": s.skill.value,
        }
        for name, s in scores.items()
    ]
)
save_table(table, out, "limits")
print(not_applicable(k, d) or "all baselines apply")
print(table.to_string(index=False))

# %%
with paper_style():
    figure, ax = plt.subplots(figsize=(PAGE / 2, 0.45 * len(scores) + 1))
    limits_figures.between(scores, ax)
    save_figure(figure, out, "limits")

# %% [markdown]
# ## What sampling costs
# A perfect sampler of p(z|c) for one condition in the same dimension, with a closed-form mean of length m.

# %%
kappa = np.sqrt(d) / 0.7
m = float(mean_length(kappa, d))
centre = np.zeros(d)
centre[0] = kappa
law = []
for samples in (1, 2, 4, 8, 16, 32, 64):
    draws = unit(centre + rng.standard_normal((400, samples + 1, d)))
    estimate = mean_interval(cosine(draws[:, 1:].mean(axis=1), draws[:, 0]), confidence=confidence)
    law.append({"samples": samples, "value": estimate.value, "low": estimate.low, "high": estimate.high})
law = pd.DataFrame(law).assign(law=lambda frame: sampling_law(m, frame["samples"].to_numpy()))
with paper_style():
    figure, ax = plt.subplots()
    limits_figures.sampling(m, law, ax)
    save_figure(figure, out, "sampling")

# %% [markdown]
# ## Three directions, three certificates
# The projection is ridge. The learned F predicts its residual from random features, scaled to unit length.

# %%
ridge = translators["ridge"]
weights = rng.standard_normal((k, features)) * 2.0
lift = [np.tanh(x @ weights) for x in (train[0], validation[0], c)]
left = [z - ridge.translate(x) for x, z in (train, validation)]
learned = unit(Ridge().fit(lift[0], left[0], (lift[1], left[1])).translate(lift[2]))
directions = {
    "learned": learned,
    "random": unit(rng.standard_normal(learned.shape)),
    "turned round": -learned,
}
p = ridge.translate(c)
level = alpha or float(np.median(cosine(p + gamma * learned, Z, counts)))
certificates = {
    name: certify(p, f, gamma, Z, level, confidence, counts=counts, group=group, rng=np.random.default_rng(seed))
    for name, f in directions.items()
}
for name, certificate in certificates.items():
    print(f"--- {name} direction\n{certificate.text()}\n")

# %%
s = np.minimum(np.linalg.norm(p, axis=1), 1.0)
one = Z if Z.ndim == 2 else Z[:, 0]
levels = np.linspace(*np.quantile(certificates["learned"].band.cosine, [0.005, 0.995]), 60)
bound = {"bound, orthogonal geometry": (levels, mixture_probability(levels, s, gamma, d))}
with paper_style():
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.6))
    certify_figures.survival({name: x.band for name, x in certificates.items()}, bound, axes[0])
    alignments = {name: Parts.of(p, f, gamma, one).alignment for name, f in directions.items()}
    certify_figures.alignment(alignments, d - 1, 1 - certificates["learned"].each, axes[1])
    save_figure(figure, out, "certificates")

# %% [markdown]
# ## Conclusion
# Every cosine belongs between its floor and its ceiling. One perfect sample scores m^2 where the conditional
# mean scores m. The bound describes a random direction, in the geometry of the pairs; a learned direction
# beats it, and one that points away breaks it: only held-out data tell which of these a network is.

# %%
verdicts = {name: x.premises.dominance.verdict for name, x in certificates.items()}
best = scores["ridge"]
metrics = {
    "limits": {name: s.to_dict() for name, s in scores.items()},
    "population_floor": population_floor(Z, counts, group),
    "sampling": law.to_dict("list"),
    "certificates": {name: x.to_dict() for name, x in certificates.items()},
}
alike = np.ptp(data.counts.get(target, np.ones(1))) == 0  # else the baseline weighs captions and the floor weighs items
assert abs(scores["constant mean"].skill.value) < (1e-6 if alike else 0.05)
assert best.floor.value < best.cosine.value
assert best.ceiling is None or best.cosine.value < best.ceiling.value
assert (law["value"] - law["law"]).abs().max() < 0.02
assert verdicts["random"] != "supported"
assert verdicts["learned"] != "supported" or verdicts["turned round"] == "refuted"
assert pairs or (verdicts["learned"], verdicts["turned round"]) == ("supported", "refuted")
write_metrics(out, metrics)
