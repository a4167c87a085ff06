"""The poster's tables: what is printed, which word a row gets, and Table 2 on a made-up gap between modalities."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import modtrans_core as mt
from analysis.cli import VERBS_HERE
from analysis.experiments import poster_tables, table_2, table_3
from analysis.experiments.poster_tables import (
    PAPER,
    PRINTED,
    REGISTRY,
    Row,
    as_frame,
    as_text,
    chosen_from,
    complete,
    of_scores,
    table,
    verdict,
)
from analysis.experiments.trial import Trial
from analysis.plots.poster_tables import poster
from modtrans_core.cli.verb import run
from modtrans_core.vectors import unit

Z = np.random.default_rng(0).normal(size=(400, 9))
GAP = 2.0
SHIFT = np.r_[1.0, np.zeros(255)]


def gapped(n=400, d=256, seed=0):
    """Texts and pictures of one space, on both sides of a gap: the condition itself is below the constant mean."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, d)) / np.sqrt(d) + 0.5 * SHIFT + SHIFT[::-1]
    c = z + 0.3 * rng.normal(size=(n, d)) / np.sqrt(d) - GAP * SHIFT
    return mt.PairedEmbeddings({"image": unit(c), "text": unit(z)})


@pytest.fixture(scope="module")
def scores():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(table_2, "WIDTH", 32)
        return table_2.raced(Trial.of(gapped(), "image", "text", 0), steps=1)


def space(name, clip=False):
    return table_2.SharedSpace(name, Path("none"), [("image", "text")], clip)


class TestPrinted:
    def test_lafite_is_clip_gen_over_the_root_of_ten(self):
        """Of the poster's own numbers, to a rounding error or two; of no other pair of its rows."""
        for data in ("COCO", "CC3M"):
            ratio = PRINTED[2, f"{data}: LAFITE", "Sim_txt"] / PRINTED[2, f"{data}: CLIP-GEN", "Sim_txt"]
            assert ratio == pytest.approx(0.1**0.5, abs=0.002)
        derived = table_2.derived()
        assert [row.verdict for row in derived] == ["reproduced in mechanism"] * 2
        assert [row.ours for row in derived] == pytest.approx([0.0962, 0.0916], abs=1e-4)

    def test_every_number_is_there(self):
        assert pd.Series([key[0] for key in PRINTED]).value_counts().to_dict() == {2: 12, 5: 11, 3: 6, 4: 6, 6: 4}


class TestWord:
    @pytest.mark.parametrize(
        ("poster", "ours", "same", "holds", "word"),
        [
            (0.5, 0.51, True, False, "reproduced"),
            (0.5, 0.53, True, True, "reproduced in mechanism"),
            (0.5, 0.51, False, True, "reproduced in mechanism"),
            (0.5, 0.51, False, False, "could not be"),
            (0.5, None, True, True, "could not be"),
            (None, 0.51, True, True, ""),
        ],
    )
    def test_which(self, poster, ours, same, holds, word):
        assert verdict(poster, ours, same, holds) == word

    def test_a_row_says_why_it_could_not_be(self):
        with pytest.raises(ValueError, match="why: empty, a reason why 'ClipCap'"):
            Row.of(5, "ClipCap", "BLEU-1", verdict="could not be")
        with pytest.raises(ValueError, match="verdict: 'nearly', one of reproduced"):
            Row.of(5, "ClipCap", "BLEU-1", verdict="nearly")

    def test_all_three_occur(self, scores, monkeypatch):
        """The made-up set under COCO's name: LAFITE by its ratio; what lands on the printed number; what is missing."""
        found = scores[scores["method"] == "CLIP-GEN"]["cosine"].mean()
        monkeypatch.setitem(PRINTED, (2, "COCO: CLIP-GEN", "Sim_txt"), found + 0.01)
        rows = complete(2, table_2.rows_of(space("made up as COCO", clip=True), scores))
        word = {(row.row, row.score): row.verdict for row in rows}
        assert word["COCO: CLIP-GEN", "Sim_txt"] == "reproduced"
        assert word["COCO: LAFITE", "Sim_txt"] in ("reproduced", "reproduced in mechanism")
        assert word["COCO: VDLGAN", "Sim_txt"] == word["CC3M: ours", "Sim_img"] == "could not be"
        assert word["C3", "Sim_txt"] == ""
        elsewhere = {row.row: row.verdict for row in table_2.rows_of(space("elsewhere"), scores)}
        assert elsewhere["COCO: CLIP-GEN"] == "reproduced in mechanism"

    @pytest.mark.parametrize(
        ("name", "clip", "same"),
        [
            ("coco", True, True), ("MSCOCO-val2014", True, True), ("coco2014", True, True), ("ms_coco", True, True),
            ("coco", False, False), ("coconuts", True, False), ("cocoa beans", True, False), ("xcc3m", True, False),
        ],
    )  # fmt: skip
    def test_another_set_is_not_the_posters(self, scores, monkeypatch, name, clip, same):
        """Neither by a name that has COCO in it nor by other encoders, however near the number is."""
        found = scores[scores["method"] == "CLIP-GEN"]["cosine"].mean()
        monkeypatch.setitem(PRINTED, (2, "COCO: CLIP-GEN", "Sim_txt"), found)
        row = next(row for row in table_2.rows_of(space(name, clip), scores) if row.row == "COCO: CLIP-GEN")
        assert (row.verdict == "reproduced") == same

    @pytest.mark.parametrize(
        ("encoders", "is_clip"),
        [
            (("open_clip:ViT-B-32/openai",) * 2, True), (("openai/clip-vit-base-patch32",) * 2, True),
            (("open_clip:ViT-B-32-quickgelu/openai",) * 2, True),
            (("open_clip:ViT-B-32/laion2b_s34b_b79k",) * 2, False), (("open_clip:ViT-B-16/openai",) * 2, False),
            (("open_clip:ViT-L-14/openai", "open_clip:ViT-B-32/openai"), False), (None, False),
        ],
    )  # fmt: skip
    def test_which_encoder_is_the_posters(self, tmp_path, encoders, is_clip):
        both = {} if encoders is None else dict(zip(("image", "text"), encoders, strict=True))
        said = {name: {"encoder": encoder} for name, encoder in both.items()}
        mt.PairedEmbeddings({"image": np.eye(20), "text": np.eye(20)}, metadata=said).save(tmp_path / "coco.npz")
        assert table_2.named([tmp_path / "coco.npz"])[0].clip == is_clip


class TestTable2:
    def test_lafite_is_the_identity_over_the_root_of_ten(self, scores):
        mean = scores.groupby("method")["cosine"].mean()
        assert abs(mean["LAFITE"] - mean["CLIP-GEN"] / 10**0.5) < table_2.NEAR
        assert abs(mean["CapDec noise"] - mean["CLIP-GEN"] / (1 + 0.016 * 256) ** 0.5) < 0.02

    def test_without_pairs_it_is_above_what_a_constant_reaches(self, scores):
        """The condition itself is below it: the gap is one vector, which unpaired rows tell."""
        mean = scores.groupby("method")["cosine"].mean()
        assert mean["CLIP-GEN"] < scores["floor"].max() < mean["VDLGAN"] - 0.05
        assert mean["mean shift"] > mean["CLIP-GEN"] + 0.3 and mean["C3"] > 0.9

    def test_a_mechanism_that_does_not_hold_is_not_claimed(self, scores):
        part = scores.set_index("method")
        assert table_2.judged("LAFITE", part)[0] and table_2.judged("CLIP-GEN", part)[0]
        changed = part.copy()
        changed.loc[["LAFITE", "CLIP-GEN"], "cosine"] = 0.97
        assert not table_2.judged("LAFITE", changed)[0] and not table_2.judged("CLIP-GEN", changed)[0]
        changed.loc["ours", "cosine"] = 0.0
        assert not table_2.judged("ours", changed)[0]

    def test_the_way_back_stands_beside_the_posters_pictures(self, scores):
        both = pd.concat([scores, scores.assign(route="text → image", cosine=scores["cosine"] - 1)])
        rows = table_2.rows_of(space("x")._replace(routes=[("image", "text"), ("text", "image")]), both)
        ours = {row.score: row for row in rows if row.row == "COCO: ours"}
        assert ours["Sim_img"].ours == pytest.approx(ours["Sim_txt"].ours - 1)
        assert (ours["Sim_txt"].poster, ours["Sim_img"].poster) == (0.8394, 0.8233)

    def test_spaces_that_share_nothing_show_no_mechanism(self, scores):
        """Cosines near 0 have every ratio within .01, and are below every floor."""
        part = scores.set_index("method")
        part.loc[["LAFITE", "CLIP-GEN"], "cosine"] = 0.001
        assert table_2.judged("LAFITE", part)[0] and table_2.judged("CLIP-GEN", part)[0]
        part.loc["CLIP-GEN", ["recall_at_10", "centered_recall_at_10"]] = 11 / part["gallery"].iloc[0]
        for method in ("LAFITE", "CLIP-GEN"):
            holds, why = table_2.judged(method, part)
            assert not holds and why.startswith("no space is shared")

    def test_c3_is_scored_between_collapsed_vectors(self):
        """By hand: both sides less the means of the rows that were read."""
        trial = Trial.of(gapped(120), "image", "text", 0)
        fitted = trial.fit(mt.preset("C3"))
        c, z = (unit(trial.test.pairs.modality(name)) for name in ("image", "text"))
        cosine = (unit(c - fitted.mean_c.numpy()) * unit(z - fitted.mean_z.numpy())).sum(1).mean()
        found = table_2.collapsed_score(trial)
        assert found["cosine"] == pytest.approx(cosine, abs=1e-6) and found["floor"] < 0.3

    def test_one_space_is_needed(self, tmp_path):
        mt.PairedEmbeddings({"image": np.eye(9), "text": np.ones((9, 4))}).save(tmp_path / "two.npz")
        with pytest.raises(ValueError, match="dimensions 9 and 4, one space"):
            table_2.named([tmp_path / "two.npz"])

    def test_each_set_has_a_name_and_two_modalities(self, tmp_path):
        (tmp_path / "x").mkdir()
        of, paths = {"dataset": {"name": "Drawn"}}, [tmp_path / name for name in ("a.npz", "b.npz", "x/a.npz")]
        for path in paths:
            mt.PairedEmbeddings({"image": np.eye(20), "text": np.eye(20)}, metadata=of).save(path)
        assert [space.name for space in table_2.named(paths[:2])] == ["Drawn", "Drawn (b)"]
        with pytest.raises(ValueError, match="^pairs: 'a b a', a name of its own for each set is needed"):
            table_2.named(paths)
        mt.PairedEmbeddings({name: np.eye(9) for name in "abc"}).save(paths[0])
        with pytest.raises(ValueError, match="^pairs: .*a.npz: 'a, b, c', image and text, or two modalities alone"):
            table_2.named(paths[:1])

    def test_texts_stand_beside_the_posters_texts(self, tmp_path):
        for order in (("image", "text"), ("text", "image")):
            path = tmp_path / f"{order[0]}.npz"
            mt.PairedEmbeddings({name: np.eye(20) for name in order}).save(path)
            assert list(table_2.named([path])[0].routes) == [("image", "text"), ("text", "image")]

    def test_colour_and_drawing_are_matched_by_key(self, tmp_path, monkeypatch):
        from modtrans_core.embed import pair_set

        rng = np.random.default_rng(0)
        colour, drawn = rng.normal(size=(2, 5, 3)).astype(np.float32)
        keys = np.array(list("abcde"))
        mt.PairedEmbeddings({"image": colour}, key=keys, group=np.arange(5)).save(tmp_path / "colour.npz")
        mt.PairedEmbeddings({"image": drawn[[4, 2, 0]]}, key=keys[[4, 2, 0]]).save(tmp_path / "black.npz")
        monkeypatch.setattr(pair_set, "cached_openmoji", lambda: tmp_path / "colour.npz")
        monkeypatch.setattr(pair_set, "embed", lambda *_, **__: tmp_path / "black.npz")
        found = mt.PairedEmbeddings.load(table_2.drawings())
        np.testing.assert_array_equal(found.modality("colour"), colour[[0, 2, 4]])
        np.testing.assert_array_equal(found.modality("drawing"), drawn[[0, 2, 4]])


class TestTable3:
    def row(self, ours, floor):
        return Row.of(3, "COCO: ViT-L/14, BERT", "Sim_txt", [ours], floor=floor)

    def test_a_cosine_that_is_all_floor(self):
        assert table_3.at_floor(self.row(0.995, 0.997))[0]
        assert not table_3.at_floor(self.row(0.95, 0.92))[0] and not table_3.at_floor(self.row(0.5, 0.5))[0]

    def test_above_the_floor_in_every_split(self):
        part = pd.DataFrame({"cosine": [0.6, 0.7], "floor": [0.5, 0.6]})
        assert table_3.above_floor(part, 9)[0]
        assert not table_3.above_floor(part.assign(cosine=[0.6, 0.59]), 9)[0]

    def test_each_route_stands_beside_a_column(self, tmp_path, monkeypatch):
        """Targets that lie close together stand beside BERT's texts, whichever modality they are here."""
        from modtrans_core.embed import pair_set

        for name in ("real", "random"):
            mt.PairedEmbeddings({"image": np.eye(20), "text": np.eye(20)}).save(tmp_path / f"{name}.npz")
        monkeypatch.setattr(pair_set, "cached_openmoji", lambda: tmp_path / "real.npz")
        monkeypatch.setattr(table_3, "with_random_weights", lambda items: tmp_path / "random.npz")
        of = {("real", "image → text"): (0.6, 0.5), ("real", "text → image"): (0.4, 0.5),
              ("random", "image → text"): (0.5, 0.4), ("random", "text → image"): (0.99, 0.985)}  # fmt: skip
        made = [{"pair": pair, "route": route, "cosine": cosine, "floor": floor, "ceiling": None, "gallery": 9,
                 "centered_recall_at_10": 0.5} for (pair, route), (cosine, floor) in of.items()]  # fmt: skip
        monkeypatch.setattr(table_3, "encoder_pairs", lambda *_, **__: pd.DataFrame(made))
        rows = {(row.row, row.score): row for row in table_3.table3_rows(None, 1)}
        assert set(rows) == {key[1:] for key in PRINTED if key[0] == 3}
        assert rows["COCO: ViT-L/14, BERT", "Sim_txt"].ours == 0.99
        words = {key: row.verdict for key, row in rows.items()}
        assert words["COCO: ViT-L/14, BERT", "Sim_txt"] == "reproduced in mechanism"
        assert words["COCO: DINOv2, CLIP RN50", "Sim_txt"] == "reproduced in mechanism"
        assert words["COCO: DINOv2, CLIP RN50", "Sim_img"] == words["COCO: ViT-L/14 both", "Sim_img"] == "could not be"


class TestAllTables:
    @pytest.mark.parametrize("number", sorted(REGISTRY))
    def test_a_function_measures_each(self, number):
        module, _, name = REGISTRY[number].partition(":")
        assert callable(getattr(import_module(module), name))

    @pytest.mark.parametrize("number", sorted(REGISTRY))
    def test_what_is_not_measured_says_what_it_takes(self, number):
        rows = complete(number, [])
        assert [(row.table, row.row, row.score) for row in rows] == [key for key in PRINTED if key[0] == number]
        assert all(row.verdict == "could not be" and row.why and row.ours is None for row in rows)

    def test_measured_rows_take_the_place_of_missing_ones(self, monkeypatch):
        made = [
            Row.of(6, "ours: ViT-B/32", "accuracy", [50.0], verdict="reproduced in mechanism"),
            Row.of(6, "more", "a"),
        ]
        monkeypatch.setattr(poster_tables, "import_module", lambda _: type("M", (), {"table6_rows": lambda *_: made}))
        assert [row.row for row in table(6)] == [
            "raw: ViT-L/14", "raw: ViT-B/32", "ours: ViT-L/14", "ours: ViT-B/32", "more",
        ]  # fmt: skip
        with pytest.raises(ValueError, match="table: 7, one of 2, 3"):
            table(7)

    def test_the_text_has_number_floor_word_and_reason(self):
        split = pd.DataFrame({"cosine": [0.1, 0.3], "floor": 0.05, "ceiling": None, "gallery": 40,
                              "centered_recall_at_10": 0.5})  # fmt: skip
        row = of_scores(
            2, "COCO: LAFITE", "Sim_txt", split, "made up", verdict="reproduced in mechanism", why="so it is"
        )
        text = as_text([row, *complete(5, [])])
        for said in ("0.0965", "0.2000 ± 0.1414", "0.0500", "0.500 of 40", "reproduced in mechanism", "[1] so it is",
                     "(1) made up", "74.70", "could not be"):  # fmt: skip
            assert said in text
        widest = [replace(row, ceiling=0.5, why="long " * 50, data="long " * 50), *complete(3, []), *complete(4, [])]
        assert max(map(len, as_text([*widest, *complete(2, widest[:1])]).splitlines())) <= PAPER
        assert as_frame([row])["poster"].item() == 0.0965

    def test_the_figure_has_a_line_for_each_printed_number(self):
        frame = as_frame([row for number in REGISTRY for row in complete(number, [])])
        figure = poster(frame)
        assert sum(len(ax.get_yticks()) for ax in figure.axes) == len(PRINTED)
        plt.close(figure)


class TestVerb:
    def tables(self, *options):
        return run(VERBS_HERE, "modtrans", "", ["tables", *map(str, options)])

    def test_it_writes_text_table_and_figure(self, tmp_path, monkeypatch, capsys):
        asked = []
        monkeypatch.setattr(
            poster_tables, "table", lambda number, *rest, **more: asked.append((number, more)) or complete(number, [])
        )
        mt.PairedEmbeddings({"image": np.eye(30), "text": np.eye(30)}).save(tmp_path / "pairs.npz")
        assert self.tables(2, 6, 2, "--out", tmp_path / "out", "--pairs", tmp_path / "pairs.npz") == 0
        assert [number for number, _ in asked] == [2, 6] and asked[0][1]["pairs"] == (tmp_path / "pairs.npz",)
        said = capsys.readouterr()
        assert "npm pack emojibase-data" in said.err and "noto" not in said.err
        assert "Table 6" in said.out and "Table 2" in (tmp_path / "out/tables.txt").read_text()
        assert len(pd.read_csv(tmp_path / "out/tables/poster.csv")) == 16
        assert (tmp_path / "out/figures/poster.pdf").exists()
        assert self.tables(6, "--out", tmp_path / "out") != 0

    def test_what_was_measured_is_printed_whatever_ends_the_others(self, tmp_path, monkeypatch, capsys):
        def measured(number, *_, **__):
            if number == 5:
                raise KeyboardInterrupt
            return complete(number, [])

        monkeypatch.setattr(poster_tables, "table", measured)
        assert self.tables(6, 5, "--out", tmp_path / "out") == 130
        assert capsys.readouterr().out.startswith("Table 6") and (tmp_path / "out/tables.txt").exists()

    @pytest.mark.parametrize(
        ("image", "group", "words"),
        [
            (np.eye(9), None, "the split by seed 0: items: 9, of which"),
            (np.ones((30, 9)), None, "one direction"),
            (Z, np.maximum(np.arange(400) // 5, 39), "the split by seed 2: items: 400, of which 1 group is for valid"),
        ],
    )
    def test_a_set_that_is_unfit_is_named_before_anything_is_measured(
        self, image, group, words, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.setattr(poster_tables, "table", lambda *_, **__: pytest.fail("began to measure"))
        mt.PairedEmbeddings({"image": Z, "text": Z}).save(tmp_path / "good.npz")
        mt.PairedEmbeddings({"image": image, "text": Z[: len(image)]}, group=group).save(tmp_path / "bad.npz")
        pairs = [tmp_path / "good.npz", tmp_path / "bad.npz"]
        for verb in (["tables", "3", "2", "--pairs"], ["compare"]):
            assert run(VERBS_HERE, "modtrans", "", [*verb, *map(str, pairs), "--out", str(tmp_path / "out")]) == 1
            said = capsys.readouterr().err
            assert "bad.npz: " in said and words in said and len(said.splitlines()) == 1

    @pytest.mark.parametrize(
        "options", [(2, "--seeds", 0), (2, "--data", "nowhere"), (2, "--pairs", "no.npz"), (3, "--pairs", ".")]
    )
    def test_what_cannot_be_is_refused(self, options, tmp_path):
        assert self.tables(*options, "--out", tmp_path / "out") != 0
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tables", "pairs", "words"),
    [
        ("a", "", "tables: 'a', one or several of 2, 3, 4, 5, 6"),
        ("2,,3", "", "tables: '2,,3', one or several of"),
        ("7", "", "tables: '7', one or several of"),
        ("3, 5", "coco.npz", "pairs: 'coco.npz', Table 2 among the tables is needed"),
    ],
)
def test_tables_that_are_none_are_refused_before_one_is_measured(tables, pairs, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        chosen_from(tables, pairs)
