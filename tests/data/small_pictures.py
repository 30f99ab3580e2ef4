"""Small made-up pictures for the tests of the data."""

import numpy as np
from PIL import Image


def soft_matte(height: int, width: int, seed: int) -> np.ndarray:
    """A disc with a soft rim and a semi-transparent hole, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    radius = np.hypot(y - height * rng.uniform(0.4, 0.6), x - width * rng.uniform(0.4, 0.6))
    alpha = np.clip(0.5 + (min(height, width) * 0.35 - radius) / 8, 0, 1)
    alpha[height // 2 - 5 : height // 2 + 5, width // 2 - 9 : width // 2] *= 0.4
    return np.round(alpha * 255).astype(np.uint8)


def photograph(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth colours with some noise, uint8."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(coarse) + rng.integers(-9, 10, (height, width, 3)), 0, 255).astype(np.uint8)
