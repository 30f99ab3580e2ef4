"""Photometric transforms by OpenCV and NumPy, equal to those of albumentations 2.0.8 to the bit.

albumentations is no longer maintained; with ``composition.backend=opencv`` nothing imports it, and samples
stay what they are (``tests/data/composing/test_opencv_backend.py``). A process starts about a second sooner.
Each transform draws from Python's generator of the seed first whether it takes place, then its strength.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np

from deepmatte.data.composing.options import Blur, Gamma, Jitter, Jpeg, Noise, Transform

LEVELS = np.arange(256, dtype=np.float32)


def transform(keys: Jitter | Blur | Gamma | Noise | Jpeg) -> Transform:
    """Return the transform of ``keys``: from a seed and uint8 colours (H, W, 3) to such colours."""
    probability = 1.0 if isinstance(keys, Jitter) else keys.probability
    apply = _TRANSFORMS[type(keys)]

    return partial(_seeded, probability, apply, keys)


def _seeded(
    probability: float, apply: Callable[..., np.ndarray], keys: Any, seed: int, colours: np.ndarray
) -> np.ndarray:
    draw = random.Random(seed)
    if probability < 1 and draw.random() >= probability:
        return colours
    return apply(keys, draw, seed, colours)


def _jitter(keys: Jitter, draw: random.Random, seed: int, colours: np.ndarray) -> np.ndarray:
    """Change brightness, contrast, saturation and hue, in an order that NumPy's generator shuffles."""
    strengths = (keys.brightness, keys.contrast, keys.saturation)
    factors = [draw.uniform(max(1 - strength, 0), 1 + strength) for strength in strengths]
    factors.append(draw.uniform(-keys.hue, keys.hue))
    order = list(range(4))
    np.random.default_rng(seed).shuffle(order)
    for kind in order:
        if factors[kind] != (0 if kind == 3 else 1):
            colours = _ADJUSTMENTS[kind](colours, factors[kind])
    return colours


def _brightness(colours: np.ndarray, factor: float) -> np.ndarray:
    return cv2.LUT(colours, _bytes(LEVELS * np.float32(factor)))


def _contrast(colours: np.ndarray, factor: float) -> np.ndarray:
    mean = float(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY).mean())
    if factor == 0:
        return np.full_like(colours, int(mean + 0.5))
    return cv2.LUT(colours, _bytes(LEVELS * factor + mean * (1 - factor)))


def _saturation(colours: np.ndarray, factor: float) -> np.ndarray:
    grey = cv2.cvtColor(cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return grey if factor == 0 else cv2.addWeighted(colours, factor, grey, 1 - factor, 0)


def _hue(colours: np.ndarray, turn: float) -> np.ndarray:
    hsv = cv2.cvtColor(colours, cv2.COLOR_RGB2HSV)
    turned = np.mod(np.arange(256) + 180 * turn, 180).astype(np.uint8)  # OpenCV's hue has 180 steps
    hsv[..., 0] = cv2.LUT(hsv[..., 0], turned)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


_ADJUSTMENTS = (_brightness, _contrast, _saturation, _hue)


def _blur(keys: Blur, draw: random.Random, seed: int, colours: np.ndarray) -> np.ndarray:
    """Blur by a Gaussian that is cut off at 3.5 deviations, as Pillow's."""
    sigma = draw.uniform(*keys.sigma)
    reach = int(sigma * 3.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    return cv2.sepFilter2D(colours, -1, kernel, kernel)


def _gamma(keys: Gamma, draw: random.Random, seed: int, colours: np.ndarray) -> np.ndarray:
    low, high = (100 * value for value in keys.range)
    gamma = draw.uniform(low, high) / 100
    return cv2.LUT(colours, ((np.arange(256) * (1 / 255)) ** gamma * 255).astype(np.uint8))


def _noise(keys: Noise, draw: random.Random, seed: int, colours: np.ndarray) -> np.ndarray:
    """Add Gaussian noise of OpenCV's generator, cut off after the point where it is below 0."""
    low, high = (value / 255 for value in keys.sigma)
    sigma = draw.uniform(low, high)
    cv2.setRNGSeed(int(np.random.default_rng(seed).integers(0, 2**16)))
    noise = np.zeros(colours.shape)
    cv2.randn(noise, np.zeros(3, np.float32), np.full(3, sigma, np.float32))
    levels = noise.astype(np.float32) * 255.0
    return _bytes(colours.astype(np.float32) + np.trunc(levels))


def _jpeg(keys: Jpeg, draw: random.Random, seed: int, colours: np.ndarray) -> np.ndarray:
    low, high = (int(value) for value in keys.quality)
    _, file = cv2.imencode(".jpg", colours, (cv2.IMWRITE_JPEG_QUALITY, draw.randint(low, high)))
    decoded = cv2.imdecode(file, cv2.IMREAD_UNCHANGED)
    assert decoded is not None  # of a file that OpenCV has just written
    return decoded


def _bytes(levels: np.ndarray) -> np.ndarray:
    """Return levels of [0, 255], cut off at both ends, without rounding."""
    return np.clip(levels, 0, 255).astype(np.uint8)


_TRANSFORMS: dict[type, Callable[[Any, random.Random, int, np.ndarray], np.ndarray]] = {
    Jitter: _jitter,
    Blur: _blur,
    Gamma: _gamma,
    Noise: _noise,
    Jpeg: _jpeg,
}
