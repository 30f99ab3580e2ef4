"""How a training or evaluation sample is made of a foreground, its matte and a background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from deepmatte.data.augmentation import JITTERS, ColorJitter, HorizontalFlip
from deepmatte.data.resize import Window, cover, limited, random_window, resize, window_around
from deepmatte.errors import InputError
from deepmatte.ops.compositing import composite
from deepmatte.ops.regions import UNKNOWN
from deepmatte.ops.trimap import full_scale, random_trimap

Layers = dict[str, Tensor]


class Composition:
    """The recipe of Deep Image Matting: a square crop around the unknown zone, resized, flipped, jittered, then composited.

    Foreground and background are cropped, resized, flipped and jittered apart, and composited at the end in float32, so that
    ``composite`` equals alpha F + (1 - alpha) B to rounding. The trimap is made after the resize. Every random choice is drawn
    from the generator that is passed in.

    Args:
        crop_sizes: sides of the square crops, in pixels of the foreground; one is drawn among those that fit into it. The
            smallest has to fit. Backgrounds draw their own; one that is smaller than all of them gives its largest square.
        size: side of the sample that a crop is resized to.
        erode: range of the kernel sizes, ends included, by which the opaque zone shrinks to make the trimap.
        dilate: range of the kernel sizes, ends included, by which alpha > 0 grows to make the trimap.
        flip: probability of a mirrored foreground, and of a mirrored background.
        foreground_jitter: strengths of ``brightness``, ``contrast``, ``saturation`` and ``hue``; those left out are 0.
        background_jitter: the same for the background.
        max_side: longest side of a validation or test image; larger foregrounds are shrunk to it. None leaves them as they are.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self,
        crop_sizes: Sequence[int] = (320, 480, 640),
        size: int = 320,
        erode: Sequence[int] = (1, 29),
        dilate: Sequence[int] = (1, 29),
        flip: float = 0.5,
        foreground_jitter: Mapping[str, float] | None = None,
        background_jitter: Mapping[str, float] | None = None,
        max_side: int | None = None,
    ) -> None:
        self.crop_sizes = tuple(sorted(int(side) for side in crop_sizes))
        self.size = size
        self.erode = _kernel_range("erode", erode)
        self.dilate = _kernel_range("dilate", dilate)
        self.flip = flip
        self.foreground_jitter = _strengths("foreground_jitter", foreground_jitter)
        self.background_jitter = _strengths("background_jitter", background_jitter)
        self.max_side = max_side
        if not self.crop_sizes or self.crop_sizes[0] < 1:
            raise InputError(f"composition.crop_sizes={list(crop_sizes)}: needs at least one side, all of them positive")
        for key, side in (("size", size), ("max_side", max_side)):
            if side is not None and side < 1:
                raise InputError(f"composition.{key}={side}: a side is a positive number of pixels")
        if not 0 <= flip <= 1:
            raise InputError(f"composition.flip={flip}: a probability lies between 0 and 1")

    def check_size(self, name: str, height: int, width: int) -> None:
        """Refuse a foreground into which the smallest crop does not fit.

        Raises:
            InputError: it names the foreground and both sizes.
        """
        smallest = self.crop_sizes[0]
        if min(height, width) < smallest:
            raise InputError(
                f"{name}: {width}x{height} pixels are too few for a crop of {smallest}; remove it or choose smaller composition.crop_sizes"
            )

    def sample(
        self, foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray, rng: np.random.Generator, name: str = "foreground"
    ) -> Layers:
        """Return one training sample.

        Args:
            foreground: colours, uint8 (H, W, 3).
            alpha: matte, uint8 or uint16 (H, W), full scale = 1.
            background: colours, uint8 of any size, (h, w, 3).
            rng: source of all randomness.
            name: what a message calls the foreground.

        Returns:
            ``image``, ``composite``, ``foreground``, ``background`` float32 (3, S, S) and ``alpha`` float32 (1, S, S) in [0, 1],
            ``trimap`` uint8 (1, S, S), where S is ``size``.

        Raises:
            InputError: the foreground is smaller than the smallest crop, or its matte has no edge to crop around.
        """
        window = self._foreground_window(alpha, rng, name)
        foreground, alpha = (resize(window.of(pixels), self.size, self.size) for pixels in (foreground, alpha))
        background = resize(self._background_window(background, rng).of(background), self.size, self.size)
        jitter_foreground, jitter_background, flip = self._augmentations
        foreground, alpha = flip(rng, jitter_foreground(rng, foreground), alpha)
        (background,) = flip(rng, jitter_background(rng, background))
        return self._composed(foreground, alpha, background, rng)

    def fixed(
        self, foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray, rng: np.random.Generator, name: str = "foreground"
    ) -> Layers:
        """Return one validation or test sample: the whole foreground over a background scaled to cover it, without jitter.

        Arguments and result are those of `sample`; the size is that of the foreground, limited to ``max_side``. Random are the
        part of the background and the two kernels of the trimap.

        Raises:
            InputError: the trimap has no unknown pixels, because the matte has no edge.
        """
        height, width = limited(*alpha.shape, self.max_side)
        foreground, alpha = (resize(pixels, height, width) for pixels in (foreground, alpha))
        layers = self._composed(foreground, alpha, cover(background, height, width, rng), rng)
        if not (layers["trimap"] == UNKNOWN).any():
            raise InputError(f"{name}: its trimap has no unknown pixels, there is nothing to score; remove it or raise composition.dilate")
        return layers

    def fixed_options(self) -> dict[str, object]:
        """Return the options that change what `fixed` returns, for digests."""
        return {"erode": self.erode, "dilate": self.dilate, "max_side": self.max_side}

    @cached_property
    def _augmentations(self) -> tuple[ColorJitter, ColorJitter, HorizontalFlip]:
        return ColorJitter(**self.foreground_jitter), ColorJitter(**self.background_jitter), HorizontalFlip(self.flip)

    def warm_up(self) -> None:
        """Import what the augmentations need now, so that worker processes inherit it instead of each importing it."""
        _ = self._augmentations

    def _foreground_window(self, alpha: np.ndarray, rng: np.random.Generator, name: str) -> Window:
        height, width = alpha.shape
        fitting = [side for side in self.crop_sizes if side <= min(height, width)]
        if not fitting:
            self.check_size(name, height, width)
        centre = draw_edge_pixel(alpha, rng)
        if centre is None:
            raise InputError(f"{name}: its matte is the same everywhere, there is no edge to crop around; remove it")
        return window_around(*centre, int(rng.choice(fitting)), height, width)

    def _background_window(self, background: np.ndarray, rng: np.random.Generator) -> Window:
        height, width = background.shape[:2]
        fitting = [side for side in self.crop_sizes if side <= min(height, width)] or [min(height, width)]
        return random_window(int(rng.choice(fitting)), height, width, rng)

    def _composed(self, foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray, rng: np.random.Generator) -> Layers:
        trimap = random_trimap(alpha, self.erode, self.dilate, rng)
        layers = {"foreground": to_tensor(foreground), "background": to_tensor(background), "alpha": to_tensor(alpha)}
        composed = composite(layers["foreground"], layers["background"], layers["alpha"])
        return {"image": composed, "composite": composed, **layers, "trimap": torch.from_numpy(trimap)[None]}


def draw_edge_pixel(alpha: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
    """Return (row, column) of a pixel with 0 < alpha < 1, each equally likely; of a hard matte, one on either side of its edge.

    Returns None if the matte is the same everywhere. ``alpha`` is uint8 or uint16.

    >>> draw_edge_pixel(np.array([[0, 0, 0], [0, 7, 255]], np.uint8), np.random.default_rng(0))
    (1, 1)
    """
    edge = cv2.inRange(alpha, 1, full_scale(alpha) - 1)
    if not edge.any():
        edge = cv2.morphologyEx(cv2.inRange(alpha, 1, full_scale(alpha)), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    # Counting by rows finds the n-th pixel of the edge without a list of all of them, which can be a million long.
    ends = np.cumsum(cv2.reduce(edge, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0] // 255)
    if not ends[-1]:
        return None
    position = int(rng.integers(ends[-1]))
    row = int(np.searchsorted(ends, position, side="right"))
    columns = np.flatnonzero(edge[row])
    return row, int(columns[position - ends[row]])


def to_tensor(pixels: np.ndarray) -> Tensor:
    """Return uint8 or uint16 pixels (H, W) or (H, W, C) as a float32 tensor (C, H, W) in [0, 1]."""
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.divide(planes, full_scale(pixels), dtype=np.float32, order="C"))


def _kernel_range(key: str, sizes: Sequence[int]) -> tuple[int, int]:
    if len(sizes) != 2 or not 1 <= sizes[0] <= sizes[1]:
        raise InputError(f"composition.{key}={list(sizes)}: give the smallest and the largest kernel size, at least 1")
    return int(sizes[0]), int(sizes[1])


def _strengths(key: str, strengths: Mapping[str, float] | None) -> dict[str, float]:
    strengths = dict(strengths or {})
    for word, strength in strengths.items():
        if word not in JITTERS:
            raise InputError(f"composition.{key}.{word}: unknown; there are {', '.join(JITTERS)}")
        if not 0 <= strength <= (0.5 if word == "hue" else 1):
            raise InputError(f"composition.{key}.{word}={strength}: a strength lies between 0 and {0.5 if word == 'hue' else 1}")
    return strengths
