"""Errors of predicted foreground colours where the foreground is visible."""

from __future__ import annotations

import numpy as np

from deepmatte.errors import InputError
from deepmatte.metrics.functional.inputs import Image, quantise


def foreground_mse(prediction: Image, foreground: Image, alpha: Image) -> float:
    """Return the mean of (prediction - foreground)^2 over the visible pixels (alpha > 0), x 1000.

    Colours are (3, H, W), uint8 or float in [0, 1]; all three inputs are rounded to 8 bit, as in files. The
    mean is over the three channels too; 0 where nothing is visible.

    >>> foreground_mse(np.full((3, 2, 2), 0.2), np.zeros((3, 2, 2)), np.ones((2, 2)))
    40.0
    """
    difference = _visible_difference(prediction, foreground, alpha)
    return 1000 * float(np.square(difference).sum()) / (255**2 * difference.size) if difference.size else 0.0


def foreground_mad(prediction: Image, foreground: Image, alpha: Image) -> float:
    """Return the mean of |prediction - foreground| over visible pixels, x 1000; see ``foreground_mse``."""
    difference = _visible_difference(prediction, foreground, alpha)
    return 1000 * float(np.abs(difference).sum()) / (255 * difference.size) if difference.size else 0.0


def _visible_difference(prediction: Image, foreground: Image, alpha: Image) -> np.ndarray:
    """Return the differences of the 8-bit colours, (3, number of visible pixels) int64."""
    colours = [
        _colour(image, name)
        for image, name in ((prediction, "predicted foreground"), (foreground, "foreground"))
    ]
    visible = quantise(alpha, "alpha") > 0
    for name, colour in zip(("predicted foreground", "foreground"), colours, strict=True):
        if colour.shape[1:] != visible.shape:
            raise InputError(f"{name} has shape {colour.shape}, alpha {visible.shape}: give one size")
    return colours[0][:, visible].astype(np.int64) - colours[1][:, visible]


def _colour(image: Image, name: str) -> np.ndarray:
    shape = tuple(image.shape)
    if len(shape) < 3 or shape[-3] != 3 or any(side != 1 for side in shape[:-3]):
        raise InputError(f"{name} has shape {shape}: give one colour image (3, H, W)")
    return np.stack([quantise(channel, name) for channel in image.reshape(shape[-3:])])
