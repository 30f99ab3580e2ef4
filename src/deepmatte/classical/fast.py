"""Closed-form, KNN and information-flow matting at half the size, enlarged by the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from deepmatte.classical.information_flow import InformationFlow
from deepmatte.classical.laplacian import KNN, ClosedForm, LaplacianMatting
from deepmatte.classical.method import downscale
from deepmatte.ops.filtering.guided_filter import GuidedFilter
from deepmatte.ops.zones import BACKGROUND, FOREGROUND, impose_trimap


@dataclass(frozen=True)
class AtHalfSize(LaplacianMatting):
    """A method at half the size, whose matte is enlarged as linear functions of the colours.

    In closed form's model alpha is a linear function of the colours in each window. Those functions are found
    in the small matte, enlarged, and applied to the image (He, Sun 2015, the fast guided filter), so that
    edges and hair are as sharp as the image has them. A trimap whose foreground or background is too thin for
    half the size is solved at the full size. `benchmarks/guides.py` measures time and error.

    Args:
        filter_radius: of the windows at half the size in which the functions are found, in pixels.
        filter_epsilon: regularisation of that fit.
    """

    filter_radius: int = 2
    filter_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self._check("filter_radius", self.filter_radius >= 1, "an integer of at least 1")
        self._check("filter_epsilon", self.filter_epsilon > 0, "a number above 0")

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return alpha (H, W)."""
        assert trimap is not None
        height, width = trimap.shape
        small, zones = downscale(image, trimap, (max(1, width // 2), max(1, height // 2)))
        known = [zone for zone in (FOREGROUND, BACKGROUND) if np.any(trimap == zone)]
        lost = any(not np.any(zones == zone) for zone in known)
        if lost or min(small.shape[:2]) < self.window:
            return super().solve(image, trimap)
        alpha = impose_trimap(np.clip(super().solve(small, zones), 0, 1), zones)
        fit = GuidedFilter(small, self.filter_radius, self.filter_epsilon)
        slope, offset = (
            cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_LINEAR)
            for part in fit.coefficients(alpha)
        )
        return (slope * image).sum(-1) + offset


@dataclass(frozen=True)
class FastClosedForm(AtHalfSize, ClosedForm):
    """Closed-form matting at half the size (`AtHalfSize`); its other arguments are those of `ClosedForm`."""

    name: ClassVar[str] = "fast_closed_form"
    max_megapixels: ClassVar[float] = 8.0  # closed form's two, at half the size


@dataclass(frozen=True)
class FastKNN(AtHalfSize, KNN):
    """KNN matting at half the size (`AtHalfSize`); its other arguments are those of `KNN`."""

    name: ClassVar[str] = "fast_knn"
    max_megapixels: ClassVar[float] = 4.0  # KNN's one, at half the size


@dataclass(frozen=True)
class FastInformationFlow(AtHalfSize, InformationFlow):
    """Information-flow matting at half the size (`AtHalfSize`); else as `InformationFlow`."""

    name: ClassVar[str] = "fast_information_flow"
    max_megapixels: ClassVar[float] = 4.0  # information flow's one, at half the size
