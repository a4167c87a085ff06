"""Work done ahead of time."""

import time

import pytest

from modtrans_core.ahead import ahead


def test_work_ahead_comes_in_order_and_its_errors_too():
    def work(item):
        time.sleep(0.001 * (item % 3))
        if item == 20:
            raise ValueError("row 20")
        return item * item

    found = []
    with pytest.raises(ValueError, match="row 20"):
        for value in ahead(work, range(99)):
            found.append(value)
    assert found == [item * item for item in range(20)] and list(ahead(work, [])) == []
