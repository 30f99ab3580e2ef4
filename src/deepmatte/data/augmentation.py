"""The only module that knows albumentations: colour jitter and flips whose randomness comes from the sample's generator.

The library is imported when the first transform is made (about a second), and never looks for newer versions of itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import types

JITTERS = ("brightness", "contrast", "saturation", "hue")


def _albumentations() -> types.ModuleType:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    return albumentations


class ColorJitter:
    """Random brightness, contrast, saturation (factors of 1 ± strength) and hue (turns of ± strength) in random order.

    Strengths that are left out are 0; with all of them 0 the colours stay as they are.
    """

    def __init__(self, **strengths: float) -> None:
        strengths = {word: strengths.get(word, 0.0) for word in JITTERS}
        self._transform = _albumentations().ColorJitter(**strengths, p=1.0) if any(strengths.values()) else None

    def __call__(self, rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
        """Return the jittered colours, uint8 (H, W, 3)."""
        if self._transform is None:
            return colours
        _seed(self._transform, rng)
        return self._transform(image=colours)["image"]


class HorizontalFlip:
    """Mirrors colours, and the matte that belongs to them, with a probability."""

    def __init__(self, probability: float) -> None:
        self._transform = _albumentations().HorizontalFlip(p=probability) if probability > 0 else None

    def __call__(self, rng: np.random.Generator, colours: np.ndarray, *alpha: np.ndarray) -> list[np.ndarray]:
        """Return colours (H, W, 3), and alpha (H, W) if it is given, all of them mirrored or none."""
        layers = dict(zip(("image", "mask"), (colours, *alpha), strict=False))
        if self._transform is not None:
            _seed(self._transform, rng)
            layers = self._transform(**layers)
        return list(layers.values())


def _seed(transform: Any, rng: np.random.Generator) -> None:
    # A transform has two generators of its own; drawing their seed from the sample's makes the sample a function of it alone.
    transform.set_random_seed(int(rng.integers(2**32)))
