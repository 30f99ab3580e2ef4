"""Coarser trimaps, to measure how the error of a method grows with a less careful one."""

from __future__ import annotations

import cv2
import numpy as np

from deepmatte.metrics.functional.inputs import Image, checked_trimap
from deepmatte.ops.zones import UNKNOWN

RADII = (0, 2, 5, 10, 20, 40)
"""Default radii of the robustness curve, in pixels."""


def widen_unknown(trimap: Image, radius: float) -> np.ndarray:
    """Return the trimap (H, W) with its unknown zone widened by a Euclidean distance of ``radius`` pixels.

    >>> widen_unknown(np.array([[0, 0, 128, 255, 255]], dtype=np.uint8), 1).tolist()
    [[0, 128, 128, 128, 255]]
    """
    widened = checked_trimap(trimap).copy()
    unknown = widened == UNKNOWN
    if radius > 0 and unknown.any():
        distance = cv2.distanceTransform((~unknown).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        # Some slack for square roots in single precision.
        widened[distance <= radius + 1e-3] = UNKNOWN
    return widened
