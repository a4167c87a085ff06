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
# # Projection and residual
#
# Is the residual r = z - cM perpendicular to the projection p = cM? Least squares makes it so in **sample
# space**, column by column; the poster's bound needs it in **embedding space**, sample by sample. This
# notebook measures both, for least squares, ridge, least absolute deviations (the poster's L1 term), and M
# trained jointly with a direction F.

# %% tags=["parameters"]
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: a synthetic pair set with a known answer
source: str = "image"  # modality of the condition
target: str = "text"  # modality of the target
samples: int = 1200  # pairs used at most
components: int = 24  # leading principal directions of the condition that M sees
columns: int = 8  # target coordinates in the comparison with least absolute deviations
penalty: float = 3.0  # ridge penalty, in the units of the sum over samples
gamma: float = 0.5  # weight of F in joint training
seed: int = 0  # of the synthetic pairs and the choice of samples
out: str = "results/02_projection_residual"  # folder for figures, tables and metrics.json

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from analysis.experiments.synthetic import synthetic_pairs
from analysis.paper.runner import write_metrics
from analysis.paper.tables import save_table
from analysis.plots import decomposition as figures
from analysis.plots.style import PAGE, paper_style, save_figure
from analysis.theory.decomposition import ColumnSpace, decompose, decompose_translation
from analysis.theory.least_absolute import least_absolute
from modtrans_core.pairs import PairedEmbeddings
from modtrans_core.vectors import unit

# %% [markdown]
# ## Pairs
# One target an item; conditions reduced to their leading principal directions, so that there are many more
# samples than conditions and the residual is not an interpolation's rounding.

# %%
rng = np.random.default_rng(seed)
data = PairedEmbeddings.load(pairs) if pairs else synthetic_pairs(samples, 48, 96, 0.7, 1, rng)[0]
data = data.take(rng.permutation(len(data))[:samples])
Z, C = (data.modality(name) for name in (target, source))
Z, C = (unit(x if x.ndim == 2 else x[:, 0]).astype(np.float64) for x in (Z, C))
C = C @ np.linalg.svd(C, full_matrices=False)[2][:components].T
print(f"{len(Z):,} pairs, condition {C.shape[1]}, target {Z.shape[1]}")

# %% [markdown]
# ## Four ways to fit M
# The joint fit uses the best direction there is, F = r/|r|; for a fixed F its M fits what F leaves, Z - gamma
# F.

# %%
squares = decompose(C, Z)
F = squares.residual / np.linalg.norm(squares.residual, axis=1, keepdims=True)
joint = ColumnSpace.of(C).project(Z - gamma * F)
fits = {
    "least squares": squares,
    "ridge": decompose(C, Z, penalty),
    "joint with F": decompose_translation(joint, Z, C, F),
}
few = Z[:, :columns]
absolute = least_absolute(C, few)
few_fits = {
    "least squares": decompose(C, few),
    "least absolute": decompose_translation(C @ absolute.map, few, C),
}

# %%
table = pd.DataFrame([{"fit": name, "targets": Z.shape[1], **fit.summary()} for name, fit in fits.items()])
few_rows = [{"fit": name, "targets": columns, **fit.summary()} for name, fit in few_fits.items()]
table = pd.concat([table, pd.DataFrame(few_rows)], ignore_index=True)
shown = ["fit", "targets", "condition_residual", "projection_residual", "pythagoras", "sign_residual"]
shown += ["projection_gap", "cosine_mean", "cosine_rms", "effective_dimension"]
save_table(table[shown], out, "decomposition")
table[shown]

# %% [markdown]
# ## The identities hold in sample space
# To rounding for least squares; with their own right-hand sides for the others.

# %%
labels = {
    "condition_residual": r"$C^\top R$",
    "projection_residual": r"$P^\top R$",
    "pythagoras": r"$|Z|^2 - |P|^2 - |R|^2$",
    "ridge_gap": r"$C^\top R - \lambda M$",
    "sign_residual": r"$C^\top \mathrm{sign}(R)$",
    "projection_gap": r"$P - P_C Z$",
}
every = fits | {"least absolute": few_fits["least absolute"]}
sizes = pd.DataFrame(
    [
        {"fit": name, "identity": label, "size": abs(fit.summary()[key])}
        for name, fit in every.items()
        for key, label in labels.items()
        if key in fit.summary()
    ]
)
with paper_style():
    figure, ax = plt.subplots()
    figures.identities(sizes, ax)
    save_figure(figure, out, "identities")

# %% [markdown]
# ## The angles are not right angles
# In embedding space, sample by sample; held out (leave one out) as well as in sample.

# %%
cosines = {name: fit.cosine for name, fit in fits.items()}
cosines["least squares, held out"] = squares.leave_one_out_cosine
with paper_style():
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.4))
    figures.angles(cosines, axes[0])
    figures.spectra(fits, axes[1])
    save_figure(figure, out, "angles_and_spectrum")

# %% [markdown]
# ## Conclusion
# The identities are exact, and none of them makes p and r of one sample perpendicular: their cosine is of the
# order of that of two random directions (`chance_rms` = 1/sqrt(d)), and larger where the residual lives in
# fewer dimensions (`effective_dimension`). Ridge tilts the residual towards the projection. Joint training
# moves M away from the projection by what M can absorb of F, although this F is built from a residual that is
# itself out of M's reach: scaling each row to unit length brings it back.

# %%
metrics = {
    "pairs": len(Z),
    "chance_rms": 1 / np.sqrt(Z.shape[1]),
    "least_squares": squares.summary(),
    "ridge": fits["ridge"].summary(),
    "joint": fits["joint with F"].summary(),
    "least_absolute": few_fits["least absolute"].summary() | {"gap": absolute.gap},
}
assert max(squares.condition_residual, squares.projection_residual, abs(squares.pythagoras)) < 1e-9
assert metrics["least_squares"]["cosine_rms"] > 1e-3
assert fits["ridge"].ridge_gap < 1e-9 < fits["ridge"].pythagoras
assert abs(absolute.gap) < 1e-9
shift = gamma * np.linalg.norm(ColumnSpace.of(C).project(F)) / np.linalg.norm(squares.projection)
assert abs(fits["joint with F"].projection_gap - shift) < 1e-9 < shift
write_metrics(out, metrics)
