"""What a sample sees of a foreground: a square window, resized or warped, and two foregrounds laid over one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from deepmatte.data.composing.resize import Window, resize
from deepmatte.data.composing.trimaps import covered
from deepmatte.errors import InputError
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, UNKNOWN, full_scale

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
    "area": cv2.INTER_AREA,
}
"""What ``interpolation: random`` draws from; OpenCV warps linearly where it is told area."""

OVERVIEW = 1.25
"""Sides of the crop to which an overview shrinks the foreground: 640 pixels for a crop of 512 (Li and Lu 2020)."""


@dataclass(frozen=True)
class Cutout:
    """A foreground as a source hands it out.

    Attributes:
        colours: uint8 (H, W, 3).
        alpha: uint8 or uint16 (H, W), full scale = 1.
        name: what a message calls it.
        edges: its `deepmatte.data.composing.edges.edge_index`, where that is known.
        trimap: uint8 0 / 128 / 255 (H, W), where one is given.
        covers: a pixel of the resized trimap is known only where all that it covers is (`covered`); else it
            is its nearest pixel.
    """

    colours: np.ndarray
    alpha: np.ndarray
    name: str = "foreground"
    edges: np.ndarray | None = None
    trimap: np.ndarray | None = None
    covers: bool = False

    def seen(self, window: Window, size: int, interpolation: int | None = None) -> Cutout:
        """Return what ``window`` shows, resized to a square of ``size``; ``interpolation`` None is that of `resize`."""

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
            return covered(trimap, height, width)
        return cv2.resize(np.ascontiguousarray(trimap), (width, height), interpolation=cv2.INTER_NEAREST)


@dataclass(frozen=True)
class Affine:
    """Random affine maps of a window: rotation (degrees, ±), scale (a range, drawn for each axis) and shear (degrees, ±).

    ``overview`` is the probability that the foreground is shrunk first, until its sides are `OVERVIEW` times
    the window's. Beyond the border of the picture its last pixels go on, so that a body cut off by the frame
    gets no edge there.
    """

    probability: float = 0.0
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    overview: float = 0.0

    @classmethod
    def of(cls, options: Mapping[str, object] | None) -> Affine:
        """Return the maps that ``composition.affine`` describes.

        Raises:
            InputError: a key is unknown or a value out of range.
        """
        options = dict(options or {})
        unknown = sorted(set(options) - set(cls.__dataclass_fields__))
        if unknown:
            raise InputError(
                f"composition.affine.{unknown[0]}: unknown; there are {', '.join(cls.__dataclass_fields__)}"
            )
        for key, value in options.items():
            ends = value if key == "scale" and isinstance(value, list | tuple) else [value]
            if not all(isinstance(end, int | float) for end in ends) or (key == "scale" and len(ends) != 2):
                raise InputError(
                    f"composition.affine.{key}={value}: has to be {'two numbers' if key == 'scale' else 'a number'}"
                )
        if "scale" in options:
            options["scale"] = tuple(options["scale"])  # type: ignore[arg-type]
        maps = cls(**options)  # type: ignore[arg-type]
        for key in ("probability", "overview"):
            if not 0 <= getattr(maps, key) <= 1:
                raise InputError(
                    f"composition.affine.{key}={getattr(maps, key)}: a probability lies between 0 and 1"
                )
        if not 0 < maps.scale[0] <= maps.scale[1]:
            raise InputError(
                f"composition.affine.scale={list(maps.scale)}: give the smallest and the largest factor, above 0"
            )
        if not 0 <= maps.shear < 90 or maps.rotation < 0:
            angles = f"composition.affine.rotation={maps.rotation}, shear={maps.shear}"
            raise InputError(f"{angles}: angles in degrees, 0 or more, shear below 90")
        return maps

    def draw(self, rng: np.random.Generator, window: Window, height: int, width: int) -> np.ndarray | None:
        """Return a matrix (2, 2) from steps in the window to steps in the picture (x, y), or None where the window stays as it is."""
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
    cutout: Cutout, window: Window, linear: np.ndarray, size: int, interpolation: int | None
) -> Cutout:
    """Return a square of ``size`` that shows the cutout around the centre of ``window`` through the map of `Affine.draw`.

    A window that is no square is squeezed into one after the map, as `Cutout.seen` does it. The centre moves
    as far as the turned window needs to lie inside the picture. ``interpolation`` None is linear; what
    shrinks by two or more is averaged over whole pixels first, so that nothing aliases.
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
        # Turned at the size of the window, so that what a pixel covers can be told; then resized.
        offset = np.array(centre) + linear @ (0.5 - np.array([window.width, window.height]) / 2) - 0.5
        turn, sides = np.column_stack([linear, offset]), (window.width, window.height)
        how = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        trimap = covered(
            cv2.warpAffine(cutout.trimap, turn, sides, flags=how, borderMode=cv2.BORDER_REPLICATE), size, size
        )
    else:
        trimap = layer(cutout.trimap, cv2.INTER_NEAREST)
    return Cutout(layer(cutout.colours, flags), layer(cutout.alpha, flags), cutout.name, trimap=trimap)


def _source_window(
    centre: list[float], reach: np.ndarray, factor: int, height: int, width: int, step: np.ndarray, size: int
) -> tuple[Window, np.ndarray]:
    """Return the part of the picture that a warp reads, in whole blocks of ``factor``, and the warp's matrix (2, 3) inside it."""
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


def union(over: Cutout, under: Cutout) -> Cutout:
    """Return two cutouts of one size as one: its alpha is 1 - (1 - a1)(1 - a2), its colours are those of the "over" operator.

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
