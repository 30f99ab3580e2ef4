"""Composition bit for bit as Adobe Image Matting's script does it, and how others deviate from it.

The script (``Composition_code.py``, 2017) enlarges a background that is smaller than the foreground by
Pillow's bicubic filter to the size rounded up, crops it at its origin, computes ``alpha / 255 * F + (1 -
alpha / 255) * B`` in double precision and truncates; alpha 255 copies the foreground. Truncation makes the
order of the operations matter: where the exact value is an integer, double precision falls short of it now
and then, and the script's result is one less.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image

_PILLOW = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
_OPENCV = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
_SIZES: dict[str, Callable[[int, float], int]] = {
    "rounded up": lambda side, ratio: math.ceil(side * ratio),
    "int(x + 1)": lambda side, ratio: int(side * ratio + 1.0),
    "rounded": lambda side, ratio: round(side * ratio),
    "truncated": lambda side, ratio: int(side * ratio),
}
RESAMPLERS = (
    "Pillow bicubic",
    *(f"Pillow {name}" for name in _PILLOW if name != "bicubic"),
    *(f"OpenCV {name}" for name in _OPENCV),
)
SIZES = (*_SIZES, "that of the foreground")
RULES = ("if the background is smaller", "always")
CROPS = ("at the origin", "at the centre")
ROUNDINGS = ("truncated", "rounded", "truncated from exact integers", "truncated from single precision")


@dataclass(frozen=True)
class Recipe:
    """How a background is brought to the size of a foreground, and how their composite becomes 8 bit.

    The defaults are Adobe's.
    """

    resampler: str = RESAMPLERS[0]
    size: str = SIZES[0]
    rule: str = RULES[0]
    crop: str = CROPS[0]
    rounding: str = ROUNDINGS[0]

    def differences(self) -> list[str]:
        """Return in words what is not as in Adobe's script.

        >>> Recipe(rounding="rounded").differences()
        ['composite rounded (script: truncated)']
        """
        labels = {
            "resampler": "background resized by {}",
            "size": "its size {}",
            "rule": "resized {}",
            "crop": "cropped {}",
            "rounding": "composite {}",
        }
        own, script = vars(self), vars(Recipe())
        return [
            f"{text.format(own[key])} (script: {script[key]})"
            for key, text in labels.items()
            if own[key] != script[key]
        ]


ADOBE = Recipe()


def composed(
    foreground: np.ndarray, alpha: np.ndarray, background: Image.Image, recipe: Recipe = ADOBE
) -> np.ndarray | None:
    """Return the composite, uint8 (H, W, 3), of colours (H, W, 3), alpha (H, W) and a picture of any size.

    None if the recipe leaves a background that does not cover the foreground, which Adobe's never does.
    """
    height, width = alpha.shape
    resized = fitted(background, height, width, recipe)
    return None if resized is None else blended(foreground, alpha, resized, recipe.rounding)


def fitted(background: Image.Image, height: int, width: int, recipe: Recipe = ADOBE) -> np.ndarray | None:
    """Return the background in the size of the foreground, uint8 (H, W, 3); None if it does not cover it."""
    ratio = max(width / background.width, height / background.height)
    if ratio > 1 or (recipe.rule == "always" and ratio != 1):
        if recipe.size == "that of the foreground":
            size = (width, height)
        else:
            size = (
                _SIZES[recipe.size](background.width, ratio),
                _SIZES[recipe.size](background.height, ratio),
            )
        pixels = _resized(background, size, recipe.resampler)
    else:
        pixels = np.asarray(background)
    rows, columns = pixels.shape[0] - height, pixels.shape[1] - width
    if rows < 0 or columns < 0:
        return None
    top, left = (rows // 2, columns // 2) if recipe.crop == "at the centre" else (0, 0)
    return pixels[top : top + height, left : left + width]


def _resized(picture: Image.Image, size: tuple[int, int], resampler: str) -> np.ndarray:
    library, _, name = resampler.partition(" ")
    if library == "Pillow":
        return np.asarray(picture.resize(size, Image.Resampling(_PILLOW[name])))
    return cv2.resize(np.asarray(picture), size, interpolation=_OPENCV[name])


def blended(
    foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray, rounding: str = "truncated"
) -> np.ndarray:
    """Return the 8-bit composite of three arrays of one size, computed only where alpha is neither 0 nor 255.

    Grey 100 over grey 100 is less than 100 in the script, for 5 / 255 and 1 - 5 / 255 are rounded:

    >>> grey = np.full((1, 1, 3), 100, np.uint8)
    >>> blended(grey, np.full((1, 1), 5, np.uint8), grey).ravel()
    array([99, 99, 99], dtype=uint8)
    """
    result = np.where((alpha == 255)[..., None], foreground, background)
    partial = (alpha > 0) & (alpha < 255)
    a, f, b = alpha[partial][:, None], foreground[partial], background[partial]
    if rounding == "truncated from exact integers":
        result[partial] = (a.astype(np.int32) * f + (255 - a.astype(np.int32)) * b) // 255
        return result
    share = a / (np.float32(255) if rounding == "truncated from single precision" else 255)
    value = share * f + (1 - share) * b
    result[partial] = np.floor(value + 0.5) if rounding == "rounded" else value
    return result


def deviations() -> Iterator[Recipe]:
    """Yield all recipes, those that differ least from the script first."""
    everything = (Recipe(*words) for words in itertools.product(RESAMPLERS, SIZES, RULES, CROPS, ROUNDINGS))
    yield from sorted(everything, key=lambda recipe: len(recipe.differences()))


def explain(image: np.ndarray, foreground: np.ndarray, alpha: np.ndarray, background: Image.Image) -> str:
    """Return a sentence on how a composite that differs from the script's was made, by trials."""
    height, width = alpha.shape
    if image.shape[:2] != (height, width):
        return f"it has {image.shape[1]}x{image.shape[0]} pixels, its foreground {width}x{height}"
    clear, nearest, least = alpha == 0, "", math.inf
    fit = functools.cache(lambda recipe: fitted(background, height, width, recipe))
    for recipe in deviations():
        pixels = fit(replace(recipe, rounding=ADOBE.rounding))
        if pixels is None:
            continue
        for candidate, order in ((image, ""), (image[..., ::-1], "; red and blue exchanged")):
            # Where alpha is 0 the background itself is seen: if it is wrong, no rounding of composites makes
            # it right.
            if recipe.rounding != ADOBE.rounding and not np.array_equal(candidate[clear], pixels[clear]):
                continue
            distance = float(
                np.abs(
                    blended(foreground, alpha, pixels, recipe.rounding).astype(np.int16) - candidate
                ).mean()
            )
            words = ("; ".join(recipe.differences()) or "as the script does") + order
            if distance == 0:
                return words
            if distance < least:
                least, nearest = distance, words
    return (
        "none of the known deviations makes it; "
        f"the nearest, {least:.3g} grey levels away on average: {nearest}"
    )


def pixel_sum(pixels: np.ndarray) -> str:
    """Return the SHA-256 of a picture: ``WIDTHxHEIGHT`` and a newline in ASCII, then its pixels row by row.

    Of pixels, not of the file: encoders write the same picture in different bytes.
    """
    size = f"{pixels.shape[1]}x{pixels.shape[0]}\n".encode()
    return hashlib.sha256(size + np.ascontiguousarray(pixels).tobytes()).hexdigest()
