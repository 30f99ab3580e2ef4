"""What a network or a method predicts of a photograph and its guide. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

GUIDES = {"trimap": "--trimap T", "captured_background": "--captured PLATE"}
"""What a model may read beside the image, by its key in a batch, and the option that gives it."""


class Prediction(NamedTuple):
    """``alpha`` (H, W) and, where they are predicted, the ``foreground``'s colours (H, W, 3), in [0, 1]."""

    alpha: np.ndarray
    foreground: np.ndarray | None = None


Predictor = Callable[[np.ndarray, np.ndarray], Prediction]
"""Image (H, W, 3) and guide to `Prediction`: a trimap, 0 / 128 / 255 (H, W), or a plate (H, W, 3).

Colours are uint8, or floats in [0, 1].
"""
