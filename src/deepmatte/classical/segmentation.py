"""A mask of the foreground from what a person draws: a box around it, or strokes on it and beside it."""

from __future__ import annotations

import re
import warnings
from typing import NamedTuple

import cv2
import numpy as np

from deepmatte.classical.grabcut import GrabCut
from deepmatte.classical.method import MattingWarning, downscale
from deepmatte.errors import InputError
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN

WORKING_SIDE = 400
"""Longest side in pixels at which a mask is cut; its edge, a band of unknown pixels hides anyway."""

LEAST_PART = 0.02
"""Parts of the mask, and holes in it, of a smaller share of its area are dropped."""


class Box(NamedTuple):
    """A rectangle of whole pixels: its upper left corner and its size."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Box:
        """Return the box that a text of four numbers gives.

        Raises:
            InputError: it is another text.

        >>> Box.parse("40, 10, 300, 200")
        Box(left=40, top=10, width=300, height=200)
        """
        parts = [part.strip() for part in text.split(",")]
        if len(parts) != 4 or not all(re.fullmatch("-?[0-9]{1,9}", part) for part in parts):
            raise InputError(f"'{text}' is not X,Y,WIDTH,HEIGHT in pixels, such as 40,10,300,200")
        return cls(*map(int, parts))

    def check(self, height: int, width: int) -> None:
        """Refuse a box that is empty, leaves a picture of that size, or leaves no background beside it.

        Raises:
            InputError: it names the box.
        """
        text = f"box {','.join(map(str, self))}"
        size = f"the picture of {width}x{height} pixels"
        if self.width < 1 or self.height < 1:
            raise InputError(f"{text}: is empty; give X,Y,WIDTH,HEIGHT with a width and a height above 0")
        if self.left < 0 or self.top < 0 or self.left + self.width > width or self.top + self.height > height:
            raise InputError(f"{text}: reaches beyond {size}; give X,Y,WIDTH,HEIGHT inside it")
        if (self.width, self.height) == (width, height):
            raise InputError(f"{text}: is all of {size}; leave some background outside")


def strokes_of_box(box: Box, height: int, width: int) -> np.ndarray:
    """Return what a box says, uint8 (H, W): background outside, unknown inside.

    >>> strokes_of_box(Box(1, 0, 2, 1), 1, 4).tolist()
    [[0, 128, 128, 0]]
    """
    box.check(height, width)
    strokes = np.full((height, width), BACKGROUND, np.uint8)
    strokes[box.top : box.top + box.height, box.left : box.left + box.width] = UNKNOWN
    return strokes


def segment(image: np.ndarray, strokes: np.ndarray) -> np.ndarray:
    """Return the foreground's mask, bool (H, W), by GrabCut, without crumbs.

    Args:
        image: colours (H, W, 3), float in [0, 1].
        strokes: uint8 (H, W): 0 where background is known, 255 where foreground is, 128 elsewhere.

    Raises:
        InputError: no foreground is found, or nothing else.
    """
    height, width = strokes.shape
    scale = min(1.0, WORKING_SIDE / max(height, width))
    small, known = image, strokes
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small, _ = downscale(image, None, size)
        known = _thinned(strokes, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MattingWarning)  # what they are about is an error below
        mask = _without_crumbs(GrabCut()(small, known) >= 0.5)
    mask = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) >= 0.5
    mask = np.where(strokes == UNKNOWN, mask, strokes == FOREGROUND)
    if mask.all() or not mask.any():
        what = "nothing but foreground" if mask.all() else "no foreground"
        raise InputError(f"GrabCut finds {what}: draw another box, or strokes, or give a mask")
    return mask


def _thinned(strokes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return strokes at a smaller size (width, height): the colour that a pixel has most of, but not grey.

    So a thin stroke stays.
    """
    ink = [
        cv2.resize((strokes == value).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for value in (BACKGROUND, FOREGROUND)
    ]
    small = np.where(ink[1] > ink[0], FOREGROUND, BACKGROUND)
    return np.where(np.maximum(*ink) > 0, small, UNKNOWN).astype(np.uint8)


def _without_crumbs(mask: np.ndarray) -> np.ndarray:
    """Return a mask without small parts and small holes; the largest part stays in any case."""
    if not mask.any():
        return mask
    least = LEAST_PART * np.count_nonzero(mask)
    for value in (True, False):
        _, labels, statistics, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8))
        areas = statistics[:, cv2.CC_STAT_AREA]
        crumbs = np.flatnonzero(areas < min(least, areas[1:].max(initial=0)))
        mask = np.where(np.isin(labels, crumbs[crumbs > 0]), not value, mask)
    return mask
