"""The trivial matte: alpha 0.5 wherever the trimap is unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepmatte.classical.method import ClassicalMethod, fallback_matte


@dataclass(frozen=True)
class Trivial(ClassicalMethod):
    """The trimap as a matte, with alpha 0.5 where it is unknown; ignores the image.

    >>> Trivial()(np.zeros((1, 3, 3)), np.array([[0, 128, 255]], np.uint8))
    array([[0. , 0.5, 1. ]])
    """

    name: ClassVar[str] = "trivial"

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return the trimap as a matte."""
        return fallback_matte(image, trimap)
