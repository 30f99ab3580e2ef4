"""An image with known alpha: a disc of one colour over another, with a soft edge."""

from __future__ import annotations

import numpy as np

FOREGROUND, BACKGROUND = np.array([0.9, 0.5, 0.2]), np.array([0.1, 0.3, 0.6])


def disc(
    size: int = 48, softness: float = 0.0, noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image (S, S, 3), trimap and alpha (S, S).

    ``softness`` is the width of the edge in pixels, ``noise`` the standard deviation of the colours.
    """
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = 0.3 * size - np.hypot(x, y)
    alpha = (inside > 0).astype(float) if softness == 0 else np.clip(inside / softness + 0.5, 0, 1)
    trimap = np.full((size, size), 128, np.uint8)
    trimap[inside > 0.1 * size] = 255
    trimap[inside < -0.1 * size] = 0
    image = alpha[..., None] * FOREGROUND + (1 - alpha[..., None]) * BACKGROUND
    return np.clip(image + np.random.default_rng(0).normal(0, noise, image.shape), 0, 1), trimap, alpha
