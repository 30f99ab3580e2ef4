"""The zones of a trimap: their values, and imposing them on a matte. Nothing here imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

ArrayOrTensor = TypeVar("ArrayOrTensor", np.ndarray, "Tensor")

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
"""The three values of a trimap."""


def full_scale(alpha: np.ndarray) -> float:
    """Return the value of alpha = 1 in an array of this type: 255, 65535, or 1 for floats.

    >>> full_scale(np.zeros(1, np.uint16))
    65535.0
    """
    return float(np.iinfo(alpha.dtype).max) if alpha.dtype.kind == "u" else 1.0


def impose_trimap(alpha: ArrayOrTensor, trimap: ArrayOrTensor) -> ArrayOrTensor:
    """Return a copy of ``alpha`` that is 0 in the trimap's background and opaque in its foreground.

    Opaque is 1, or the full scale of an unsigned integer array. The shapes broadcast.

    >>> impose_trimap(np.array([0.3, 0.3, 0.3]), np.array([0, 128, 255], np.uint8)).tolist()
    [0.0, 0.3, 1.0]
    """
    if isinstance(alpha, np.ndarray):
        known = (trimap == FOREGROUND) * alpha.dtype.type(full_scale(alpha))
        return np.where(trimap == UNKNOWN, alpha, known)
    return alpha.masked_fill(trimap == BACKGROUND, 0.0).masked_fill(trimap == FOREGROUND, 1.0)


def trivial_matte(trimap: ArrayOrTensor) -> ArrayOrTensor:
    """Return the matte that knows only the trimap, float32: 0, 0.5 in the unknown zone, 1.

    >>> trivial_matte(np.array([0, 128, 255], np.uint8)).tolist()
    [0.0, 0.5, 1.0]
    """
    if isinstance(trimap, np.ndarray):
        return ((trimap == FOREGROUND) + 0.5 * (trimap == UNKNOWN)).astype(np.float32)
    return (trimap == FOREGROUND).float() + 0.5 * (trimap == UNKNOWN).float()
