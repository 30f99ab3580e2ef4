"""From a mask to a trimap: the unknown band along its edge, as wide as the picture asks for."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from deepmatte.errors import InputError
from deepmatte.ops.filtering.guided_filter import GuidedFilter
from deepmatte.ops.trimap import trimap_from_distances
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN

Width = float | Literal["auto"]
"""How far the unknown zone reaches from a mask's edge to either side: pixels, or as the picture asks for."""

WORKING_SIDE = 512
"""Longest side in pixels at which the band is found; its memory and time are those of such a picture."""

WINDOW, ROUNDS, REACH = 0.02, 5, 0.06
"""Radius of the guided filter's windows, how often it is applied, and how far from the mask's edge it may
change the mask; lengths are shares of the longest side."""

EPSILON = 1e-4
SOFT, MARGIN = 0.05, 0.005
"""By how much a pixel has to depart from the mask to be unknown, and the margin around all such pixels.

``benchmarks/trimaps.py`` measures these, `WINDOW` and `ROUNDS` on thirteen photographs with true mattes:
the band covers 96 % of the fractional pixels by 18 % of the picture, where one of a single width covers 92 %.
"""


def parse_width(text: str) -> Width:
    """Return the width that a text gives.

    Raises:
        InputError: it is neither ``auto`` nor a number of pixels.

    >>> parse_width("auto"), parse_width("2.5")
    ('auto', 2.5)
    """
    if text == "auto":
        return "auto"
    try:
        width = float(text)
    except ValueError:
        width = -1
    if not 0 < width < 10_000:
        raise InputError(f"'{text}' is neither auto nor a number of pixels, such as 12")
    return width


def trimap_of_mask(image: np.ndarray, mask: np.ndarray, width: Width = "auto") -> np.ndarray:
    """Return the trimap (H, W), uint8 0 / 128 / 255, of a mask of the foreground.

    Args:
        image: colours (H, W, 3), float in [0, 1]; read where the width is ``auto``.
        mask: bool (H, W).
        width: how far the unknown zone reaches to either side of the mask's edge, in pixels (Euclidean);
            ``auto`` is narrow along sharp edges, and wide where the edge is blurred or hair-like
            (`departure`).

    Raises:
        InputError: the mask has no foreground or no background, or the band leaves none of it.

    >>> mask = np.arange(8) >= 4
    >>> trimap_of_mask(np.zeros((1, 8, 3)), mask[None], width=1).tolist()
    [[0, 0, 0, 128, 128, 255, 255, 255]]
    """
    if mask.all() or not mask.any():
        what = "background" if mask.all() else "foreground"
        raise InputError(
            f"the mask has no {what}: its edge is where alpha is unknown; give one that has both"
        )
    if width != "auto" and not (isinstance(width, int | float) and 0 < width < np.inf):
        raise InputError(f"width={width}: give auto or a number of pixels above 0")
    grey = np.where(mask, FOREGROUND, BACKGROUND).astype(np.uint8)
    if width == "auto":
        uncertain = _enlarged(_uncertain(*_shrunk(image, mask)), mask.shape)
        # One pixel to either side of the edge is always unknown.
        trimap = np.where(uncertain, np.uint8(UNKNOWN), trimap_from_distances(grey, 1, 1))
    else:
        trimap = trimap_from_distances(grey, width, width)
    for zone, what in ((FOREGROUND, "foreground"), (BACKGROUND, "background")):
        if not (trimap == zone).any():
            raise InputError(f"width={width} leaves no {what} known: give a smaller one, in pixels")
    return trimap


def departure(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return by how much each pixel's colour speaks against the mask, (H, W) in [0, 1].

    The mask is filtered several times by the image (`GuidedFilter`): colours near the edge then decide how
    much of a pixel is foreground. A blurred edge becomes a ramp of its own width; strands that the mask cuts
    off, and gaps that it fills, appear.
    """
    side = max(mask.shape)
    smooth = GuidedFilter(image, max(1, round(WINDOW * side)), EPSILON)
    hard = mask.astype(np.float64)
    near = _distance(mask) <= max(2.0, REACH * side)
    soft = hard
    for _ in range(ROUNDS):
        soft = np.where(near, np.clip(smooth(soft), 0, 1), hard)
    return np.abs(soft - hard)


def _uncertain(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return where alpha is unknown, bool (H, W)."""
    reach = max(1, round(MARGIN * max(mask.shape)))
    size = (2 * reach + 1, 2 * reach + 1)
    found = (departure(image, mask) > SOFT).astype(np.uint8)
    return cv2.dilate(found, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size)) > 0


def _distance(mask: np.ndarray) -> np.ndarray:
    """Return the distance of each pixel to the nearest one on the other side of the mask's edge."""
    inside = mask.astype(np.uint8)
    one, other = (
        cv2.distanceTransform(side, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for side in (inside, 1 - inside)
    )
    return np.maximum(one, other)


def _shrunk(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return image and mask with their longest side at `WORKING_SIDE`, if it is longer."""
    height, width = mask.shape
    scale = min(1.0, WORKING_SIDE / max(height, width))
    if scale == 1:
        return image, mask
    size = max(1, round(width * scale)), max(1, round(height * scale))
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), share >= 0.5


def _enlarged(zone: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape
    return cv2.resize(zone.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
