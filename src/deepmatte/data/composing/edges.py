"""Where the edge of a matte is: an index by rows, from which an edge pixel is drawn fast."""

from __future__ import annotations

import cv2
import numpy as np

from deepmatte.ops.zones import full_scale


def edge_index(alpha: np.ndarray) -> np.ndarray:
    """Return, for each row, how many pixels of the edge lie in it and the rows above, int32 (H,).

    The edge of a matte (H, W), uint8 or uint16, is 0 < alpha < 1; of a hard matte, both sides of its outline.

    >>> edge_index(np.array([[0, 0, 0], [0, 7, 255]], np.uint8))
    array([0, 1], dtype=int32)
    """
    edge = _soft(alpha)
    if not edge.any():
        edge = _outline(alpha)
    return np.cumsum(cv2.reduce(edge, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0] // 255, dtype=np.int32)


def draw_edge_pixel(
    alpha: np.ndarray, rng: np.random.Generator, index: np.ndarray | None = None
) -> tuple[int, int] | None:
    """Return (row, column) of a pixel of the edge, each equally likely, or None if the matte is constant.

    ``index`` is the matte's `edge_index`, where it is known; then three rows of the matte are read.

    >>> draw_edge_pixel(np.array([[0, 0, 0], [0, 7, 255]], np.uint8), np.random.default_rng(0))
    (1, 1)
    """
    if index is None:
        index = edge_index(alpha)
    if not index[-1]:
        return None
    position = int(rng.integers(index[-1]))
    row = int(np.searchsorted(index, position, side="right"))
    before = int(index[row - 1]) if row else 0
    return row, int(np.flatnonzero(_edge_of_row(alpha, row))[position - before])


def _edge_of_row(alpha: np.ndarray, row: int) -> np.ndarray:
    # The row holds an edge pixel; if none of its pixels is soft, then no pixel of the matte is.
    soft = _soft(alpha[row : row + 1])[0]
    if soft.any():
        return soft
    first = max(row - 1, 0)
    return _outline(alpha[first : row + 2])[row - first]


def _soft(alpha: np.ndarray) -> np.ndarray:
    return cv2.inRange(alpha, 1, full_scale(alpha) - 1)


def _outline(alpha: np.ndarray) -> np.ndarray:
    return cv2.morphologyEx(
        cv2.inRange(alpha, 1, full_scale(alpha)), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
    )
