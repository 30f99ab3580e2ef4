"""The only module that knows albumentations: jitter, flips and degradations whose randomness comes from the sample's generator.

The library is imported when the first transform is made (about a second), and never looks for newer versions
of itself.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from deepmatte.errors import InputError

if TYPE_CHECKING:
    import types

JITTERS = ("brightness", "contrast", "saturation", "hue")
HSV = ("hue", "saturation", "value")
FLIPS = ("horizontal", "vertical", "background")
DEGRADATIONS: dict[str, dict[str, Any]] = {
    "blur": {"probability": 0.0, "sigma": (0.5, 1.5)},
    "gamma": {"probability": 0.0, "range": (0.7, 1.4)},
    "noise": {"probability": 0.0, "sigma": (2.0, 12.0)},
    "jpeg": {"probability": 0.0, "quality": (40, 95)},
}
"""What happens to a picture between lens and file, in this order, with the options of each: sigma of ``blur`` in pixels, that of
``noise`` in levels of 255."""


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
    """Mirrors colours, and the matte that belongs to them, left to right and upside down, each with a probability.

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


def flips(flip: float | Mapping[str, float]) -> tuple[Flip, Flip]:
    """Return the flips of the foreground and of the background that ``composition.flip`` describes.

    Raises:
        InputError: a key is unknown or a value is no probability.
    """
    chances = dict(flip) if isinstance(flip, Mapping) else {"horizontal": flip, "background": flip}
    for word, chance in chances.items():
        key = f"composition.flip.{word}" if isinstance(flip, Mapping) else "composition.flip"
        if word not in FLIPS:
            raise InputError(f"{key}: unknown; there are {', '.join(FLIPS)}")
        if not 0 <= chance <= 1:
            raise InputError(f"{key}={chance}: a probability lies between 0 and 1")
    horizontal, vertical, background = (chances.get(word, 0.0) for word in FLIPS)
    return Flip(horizontal, vertical), Flip(background)


class HsvJitter:
    """The foreground's jitter of GCA matting (Li and Lu 2020): hue turned by ± ``hue`` degrees, saturation and value shifted.

    The shifts lie within ± ``saturation`` and ± ``value`` times (1.1 - the mean over alpha > 0), so that pale
    and dark things change more, and what leaves [0, 1] is reflected. albumentations has neither.
    """

    def __init__(self, **strengths: float) -> None:
        self.strengths = {word: strengths.get(word, 0.0) for word in HSV}

    def __call__(self, rng: np.random.Generator, colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Return the jittered colours, uint8 (H, W, 3)."""
        if not any(self.strengths.values()):
            return colours
        hsv = cv2.cvtColor(colours.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        turn, *shifts = rng.uniform(-1, 1, 3)
        hsv[..., 0] = (hsv[..., 0] + turn * self.strengths["hue"]) % 360
        seen = alpha > 0
        for channel, word, shift in zip((1, 2), HSV[1:], shifts, strict=True):
            mean = float(hsv[..., channel][seen].mean()) if seen.any() else 0.0
            moved = np.abs(hsv[..., channel] + shift * self.strengths[word] * (1.1 - mean))
            hsv[..., channel] = np.where(moved > 1, 2 - moved, moved)
        return np.round(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)


class Degradation:
    """Blur, gamma, noise and JPEG, each with its own probability and range (`DEGRADATIONS`); alpha stays what it is.

    Raises:
        InputError: a key is unknown or a value out of range.
    """

    def __init__(self, options: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        options = {kind: dict(keys) for kind, keys in (options or {}).items()}
        for kind, keys in options.items():
            _check_degradation(kind, keys)
        keys = {kind: defaults | options.get(kind, {}) for kind, defaults in DEGRADATIONS.items()}
        self._keys = {kind: options for kind, options in keys.items() if options["probability"] > 0}

    @cached_property
    def _transforms(self) -> list[Any]:
        return [_degradation(kind, keys) for kind, keys in self._keys.items()]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def warm_up(self) -> None:
        """Make the transforms, for which albumentations is imported."""
        _ = self._transforms

    def __call__(self, rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
        """Return the degraded colours, uint8 (H, W, 3)."""
        for transform in self._transforms:
            _seed(transform, rng)
            colours = transform(image=colours)["image"]
        return colours


def _check_degradation(kind: str, keys: Mapping[str, Any]) -> None:
    if kind not in DEGRADATIONS:
        raise InputError(f"composition.degrade.{kind}: unknown; there are {', '.join(DEGRADATIONS)}")
    for key, value in keys.items():
        place = f"composition.degrade.{kind}.{key}"
        if key not in DEGRADATIONS[kind]:
            raise InputError(f"{place}: unknown; there are {', '.join(DEGRADATIONS[kind])}")
        if key == "probability":
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise InputError(f"{place}={value}: a probability lies between 0 and 1")
        elif not _two_numbers(value) or not 0 < value[0] <= value[1] <= (100 if key == "quality" else 255):
            raise InputError(f"{place}={value}: give the smallest and the largest value, above 0")


def _two_numbers(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(end, int | float) for end in value)
    )


def _degradation(kind: str, keys: Mapping[str, Any]) -> Any:
    library, p = _albumentations(), keys["probability"]
    if kind == "blur":
        return library.GaussianBlur(blur_limit=0, sigma_limit=tuple(keys["sigma"]), p=p)
    if kind == "gamma":
        return library.RandomGamma(gamma_limit=tuple(100 * value for value in keys["range"]), p=p)
    if kind == "noise":
        return library.GaussNoise(std_range=tuple(value / 255 for value in keys["sigma"]), p=p)
    return library.ImageCompression(quality_range=tuple(int(value) for value in keys["quality"]), p=p)


def _seed(transform: Any, rng: np.random.Generator) -> None:
    # A transform has two generators of its own; drawing their seed from the sample's makes the sample a
    # function of it alone.
    transform.set_random_seed(int(rng.integers(2**32)))
