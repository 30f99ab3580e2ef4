"""The shadow that a foreground casts on its background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from deepmatte.errors import InputError
from deepmatte.ops.zones import full_scale


@dataclass(frozen=True)
class Shadow:
    """A shadow that falls from the foreground onto the background, whose colours it changes: compositing stays exact.

    ``strength`` is the range of the share of light that is lost under alpha = 1; ``offset`` is the farthest
    that the shadow lies off, and ``blur`` the range of the standard deviation of its penumbra, both as
    fractions of the picture's side.
    """

    probability: float = 0.0
    strength: tuple[float, float] = (0.2, 0.6)
    offset: float = 0.15
    blur: tuple[float, float] = (0.01, 0.08)

    @classmethod
    def of(cls, options: Mapping[str, object] | None) -> Shadow:
        """Return the shadow that ``composition.shadow`` describes.

        Raises:
            InputError: a key is unknown or a value out of range.
        """
        keys = {
            key: tuple(value) if isinstance(value, list) else value for key, value in (options or {}).items()
        }
        for key, value in keys.items():
            if key not in cls.__dataclass_fields__:
                raise InputError(
                    f"composition.shadow.{key}: unknown; there are {', '.join(cls.__dataclass_fields__)}"
                )
            ends = value if isinstance(value, tuple) else (value, value)
            if (
                len(ends) != 2
                or not all(isinstance(end, int | float) for end in ends)
                or not 0 <= ends[0] <= ends[1] <= 1
            ):
                raise InputError(
                    f"composition.shadow.{key}={value}: numbers between 0 and 1, smaller end first"
                )
        return cls(**keys)  # type: ignore[arg-type]

    def __call__(self, rng: np.random.Generator, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Return the background, uint8 (H, W, 3), with a shadow of alpha (H, W), or without one where the coin says so."""
        if not self.probability or rng.random() >= self.probability:
            return background
        side = min(alpha.shape)
        shift = rng.uniform(-self.offset, self.offset, 2) * side
        return cast_shadow(
            background, alpha, tuple(shift), rng.uniform(*self.blur) * side, rng.uniform(*self.strength)
        )


def cast_shadow(
    background: np.ndarray, alpha: np.ndarray, shift: tuple[float, float], blur: float, strength: float
) -> np.ndarray:
    """Return the background darkened where a light keeps off it: alpha moved by ``shift`` (x, y) and blurred by ``blur`` pixels.

    Under alpha = 1 the colours are multiplied by 1 - ``strength``.
    """
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float32)
    shade = (alpha / np.float32(full_scale(alpha))).astype(np.float32)
    shade = cv2.warpAffine(shade, matrix, alpha.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    if blur > 0:
        shade = cv2.GaussianBlur(shade, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
    return np.round(background * (1 - np.float32(strength) * shade)[..., None]).astype(np.uint8)
