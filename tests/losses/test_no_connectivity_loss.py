"""Why no connectivity term is shipped: the derivative of Conn is 0 exactly where foreground is missing."""

from __future__ import annotations

import numpy as np
import pytest

from deepmatte.metrics.functional import conn, sad

UNKNOWN = np.full((8, 12), 128, np.uint8)


def matte(core: int, rest: int) -> np.ndarray:
    """Return an opaque half beside a half of one 8-bit value."""
    values = np.full(UNKNOWN.shape, core, np.uint8)
    values[:, 6:] = rest
    return values


@pytest.mark.parametrize("value", [30, 55, 105, 130, 156, 180, 207])
def test_conn_does_not_move_with_missing_foreground_between_two_thresholds(value):
    before, after = (conn(matte(255, value + step), matte(255, 255), UNKNOWN) for step in (0, 1))
    assert before == after > 0
    assert sad(matte(255, value + 1), matte(255, 255), UNKNOWN) < sad(
        matte(255, value), matte(255, 255), UNKNOWN
    )


@pytest.mark.parametrize("value", [55, 105, 156, 207, 232])
def test_conn_moves_with_foreground_that_is_too_much(value):
    before, after = (conn(matte(255, value + step), matte(255, 0), UNKNOWN) for step in (0, 1))
    assert after - before == pytest.approx(48 / 255 / 1000)
