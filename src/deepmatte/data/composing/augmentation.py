"""Jitter, flips and degradations whose randomness comes from the sample's generator.

This is the only module that knows albumentations, which is imported when the first transform is made (about a
second), and never looks for newer versions of itself.
"""

from __future__ import annotations

import os
import random
from dataclasses import asdict, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from deepmatte.data.composing.options import Blur, Degrade, Gamma, Hsv, Jitter, Jpeg, Noise

if TYPE_CHECKING:
    import types


def _albumentations() -> types.ModuleType:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    return albumentations


class ColorJitter:
    """Random brightness, contrast, saturation and hue (`Jitter`) in random order.

    All 0 leaves colours as they are.
    """

    def __init__(self, jitter: Jitter) -> None:
        strengths = asdict(jitter)
        self._transform = (
            _albumentations().ColorJitter(**strengths, p=1.0) if any(strengths.values()) else None
        )

    def __call__(self, rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
        """Return the jittered colours, uint8 (H, W, 3)."""
        if self._transform is None:
            return colours
        _seed(self._transform, rng)
        return self._transform(image=colours)["image"]


class Flip:
    """Mirrors colours and their matte, left to right and upside down, each with a probability.

    The two coins are independent, as in GCA matting (Li and Lu 2020); a probability of 0 draws nothing.
    """

    def __init__(self, horizontal: float, vertical: float = 0.0) -> None:
        self.axes = ((1, horizontal), (0, vertical))

    def __call__(self, rng: np.random.Generator, colours: np.ndarray, *masks: np.ndarray) -> list[np.ndarray]:
        """Return colours (H, W, 3) and whatever masks (H, W) belong to them, all of them mirrored or none."""
        layers = [colours, *masks]
        for axis, probability in self.axes:
            # The coin of albumentations' own flip: the same stream as with it, without its overhead.
            if probability > 0 and random.Random(int(rng.integers(2**32))).random() < probability:
                layers = [cv2.flip(layer, axis) for layer in layers]
        return layers


class HsvJitter:
    """The jitter of GCA matting (Li and Lu 2020): hue turned by ± ``hue`` degrees, the rest shifted.

    The shifts lie within ± ``saturation`` and ± ``value`` times (1.1 - the mean over alpha > 0), so that pale
    and dark things change more, and what leaves [0, 1] is reflected. albumentations has neither.
    """

    def __init__(self, strengths: Hsv) -> None:
        self.strengths = strengths

    def __call__(self, rng: np.random.Generator, colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Return the jittered colours, uint8 (H, W, 3)."""
        if self.strengths == Hsv():
            return colours
        hsv = cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        turn, *shifts = rng.uniform(-1, 1, 3)
        hsv[..., 0] = (hsv[..., 0] + turn * self.strengths.hue) % 360
        visible = alpha > 0
        limits = (self.strengths.saturation, self.strengths.value)
        for channel, limit, shift in zip((1, 2), limits, shifts, strict=True):
            mean = float(hsv[..., channel][visible].mean()) if visible.any() else 0.0
            moved = np.abs(hsv[..., channel] + shift * limit * (1.1 - mean))
            hsv[..., channel] = np.where(moved > 1, 2 - moved, moved)
        return np.round(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)


class Degradation:
    """Blur, gamma, noise and JPEG, each with its own probability and range (`Degrade`).

    Alpha stays what it is.
    """

    def __init__(self, options: Degrade) -> None:
        kinds = {each.name: getattr(options, each.name) for each in fields(options)}
        self._kinds = {kind: keys for kind, keys in kinds.items() if keys.probability > 0}

    @cached_property
    def _transforms(self) -> list[Any]:
        return [_degradation(keys) for keys in self._kinds.values()]

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def warm_up(self) -> None:
        """Make the transforms, for which albumentations is imported."""
        _ = self._transforms

    def __call__(self, rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
        """Return the degraded colours, uint8 (H, W, 3)."""
        for transform in self._transforms:
            _seed(transform, rng)
            colours = transform(image=colours)["image"]
        return colours


def _degradation(keys: Blur | Gamma | Noise | Jpeg) -> Any:
    library, p = _albumentations(), keys.probability
    if isinstance(keys, Blur):
        return library.GaussianBlur(blur_limit=0, sigma_limit=keys.sigma, p=p)
    if isinstance(keys, Gamma):
        return library.RandomGamma(gamma_limit=tuple(100 * value for value in keys.range), p=p)
    if isinstance(keys, Noise):
        return library.GaussNoise(std_range=tuple(value / 255 for value in keys.sigma), p=p)
    return library.ImageCompression(quality_range=tuple(int(value) for value in keys.quality), p=p)


def _seed(transform: Any, rng: np.random.Generator) -> None:
    # A transform has two generators of its own; drawing their seed from the sample's makes the sample a
    # function of it alone.
    transform.set_random_seed(int(rng.integers(2**32)))
