"""One wording for what is refused."""

import pytest

from modtrans_core.checks import refuse, refuse_unless, refuse_unless_in


def test_a_refusal_names_the_setting_the_value_and_what_is_needed():
    with pytest.raises(ValueError, match="^shard_items: 0, at least 1 is needed$"):
        refuse("shard_items", 0, "at least 1")
    with pytest.raises(ValueError, match="^dtype: 'int8', float32 or float16 is needed$"):
        refuse_unless_in("dtype", "int8", ("float32", "float16"))
    with pytest.raises(ValueError, match="^style: 'grey', one of a, b, c is needed$"):
        refuse_unless_in("style", "grey", {"a": 1, "b": 2, "c": 3})


def test_what_is_allowed_passes():
    refuse_unless(True, "shard_items", 1, "at least 1")
    refuse_unless_in("dtype", "float16", ("float32", "float16"))
