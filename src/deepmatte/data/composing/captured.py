"""The captured background: a photograph of the scene without the subject, taken apart from the image.

Between the two photographs the camera moves a little, light and exposure change, and both have noise of their
own; and the subject casts a shadow that only the image shows. What Background Matting V2 (Lin et al. 2021)
draws once for a batch is drawn here for each sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from deepmatte.data.composing.augmentation import ColorJitter
from deepmatte.data.composing.options import Backend, Jitter, chance, option, strength
from deepmatte.data.composing.tensors import to_tensor
from deepmatte.ops.zones import full_scale


def _between(default: float | tuple[float, float], least: float, most: float) -> Any:
    """Return a field that is a number between the two, or a range of them, the smaller end first."""
    what = f"numbers between {least:g} and {most:g}, smaller end first"
    return option(
        default, lambda value: least <= np.min(value) <= np.max(value) <= most and _rises(value), what
    )


def _rises(value: float | tuple[float, float]) -> bool:
    return not isinstance(value, tuple) or value[0] <= value[1]


def _switch() -> Any:
    return option(False, lambda value: isinstance(value, bool), "give true or false")


@dataclass(frozen=True)
class CastShadow:
    """A shadow that falls on the image's background, but not on the plate.

    Alpha times a ``strength`` is turned and sheared (± degrees), moved (± parts of the side), scaled and
    blurred by a box (parts of the side), and subtracted from the colours.
    """

    probability: float = chance(0.3)
    strength: tuple[float, float] = _between((0.0, 0.3), 0, 1)
    rotation: float = _between(5.0, 0, 180)
    shift: float = _between(0.2, 0, 1)
    scale: tuple[float, float] = _between((0.5, 1.5), 0.01, 100)
    shear: float = _between(5.0, 0, 89)
    blur: tuple[float, float] = _between((0.05, 0.1), 0, 1)


@dataclass(frozen=True)
class CameraNoise:
    """Gaussian noise of image and plate, its deviation (levels of 255) drawn for each of them."""

    probability: float = chance(0.4)
    sigma: tuple[float, float] = _between((0.0, 7.65), 0, 255)


@dataclass(frozen=True)
class PlateJitter:
    """Another light and exposure: a colour jitter of the plate (`Jitter`)."""

    probability: float = chance(0.8)
    brightness: float = strength(1, 0.18)
    contrast: float = strength(1, 0.18)
    saturation: float = strength(1, 0.18)
    hue: float = strength(0.5, 0.1)


@dataclass(frozen=True)
class Misalignment:
    """A camera that has moved: the plate turns by ± ``rotation`` degrees, and moves by parts of its sides."""

    probability: float = chance(0.3)
    rotation: float = _between(1.0, 0, 180)
    shift: float = _between(0.01, 0, 1)


@dataclass(frozen=True)
class Captured:
    """The options of captured backgrounds, in the order of what takes place; the ranges are as published.

    ``plate`` says whether samples have one at all. Validation and test have the very background of the
    composite, unless ``in_evaluation``: then theirs are disturbed as well, each always in the same way.
    """

    plate: bool = _switch()
    in_evaluation: bool = _switch()
    shadow: CastShadow = field(default=CastShadow(), metadata={"group": CastShadow})
    noise: CameraNoise = field(default=CameraNoise(), metadata={"group": CameraNoise})
    jitter: PlateJitter = field(default=PlateJitter(), metadata={"group": PlateJitter})
    affine: Misalignment = field(default=Misalignment(), metadata={"group": Misalignment})


class Capturing:
    """Makes the plate of a sample, and what differs between it and the background of the image."""

    def __init__(self, options: Captured, backend: Backend) -> None:
        self.options, self.backend = options, backend

    def __bool__(self) -> bool:
        return self.options.plate

    def warm_up(self) -> None:
        """Make the transform of colours, for which its backend is imported."""
        if self.options.plate:
            _ = self._jitter

    @cached_property
    def _jitter(self) -> ColorJitter:
        jitter = self.options.jitter
        strengths = Jitter(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
        return ColorJitter(strengths, self.backend)

    def shaded(self, rng: np.random.Generator, background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Return the background of the image, uint8 (H, W, 3), with or without a shadow of alpha (H, W)."""
        shadow = self.options.shadow
        if not _happens(rng, shadow.probability):
            return background
        side = min(alpha.shape)
        turn = math.radians(rng.uniform(-shadow.rotation, shadow.rotation))
        shear = math.tan(math.radians(rng.uniform(-shadow.shear, shadow.shear)))
        linear = _rotation(turn) @ np.array([[1, shear], [0, 1]]) * rng.uniform(*shadow.scale)
        shift = rng.uniform(-shadow.shift, shadow.shift, 2) * alpha.shape[::-1]
        shade = _moved(alpha / np.float32(full_scale(alpha)), linear, shift, cv2.BORDER_CONSTANT)
        box = max(1, round(rng.uniform(*shadow.blur) * side))
        shade = cv2.blur(shade, (box, box), borderType=cv2.BORDER_REFLECT_101)
        dark = np.float32(255 * rng.uniform(*shadow.strength)) * shade
        return np.round((background - dark[..., None]).clip(0, 255)).astype(np.uint8)

    def disturbed(
        self, rng: np.random.Generator, image: Tensor, plate: np.ndarray
    ) -> tuple[Tensor, np.ndarray]:
        """Return image, float (3, H, W) in [0, 1], and plate, uint8 (H, W, 3), as two photographs differ."""
        noise, jitter, affine = self.options.noise, self.options.jitter, self.options.affine
        if _happens(rng, noise.probability):
            sigmas = rng.uniform(*noise.sigma, size=2)
            grain = rng.standard_normal(tuple(image.shape), np.float32) * np.float32(sigmas[0] / 255)
            image = (image + torch.from_numpy(grain)).clamp(0, 1)
            grain = rng.standard_normal(plate.shape, np.float32) * np.float32(sigmas[1])
            plate = np.round((plate + grain).clip(0, 255)).astype(np.uint8)
        if _happens(rng, jitter.probability):
            plate = self._jitter(rng, plate)
        if _happens(rng, affine.probability):
            turn = math.radians(rng.uniform(-affine.rotation, affine.rotation))
            shift = rng.uniform(-affine.shift, affine.shift, 2) * plate.shape[1::-1]
            # Mirrored beyond the border: a camera that moves sees more of the scene there, not black.
            plate = _moved(plate, _rotation(turn), shift, cv2.BORDER_REFLECT_101)
        return image, plate

    def tensors(self, rng: np.random.Generator | None, image: Tensor, plate: np.ndarray) -> dict[str, Tensor]:
        """Return ``image`` and ``captured_background``, float32 (3, H, W) in [0, 1].

        Without a generator nothing is disturbed.
        """
        if rng is not None:
            image, plate = self.disturbed(rng, image, plate)
        return {"image": image, "captured_background": to_tensor(plate)}


def _happens(rng: np.random.Generator, probability: float) -> bool:
    return probability > 0 and rng.random() < probability


def _rotation(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _moved(pixels: np.ndarray, linear: np.ndarray, shift: np.ndarray, border: int) -> np.ndarray:
    """Return pixels (H, W, …) mapped by ``linear`` around the centre and moved by ``shift`` (x, y)."""
    centre = np.array([(pixels.shape[1] - 1) / 2, (pixels.shape[0] - 1) / 2])
    matrix = np.column_stack([linear, centre + shift - linear @ centre])
    return cv2.warpAffine(pixels, matrix, pixels.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=border)
