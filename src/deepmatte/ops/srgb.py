"""The transfer function of sRGB (IEC 61966-2-1): from what a file holds to the light that it stands for."""

from __future__ import annotations

import numpy as np


def linear_light(encoded: np.ndarray) -> np.ndarray:
    """Return the light, in [0, 1], that sRGB values in [0, 1] stand for.

    >>> linear_light(np.array([0, 188 / 255, 1])).round(2).tolist()  # a grey of 188 is half of the light
    [0.0, 0.5, 1.0]
    """
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
