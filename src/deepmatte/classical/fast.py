"""Closed-form, KNN and information-flow matting at half the size, enlarged by the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepmatte.classical.information_flow import InformationFlow
from deepmatte.classical.laplacian import (
    FILTER_EPSILON,
    FILTER_RADIUS,
    KNN,
    ClosedForm,
    LaplacianMatting,
)
from deepmatte.classical.method import downscale_trimap
from deepmatte.ops.filtering.guided_filter import GuidedFilter
from deepmatte.ops.zones import BACKGROUND, FOREGROUND


@dataclass(frozen=True)
class AtHalfSize(LaplacianMatting):
    """A method at half the size, whose matte is enlarged as linear functions of the colours.

    In closed form's model alpha is a linear function of the colours in each window: those functions are found
    in the small matte, and enlarged (`GuidedFilter.enlarge`). A trimap whose foreground or background is too
    thin for half the size is solved at the full size. `benchmarks/guides.py` measures time and error.

    Args:
        filter_radius: of the windows at half the size in which the functions are found, in pixels.
        filter_epsilon: regularisation of that fit.
    """

    filter_radius: int = FILTER_RADIUS
    filter_epsilon: float = FILTER_EPSILON

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        self._check("filter_radius", self.filter_radius >= 1, "an integer of at least 1")
        self._check("filter_epsilon", self.filter_epsilon > 0, "a number above 0")

    def scale(self, shape: tuple[int, int], trimap: np.ndarray | None) -> float:
        """Return at which part of its sides, up to 1, a picture (height, width) is solved."""
        scale = super().scale(shape, trimap)
        assert trimap is not None
        height, width = (max(1, int(side * scale / 2)) for side in shape)
        zones = downscale_trimap(trimap, (width, height))
        lost = any((trimap == zone).any() and not (zones == zone).any() for zone in (FOREGROUND, BACKGROUND))
        return scale if lost or min(height, width) < self.window else scale / 2

    def filter(self, small: np.ndarray) -> GuidedFilter:
        """Return the filter that enlarges mattes of a ``small`` image."""
        return GuidedFilter(small, self.filter_radius, self.filter_epsilon)


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
