"""Trimaps made from an alpha matte, or read from a picture of three greys. Nothing here imports torch."""

from __future__ import annotations

import cv2
import numpy as np

from deepmatte.errors import InputError
from deepmatte.ops.zones import FOREGROUND, UNKNOWN, full_scale

DISC_LIMIT = 20.0
"""Distance in pixels above which a distance transform is faster than erosion by a disc; results are equal."""


def trimap_from_alpha(alpha: np.ndarray, erode: int, dilate: int) -> np.ndarray:
    """Return the trimap (H, W), uint8 0 / 128 / 255, of a matte (H, W) in uint8, uint16 or float.

    The opaque zone (alpha = 1 exactly) is eroded by an ellipse of ``erode`` pixels across, and alpha > 0 is
    dilated by one of ``dilate`` pixels, independently, as Deep Image Matting does. 1 keeps the zone. The
    border of the picture adds no unknown pixels: everything beyond it counts as known.

    >>> trimap_from_alpha(np.array([[0, 0, 0, 9, 255, 255, 255]], np.uint8), erode=1, dilate=3)
    array([[  0,   0, 128, 128, 255, 255, 255]], dtype=uint8)
    """
    if erode < 1 or dilate < 1:
        raise ValueError(f"trimap kernels of {erode} and {dilate} pixels: expected at least 1")
    # Dilating alpha > 0 is eroding its complement, and OpenCV's border value is right for both.
    return _of_zones(_eroded(_mask(alpha >= full_scale(alpha)), erode), _eroded(_mask(alpha <= 0), dilate))


def trimap_from_distances(alpha: np.ndarray, erode: float, dilate: float) -> np.ndarray:
    """Return the trimap whose unknown zone reaches ``erode`` pixels into alpha = 1, ``dilate`` into 0.

    Distances are Euclidean and exact: a pixel stays known if no pixel of another kind is that close. The
    arguments, border and result are otherwise those of `trimap_from_alpha`; 0 keeps a zone.

    >>> trimap_from_distances(np.array([[0, 0, 0, 9, 255, 255, 255]], np.uint8), erode=1, dilate=2.5)
    array([[  0, 128, 128, 128, 128, 255, 255]], dtype=uint8)
    """
    if erode < 0 or dilate < 0:
        raise ValueError(f"trimap distances of {erode} and {dilate}: expected at least 0")
    opaque, clear = _mask(alpha >= full_scale(alpha)), _mask(alpha <= 0)
    return _of_zones(_interior(opaque, erode), _interior(clear, dilate))


def random_trimap(
    alpha: np.ndarray, erode: tuple[int, int], dilate: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Return `trimap_from_alpha` with kernel sizes drawn uniformly from inclusive ranges."""
    sizes = [int(rng.integers(low, high, endpoint=True)) for low, high in (erode, dilate)]
    return trimap_from_alpha(alpha, *sizes)


def _mask(zone: np.ndarray) -> np.ndarray:
    return zone.view(np.uint8)


def _of_zones(opaque: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Return the trimap of two disjoint zones, uint8 0 / 1."""
    return UNKNOWN + (FOREGROUND - UNKNOWN) * opaque - UNKNOWN * clear


def _eroded(mask: np.ndarray, size: int) -> np.ndarray:
    if size == 1:
        return mask
    return cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))


def _interior(mask: np.ndarray, distance: float) -> np.ndarray:
    """Return the part of a zone (uint8 0 / 1) that is farther than ``distance`` from everything else."""
    return (_interior_by_disc if distance < DISC_LIMIT else _interior_by_transform)(mask, distance)


def _interior_by_disc(mask: np.ndarray, distance: float) -> np.ndarray:
    reach = int(distance)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return cv2.erode(mask, (x**2 + y**2 <= distance**2).astype(np.uint8))


def _interior_by_transform(mask: np.ndarray, distance: float) -> np.ndarray:
    # Squared distances are integers; adding one half keeps rounding of the root out of the comparison.
    nearest = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (nearest > np.float32(np.sqrt(np.floor(distance**2) + 0.5))).view(np.uint8)


def normalise_trimap(grey: np.ndarray) -> np.ndarray:
    """Return a uint8 picture of three greys as a trimap: 0 and 255 stay, a grey in 32 to 223 becomes 128.

    Raises:
        InputError: there are more greys, or one too close to black or white to mean unknown.

    >>> normalise_trimap(np.array([[0, 102, 255]], np.uint8))
    array([[  0, 128, 255]], dtype=uint8)
    """
    others = np.flatnonzero(np.bincount(grey.ravel(), minlength=256)[1:255]) + 1
    if len(others) > 1:
        listed = ", ".join(map(str, others[:4])) + (", …" if len(others) > 4 else "")
        values = f"a trimap has the values 0, 128 and 255, this one also {listed}"
        raise InputError(f"{values}; save it without smoothing or compression")
    if len(others) == 1 and not 32 <= others[0] <= 223:
        values = "a trimap has the values 0, 128 and 255"
        raise InputError(f"{values}; {others[0]} is too close to black or white to mean unknown")
    trimap = grey.copy()
    trimap[(grey > 0) & (grey < 255)] = UNKNOWN
    return trimap
