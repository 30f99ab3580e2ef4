"""Random affine maps of a foreground, and the square that a sample shows of it through such a map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from deepmatte.data.composing.cutout import Cutout
from deepmatte.data.composing.options import chance, option, span
from deepmatte.data.composing.resize import Window
from deepmatte.data.composing.trimaps import resize_conservatively

OVERVIEW = 1.25
"""An overview shrinks the foreground to these sides of the crop: 640 pixels for 512 (Li and Lu 2020)."""


@dataclass(frozen=True)
class Affine:
    """Random affine maps of a window: rotation and shear (± degrees), scale (a range, drawn for each axis).

    ``overview`` is the probability that the foreground is shrunk first, until its sides are `OVERVIEW` times
    the window's. Beyond the border of the picture its last pixels are repeated, so that a body cut off by the
    frame gets no edge there.
    """

    probability: float = chance()
    rotation: float = option(0.0, lambda angle: angle >= 0, "an angle in degrees, 0 or more")
    scale: tuple[float, float] = span((1.0, 1.0), math.inf)
    shear: float = option(0.0, lambda angle: 0 <= angle < 90, "an angle in degrees, 0 or more and below 90")
    overview: float = chance()

    def draw(self, rng: np.random.Generator, window: Window, height: int, width: int) -> np.ndarray | None:
        """Return a matrix (2, 2) from steps in the window to steps in the picture (x, y).

        None is the identity.
        """
        linear = np.eye(2)
        if self.probability and rng.random() < self.probability:
            angle, shear = np.deg2rad(
                [rng.uniform(-self.rotation, self.rotation), rng.uniform(-self.shear, self.shear)]
            )
            scale = np.diag(rng.uniform(*self.scale, size=2))
            turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            linear = np.linalg.inv(turned @ np.array([[1, np.tan(shear)], [0, 1]]) @ scale)
        if self.overview and rng.random() < self.overview:
            shrunk = [max(1.0, side / (OVERVIEW * window.height)) for side in (width, height)]
            linear = np.diag(shrunk) @ linear
        return None if np.array_equal(linear, np.eye(2)) else linear


def warped(
    cutout: Cutout,
    window: Window,
    linear: np.ndarray,
    size: int,
    interpolation: int | None,
    shift: np.ndarray | None = None,
) -> Cutout:
    """Return a square of ``size`` around the centre of ``window``, through the map of `Affine.draw`.

    A window that is no square is squeezed into one after the map, as `Cutout.crop` does it. The centre moves
    as far as the turned window needs to stay inside the picture, and from there by ``shift`` (x, y), in parts
    of the window, wherever that leads. ``interpolation`` None is linear; what shrinks by two or more is
    averaged over whole pixels first, so that nothing aliases.
    """
    height, width = cutout.alpha.shape
    step = linear * (window.width / size, window.height / size)
    reach = np.abs(step).sum(1) * size / 2
    centre = [
        float(np.clip(at, min(far, limit / 2), max(limit - far, limit / 2)))
        for at, far, limit in zip(
            (window.left + window.width / 2, window.top + window.height / 2),
            reach,
            (width, height),
            strict=True,
        )
    ]
    if shift is not None:
        centre = [centre[0] + shift[0] * window.width, centre[1] + shift[1] * window.height]
    factor = max(1, int(np.linalg.svd(step, compute_uv=False).min()))
    source, matrix = _source_window(centre, reach, factor, height, width, step, size)

    def layer(pixels: np.ndarray, flags: int) -> np.ndarray:
        pixels = np.ascontiguousarray(source.of(pixels))
        if factor > 1:
            how = cv2.INTER_NEAREST if flags == cv2.INTER_NEAREST else cv2.INTER_AREA
            pixels = cv2.resize(pixels, (source.width // factor, source.height // factor), interpolation=how)
        return cv2.warpAffine(
            pixels, matrix, (size, size), flags=flags | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )

    flags = cv2.INTER_LINEAR if interpolation in (None, cv2.INTER_AREA) else interpolation
    if cutout.trimap is None:
        trimap = None
    elif cutout.covers:
        # Turned at the size of the window, where it is known what a pixel covers; then resized.
        offset = np.array(centre) + linear @ (0.5 - np.array([window.width, window.height]) / 2) - 0.5
        turn, sides = np.column_stack([linear, offset]), (window.width, window.height)
        how = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        trimap = resize_conservatively(
            cv2.warpAffine(cutout.trimap, turn, sides, flags=how, borderMode=cv2.BORDER_REPLICATE), size, size
        )
    else:
        trimap = layer(cutout.trimap, cv2.INTER_NEAREST)
    return Cutout(layer(cutout.colours, flags), layer(cutout.alpha, flags), cutout.name, trimap=trimap)


def _source_window(
    centre: list[float], reach: np.ndarray, factor: int, height: int, width: int, step: np.ndarray, size: int
) -> tuple[Window, np.ndarray]:
    """Return what a warp reads of the picture, in blocks of ``factor``, and the matrix (2, 3) inside it."""
    margin = 4 * factor + 1
    left, top = (int(max(0, np.floor(at - far) - margin)) for at, far in zip(centre, reach, strict=True))
    right, bottom = (
        int(min(limit, np.ceil(at + far) + margin))
        for at, far, limit in zip(centre, reach, (width, height), strict=True)
    )
    blocks = [max(1, (end - start) // factor) * factor for start, end in ((top, bottom), (left, right))]
    window = Window(top, left, min(blocks[0], height - top), min(blocks[1], width - left))
    # Coordinates of pixels' centres: half a pixel from their corners, before the map and after it.
    offset = np.array(centre) - (left, top) + step @ np.full(2, 0.5 - size / 2)
    return window, np.column_stack([step / factor, offset / factor - 0.5])
