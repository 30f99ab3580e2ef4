"""Parts of the unknown zone whose alpha is plain, for information-flow matting.

Zones are alpha (H, W) where it is known, 0 or 1, and else 0.5.
"""

from __future__ import annotations

import cv2
import numpy as np

from deepmatte.classical.flows import features, nearest
from deepmatte.ops.compiled import njit

STEPS = 9
"""Rounds of `trim_by_edges`: in round n known pixels grow by up to n pixels."""

ALIKE, UNLIKE = 0.25, 0.9
"""Bhattacharyya distances of patches: below, they match; above, they don't."""

REGULARISATION = 1e-8
"""Added to the variances of a patch."""


def trim_by_edges(image: np.ndarray, zones: np.ndarray) -> np.ndarray:
    """Return zones in which unknown pixels near a known one of nearly its colour belong to that one's zone.

    In nine rounds the nearest known pixel in a window of radius 1 to 9, whose colour is nearer than 8 / 256
    falling to 1 / 256, gives its zone away (Shahrian, Rajan, Price, Cohen, "Improving image matting using
    comprehensive sampling sets", CVPR 2013, as its public code does it).

    Args:
        image: colours (H, W, 3).
        zones: (H, W).
    """
    most, least = 9 / 256, 1 / 256
    zones = np.ascontiguousarray(zones, np.float64)
    image = np.ascontiguousarray(image, np.float64)
    for step in range(1, STEPS + 1):
        limit = most - step * (most - least) / STEPS
        zones = _grown(image, zones, _steps_within(step), limit * limit)
    return zones


def _steps_within(radius: int) -> np.ndarray:
    """Return the steps (S, 2) to the other pixels of a window, the shortest first."""
    sides = np.arange(-radius, radius + 1)
    steps = np.stack(np.meshgrid(sides, sides, indexing="ij"), -1).reshape(-1, 2)
    return steps[np.argsort((steps**2).sum(1), kind="stable")][1:]


@njit(cache=True, nogil=True)
def _grown(image: np.ndarray, zones: np.ndarray, steps: np.ndarray, limit: float) -> np.ndarray:
    height, width = zones.shape
    grown = zones.copy()
    for y in range(height):
        for x in range(width):
            if zones[y, x] != 0.5:
                continue
            for step in range(steps.shape[0]):
                v, u = y + steps[step, 0], x + steps[step, 1]
                if v < 0 or u < 0 or v >= height or u >= width or zones[v, u] == 0.5:
                    continue
                distance = 0.0
                for channel in range(3):
                    distance += (image[v, u, channel] - image[y, x, channel]) ** 2
                if distance < limit:
                    grown[y, x] = zones[v, u]
                    break
    return grown


def trim_by_patches(image: np.ndarray, zones: np.ndarray, count: int = 5) -> np.ndarray:
    """Return zones in which patches that look like some of one zone, and like none of the other, are known.

    A patch is 3 x 3 pixels; of each zone's patches the ``count`` with the nearest mean colours are compared,
    by the Bhattacharyya distance of normal distributions of their colours (Aksoy, Aydin, Pollefeys 2017).

    Args:
        image: colours (H, W, 3).
        zones: (H, W).
        count: of patches compared in each zone.
    """
    means, spreads = _patches(image)
    sizes = np.linalg.det(spreads)
    flat = zones.ravel()
    unknown = np.flatnonzero(flat == 0.5)
    distances = []
    for side in (1, 0):
        found = nearest(means, unknown, np.flatnonzero(flat == side), count)
        between = means[found] - means[unknown][:, None]
        spread = (spreads[found] + spreads[unknown][:, None]) / 2
        apart = (between * np.linalg.solve(spread, between[..., None])[..., 0]).sum(-1)
        both = np.sqrt(sizes[found] * sizes[unknown][:, None])
        distances.append((apart / 8 + np.log(np.linalg.det(spread) / both) / 2).min(1))
    inside, outside = distances
    trimmed = flat.copy()
    trimmed[unknown[(inside < ALIKE) & (outside > UNLIKE)]] = 1
    trimmed[unknown[(outside < ALIKE) & (inside > UNLIKE)]] = 0
    return trimmed.reshape(zones.shape)


def _patches(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (P, 3) and covariance (P, 3, 3) of the 3 x 3 colours around each pixel."""
    squares = (image[..., :, None] * image[..., None, :]).reshape(*image.shape[:2], 9)
    mean, square = (
        np.dstack([cv2.blur(np.ascontiguousarray(part[..., i]), (3, 3)) for i in range(part.shape[2])])
        for part in (image, squares)
    )
    mean = features(mean)
    spread = features(square).reshape(-1, 3, 3) - mean[:, :, None] * mean[:, None, :]
    return mean, spread + REGULARISATION * np.eye(3)
