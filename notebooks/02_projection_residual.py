# %% [markdown]
# # In which space is the residual perpendicular to the projection?
#
# **Question.** Least squares makes the residual $r = z - cM$ perpendicular to the projection $p = cM$ in **sample
# space**, column by column; the poster's bound needs it in **embedding space**, sample by sample. Which of the two
# holds for least squares, ridge, least absolute deviations (the poster's $L_1$ term), and $M$ trained jointly with a
# direction $F$?

# %% tags=["parameters"]
out: str = "results/02_projection_residual"  # folder for figures, tables and metrics.json
pairs: str = ""  # pair set (.npz, .safetensors, folder); empty: a synthetic pair set with a known answer
source: str = "image"  # modality of the condition
target: str = "text"  # modality of the target
samples: int = 1200  # pairs used at most
components: int = 24  # leading principal directions of the condition that M sees
columns: int = 8  # target coordinates in the comparison with least absolute deviations
penalty: float = 3.0  # ridge penalty, in the units of the sum over samples
gamma: float = 0.5  # weight of F in joint training, at least 0.001
seed: int = 0  # of the synthetic pairs and the choice of samples

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
import numpy as np
import pandas as pd

from analysis.experiments.data import is_openmoji, load_pairs, one_vector, refuse_exact
from analysis.experiments.synthetic import synthetic_pairs
from analysis.paper.runner import established, write_metrics
from analysis.paper.tables import save_data, save_table
from analysis.plots import decomposition as figures
from analysis.plots.style import make_figure
from analysis.theory.arrays import row_cosine
from analysis.theory.decomposition import ColumnSpace, decompose, decompose_translation, leading
from analysis.theory.least_absolute import least_absolute
from modtrans_core.notebook import refuse_unless

# %% [markdown]
# ## Pairs
# One target an item; conditions reduced to their leading principal directions, so that there are many more
# samples than conditions and the residual is not an interpolation's rounding.

# %%
rng = np.random.default_rng(seed)
given = load_pairs(pairs)[0] if pairs else synthetic_pairs(samples, 48, 96, 0.7, 1, rng)[0]
data = given.take(rng.permutation(len(given))[:samples])
Z, C = (one_vector(data, name).astype(np.float64) for name in (target, source))
C = leading(C, components)
refuse_unless(len(C) > C.shape[1], "samples", len(C), f"more than the {C.shape[1]} components")
squares = decompose(C, Z)
refuse_exact(squares.residual_norm)
print(f"{len(Z):,} pairs, condition {C.shape[1]}, target {Z.shape[1]}")

# %% [markdown]
# ## Which identities does each fit keep?
# The joint fit uses the best direction there is, $F = r/|r|$. For a fixed $F$ its $M$ fits what $F$ leaves,
# $Z - \gamma F$. Least absolute deviations are fitted to the first coordinates of the target.

# %%
F = squares.residual / squares.residual_norm[:, None]
joint = decompose_translation(ColumnSpace.of(C).project(Z - gamma * F), Z, C, F)
fits = {"least squares": squares, "ridge": decompose(C, Z, penalty), "joint with F": joint}
between = 1e-9 < fits["ridge"].pythagoras < 1 and np.isfinite(fits["ridge"].cosine).all()
refuse_unless(between, "penalty", penalty, "one whose map is, beyond rounding, neither least squares' nor zero,")
few = Z[:, :columns]
absolute = least_absolute(C, few)
few_fits = {"least squares": decompose(C, few), "least absolute": decompose_translation(C @ absolute.map, few, C)}
every = [*((name, Z, fit) for name, fit in fits.items()), *((name, few, fit) for name, fit in few_fits.items())]
table = pd.DataFrame([{"fit": name, "targets": targets.shape[1], **fit.summary()} for name, targets, fit in every])
shown = ["fit", "targets", "condition_residual", "projection_residual", "pythagoras", "sign_residual"]
shown += ["projection_gap", "cosine_mean", "cosine_rms", "effective_dimension"]
save_table(table[shown], out, "decomposition")
table[shown]

# %%
labels = {"condition_residual": r"$C^\top R$", "projection_residual": r"$P^\top R$"}
labels |= {"pythagoras": r"$|Z|^2 - |P|^2 - |R|^2$", "ridge_gap": r"$C^\top R - \lambda M$"}
labels |= {"sign_residual": r"$C^\top \mathrm{sign}(R)$", "projection_gap": r"$P - P_C Z$"}
drawn = table.drop(index=len(fits)).melt("fit", [*labels], var_name="identity", value_name="size").dropna()
save_data(drawn.assign(identity=drawn["identity"].map(labels), size=drawn["size"].abs()), out, "identities")
make_figure(figures.identities, out)

# %% [markdown]
# In sample space the identities of least squares, $C^\top R = 0$ and $P^\top R = 0$, hold to rounding. The other fits
# have identities of their own, such as $C^\top R = \lambda M$ of ridge, which hold as well.
#
# ## Are $p$ and $r$ of one sample perpendicular?
# The angle between them in embedding space, held out (leave one out) as well as in sample.

# %%
cosines = {name: fit.cosine for name, fit in fits.items()}
cosines["least squares, held out"] = squares.leave_one_out_cosine
again = np.array([C[i] @ decompose(np.delete(C, i, 0), np.delete(Z, i, 0)).map for i in range(len(C))[:3]])  # refitted
print(f"In numbers: C'R of least squares is {squares.condition_residual:.0e}; M moves by {joint.projection_gap:.3f};")
print(f"the mean square of cos(p, r) is {squares.summary()['cosine_rms'] ** 2:.5f}, by chance {1 / Z.shape[1]:.5f}.")
save_data(figures.density(cosines), out, "angles")
save_data(figures.spectrum(fits), out, "spectra")
make_figure(figures.angles_and_spectrum, out)

# %% [markdown]
# Their cosine is of the order of that of two random directions (`chance_rms`, $1/\sqrt{d}$), and larger where the
# residual lives in fewer dimensions (`effective_dimension`). Ridge tilts the residual towards the projection.
#
# **Answer.** In sample space alone: the identities are exact, and none of them makes $p$ and $r$ of one sample
# perpendicular. Joint training moves $M$ away from the projection by what $M$ can absorb of $F$.
#
# The residual itself is out of reach of $M$, as it is perpendicular to $C$. Its rows scaled to unit length are not, and
# these are what $F$ is: so $M$ moves.

# %%
summaries = {name: fit.summary() for name, fit in fits.items()}
least = few_fits["least absolute"].summary() | {"gap": absolute.gap}
metrics = {"pairs": len(Z), "chance_rms": 1 / np.sqrt(Z.shape[1]), "least_squares": summaries["least squares"]}
metrics |= {"ridge": summaries["ridge"], "joint": summaries["joint with F"], "least_absolute": least}
assert max(squares.condition_residual, squares.projection_residual, abs(squares.pythagoras)) < 1e-9
shift = gamma * np.linalg.norm(ColumnSpace.of(C).project(F)) / np.linalg.norm(squares.projection)
told = {"p and r of one sample are not perpendicular": summaries["least squares"]["cosine_rms"] > 1e-3}
told["joint training moves M"] = shift > 1e-9
metrics["findings"] = established(told, samples >= 400 and (not pairs or is_openmoji(given)))
assert max(fits["ridge"].ridge_gap, abs(absolute.gap), abs(joint.projection_gap - shift)) < 1e-9
assert np.allclose(row_cosine(again, Z[:3] - again), squares.leave_one_out_cosine[:3])
S = squares.residual.T @ squares.residual
assert np.isclose(squares.effective_dimension, np.trace(S) ** 2 / np.square(S).sum())
write_metrics(out, metrics)
