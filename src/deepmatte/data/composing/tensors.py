"""From the pixels of layers to the tensors of a sample: scaled to [0, 1], composited, in one pass.

A sample has five planes of colours for each pixel that was read; making them one by one costs more than all
the rest of a sample.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
import torch
from torch import Tensor

from deepmatte.ops import srgb
from deepmatte.ops.compiled import njit
from deepmatte.ops.zones import full_scale


def to_tensor(pixels: np.ndarray) -> Tensor:
    """Return uint8 or uint16 pixels (H, W) or (H, W, C) as a float32 tensor (C, H, W) in [0, 1]."""
    planes = [pixels] if pixels.ndim == 2 else cv2.split(pixels)
    values = np.empty((len(planes), *pixels.shape[:2]), np.float32)
    for plane, target in zip(planes, values, strict=True):
        np.divide(plane, full_scale(pixels), out=target, dtype=np.float32)
    return torch.from_numpy(values)


def to_pixels(values: Tensor) -> np.ndarray:
    """Return a float tensor (C, H, W) in [0, 1] as uint8 pixels (H, W, C), rounded."""
    return np.ascontiguousarray((values * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())


def composited(
    foreground: np.ndarray, background: np.ndarray, alpha: np.ndarray, linear_light: bool = False
) -> dict[str, Tensor]:
    """Return ``composite``, ``foreground``, ``background`` (3, H, W), ``alpha`` (1, H, W): float32 in [0, 1].

    ``composite`` is `deepmatte.ops.compositing.composite` of the other three, bit for bit. Colours are uint8
    (H, W, 3), which ``linear_light`` takes for sRGB and turns into linear light; alpha is uint8 or uint16 (H,
    W), full scale = 1.
    """
    # Writable and contiguous: a kernel is compiled once for each kind of memory that it meets.
    pixels = [np.require(layer, None, ["C", "W"]) for layer in (foreground, background, alpha)]
    planes = [np.empty((num, *alpha.shape), np.float32) for num in (3, 3, 3, 1)]
    _composited(
        *pixels,
        _linear_levels() if linear_light else _levels(256),
        _levels(int(full_scale(alpha)) + 1),
        *planes,
    )
    names = ("composite", "foreground", "background", "alpha")
    return {name: torch.from_numpy(plane) for name, plane in zip(names, planes, strict=True)}


@functools.cache
def _levels(num: int) -> np.ndarray:
    return np.divide(np.arange(num), num - 1, dtype=np.float32, casting="same_kind")


@functools.cache
def _linear_levels() -> np.ndarray:
    """Return the light of each 8-bit sRGB level (IEC 61966-2-1)."""
    return srgb.linear_light(np.arange(256) / 255).astype(np.float32)


def to_srgb(light: Tensor) -> Tensor:
    """Return linear light in [0, 1] as a camera encodes it in sRGB, not rounded.

    >>> to_srgb(torch.tensor([0.0, 0.5, 1.0])).mul(255).round().tolist()  # half of the light is a grey of 188
    [0.0, 188.0, 255.0]
    """
    return torch.where(
        light <= 0.0031308, light * 12.92, 1.055 * light.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    )


@njit(cache=True)
def _composited(foreground, background, alpha, levels, opacities, composite, over, under, matte):  # type: ignore[no-untyped-def]
    height, width = alpha.shape
    for y in range(height):
        for x in range(width):
            opacity = opacities[alpha[y, x]]
            matte[0, y, x] = opacity
            rest = np.float32(1) - opacity
            for k in range(3):
                front, back = levels[foreground[y, x, k]], levels[background[y, x, k]]
                over[k, y, x], under[k, y, x] = front, back
                composite[k, y, x] = opacity * front + rest * back
