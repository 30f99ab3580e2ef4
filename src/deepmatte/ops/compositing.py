"""The matting equation."""

from __future__ import annotations

from deepmatte.ops.zones import ArrayOrTensor


def composite(foreground: ArrayOrTensor, background: ArrayOrTensor, alpha: ArrayOrTensor) -> ArrayOrTensor:
    """Return ``alpha * foreground + (1 - alpha) * background``; alpha broadcasts over the colour channels.

    ``background + alpha * (foreground - background)`` would save a multiplication, but is not exact where
    alpha is 1.

    >>> import numpy as np
    >>> float(composite(np.float64(0.75), np.float64(0.1), np.float64(1.0)))
    0.75
    """
    return alpha * foreground + (1 - alpha) * background
