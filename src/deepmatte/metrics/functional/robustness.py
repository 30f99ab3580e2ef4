"""How a method's error grows when the trimap is drawn less carefully."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from deepmatte.metrics.functional.inputs import Image, checked_trimap
from deepmatte.metrics.functional.matting import score_image
from deepmatte.metrics.functional.protocols import Protocol
from deepmatte.metrics.names import DEFAULT_SCORES
from deepmatte.ops.zones import UNKNOWN

RADII = (0, 2, 5, 10, 20, 40)
"""Radii in pixels at which the curve is drawn."""


def widen_unknown(trimap: Image, radius: float) -> np.ndarray:
    """Return the trimap (H, W) with every pixel unknown whose Euclidean distance to the unknown zone is at most ``radius`` pixels.

    >>> widen_unknown(np.array([[0, 0, 128, 255, 255]], dtype=np.uint8), 1).tolist()
    [[0, 128, 128, 128, 255]]
    """
    widened = checked_trimap(trimap).copy()
    unknown = widened == UNKNOWN
    if radius > 0 and unknown.any():
        distance = cv2.distanceTransform((~unknown).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        # A little slack for the square roots in single precision.
        widened[distance <= radius + 1e-3] = UNKNOWN
    return widened


def robustness_curve(
    predict: Callable[[np.ndarray], Image],
    alpha: Image,
    trimap: Image,
    radii: Sequence[float] = RADII,
    protocol: str | Protocol = "adobe",
    scores: Sequence[str] = DEFAULT_SCORES,
) -> list[dict[str, float]]:
    """Return one row a radius: ``radius`` in pixels, ``unknown`` (the fraction of the image), and the scores.

    ``predict`` maps a trimap (H, W) uint8 to a matte for the image at hand. It is given the widened trimap,
    and the scores are taken over the widened zone: a method that recovers the known zone exactly keeps its
    SAD at every radius.

    >>> trimap = np.full((9, 9), 128, np.uint8); trimap[:3] = 0
    >>> [row["sad"] for row in robustness_curve(lambda t: (t == 128) * 0.2, np.zeros((9, 9)), trimap, (0, 1), scores=["sad"])]
    [0.0108, 0.0126]
    """
    rows = []
    for radius in radii:
        widened = widen_unknown(trimap, radius)
        measured = score_image(predict(widened), alpha, widened, protocol, scores)
        rows.append({"radius": float(radius), "unknown": float((widened == UNKNOWN).mean()), **measured})
    return rows
