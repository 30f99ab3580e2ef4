"""The matte that knows nothing: half transparent wherever the trimap is unknown."""

from __future__ import annotations

import numpy as np

from deepmatte.ops.trimap import trivial_matte


def trivial(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """Return the trimap as a matte, with alpha 0.5 where it is unknown; the image is not looked at.

    >>> trivial(np.zeros((1, 3, 3)), np.array([[0, 128, 255]], np.uint8))
    array([[0. , 0.5, 1. ]], dtype=float32)
    """
    return trivial_matte(trimap)
