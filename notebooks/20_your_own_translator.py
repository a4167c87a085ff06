# %% [markdown]
# # How do I write a translator of my own, and is it any good?
#
# **Question.** What does it take for an idea of one's own to be trained, saved, ranked and certified like every
# translator here? And does it hold up beside a constant, a linear map and `calibrated`?

# %% tags=["parameters"]
out: str = "results/20_your_own_translator"  # folder for the table, the translator and metrics.json
neighbours: int = 30  # training items that are asked, at most
sharpness: float = 20.0  # how much more the nearer of them count
seed: int = 0  # of the split

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

import modtrans_core as mt
from analysis.experiments.demo import demo_pairs, names
from analysis.paper.runner import established, write_metrics
from analysis.paper.tables import save_table
from analysis.translators.certify import certify_translator
from analysis.translators.choose import Rows
from analysis.translators.closed_form import ClosedForm
from modtrans_core.methods import register
from modtrans_core.protocol import Method

# %% [markdown]
# ## The idea
# Ask the neighbours. A new name $c$ is like the training names $c_1, c_2, \dots$ that are nearest to it, so its picture
# should be like theirs. With $N(c)$ the $k$ nearest, all vectors of unit length and $\beta$ the sharpness,
#
# $$\hat z(c) = \sum_{i \in N(c)} w_i z_i, \qquad w_i \propto \exp(\beta \langle c, c_i \rangle).$$
#
# ## The settings
# A frozen dataclass, by whose class `mt.fit` knows the method.


# %%
@dataclass(frozen=True)
class NeighboursConfig:
    """How many neighbours are asked, and how much more the nearer of them count."""

    neighbours: int = 30
    sharpness: float = 20.0


# %% [markdown]
# ## The translator
# `zhat` is the formula. `ClosedForm` makes the rest of it: the fields behind `mean` are what is saved, and `shapes` is
# what they are checked against when they are loaded. One function fits it, and a `Method` holds all together.


# %%
@dataclass(frozen=True, repr=False, eq=False)
class Neighbours(ClosedForm):
    """The mean target of the training conditions that are nearest to c."""

    C: torch.Tensor  # (n, k), training conditions
    Z: torch.Tensor  # (n, d), their targets
    method = "neighbours"

    def zhat(self, c: torch.Tensor) -> torch.Tensor:
        near = (c @ self.C.float().T).topk(min(self.config.neighbours, len(self.C)))
        weights = (self.config.sharpness * near.values).softmax(dim=1)
        return torch.einsum("nk,nkd->nd", weights, self.Z.float()[near.indices])

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(), "C": (len(self.C), self.facts.k), "Z": (len(self.C), self.facts.d)}


# %%
def fit(pairing, validation, facts, config, device, run, report):
    rows = Rows.of(pairing, validation)
    return Neighbours.of(facts, config, device, mean=pairing.mean(), C=rows.c, Z=rows.z)


register("neighbours", Method(NeighboursConfig, fit, Neighbours.restore, {"neighbours": NeighboursConfig()}))

# %% [markdown]
# In a notebook `register` makes the method known to this process. In a package, one line of its `pyproject.toml` makes
# it known to every command, such as `modtrans train --preset neighbours`; CONTRIBUTING.md shows that line.
#
# ## Is it any good?
# 600 emoji, from name to picture, with a fifth kept for the test. The **floor** is the cosine of the training targets'
# mean, whatever the input. **Skill** is the share of the way from the floor to 1, as no ceiling is known here.
# *Centered* recall ranks by what is left of each vector less that mean; *own* recall is by the translator's own
# ranking.

# %%
train, validation, test = demo_pairs().split(seed=seed)
configs = {name: mt.preset(name) for name in ("constant mean", "ridge", "calibrated")}
configs["neighbours"] = NeighboursConfig(neighbours, sharpness)
fitted = {name: mt.fit(train, "text", "image", one, validation=validation) for name, one in configs.items()}
scores = pd.DataFrame({name: mt.evaluate(one, test) for name, one in fitted.items()}).T
columns = ["cosine", "floor", "skill", "centered_recall_at_10", "own_recall_at_10", "gallery"]
table = scores[columns].astype(float)
save_table(table.reset_index(names="method"), out, "own")
table.round(3)

# %% [markdown]
# ## Does it do what every translator does?
# It is saved and loaded, and translates as before. It ranks the test pictures for a name. And it is certified: with 95%
# confidence, how many new emoji reach a cosine of .6, a level that was chosen before these pairs were seen.

# %%
own = fitted["neighbours"]
own.save(f"{out}/neighbours", overwrite=True)
loaded, words = mt.load(f"{out}/neighbours"), test.modality("text")
indices, _ = mt.rank(loaded, words[:5], test.modality("image"), k=5)
name_of = names(test)
for asked, found in zip(test.key[:5], indices, strict=True):
    print(f"{name_of[asked]:32} finds  {', '.join(name_of[test.key[i]] for i in found)}")
certificate = certify_translator(loaded, test, alpha=0.6)
print(f"\n{certificate.text()}")

# %% [markdown]
# **Answer.** It takes a class of settings, a formula, and a function that fits it. The neighbours have a lower
# cosine than the linear map, and yet find more. `calibrated` is ahead of them in both.

# %%
for name, row in table.iterrows():
    recall = row["own_recall_at_10"]
    print(f"In numbers: {name}, cosine {row['cosine']:.3f}, floor {row['floor']:.3f}, own recall@10 {recall:.3f}.")
assert np.array_equal(loaded.translate(words), own.translate(words)), "what was saved is what was fitted"
cosine, recall = table["cosine"], table["own_recall_at_10"]
true = {"neighbours are better than the constant": cosine["neighbours"] > cosine["constant mean"] + 0.01}
true["they have a lower cosine than the linear map"] = cosine["neighbours"] < cosine["ridge"] < cosine["calibrated"]
true["and yet find more"] = recall["ridge"] < recall["neighbours"] < recall["calibrated"]
metrics = {"scores": table.to_dict("index"), "certified": certificate.to_dict()}
metrics["findings"] = established(true, (neighbours, sharpness, seed) == (30, 20.0, 0))
write_metrics(out, metrics)
