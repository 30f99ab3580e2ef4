"""SAD, MSE and MAD (Rhemann et al. 2009; units as in Deep Image Matting)."""

from __future__ import annotations

import cv2
import numpy as np

from deepmatte.metrics.functional.inputs import Image, Pair, prepare
from deepmatte.metrics.functional.protocols import Protocol


def sad(
    prediction: Image, alpha: Image, trimap: Image | None = None, protocol: str | Protocol = "adobe"
) -> float:
    """Return the sum of |prediction - alpha| over the protocol's region, / 1000; 0 for an empty region.

    >>> sad(np.full((10, 10), 0.2), np.zeros((10, 10)), protocol="whole")
    0.02
    """
    return sad_of(prepare(prediction, alpha, trimap, protocol))


def mse(
    prediction: Image, alpha: Image, trimap: Image | None = None, protocol: str | Protocol = "adobe"
) -> float:
    """Return the mean of (prediction - alpha)^2 over the protocol's region, x 1000; 0 for an empty region.

    >>> mse(np.full((10, 10), 0.2), np.zeros((10, 10)), protocol="whole")
    40.0
    """
    return mse_of(prepare(prediction, alpha, trimap, protocol))


def mad(
    prediction: Image, alpha: Image, trimap: Image | None = None, protocol: str | Protocol = "adobe"
) -> float:
    """Return the mean of |prediction - alpha| over the protocol's region, x 1000; 0 for an empty region."""
    return mad_of(prepare(prediction, alpha, trimap, protocol))


def sad_of(pair: Pair) -> float:
    """Return SAD of a prepared pair."""
    return _sum(pair, cv2.NORM_L1) / (1000 * pair.peak)


def mse_of(pair: Pair) -> float:
    """Return MSE of a prepared pair."""
    return 1000 * _sum(pair, cv2.NORM_L2SQR) / (pair.peak**2 * pair.num_pixels) if pair.num_pixels else 0.0


def mad_of(pair: Pair) -> float:
    """Return MAD of a prepared pair."""
    return 1000 * _sum(pair, cv2.NORM_L1) / (pair.peak * pair.num_pixels) if pair.num_pixels else 0.0


def _sum(pair: Pair, norm: int) -> float:
    """Return the sum of the differences or their squares in levels: an exact integer for 8-bit."""
    mask = pair.unknown if pair.protocol.error_region == "unknown" else None
    if pair.prediction.dtype == np.uint8:
        # OpenCV may go through a square root; the nearest integer undoes it.
        return round(cv2.norm(pair.prediction, pair.alpha, norm, mask))
    # OpenCV sums doubles one by one; numpy sums pairwise, which keeps the last digits.
    difference = pair.prediction - pair.alpha if mask is None else (pair.prediction - pair.alpha)[mask != 0]
    return float(np.abs(difference).sum() if norm == cv2.NORM_L1 else np.square(difference).sum())
