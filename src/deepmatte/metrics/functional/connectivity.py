"""Connectivity error (Rhemann et al. 2009) as DIM's Matlab evaluation computes it."""

from __future__ import annotations

import cv2
import numpy as np

from deepmatte.metrics.functional.inputs import Image, Pair, prepare
from deepmatte.metrics.functional.protocols import Protocol
from deepmatte.ops.compiled import njit
from deepmatte.ops.components import nested_components

THETA = 0.15
"""Smaller differences to the connected level do not count."""


def conn(
    prediction: Image, alpha: Image, trimap: Image | None = None, protocol: str | Protocol = "adobe"
) -> float:
    """Return the sum over the protocol's region of |phi(prediction) - phi(alpha)|, divided by 1000.

    With Omega(i) the largest 4-connected component of the pixels where both mattes are >= i / 10, a pixel's
    connected level l is k / 10 for the greatest k such that it is in all of Omega(1), ..., Omega(k); phi(v)
    = 1 - d [d >= 0.15] with d = v - l. Components are those of the whole image, not of the region. Runs on
    the CPU alone.

    >>> conn(np.eye(12), np.eye(12), protocol="whole")
    0.0
    """
    return conn_of(prepare(prediction, alpha, trimap, protocol))


def conn_of(pair: Pair) -> float:
    """Return Conn of a prepared pair."""
    steps = connected_steps(pair)
    if pair.prediction.dtype == np.uint8:
        return _sum_8bit(pair, steps) / 1000
    level = np.concatenate([[0.0], pair.protocol.thresholds])[steps]
    distance = [np.where(v - level >= THETA, v - level, 0) for v in (pair.prediction, pair.alpha)]
    return float(np.abs(distance[0] - distance[1])[pair.mask != 0].sum()) / 1000


def connected_steps(pair: Pair) -> np.ndarray:
    """Return (H, W) uint8: ten times each pixel's connected level."""
    protocol = pair.protocol
    num_levels = len(protocol.thresholds)
    smaller = np.minimum(pair.prediction, pair.alpha)
    if smaller.dtype == np.uint8:
        levels = cv2.LUT(smaller, _count_passed(np.arange(256) / 255, protocol.thresholds))
    else:
        levels = _count_passed(smaller, protocol.thresholds)
    steps, sizes = nested_components(levels, num_levels, protocol.tie)
    return _let_background_compete(steps, sizes, levels) if protocol.background_competes else steps


def _count_passed(values: np.ndarray, thresholds: tuple[float, ...]) -> np.ndarray:
    """Return as uint8 how many thresholds each value reaches; doubles decide v / 255 >= i / 10 exactly."""
    passed = np.zeros(values.shape, np.uint8)
    for threshold in thresholds:
        passed += values >= threshold
    return passed


def _let_background_compete(steps: np.ndarray, sizes: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the steps that result where the pixels below a threshold count as a component of it.

    They grow with the threshold while the others shrink, so once they are the largest they remain so. From
    that threshold on, pixels above it are out, and pixels below it that are still in remain in.
    """
    below = np.cumsum(np.bincount(levels.ravel(), minlength=sizes.size))
    wins = next((i for i in range(1, sizes.size) if below[i - 1] >= sizes[i]), None)
    if wins is None:
        return steps
    left = steps >= wins - 1
    result = np.where(left & (levels >= wins), np.uint8(wins - 1), steps)
    result[left & (levels < wins)] = sizes.size - 1
    return result


def _sum_8bit(pair: Pair, steps: np.ndarray) -> float:
    """Return the sum of the differences of phi over the region from a table of all 256 x 11 cases."""
    level = np.concatenate([[0.0], pair.protocol.thresholds])
    distance = np.arange(256)[:, None] / 255 - level
    table = np.where(distance >= THETA, distance, 0)
    return _sum_over_mask(pair.prediction, pair.alpha, steps, np.ascontiguousarray(table.T), pair.mask)


@njit(cache=True, nogil=True)
def _sum_over_mask(
    prediction: np.ndarray, alpha: np.ndarray, steps: np.ndarray, table: np.ndarray, mask: np.ndarray
) -> float:
    total = 0.0
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                row = table[steps[y, x]]
                total += abs(row[prediction[y, x]] - row[alpha[y, x]])
    return total
