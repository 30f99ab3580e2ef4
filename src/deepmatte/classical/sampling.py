"""Few pixels that stand for all: one from each stretch of a curve through the colours."""

from __future__ import annotations

import numpy as np

BITS = 8
"""Steps of a feature along the curve are 2^-8 of the widest feature's range."""


def stratified(pixels: np.ndarray, num: int, seed: int) -> np.ndarray:
    """Return up to ``num`` of the pixels (P, D), drawn without repetition, whose features are spread as those of all are.

    The pixels are put in the order of a space-filling curve, cut into ``num`` stretches of equal length, and
    one pixel is drawn from each. Like features lie side by side on the curve, so each kind of pixel is drawn
    in its share; a plain draw errs by the square root of the number (stratified sampling, Cochran 1977).

    >>> stratified(np.array([[0.0]] * 6 + [[1.0]] * 3), 3, seed=0).ravel().tolist()
    [0.0, 0.0, 1.0]
    """
    if len(pixels) <= num:
        return pixels
    edges = np.arange(num + 1) * len(pixels) // num
    drawn = np.random.default_rng(seed).integers(edges[:-1], edges[1:])
    return pixels[np.argsort(places_on_curve(pixels), kind="stable")[drawn]]


def places_on_curve(pixels: np.ndarray) -> np.ndarray:
    """Return the places (P,), uint64, of the pixels (P, D) on Morton's curve (1966): the features' bits, interleaved.

    >>> places_on_curve(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).argsort().tolist()
    [0, 1, 2]
    """
    bits = min(BITS, 64 // pixels.shape[1])
    low = pixels.min(0)
    widest = float((pixels.max(0) - low).max()) or 1.0
    steps = ((pixels - low) * ((2**bits - 1) / widest)).astype(np.uint64)
    places = np.zeros(len(pixels), np.uint64)
    for bit in range(bits):
        for feature, column in enumerate(steps.T):
            places |= (column >> np.uint64(bit) & np.uint64(1)) << np.uint64(bit * len(steps.T) + feature)
    return places
