"""The shadow that a foreground casts on its background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from deepmatte.data.composing.options import chance, option
from deepmatte.ops.zones import full_scale


def _share(default: float | tuple[float, float]) -> Any:
    what = "numbers between 0 and 1, smaller end first"
    return option(default, lambda value: np.min(value) >= 0 and np.max(value) <= 1 and _ordered(value), what)


def _ordered(value: float | tuple[float, float]) -> bool:
    return not isinstance(value, tuple) or value[0] <= value[1]


@dataclass(frozen=True)
class Shadow:
    """A shadow of the foreground on the background, whose colours it changes: compositing stays exact.

    ``strength`` is the range of the share of light that is lost under alpha = 1; ``offset`` is the largest
    shift of the shadow, and ``blur`` the range of the standard deviation of its penumbra, both as
    fractions of the picture's side.
    """

    probability: float = chance()
    strength: tuple[float, float] = _share((0.2, 0.6))
    offset: float = _share(0.15)
    blur: tuple[float, float] = _share((0.01, 0.08))

    def __call__(self, rng: np.random.Generator, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Return the background, uint8 (H, W, 3), with a shadow of alpha (H, W), or without, by chance."""
        if not self.probability or rng.random() >= self.probability:
            return background
        side = min(alpha.shape)
        shift = rng.uniform(-self.offset, self.offset, 2) * side
        return cast_shadow(
            background,
            alpha,
            (float(shift[0]), float(shift[1])),
            rng.uniform(*self.blur) * side,
            rng.uniform(*self.strength),
        )


def cast_shadow(
    background: np.ndarray, alpha: np.ndarray, shift: tuple[float, float], blur: float, strength: float
) -> np.ndarray:
    """Return the background darkened by a shadow: alpha moved by ``shift`` (x, y), then blurred.

    Under alpha = 1 the colours are multiplied by 1 - ``strength``.
    """
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    shade: np.ndarray = (alpha / np.float32(full_scale(alpha))).astype(np.float32)
    shade = cv2.warpAffine(shade, matrix, alpha.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    if blur > 0:
        shade = cv2.GaussianBlur(shade, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
    return np.round(background * (1 - np.float32(strength) * shade)[..., None]).astype(np.uint8)
