"""What was seen is found again in any file, and what was not is not."""

import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats
from scipy.integrate import quad
from scipy.sparse.csgraph import connected_components

from modtrans_core import PairedEmbeddings, evaluate, fit, load, seen
from modtrans_core import run as runs
from modtrans_core.seen import STEP, Familiar, Seen, group_equal, sketch, with_equal_together
from modtrans_core.vectors import unit

FALSE_ALARM = 1e-6


def bfloat16(x):
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).bfloat16().float().numpy()


COPIES = {
    "float16": lambda x: x.astype(np.float16),
    "bfloat16": bfloat16,
    "rescaled": lambda x: x * np.random.default_rng(5).uniform(0.01, 100, (len(x), 1)),
    "rescaled, then float16": lambda x: (7 * x).astype(np.float16),
    "unit, then float16": lambda x: unit(x).astype(np.float16),
    "unit, then bfloat16": lambda x: bfloat16(unit(x)),
}


def in_a_cone(n, d, cosine, rng):
    """Rows of any length, two of which have about this cosine."""
    shared = np.sqrt(d) * unit(rng.normal(size=(1, d)))[0]
    rows = np.sqrt(cosine) * shared + np.sqrt(1 - cosine) * rng.normal(size=(n, d))
    return (rows * rng.uniform(0.5, 20, (n, 1))).astype(np.float32)


def one_modality(x):
    return PairedEmbeddings({"image": x, "text": x})


def seen_of(x):
    return Seen.of({"train": one_modality(x)}, ("image",))


def found_in(seen, x):
    return seen.look(one_modality(x), "image", "image").condition


@pytest.mark.parametrize("cosine", [0.0, 0.8, 0.99])
@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_every_copy_is_found(copy, cosine):
    """None of 5,000 is missed; the rate is below 1e-7, so that one would be news of 1 in 2,000."""
    x = in_a_cone(5000, 96, cosine, np.random.default_rng(0))
    assert found_in(seen_of(x), copy(x)).all()


@pytest.mark.parametrize("cosine", [0.0, 0.9, 0.99])
def test_no_other_row_is(cosine):
    """5,000 rows against 20,000: 10^8 pairs, each mistaken with probability 2e-10 at the cosine .99, 1e-14 at .9."""
    x = in_a_cone(25_000, 96, cosine, np.random.default_rng(1))
    assert not found_in(seen_of(x[:20_000]), x[20_000:]).any()


@pytest.mark.parametrize("distance", [0.002, 0.003, 0.005, 0.012, 0.02, 0.03])
def test_rows_at_a_distance_are_equal_as_often_as_eight_projections_say(distance):
    """A difference of x steps rounds to at most 5 surely up to 5, never from 6 on, between with probability 6-x."""
    d, n = 1024, 6000
    step = distance / STEP
    once = 2 * quad(lambda x: stats.norm.pdf(x, scale=step) * np.clip(6 - x, 0, 1), 0, 6, points=[5])[0]
    rng = np.random.default_rng(2)
    x = unit(rng.normal(size=(n, d)))
    away = rng.normal(size=(n, d)).astype(np.float32)
    away -= (away * x).sum(1, keepdims=True) * x
    moved = x + distance * unit(away)
    hits = int((np.abs(sketch(x).astype(int) - sketch(moved)).max(1) <= 5).sum())
    low, high = stats.binom.ppf([FALSE_ALARM, 1 - FALSE_ALARM], n, np.minimum(1, once**8 * np.array([0.9, 1.1])))
    assert low <= hits <= high


def test_rows_of_three_numbers_are_told_apart_at_a_hundredth():
    x = unit(np.random.default_rng(3).normal(size=(2000, 3)))
    turned = x + 0.01 * unit(np.cross(x, [0.0, 0.0, 1.0]))
    seen = Seen.of({"train": PairedEmbeddings({"image": x})}, ("image",))
    assert found_in(seen, x.astype(np.float16)).all()
    own = [np.abs(sketch(a[None]).astype(int) - sketch(b[None])).max() > 1 for a, b in zip(x, turned, strict=True)]
    assert all(own)
    assert found_in(seen, turned).mean() < 0.05  # the rows of others that happen to lie there


@pytest.mark.parametrize(("off", "most"), [(0, 0.0), (30, 0.0), (60, 0.001), (100, 0.02)])  # cosines up to .9999
def test_independent_rows_with_much_in_common_are_no_copies(off, most):
    x = off + np.random.default_rng(0).normal(size=(8000, 64))
    pairs = PairedEmbeddings({"image": x})
    seen = Seen.of({"train": pairs.take(np.arange(7000))}, ("image",))
    assert seen.look(pairs.take(np.arange(7000, 8000)), "image", "image").condition.mean() <= most
    copies = PairedEmbeddings({"image": x[:7000].astype(np.float16 if off < 10 else np.float32)})
    assert seen.look(copies, "image", "image").condition.all()
    assert len(np.unique(group_equal(pairs, ("image",)))) >= (1 - most) * 8000


def test_a_projection_beyond_the_range_does_not_wrap_around():
    signs = np.sign(sketch(np.eye(6000)[:1000]).astype(int))  # what each axis adds
    assert (np.abs(signs) == 1).all()
    along = np.concatenate([signs[:, 0], np.zeros(5000)])  # the first projection is sqrt(1000) = 31.6
    assert sketch(along[None])[0, 0] == round(np.sqrt(1000) / STEP)
    everywhere = np.sign(sketch(np.eye(6000)).astype(int))[:, 0]  # 77.5, more than int16 holds of these steps
    assert sketch(everywhere[None])[0, 0] == 2**15 - 1


class TestItems:
    """Six items, of which 0 and 1 were trained on and 2 validated on; 3 shares a caption with 0, 4 is of 2's group."""

    rng = np.random.default_rng(4)
    image, text = rng.normal(size=(6, 32)), rng.normal(size=(6, 2, 24))
    text[3, 1] = 3 * text[0, 0]
    pairs = PairedEmbeddings(
        {"image": image, "text": text}, {"text": np.array([2, 1, 2, 2, 2, 2])}, np.array([0, 1, 2, 3, 2, 5])
    )
    seen = Seen.of({"train": pairs.take(np.arange(2)), "validation": pairs.take(np.array([2]))}, ("image", "text"))

    def test_each_side_by_itself(self):
        found = self.seen.look(self.pairs, "image", "text")
        assert found.condition.tolist() == [True, True, True, False, False, False]
        assert found.target.tolist() == [True, True, True, True, False, False]
        assert self.seen.look(self.pairs, "text", "image").condition.tolist() == found.target.tolist()

    def test_a_part_by_itself(self):
        found = self.seen.look(self.pairs, "image", "text", "validation")
        assert np.flatnonzero(found.condition).tolist() == np.flatnonzero(found.target).tolist() == [2]

    def test_the_groups_go_with_their_items(self):
        found = self.seen.look(self.pairs, "image", "text")
        assert found.unseen().tolist() == [5] and found.unseen(targets=False).tolist() == [3, 5]
        words = found.in_words()
        assert "3 with a condition" in words and "4 with such a target" in words and "1 of the group of such" in words

    def test_an_absent_caption_is_not_looked_at(self):
        """The second caption of item 1 does not count: it may hold anything."""
        other = PairedEmbeddings({"image": self.rng.normal(size=(1, 32)), "text": self.text[1:2, 1]})
        assert not self.seen.look(other, "image", "text").target.any()

    def test_a_modality_of_which_nothing_was_seen(self):
        none = Seen.of({"train": self.pairs}, ("image",)).look(self.pairs, "image", "text")
        assert none.condition.all() and not none.target.any()

    def test_order_and_repetition_leave_no_trace(self):
        again = self.pairs.take(np.array([1, 0, 1]))
        assert Seen.of({"train": again}, ("image",)) == Seen.of({"train": self.pairs.take(np.arange(2))}, ("image",))
        assert Seen.of({"train": again}, ("image",)) != Seen.of({"train": self.pairs}, ("image",))

    def test_saved_and_restored(self):
        assert Seen.restored(self.seen.tensors(), ()) == self.seen
        assert {rows.dtype for rows in self.seen.tensors().values()} == {torch.int16}

    def test_the_same_from_disk(self, tmp_path):
        self.pairs.save(tmp_path / "pairs.safetensors")
        mapped = PairedEmbeddings.load(tmp_path / "pairs.safetensors", mapped=True)
        assert Seen.of({"train": mapped}, ("image", "text")) == Seen.of({"train": self.pairs}, ("image", "text"))
        np.testing.assert_array_equal(
            self.seen.look(mapped, "image", "text").left_out(), [True, True, True, True, True, False]
        )


def test_who_is_left_of_no_item():
    nothing = Familiar(np.zeros(2, bool), np.zeros(2, bool), np.arange(2))
    assert nothing.unseen().tolist() == [0, 1]


def test_equal_rows_of_either_side_and_old_groups_are_grouped_together():
    """Against an adjacency matrix of exact equality; the copies have another length and half the digits."""
    rng = np.random.default_rng(6)
    which = {name: rng.integers(0, 150, 200) for name in ("image", "text")}
    group = rng.integers(0, 190, 200)
    rows = {name: rng.normal(size=(150, 32))[of] for name, of in which.items()}
    rows["image"][::2] = (5 * rows["image"][::2]).astype(np.float16)
    same = group[:, None] == group
    for of in which.values():
        same |= of[:, None] == of
    label = connected_components(same, directed=False)[1]
    first = np.array([np.flatnonzero(label == one)[0] for one in label])
    assert 1 < len(np.unique(first)) < 150
    np.testing.assert_array_equal(group_equal(PairedEmbeddings(rows, group=group), ("image", "text")), first)


def test_equal_rows_that_join_all_items_are_refused_and_fewer_make_groups():
    rng = np.random.default_rng(9)
    video, said = np.repeat(rng.normal(size=(30, 16)), 4, axis=0), rng.normal(size=(120, 12))
    few, all_ = said.copy(), said.copy()
    few[::24] = said[0]  # said of five videos
    all_[::4] = said[0]  # of each
    kept = with_equal_together(PairedEmbeddings({"video": video, "text": few}), ("video", "text"))
    assert len(np.unique(kept.group)) == 26
    with pytest.raises(ValueError, match="^group_duplicates: equal rows in video or text join 120 of 120 items"):
        with_equal_together(PairedEmbeddings({"video": video, "text": all_}), ("video", "text"))
    one = PairedEmbeddings(
        {"video": video, "text": all_}, group=np.zeros(120, int)
    )  # nothing is lost where nothing was
    assert len(np.unique(with_equal_together(one, ("text",)).group)) == 1


def test_a_chain_of_near_rows_is_one_group():
    x = np.random.default_rng(7).normal(size=(1, 64))
    chain = x + 0.01 * np.arange(5)[:, None] * np.random.default_rng(8).normal(size=(1, 64)) / 3
    far = np.abs(np.diff(sketch(chain[[0, -1]]).astype(int), axis=0)).max()
    assert far > 5 >= np.abs(np.diff(sketch(chain).astype(int), axis=0)).max()
    assert (group_equal(PairedEmbeddings({"image": chain}), ("image",)) == 0).all()


@pytest.mark.parametrize("nearest", [2, 3, 64])
@pytest.mark.parametrize("spread", [2, 4, 9, 30])
def test_groups_are_those_of_all_near_pairs(monkeypatch, nearest, spread):
    monkeypatch.setattr(seen, "NEAREST", nearest)
    monkeypatch.setattr(seen, "_within", lambda d, rows: 5.5)
    rng = np.random.default_rng(spread)
    rows = rng.integers(-40, 40, (6, 8))[rng.integers(0, 6, 300)] + rng.integers(-spread, spread, (300, 8))
    near = np.abs(rows[:, None] - rows).max(axis=2) <= 5
    expected = connected_components(near)[1]
    found = seen._equal(rows, 64)
    assert len(np.unique(found)) == len(np.unique(expected)) == len(np.unique(np.stack([found, expected], 1), axis=0))


def test_many_near_rows_take_memory_in_proportion(monkeypatch):
    monkeypatch.setattr(seen, "_within", lambda d, rows: 5.5)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 9, (6000, 8)).astype(np.int16)  # 18 million near pairs, 288 MB, and copies of them
    tracemalloc.start()
    seen._equal(rows, 64)
    assert tracemalloc.get_traced_memory()[1] < 150e6
    tracemalloc.stop()


def test_many_repetitions_are_no_burden():
    """Of 50,000 rows 40,000 are ten: a tree of all of them would compare each with thousands."""
    rng = np.random.default_rng(9)
    x = unit(rng.normal(size=(50_000, 16)))
    x[10_000:] = x[rng.integers(0, 10, 40_000)]
    group = group_equal(PairedEmbeddings({"image": x}), ("image",))
    assert len(np.unique(group)) == 10_000
    assert found_in(seen_of(x), x).all()


class TestTranslators:
    rng = np.random.default_rng(10)
    image = rng.normal(size=(120, 16))
    pairs = PairedEmbeddings({"image": image, "text": image @ rng.normal(size=(16, 12))})

    @pytest.fixture(scope="class")
    def fitted(self):
        train, validation, _ = self.pairs.split(0)
        return fit(train, validation=validation, device="cpu")

    def test_items_of_a_group_that_was_seen_are_left_out_whoever_asks(self):
        """Two rows a name, of which every second name's first row was fitted to."""
        key = np.repeat([f"k{number}" for number in range(60)], 2)
        named = PairedEmbeddings(self.pairs.arrays, key=key)
        translator = fit(named.take(np.arange(0, 120, 4)), device="cpu")
        left = translator.facts.unseen(named)
        assert sorted(set(left.key)) == sorted(f"k{number}" for number in range(1, 60, 2)) and len(left) == 60
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            evaluate(translator, left)

    def test_fit_save_and_load_remember(self, fitted, tmp_path):
        test = self.pairs.split(0)[2]
        for one in (fitted, self.saved(fitted, tmp_path / "run")):
            assert one.facts == fitted.facts
            left = one.facts.unseen(self.pairs)
            assert len(left) == 24 and {row.tobytes() for row in left.modality("image")} == {
                row.tobytes() for row in test.modality("image")
            }
        rows = load_file(tmp_path / "run" / runs.SEEN)
        assert sum(len(one) for one in rows.values()) == 2 * 96
        assert (tmp_path / "run" / runs.SEEN).stat().st_size < 16 * 2 * 96 + 600

    def saved(self, fitted, folder):
        fitted.save(folder)
        return load(folder, "cpu")

    def test_without_a_validation_part_both_parts_of_the_pairs_are_remembered(self):
        facts = fit(self.pairs, device="cpu").facts
        with pytest.raises(ValueError, match="pairs: the translator was fitted to all 120 items; others are needed"):
            facts.unseen(self.pairs)

    def test_evaluate_warns_of_items_that_are_no_test(self, fitted):
        test = self.pairs.split(0)[2]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            evaluate(fitted, test)
        half = PairedEmbeddings({name: x.astype(np.float16) for name, x in self.pairs.arrays.items()})
        with pytest.warns(UserWarning, match="96 of 120 items are no test .* 96 with a condition .* 96 with such a"):
            evaluate(fitted, half)

    def test_rows_of_one_name_are_a_group_for_all(self):
        pairs = PairedEmbeddings(dict(self.pairs.arrays), key=[f"{row // 2}" for row in range(120)])
        facts = fit(pairs.take(np.arange(0, 120, 3)), device="cpu").facts
        assert len(facts.unseen(pairs)) == len(facts.unseen(pairs.grouped())) == 40

    def test_a_translator_that_does_not_say_takes_all(self, fitted):
        unknown = fitted.facts._replace(seen=None)
        assert unknown.unseen(self.pairs) is self.pairs
        assert "seen" not in unknown.plain() and "seen" not in fitted.facts.plain()

    def test_damaged_rows_are_refused(self, fitted, tmp_path):
        fitted.save(tmp_path / "run")
        (tmp_path / "run" / runs.SEEN).write_bytes(b"torn")
        with pytest.raises(ValueError, match="seen.safetensors: does not hold the rows that were seen"):
            load(tmp_path / "run", "cpu")
