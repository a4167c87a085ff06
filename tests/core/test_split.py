"""Which items are chosen; how a pair set is split is tested with the pair set."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modtrans_core.split import whole_groups


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(1, 60), st.integers(0, 5))
def test_whole_groups_never_tears_one_apart(group, limit, seed):
    group = np.array(group)
    chosen = whole_groups(group, limit, seed)
    assert len(chosen) <= limit
    assert not set(group[chosen]) & set(np.delete(group, chosen))
    if limit >= len(group):
        assert len(chosen) == len(group)
