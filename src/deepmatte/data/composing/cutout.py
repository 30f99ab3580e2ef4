"""What a sample shows of a foreground: a crop of it, and two foregrounds as one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from deepmatte.data.composing.resize import Window, resize
from deepmatte.data.composing.trimaps import resize_conservatively
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN, full_scale

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
    "area": cv2.INTER_AREA,
}
"""What ``interpolation: random`` draws from; OpenCV warps linearly where ``area`` is drawn."""


@dataclass(frozen=True)
class Cutout:
    """A foreground with its matte, whole or cropped.

    Attributes:
        colours: uint8 (H, W, 3).
        alpha: uint8 or uint16 (H, W), full scale = 1.
        name: what messages call it.
        edges: its `deepmatte.data.composing.edges.edge_index`, where that is known.
        trimap: uint8 0 / 128 / 255 (H, W), where one is given.
        covers: a pixel of the resized trimap is known only where all that it covers is
            (`resize_conservatively`); else it is its nearest pixel.
    """

    colours: np.ndarray
    alpha: np.ndarray
    name: str = "foreground"
    edges: np.ndarray | None = None
    trimap: np.ndarray | None = None
    covers: bool = False

    def crop(self, window: Window, size: int, interpolation: int | None = None) -> Cutout:
        """Return what ``window`` shows, resized to a square of ``size``.

        Without ``interpolation``, as `resize` does.
        """

        def scaled(pixels: np.ndarray) -> np.ndarray:
            if interpolation is None:
                return resize(window.of(pixels), size, size)
            return cv2.resize(
                np.ascontiguousarray(window.of(pixels)), (size, size), interpolation=interpolation
            )

        trimap = None if self.trimap is None else self._resized(window.of(self.trimap), size, size)
        return Cutout(scaled(self.colours), scaled(self.alpha), self.name, trimap=trimap)

    def whole(self, height: int, width: int) -> Cutout:
        """Return all of it at another size."""
        trimap = None if self.trimap is None else self._resized(self.trimap, height, width)
        return Cutout(
            resize(self.colours, height, width), resize(self.alpha, height, width), self.name, trimap=trimap
        )

    def _resized(self, trimap: np.ndarray, height: int, width: int) -> np.ndarray:
        if self.covers:
            return resize_conservatively(trimap, height, width)
        return cv2.resize(np.ascontiguousarray(trimap), (width, height), interpolation=cv2.INTER_NEAREST)


def union(over: Cutout, under: Cutout) -> Cutout:
    """Return two cutouts of one size as one: alpha is 1 - (1 - a1)(1 - a2), the colours are "over".

    Composited, it looks like ``over`` on ``under`` on the background, to the rounding of its 8-bit colours.
    Where together they would hide the whole background, ``over`` stays alone.
    """
    scale = full_scale(over.alpha)
    first, second = over.alpha / np.float32(scale), under.alpha / np.float32(full_scale(under.alpha))
    behind = (1 - first) * second
    alpha = np.round((first + behind) * scale).astype(over.alpha.dtype)
    if (alpha == scale).all():
        return over
    share = np.divide(first, first + behind, out=np.ones_like(first), where=first + behind > 0)[..., None]
    colours = np.round(share * over.colours + (1 - share) * under.colours).astype(np.uint8)
    trimap = None
    if over.trimap is not None and under.trimap is not None:
        trimap = np.full(alpha.shape, UNKNOWN, np.uint8)
        trimap[(over.trimap == FOREGROUND) | (under.trimap == FOREGROUND)] = FOREGROUND
        trimap[(over.trimap == BACKGROUND) & (under.trimap == BACKGROUND)] = BACKGROUND
    return Cutout(colours, alpha, over.name, trimap=trimap)
