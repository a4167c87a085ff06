# %% [markdown]
# # Does a translator carry over to other artists, languages and speech, and does it answer questions?
#
# **Question.** A translator needs pairs of vectors and nothing else: what does it find in data that are not a
# photograph and its caption? And does it find nothing where there is nothing to be found?

# %% tags=["parameters"]
out: str = "results/19_other_modalities"  # folder for figures, tables and metrics.json
data: str = ""  # folder of packages of npm and Debian; what does not lie there is left out by name
pairs: str = ""  # pair set cut into two domains, in place of artists; empty, or OpenMoji: it and its line drawings
source: str = "image"  # one modality of `pairs`, of at least 2 numbers; both routes are run
target: str = "text"  # the other modality, of at least 2 numbers
items: int = 1200  # of each set of emoji or domain, at most, evenly spaced; 0: all
pictures: int = 2000  # of the questions, at most; 0: all; asked where `data` is given
seeds: int = 3  # splits and trainings, each with its own seed
landmarks: int = 256  # radial basis functions of `calibrated`, at most
steps: int = 50  # optimiser steps of the poster's translator: short; it starts at the ridge map

# %%
from modtrans_core.notebook import begin

begin(globals())

# %%
from functools import partial

import pandas as pd

from analysis.experiments import modalities
from analysis.experiments.cross_domain import cross_domain, losses
from analysis.experiments.data import is_openmoji, load_pairs
from analysis.experiments.domains import crossings_within
from analysis.experiments.trial import SCORES
from analysis.paper.runner import established, report, write_metrics
from analysis.paper.tables import mean_and_spread, nested, save_data, save_table
from analysis.plots.cross_domain import artists
from analysis.plots.modalities import controls
from analysis.plots.style import make_figure
from modtrans_core import PairedEmbeddings

# %% [markdown]
# ## What is there
# OpenMoji needs no network. The others are files that anyone can fetch; these are left out, with what fetches them:

# %%
needed = [*modalities.ARTISTS, "emojibase", "tuxpaint", modalities.QUESTIONS]
left_out = modalities.left_out(needed, data)
there = modalities.there(needed, data)
left_out

# %% [markdown]
# ## Other artists
# Each crossing trains on one set of pictures and tests on another, of emoji that were not trained on; beside it stands
# what was trained where it is tested. The **floor** is the cosine of the training targets' mean, whatever the input.
# **Centered** recall ranks by what is left of each vector less that mean.

# %%
tell = partial(report, out, text="fitting")
given = load_pairs(pairs, route=(source, target))[0] if pairs else None
within = {} if given is None or is_openmoji(given) else crossings_within(given, source, items)
crossings = within or modalities.emoji_by_artist(data, items, partial(report, out, text="embedding"))
routes, sizes_of = [(source, target), (target, source)], {"landmarks": landmarks, "steps": steps}
crossed = cross_domain(crossings, routes, seeds, within=within, report=tell, **sizes_of)
save_data(crossed, out, "artists")
lost = losses(crossed)
save_table(lost, out, "losses")
make_figure(artists, out)
lost.round(3)

# %% [markdown]
# ## Other languages
# Emoji are named by people of each locale. One encoder reads all languages, so that the name itself is a translation.

# %%
spoken = pd.DataFrame()
if "emojibase" in there:
    named = modalities.names_by_locale(data, progress=partial(report, out, text="names"))
    languages = modalities.languages(named, seeds=seeds, report=tell)
    spoken = mean_and_spread(languages, ["route", "method"], [*SCORES, "t"])
    save_table(spoken, out, "languages")
spoken.round(3)

# %% [markdown]
# ## Speech, the leak and the control
# Some items are nearly copies: variants of an emoji, letters of one template read aloud. Split by item, copies fall on
# both sides and can be recognised; split by group they cannot, so that the difference is this leak. As a control, pairs
# are shuffled: of these there is nothing to learn.

# %%
emoji = next(iter(crossings.values()))[0]
runs = [modalities.controlled(emoji, source, target, seeds=seeds, landmarks=landmarks, report=tell)]
if "tuxpaint" in there:
    stamps = PairedEmbeddings.load(modalities.stamps_read_aloud(data, progress=partial(report, out, text="speech")))
    routes = [("audio-fr", "text-fr"), ("audio-fr", "text-en"), ("image", "text-en")]
    runs += [modalities.controlled(stamps, *route, seeds=seeds, landmarks=landmarks, report=tell) for route in routes]
checked = pd.concat(runs, ignore_index=True)
by = ["route", "split", "training", "method"]
control = mean_and_spread(
    checked, by, ["cosine", "floor", "recall_at_10", "centered_recall_at_10", "chance", "gallery"]
)
save_table(control, out, "controls")
save_data(checked, out, "control_runs")
control.round(3)

# %% [markdown]
# ## Which questions does it answer, and what does the control say?
# The picture of a shape is translated into the embeddings of `question answer` texts. How near each answer lies, with a
# weight that the validation part chooses, is added to the log of how often it was right.

# %%
answered, told = pd.DataFrame(), {}
if modalities.QUESTIONS in there:
    shapes = modalities.shapes_with_questions(pictures or None, partial(report, out, text="questions"))
    asked = modalities.questions(*shapes, seeds=seeds, report=tell)
    answered = mean_and_spread(asked, ["kind", "method"], ["accuracy", "questions", "pictures", "weight"])
    save_table(answered, out, "questions")
    save_data(asked, out, "question_runs")
    right = answered.set_index(["kind", "method"])["accuracy"]
    told["what it is"] = right["what", "ridge"] > right["what", "prior"] + 0.3 > right["what", "ridge, shuffled"] + 0.2
make_figure(controls, out)
far, none = lost[lost["method"] == "calibrated"], control[control["training"] == "shuffled"]
print(f"In numbers: another artist's pictures, recall@10 {far['centered_recall_at_10_away'].min():.3f} or more;")
print(f"of shuffled pairs {none['centered_recall_at_10'].max():.3f}, chance {none['chance'].max():.3f}, or less.")
answered.round(3)

# %% [markdown]
# **Answer.** Yes, at a cost. Pictures in another style or by another artist are found far above chance, although their
# cosine can fall below the constant's. Captions read aloud (with packages) are found, too. Names in another language
# find each other untranslated, and a map adds more cosine than ranking. By item more is found than by group, as copies
# leak. Shuffled pairs find nothing. Questions are answered where the answer changes the text, such as a colour or a
# shape, and hardly where it is yes or no.

# %%
paired = control.set_index(by)["centered_recall_at_10"]
for route, own in control.groupby("route"):
    found, chance = paired[route], own["chance"].max()
    for split, method in ((split, method) for split in ("by group", "by item") for method in own["method"].unique()):
        told[f"{route}, {split}: shuffled, {method} finds nothing"] = found[split, "shuffled", method] < chance + 0.08
    told[f"{route}: pairs are found"] = found["by group", "paired", "calibrated"] > 1.5 * chance
told["other pictures are still found"] = (far["centered_recall_at_10_away"] > 15 / far["gallery"]).all()
sizes = (items or 300) >= 300 and (pictures or 2000) >= 2000 and landmarks >= 64
metrics = {"left_out": left_out, "seeds": seeds, "controls": nested(control, *by)}
metrics["findings"] = established(told, sizes and (given is None or is_openmoji(given)))
assert control["chance"].between(0, 1).all(), "a probability"
metrics |= {name: table.to_dict("records") for name, table in (("languages", spoken), ("questions", answered))}
write_metrics(out, metrics | {"artists": nested(lost, "crossing", "route", "method")})
