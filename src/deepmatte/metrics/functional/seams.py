"""Seams: what tiles leave behind in a matte, measured against the matte of the whole picture."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

BESIDE = 8
"""How many pixels to either side of a line are compared with it."""


def seams(tiled: np.ndarray, whole: np.ndarray, rows: Iterable[int], columns: Iterable[int]) -> float:
    """Return the strongest seam of a matte that was computed in tiles, in steps of alpha; 0 is none.

    Along a seam the difference of the two mattes jumps, while elsewhere it may change, but smoothly. So of
    each line on which tiles begin or end, it is the mean absolute step of the difference across the line,
    less the mean step across the lines beside it. What is below 1/510 no 8-bit picture shows.

    Args:
        tiled: alpha (H, W) in [0, 1].
        whole: alpha (H, W) of the same network, computed at once.
        rows: where tiles begin or end, as indices of the first row below the line.
        columns: the same, of the first column to the right of the line.

    >>> whole = np.zeros((4, 40))
    >>> seams(whole + 0.1 * (np.arange(40) >= 20), whole, [], [20])
    0.1
    """
    difference = np.asarray(tiled, np.float64) - np.asarray(whole, np.float64)
    found = [0.0]
    for lines, axis in ((rows, 0), (columns, 1)):
        steps = np.abs(np.diff(difference, axis=axis)).mean(1 - axis)
        for line in lines:
            beside = [steps[max(0, line - 1 - BESIDE) : line - 1], steps[line : line + BESIDE]]
            found.append(float(steps[line - 1] - np.concatenate(beside).mean()))
    return max(found)
