"""One wording for what is refused."""

from fractions import Fraction

import numpy as np
import pytest
import torch

import modtrans_core as mt
from modtrans_core.checks import refuse, refuse_unless, refuse_unless_in, whole
from modtrans_core.hub import from_pretrained, save_pretrained


def test_a_refusal_names_the_setting_the_value_and_what_is_needed():
    with pytest.raises(ValueError, match="^shard_items: 0, at least 1 is needed$"):
        refuse("shard_items", 0, "at least 1")
    with pytest.raises(ValueError, match="^dtype: 'int8', float32 or float16 is needed$"):
        refuse_unless_in("dtype", "int8", ("float32", "float16"))
    with pytest.raises(ValueError, match="^style: 'grey', one of a, b, c is needed$"):
        refuse_unless_in("style", "grey", {"a": 1, "b": 2, "c": 3})


@pytest.mark.parametrize(
    "number", [2.5, float("nan"), float("inf"), "2", None, True, [2], 0, 10, -(10**400), np.float32(2.5)]
)
def test_what_is_no_whole_number_in_the_range_is_refused(number):
    with pytest.raises(ValueError, match="^k: .*, a whole number from 1 to 9, the size of the gallery, is needed$"):
        whole("k", number, 1, 9, "the size of the gallery")


@pytest.mark.parametrize("number", [2, 2.0, np.int8(2), np.float32(2), np.array(2), torch.tensor(2), Fraction(2)])
def test_a_whole_number_of_any_type_is_an_int(number):
    assert type(whole("k", number, 1)) is int and whole("k", number, 2, 2) == 2


def test_what_is_allowed_passes():
    refuse_unless(True, "shard_items", 1, "at least 1")
    refuse_unless_in("dtype", "float16", ("float32", "float16"))


def test_an_empty_path_is_not_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pairs = mt.PairedEmbeddings({"image": np.eye(9, 3) + 1, "text": np.eye(9, 2) + 1})
    translator = mt.fit(pairs.take(np.arange(3)), device="cpu")
    for call in (
        lambda: translator.save(""),
        lambda: mt.fit(pairs, out="", device="cpu"),
        lambda: mt.load(""),
        lambda: save_pretrained(translator, ""),
        lambda: from_pretrained(""),
        lambda: pairs.save(""),
        lambda: mt.PairedEmbeddings.load(""),
        lambda: mt.PairedEmbeddings.load_npy("", "image"),
    ):
        with pytest.raises(ValueError, match="^(folder|name|path): '', the name of a "):
            call()
    assert not list(tmp_path.iterdir())
