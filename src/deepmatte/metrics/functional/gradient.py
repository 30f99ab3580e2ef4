"""Gradient error (Rhemann et al. 2009) as DIM's Matlab evaluation computes it."""

from __future__ import annotations

import numpy as np

from deepmatte.metrics.functional.inputs import Image, Pair, prepare
from deepmatte.metrics.functional.protocols import Protocol
from deepmatte.ops.filtering.gradients import squared_gradient_difference


def grad(
    prediction: Image, alpha: Image, trimap: Image | None = None, protocol: str | Protocol = "adobe"
) -> float:
    """Return the sum over the protocol's region of (|grad prediction| - |grad alpha|)^2, divided by 1000.

    Gradients are 9x9 Gaussian derivatives of sigma 1.4 and unit energy with replicated borders, of mattes
    stretched to [0, 1] over the whole image (a constant matte has no gradient); the filter sees the
    prediction outside the region too. The measure is blind to inversion.

    >>> grad(np.eye(12), 1 - np.eye(12), protocol="whole") < 1e-12
    True
    """
    return grad_of(prepare(prediction, alpha, trimap, protocol))


def grad_of(pair: Pair) -> float:
    """Return Grad of a prepared pair."""
    scales = _scale(pair.prediction, pair), _scale(pair.alpha, pair)
    return squared_gradient_difference(pair.prediction, pair.alpha, pair.mask, scales) / 1000


def _scale(image: np.ndarray, pair: Pair) -> float:
    if not pair.protocol.min_max:
        return 1 / pair.peak
    contrast = float(image.max()) - float(image.min())
    return 1 / contrast if contrast > 0 else 0.0
