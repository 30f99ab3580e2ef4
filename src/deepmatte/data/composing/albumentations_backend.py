"""Photometric transforms by albumentations: the only module that knows it.

albumentations is imported when the first transform is made (about a second), and never looks for newer
versions of itself. `opencv_backend` computes the same bits without it.
"""

from __future__ import annotations

import os
import types
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from deepmatte.data.composing.options import Blur, Gamma, Jitter, Jpeg, Noise, Transform
from deepmatte.errors import InputError


def _albumentations() -> types.ModuleType:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    try:
        import albumentations
    except ImportError as error:
        cure = "composition.backend=opencv computes the same without it"
        raise InputError(f"composition.backend=albumentations: {error}; {cure}") from error
    return albumentations


def transform(keys: Jitter | Blur | Gamma | Noise | Jpeg) -> Transform:
    """Return the transform of ``keys``: from a seed and uint8 colours (H, W, 3) to such colours."""
    return partial(_seeded, _made(keys))


def _seeded(made: Any, seed: int, colours: np.ndarray) -> np.ndarray:
    # It has two generators of its own; seeding them makes the result a function of the seed alone.
    made.set_random_seed(seed)
    return made(image=colours)["image"]


def _made(keys: Jitter | Blur | Gamma | Noise | Jpeg) -> Any:
    library = _albumentations()
    if isinstance(keys, Jitter):
        return library.ColorJitter(**asdict(keys), p=1.0)
    p = keys.probability
    if isinstance(keys, Blur):
        return library.GaussianBlur(blur_limit=0, sigma_limit=keys.sigma, p=p)
    if isinstance(keys, Gamma):
        return library.RandomGamma(gamma_limit=tuple(100 * value for value in keys.range), p=p)
    if isinstance(keys, Noise):
        return library.GaussNoise(std_range=tuple(value / 255 for value in keys.sigma), p=p)
    return library.ImageCompression(quality_range=tuple(int(value) for value in keys.quality), p=p)
