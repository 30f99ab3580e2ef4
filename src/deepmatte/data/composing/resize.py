"""Resizing pictures in their own integer type, and the window of a picture that a sample uses."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from deepmatte.ops.compiled import njit


@dataclass(frozen=True)
class Window:
    """A rectangle inside a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Return the view of ``pixels`` (H, W, …) that the rectangle shows."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return pixels at another size: areas where it shrinks, bicubic where it grows.

    Integer types keep the ends of the range exact: a zone that is 0 or full scale stays so, which a trimap
    relies on, and bicubic overshoot is clipped.

    >>> resize(np.full((4, 4), 255, np.uint8), 2, 2).tolist()
    [[255, 255], [255, 255]]
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    if (
        3 * height == 2 * pixels.shape[0]
        and 3 * width == 2 * pixels.shape[1]
        and height % 2 == width % 2 == 0
    ):
        return two_thirds(pixels)
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def two_thirds(pixels: np.ndarray) -> np.ndarray:
    """Return pixels at two thirds of their size, by areas: OpenCV's bits in a third of its time.

    It is the way from a crop of 480 to 320, and OpenCV has no fast one for it. Both sides have to be
    multiples of 3.
    """
    height, width = pixels.shape[0] // 3 * 2, pixels.shape[1] // 3 * 2
    planes = np.require(pixels, None, ["C", "W"]).reshape(*pixels.shape[:2], -1)
    shrunk = np.empty((height, width, planes.shape[2]), pixels.dtype)
    _two_thirds(planes, shrunk)
    return shrunk.reshape(height, width, *pixels.shape[2:])


@njit(cache=True)
def _two_thirds(source: np.ndarray, shrunk: np.ndarray) -> None:  # pragma: no cover - compiled
    # Each block of 3 x 3 pixels becomes 2 x 2, of which each covers one pixel whole, two by half and one by a
    # quarter: 4, 2, 2 and 1 ninths. A sum of ninths is never half-way between two integers, so every way of
    # rounding is the same.
    for row in range(source.shape[0] // 3):
        above, middle, below = source[3 * row], source[3 * row + 1], source[3 * row + 2]
        first, second = shrunk[2 * row], shrunk[2 * row + 1]
        for x in range(source.shape[1] // 3):
            for k in range(source.shape[2]):
                centre = np.uint32(middle[3 * x + 1, k]) + np.uint32(4)
                top, bottom = (
                    2 * np.uint32(above[3 * x + 1, k]) + centre,
                    2 * np.uint32(below[3 * x + 1, k]) + centre,
                )
                left, right = 2 * np.uint32(middle[3 * x, k]), 2 * np.uint32(middle[3 * x + 2, k])
                first[2 * x, k] = (4 * np.uint32(above[3 * x, k]) + top + left) // np.uint32(9)
                first[2 * x + 1, k] = (4 * np.uint32(above[3 * x + 2, k]) + top + right) // np.uint32(9)
                second[2 * x, k] = (4 * np.uint32(below[3 * x, k]) + bottom + left) // np.uint32(9)
                second[2 * x + 1, k] = (4 * np.uint32(below[3 * x + 2, k]) + bottom + right) // np.uint32(9)


def limited(height: int, width: int, max_side: int | None) -> tuple[int, int]:
    """Return the size at which the longer side is at most ``max_side``; pictures never grow.

    >>> limited(1080, 1620, 540), limited(100, 50, 540)
    ((360, 540), (100, 50))
    """
    longest = max(height, width)
    if max_side is None or longest <= max_side:
        return height, width
    return max(1, round(height * max_side / longest)), max(1, round(width * max_side / longest))


def window_around(row: int, column: int, side: int, height: int, width: int) -> Window:
    """Return the square of ``side`` pixels centred on a pixel, moved so that it lies inside the picture.

    >>> window_around(0, 9, 4, height=10, width=10)
    Window(top=0, left=6, height=4, width=4)
    """
    top = min(max(row - side // 2, 0), height - side)
    left = min(max(column - side // 2, 0), width - side)
    return Window(top, left, side, side)


def random_window(side: int, height: int, width: int, rng: np.random.Generator) -> Window:
    """Return a square of ``side`` pixels, uniformly anywhere inside the picture."""
    return Window(
        int(rng.integers(height - side, endpoint=True)),
        int(rng.integers(width - side, endpoint=True)),
        side,
        side,
    )


def covering_window(pixels: np.ndarray, height: int, width: int, rng: np.random.Generator) -> Window:
    """Return the largest window of a picture that has the shape of ``height`` x ``width``.

    Across the side that is too long, the place of the window is random.
    """
    scale = min(pixels.shape[0] / height, pixels.shape[1] / width)
    source_height = min(pixels.shape[0], max(1, round(height * scale)))
    source_width = min(pixels.shape[1], max(1, round(width * scale)))
    top = int(rng.integers(pixels.shape[0] - source_height, endpoint=True))
    left = int(rng.integers(pixels.shape[1] - source_width, endpoint=True))
    return Window(top, left, source_height, source_width)
