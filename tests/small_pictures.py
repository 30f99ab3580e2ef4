"""Small made-up pictures for the tests of the data, and what a refusal has to look like."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from deepmatte.errors import InputError

ALL_TRAIN = {"val_fraction": 0.0, "test_fraction": 0.0}
"""Shares of a folder source that leave every picture to training."""


def refused(make: Callable[[], object], *words: str) -> str:
    """Assert that ``make`` is refused in one line that has all ``words``, and return the line."""
    with pytest.raises(InputError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


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
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(coarse) + rng.integers(-9, 10, (height, width, 3)), 0, 255).astype(np.uint8)
