"""Hard masks in the place of mattes, for the study of segmentation losses."""

from __future__ import annotations

import dataclasses

import numpy as np

from deepmatte.data.composing.composition import Composition, Tensors
from deepmatte.data.composing.cutout import Cutout
from deepmatte.ops.zones import full_scale


class HardComposition(Composition):
    """`Composition` whose true alpha is 0 or 1, in training and in scoring: 1 where alpha is at least a half.

    It is made hard after the resize, which would soften it again, and before the compositing, so that image,
    trimap and truth agree. Nothing is drawn for it: crops, jitter and backgrounds are those of `Composition`
    with the same options.
    """

    def _composed(
        self,
        cutout: Cutout,
        background: np.ndarray | None,
        rng: np.random.Generator,
        grain: np.random.Generator | None = None,
    ) -> Tensors:
        return super()._composed(hardened(cutout), background, rng, grain)

    def fixed_options(self) -> dict[str, object]:
        """Return the options that change what `fixed` returns, for digests."""
        return {**super().fixed_options(), "hard": True}


def hardened(cutout: Cutout) -> Cutout:
    """Return the cutout with alpha >= 0.5 set to 1 and the rest to 0.

    >>> hardened(Cutout(np.zeros((1, 3, 3), np.uint8), np.array([[0, 127, 128]], np.uint8))).alpha.tolist()
    [[0, 0, 255]]
    """
    full = full_scale(cutout.alpha)
    alpha = np.where(2 * cutout.alpha.astype(np.int64) >= full, full, 0).astype(cutout.alpha.dtype)
    return dataclasses.replace(cutout, alpha=alpha, edges=None)
