"""Terms that measure a distance between the predicted and the true matte."""

from __future__ import annotations

from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.inputs import layers_of, mask_of, mattes
from deepmatte.losses.options import Distance, Positive
from deepmatte.ops.compositing import composite
from deepmatte.ops.regions import Per, Reduction, Region, masked_mean


def distance_of(error: Tensor, distance: Distance, eps: float) -> Tensor:
    """Return the size of each error: ``sqrt(error^2 + eps^2)`` (Charbonnier), ``|error|`` or ``error^2``."""
    if distance == "l1":
        return error.abs()
    if distance == "l2":
        return error.square()
    return (error.square() + eps**2).sqrt()


def alpha_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    distance: Distance = "charbonnier",
    eps: Positive = 1e-6,
) -> Tensor:
    """Distance between predicted and true alpha: the alpha-prediction loss of Deep Image Matting.

    Formula: mean over the region of sqrt((p - t)^2 + eps^2); with `distance: l1` |p - t|, with `l2` (p - t)^2.
    Source: Xu et al., Deep Image Matting, CVPR 2017, eq. 1 (there 1e-12 = eps^2).
    Optimises: SAD (charbonnier, l1) or MSE (l2) of the region, divided by its number of pixels.
    Proper: yes, strictly; under uncertainty l1 asks for the median of alpha and l2 for its mean.
    Use: always; the other terms are measured by what they add to it.
    Cost: the unit.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> alpha_loss(Matte(batch["alpha"]), batch)  # the true matte costs eps
    tensor(1.0000e-06)
    """
    predicted, true = mattes(matte, batch)
    return masked_mean(distance_of(predicted - true, distance, eps), mask_of(batch, region), reduction, per)


def composition_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    distance: Distance = "charbonnier",
    eps: Positive = 1e-6,
) -> Tensor:
    """Distance between the image and its re-composition from the true colours and the predicted alpha.

    Formula: mean over the region and the three channels of sqrt((p F + (1 - p) B - C)^2 + eps^2), colours in [0, 1].
    Source: Xu et al., Deep Image Matting, CVPR 2017, eq. 2.
    Optimises: the visible error of the composite: alpha errors weigh by |F - B| and cost nothing where the colours agree.
    Proper: yes; strictly so where foreground and background differ in colour.
    Use: beside `alpha` (preset `dim`). Peers scale it differently at equal weight: 1x here, 6x and 13x elsewhere.
    Cost: about 5x alpha (three channels and two layers).

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> composition_loss(Matte(batch["alpha"]), batch)  # the true matte re-composes exactly
    tensor(1.0000e-06)
    """
    predicted, _ = mattes(matte, batch)
    foreground, background, image = layers_of(batch)
    error = composite(foreground, background, predicted) - image
    return masked_mean(distance_of(error, distance, eps), mask_of(batch, region), reduction, per)
