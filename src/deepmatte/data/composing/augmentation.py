"""Jitter, flips and degradations whose randomness comes from the sample's generator.

Jitter and degradations are computed by one of two backends, `albumentations_backend` or `opencv_backend`, to
the same bits.
"""

from __future__ import annotations

import random
from dataclasses import astuple, fields
from functools import cached_property

import cv2
import numpy as np

from deepmatte.data.composing.options import (
    Backend,
    Blur,
    Degrade,
    Gamma,
    Hsv,
    Jitter,
    Jpeg,
    Noise,
    Transform,
)


def photometric(keys: Jitter | Blur | Gamma | Noise | Jpeg, backend: Backend) -> Transform:
    """Return the transform of ``keys``; only its backend is imported, and only now."""
    if backend == "opencv":
        from deepmatte.data.composing.opencv_backend import transform
    else:
        from deepmatte.data.composing.albumentations_backend import transform
    return transform(keys)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**32))


class ColorJitter:
    """Random brightness, contrast, saturation and hue (`Jitter`) in random order.

    All 0 leaves colours as they are.
    """

    def __init__(self, jitter: Jitter, backend: Backend) -> None:
        self._transform = photometric(jitter, backend) if any(astuple(jitter)) else None

    def __call__(self, rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
        """Return the jittered colours, uint8 (H, W, 3)."""
        return colours if self._transform is None else self._transform(_seed(rng), colours)


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
            if probability > 0 and random.Random(_seed(rng)).random() < probability:
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

    def __init__(self, options: Degrade, backend: Backend) -> None:
        kinds = [getattr(options, each.name) for each in fields(options)]
        self._kinds, self._backend = [keys for keys in kinds if keys.probability > 0], backend

    @cached_property
    def _transforms(self) -> list[Transform]:
        return [photometric(keys, self._backend) for keys in self._kinds]

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def warm_up(self) -> None:
        """Make the transforms, for which the backend is imported."""
        _ = self._transforms

    def __call__(self, rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
        """Return the degraded colours, uint8 (H, W, 3)."""
        for transform in self._transforms:
            colours = transform(_seed(rng), colours)
        return colours
