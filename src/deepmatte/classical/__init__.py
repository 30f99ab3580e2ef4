"""Methods without a network. Each is a function ``(image, trimap) -> alpha`` on arrays; `METHODS` names them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deepmatte.classical.trivial import trivial

METHODS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"trivial": trivial}
"""By name: image (H, W, 3) float64 in [0, 1] and trimap (H, W) uint8 0 / 128 / 255 to alpha (H, W) in [0, 1]."""

__all__ = ["METHODS", "trivial"]
