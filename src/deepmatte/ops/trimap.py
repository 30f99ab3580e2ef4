"""Trimaps: made from an alpha matte, brought to the values 0, 128 and 255, and imposed on a prediction."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from deepmatte.errors import InputError
from deepmatte.ops.regions import BACKGROUND, FOREGROUND, UNKNOWN

ArrayOrTensor = TypeVar("ArrayOrTensor", Tensor, np.ndarray)


def full_scale(alpha: np.ndarray) -> float:
    """Return the number that stands for alpha = 1 in an array of this type: 255, 65535, or 1 for floats.

    >>> full_scale(np.zeros(1, np.uint16))
    65535.0
    """
    return float(np.iinfo(alpha.dtype).max) if alpha.dtype.kind == "u" else 1.0


def trimap_from_alpha(alpha: np.ndarray, erode: int, dilate: int) -> np.ndarray:
    """Return the trimap (H, W), uint8 0 / 128 / 255, of a matte (H, W) in uint8, uint16 or float.

    The opaque zone (alpha = 1 exactly) is eroded by an ellipse of ``erode`` pixels across, and alpha > 0 is dilated by one of
    ``dilate`` pixels, independently, as Deep Image Matting does. 1 leaves the zone as it is. The border of the picture adds
    no unknown pixels: what lies beyond it counts as known.

    >>> trimap_from_alpha(np.array([[0, 0, 0, 9, 255, 255, 255]], np.uint8), erode=1, dilate=3)
    array([[  0,   0, 128, 128, 255, 255, 255]], dtype=uint8)
    """
    if erode < 1 or dilate < 1:
        raise ValueError(f"kernels of a trimap are at least 1 pixel across, not {erode} and {dilate}")
    opaque = _eroded(alpha >= full_scale(alpha), erode)
    # Dilating alpha > 0 is eroding its complement, and OpenCV's border value then is right for both.
    clear = _eroded(alpha <= 0, dilate)
    trimap = np.full(alpha.shape, UNKNOWN, np.uint8)
    trimap[clear] = BACKGROUND
    trimap[opaque] = FOREGROUND
    return trimap


def random_trimap(alpha: np.ndarray, erode: tuple[int, int], dilate: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return `trimap_from_alpha` with two kernel sizes drawn independently and uniformly from the inclusive ranges."""
    sizes = [int(rng.integers(low, high, endpoint=True)) for low, high in (erode, dilate)]
    return trimap_from_alpha(alpha, *sizes)


def _eroded(mask: np.ndarray, size: int) -> np.ndarray:
    if size == 1:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.erode(mask.astype(np.uint8), kernel).astype(bool)


def normalise_trimap(grey: np.ndarray) -> np.ndarray:
    """Return a uint8 picture of three greys as a trimap: 0 and 255 stay, one other grey between 32 and 223 becomes 128.

    Raises:
        InputError: there are more greys, or one too close to black or white to be meant as unknown.

    >>> normalise_trimap(np.array([[0, 102, 255]], np.uint8))
    array([[  0, 128, 255]], dtype=uint8)
    """
    others = np.flatnonzero(np.bincount(grey.ravel(), minlength=256)[1:255]) + 1
    if len(others) > 1:
        listed = ", ".join(map(str, others[:4])) + (", …" if len(others) > 4 else "")
        raise InputError(f"a trimap has the values 0, 128 and 255, this one also {listed}; save it without smoothing or compression")
    if len(others) == 1 and not 32 <= others[0] <= 223:
        raise InputError(f"a trimap has the values 0, 128 and 255; what {others[0]} means here can't be told")
    trimap = grey.copy()
    trimap[(grey > 0) & (grey < 255)] = UNKNOWN
    return trimap


def trivial_matte(trimap: ArrayOrTensor) -> ArrayOrTensor:
    """Return the matte that knows only the trimap, float32: 0, 0.5 in the unknown zone, 1.

    >>> trivial_matte(np.array([0, 128, 255], np.uint8)).tolist()
    [0.0, 0.5, 1.0]
    """
    if isinstance(trimap, Tensor):
        return ((trimap == FOREGROUND).float() + 0.5 * (trimap == UNKNOWN).float()).to(torch.float32)
    return ((trimap == FOREGROUND) + 0.5 * (trimap == UNKNOWN)).astype(np.float32)


def impose_trimap(alpha: ArrayOrTensor, trimap: ArrayOrTensor) -> ArrayOrTensor:
    """Return ``alpha`` (float, full scale 1) with 0 and 1 in the known zones of the trimap; shapes broadcast, the inputs stay as they are.

    >>> impose_trimap(np.array([0.3, 0.3, 0.3]), np.array([0, 128, 255], np.uint8)).tolist()
    [0.0, 0.3, 1.0]
    """
    if isinstance(alpha, Tensor):
        return alpha.masked_fill(trimap == BACKGROUND, 0.0).masked_fill(trimap == FOREGROUND, 1.0)
    known = (trimap == FOREGROUND).astype(alpha.dtype)
    return np.where(trimap == UNKNOWN, alpha, known)
