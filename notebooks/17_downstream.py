# %% [markdown]
# # What is a translation good for?
#
# **Question.** Of a picture's translation into the space of texts, how much can be said, classified and shown? And how
# far is that from what the true embedding gives?

# %% tags=["parameters"]
out: str = "results/17_downstream"  # folder for figures, tables and metrics.json
pairs: str = ""  # pair set with captions and keys; empty: OpenMoji, embedded once and cached
source: str = "image"  # modality to translate from
target: str = "text"  # modality to translate to, the captions'
data: str = ""  # folder of packages; classification, of OpenMoji alone, needs emojibase-data
seeds: int = 3  # splits, each with its own seed
items: int = 0  # use at most this many items, evenly spaced; 0: all
prefix_steps: int = 0  # training steps of a prefix for SmolLM2, seconds each; 0: it is left out

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
from functools import partial

import pandas as pd

from analysis.experiments import captions
from analysis.experiments.classification import MEASURES, mended, openmoji_classes
from analysis.experiments.data import at_most, is_openmoji, load_pairs
from analysis.experiments.retrieval import sheet
from analysis.experiments.trial import Trial, every_trial
from analysis.paper.runner import established, report, write_metrics
from analysis.paper.tables import mean_and_spread, nested, save_data, save_table
from analysis.plots.retrieval import pictures_found
from analysis.plots.style import make_figure
from modtrans_core import PairedEmbeddings

# %% [markdown]
# ## What does it say?
# The caption of a picture is the training caption whose embedding is nearest to the picture's translation. It is scored
# as COCO's captions are, in percent, against all captions of the item. `ranking` is how the nearest is found. Beside
# the maps stand a random training caption, the caption of the nearest training picture, for which nothing is
# translated, and the **ceiling**, here the training caption that is nearest to the item's own embedding. *Centered*:
# ranked by what is left of each vector less the mean of the training targets.

# %%
given, path = load_pairs(pairs, route=(source, target))
path = at_most(path, items)
loaded, route = PairedEmbeddings.load(path), (source, target)
emoji = is_openmoji(given) and route == ("image", "text")
found = every_trial(captions.nearest_captions, path, [route], seeds, partial(report, out, text="captions"))
runs = pd.concat(found, ignore_index=True)
table = mean_and_spread(runs, ["method", "ranking"], [*captions.SCORES, "items"])
save_data(runs, out, "runs")
save_table(table, out, "captions")
table.set_index(["method", "ranking"]).round(1)

# %% [markdown]
# ## What does a language model say?
# A prefix is trained that makes a language model say a training caption from its embedding; the model stays as it is.
# Then it is given translations, true embeddings, or the mean of them all. One split.

# %%
first = Trial.of(loaded, *route, 0)
said = captions.trained_captions(first, prefix_steps) if prefix_steps else None
if said is None:
    print("left out: prefix_steps is 0")
else:
    save_table(said, out, "prefix")
    print(said[["ranking", *captions.SCORES, "items"]].round(1).to_string(index=False))

# %% [markdown]
# ## Which class does it have?
# A picture is classified by the text "a picture of ..." that is nearest to its translation, among the subgroups of
# Unicode's list. `corrected` lowers classes that are near to translations of any picture. `true_text` classifies the
# item's own text, centered. `largest_before` and `largest_after` are the shares of the class that is said most, by
# cosine and centered.

# %%
classes = {}
if data and emoji:
    found = openmoji_classes(data, str(path), seeds, partial(report, out, text="classes"))
    mended_by = mended(found)
    save_table(mean_and_spread(found, ["method", "score", "transductive"], MEASURES), out, "classes")
    classes = mended_by.set_index("method").to_dict("index")
    print(mended_by.round(3).to_string(index=False))
else:
    print("left out: OpenMoji and data, a folder with the package emojibase-data, are needed")

# %% [markdown]
# ## What does it look like?
# In place of a generated picture: the test pictures that are nearest to the translation of a text. What is right is
# framed. `modtrans generate` draws pictures where a generator's weights are at hand.

# %%
if emoji:
    shown = sheet(Trial.of(loaded, *route[::-1], 0), captions.CALIBRATED, queries=4, k=8)
    save_data(shown.table(), out, "sheet")
    make_figure(pictures_found, out)

# %% [markdown]
# **Answer.** A translation says more than the nearest picture's caption does, and well under what the true embedding
# says: it keeps about three quarters of the true embedding's BLEU-1 and half of its BLEU-4.

# %%
score = table.set_index(["method", "ranking"])
ways = ((captions.CALIBRATED, "centered"), (captions.CEILING, ""), (captions.RANDOM, ""), (captions.PICTURE, ""))
best, ceiling, nothing, picture = (score.loc[way, [*captions.SCORES]] for way in ways)
metrics = {"captions": nested(table, "method", "ranking"), "items": len(loaded), "seeds": seeds, "classes": classes}
metrics |= {"tokens": runs["tokens"].iloc[0], "captioned": int(runs["items"].iloc[0]), "prefix_steps": prefix_steps}
kept = metrics["kept"] = {name: float(best[name] / (ceiling[name] or float("nan"))) for name in captions.SCORES}
metrics["prefix"] = {} if said is None else said.set_index("ranking")[[*captions.SCORES]].to_dict("index")
print("In numbers: of the ceiling it keeps", ", ".join(f"{name} {share:.0%}" for name, share in kept.items()))
whole = {"it says more than the nearest picture's caption": best["rouge_l"] > picture["rouge_l"]}
whole |= {"and loses phrases before words": kept["bleu_4"] < kept["bleu_1"] < 0.9}
whole |= {"and its class by less of the mean": (mended_by["centered"] > mended_by["cosine"]).all()} if classes else {}
lies = {"it lies between a random caption and the ceiling": ((nothing < best) & (best < ceiling)).all()}
metrics["findings"] = established(lies, emoji) | established(whole, emoji and not items and runs["items"].min() >= 500)
assert ceiling[["bleu_1", "rouge_l"]].max() < 100.1 and score.index.is_unique, "per cent, one row a way"
write_metrics(out, metrics)
