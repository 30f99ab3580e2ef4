"""Errors of predicted foreground colours where the foreground is visible."""

from __future__ import annotations

import numpy as np

from deepmatte.errors import InputError
from deepmatte.metrics.functional.inputs import Image, checked_trimap, quantise
from deepmatte.ops.zones import UNKNOWN


def foreground_mse(prediction: Image, foreground: Image, alpha: Image, trimap: Image | None = None) -> float:
    """Return the mean of (prediction - foreground)^2 where the foreground is visible (alpha > 0), x 1000.

    Two protocols are in use, whose figures can't be compared: the mean over the visible pixels of the whole
    image (Robust Video Matting), and, with a trimap, the sum over the visible unknown pixels divided by the
    number of all unknown ones (Background Matting V2's ``eval/benchmark.m``).

    Args:
        prediction: predicted colours, (3, H, W), uint8 or float in [0, 1]; rounded to 8 bit, as in files.
        foreground: the true ones, treated alike.
        alpha: the true matte (H, W), treated alike.
        trimap: (H, W) of 0, 128, 255, for the second protocol.

    Returns:
        The error, a mean over the three channels too; 0 where nothing counts.

    >>> foreground_mse(np.full((3, 2, 2), 0.2), np.zeros((3, 2, 2)), np.ones((2, 2)))
    40.0
    >>> half = np.array([[0.0, 1.0], [0.0, 1.0]])
    >>> foreground_mse(np.full((3, 2, 2), 0.2), np.zeros((3, 2, 2)), half, np.full((2, 2), 128, np.uint8))
    20.0
    """
    difference, num_pixels = _visible_difference(prediction, foreground, alpha, trimap)
    return 1000 * float(np.square(difference).sum()) / (255**2 * 3 * num_pixels) if num_pixels else 0.0


def foreground_mad(prediction: Image, foreground: Image, alpha: Image, trimap: Image | None = None) -> float:
    """Return the mean of |prediction - foreground|, x 1000, by the protocols of ``foreground_mse``."""
    difference, num_pixels = _visible_difference(prediction, foreground, alpha, trimap)
    return 1000 * float(np.abs(difference).sum()) / (255 * 3 * num_pixels) if num_pixels else 0.0


def _visible_difference(
    prediction: Image, foreground: Image, alpha: Image, trimap: Image | None
) -> tuple[np.ndarray, int]:
    """Return the differences of 8-bit colours, (3, number of pixels) int64, and the mean's denominator."""
    colours = [
        _colour(image, name)
        for image, name in ((prediction, "predicted foreground"), (foreground, "foreground"))
    ]
    visible = quantise(alpha, "alpha") > 0
    for name, colour in zip(("predicted foreground", "foreground"), colours, strict=True):
        if colour.shape[1:] != visible.shape:
            raise InputError(f"{name} has shape {colour.shape}, alpha {visible.shape}: give one size")
    num_pixels = int(visible.sum())
    if trimap is not None:
        unknown = checked_trimap(trimap) == UNKNOWN
        if unknown.shape != visible.shape:
            raise InputError(f"trimap has shape {unknown.shape}, alpha {visible.shape}: give one size")
        visible, num_pixels = visible & unknown, int(unknown.sum())
    return colours[0][:, visible].astype(np.int64) - colours[1][:, visible], num_pixels


def _colour(image: Image, name: str) -> np.ndarray:
    shape = tuple(image.shape)
    if len(shape) < 3 or shape[-3] != 3 or any(side != 1 for side in shape[:-3]):
        raise InputError(f"{name} has shape {shape}: give one colour image (3, H, W)")
    return np.stack([quantise(channel, name) for channel in image.reshape(shape[-3:])])
