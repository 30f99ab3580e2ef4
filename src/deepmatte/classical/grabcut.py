"""GrabCut: two colour mixtures and a minimum cut between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from deepmatte.classical.method import (
    ClassicalMethod,
    check_option,
    fallback_matte,
    warn,
    warn_if_colours_overlap,
)
from deepmatte.ops.zones import BACKGROUND, FOREGROUND


@dataclass(frozen=True)
class GrabCut(ClassicalMethod):
    """OpenCV's GrabCut (Rother, Kolmogorov, Blake 2004), a hard mask.

    Args:
        trimap: keep the known zones fixed and initialise the unknown zone as foreground; false: only a frame
            along the border is fixed, as background.
        iterations: rounds of fitting the mixtures and cutting.
        margin: width of the frame as a fraction of each side, without a trimap.
        seed: of the mixtures' initialisation.
    """

    name: ClassVar[str] = "grabcut"
    max_megapixels: ClassVar[float] = 4.0

    trimap: bool = True
    iterations: int = 5
    margin: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the options."""
        check_option(
            self.name, "iterations", self.iterations, self.iterations >= 1, "an integer of at least 1"
        )
        check_option(
            self.name, "margin", self.margin, 0 < self.margin < 0.5, "a fraction between 0 and 0.5, exclusive"
        )

    @property
    def sees_trimap(self) -> bool:
        """Whether the known zones are kept fixed."""
        return self.trimap

    def solve(self, image: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
        """Return the mask as alpha 0 and 1."""
        height, width = image.shape[:2]
        mask = np.full((height, width), cv2.GC_PR_FGD, np.uint8)
        if trimap is None:
            y, x = max(1, round(height * self.margin)), max(1, round(width * self.margin))
            mask[:y] = mask[height - y :] = mask[:, :x] = mask[:, width - x :] = cv2.GC_BGD
        else:
            mask[trimap == BACKGROUND] = cv2.GC_BGD
            mask[trimap == FOREGROUND] = cv2.GC_FGD
            warn_if_colours_overlap("GrabCut", image, trimap)
        cv2.setRNGSeed(self.seed)
        colours = cv2.cvtColor(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        no_rectangle = (0, 0, 0, 0)  # ignored: the mask initialises the cut
        try:
            cv2.grabCut(colours, mask, no_rectangle, *models, self.iterations, cv2.GC_INIT_WITH_MASK)
        except cv2.error:
            warn("too few pixels of foreground or background to start GrabCut; unknown pixels get alpha 0.5")
            return fallback_matte(image, trimap)
        foreground = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD))
        if not foreground.any():
            warn("GrabCut found no foreground; alpha is 0 everywhere")
        return foreground.astype(np.float64)
