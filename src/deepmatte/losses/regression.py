"""Terms that measure a distance between the predicted and the true matte."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.inputs import Share, mask_of, mattes
from deepmatte.losses.table.options import Distance, NumLevels, Positive
from deepmatte.ops.compositing import composite
from deepmatte.ops.filtering.pyramids import laplacian_pyramid
from deepmatte.ops.filtering.separable import (
    SOBEL_SLOPE,
    SOBEL_SMOOTH,
    Border,
    amplitude,
    gaussian_taps,
    gradients,
)
from deepmatte.ops.regions import Per, Reduction, Region, masked_mean

Filter = Literal["gaussian", "sobel"]


def distance_of(error: Tensor, distance: Distance, eps: float) -> Tensor:
    """Return the magnitude of each error: ``sqrt(error^2 + eps^2)``, ``|error|`` or ``error^2``."""
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
    hardest: Share | None = None,
    distance: Distance = "charbonnier",
    eps: Positive = 1e-6,
) -> Tensor:
    """Distance between predicted and true alpha: the alpha-prediction loss of Deep Image Matting.

    Formula: mean over the region of sqrt((p - t)^2 + eps^2); with `distance: l1` |p - t|, with `l2` (p -
    t)^2.
    Source: Xu et al., Deep Image Matting, CVPR 2017, eq. 1 (there 1e-12 = eps^2).
    Optimises: SAD (charbonnier, l1) or MSE (l2) of the region, divided by its number of pixels.
    Proper: yes, strictly; under uncertainty l1 asks for the median of alpha and l2 for its mean.
    Use: always; other terms are judged by what they add to it.
    Cost: the unit: less than 1/1000 of a training step of `model=dim` (`benchmarks/losses.py --presets`).

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> alpha_loss(Matte(batch["alpha"]), batch)  # the true matte costs eps
    tensor(1.0000e-06)
    """
    predicted, true = mattes(matte, batch)
    return masked_mean(
        distance_of(predicted - true, distance, eps), mask_of(batch, region), reduction, per, hardest
    )


def composition_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: Share | None = None,
    distance: Distance = "charbonnier",
    eps: Positive = 1e-6,
) -> Tensor:
    """Distance between the image and its recomposition from the true colours and the predicted alpha.

    Formula: mean over the region and the three channels of sqrt((p F + (1 - p) B - C)^2 + eps^2), colours in
    [0, 1].
    Source: Xu et al., Deep Image Matting, CVPR 2017, eq. 2.
    Optimises: the visible error of the composite: alpha errors are weighted by |F - B| and cost nothing
    where the colours agree.
    Proper: yes; strictly so where foreground and background differ in colour.
    Use: beside `alpha` (preset `dim`). Peers scale it differently at equal weight: 1x here, 6x and 13x
    elsewhere.
    Cost: about 6x alpha (three channels and two layers).

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> composition_loss(Matte(batch["alpha"]), batch)  # the true matte recomposes exactly
    tensor(1.0000e-06)
    """
    predicted, _ = mattes(matte, batch)
    error = composite(batch["foreground"], batch["background"], predicted) - batch["composite"]
    return masked_mean(distance_of(error, distance, eps), mask_of(batch, region), reduction, per, hardest)


def gradient_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: Share | None = None,
    filter: Filter = "gaussian",
    sigma: Positive = 1.4,
    compare: Literal["amplitude", "components"] = "amplitude",
    border: Border = "replicate",
    eps: Positive = 1e-4,
) -> Tensor:
    """Distance between the image gradients of predicted and true alpha.

    Formula: mean over the region of |A(p) - A(t)|, A = sqrt(gx^2 + gy^2 + eps^2); with `compare: components`
    of |gx(p) - gx(t)| +
    |gy(p) - gy(t)|. gx and gy are Gaussian derivatives of unit energy, or Sobel's.
    Source: amplitude with Sobel as in GCA-Matting, components with Sobel as in mmagic (both with `border:
    zeros`).
    Optimises: the sharpness of edges, and so the Grad metric.
    Proper: yes, but not alone: zero at the truth, and also at a matte that is off by a constant; amplitude
    is blind to inversion.
    Use: beside `alpha`, for crisp hair.
    Cost: about 6x alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> gradient_loss(Matte(batch["alpha"]), batch)
    tensor(0.)
    """
    predicted, true = mattes(matte, batch)
    smooth, slope = (SOBEL_SMOOTH, SOBEL_SLOPE) if filter == "sobel" else gaussian_taps(sigma)
    if compare == "components":
        across, down = gradients(predicted - true, smooth, slope, border)
        error = across.abs() + down.abs()
    else:
        error = (
            amplitude(predicted, smooth, slope, border, eps) - amplitude(true, smooth, slope, border, eps)
        ).abs()
    return masked_mean(error, mask_of(batch, region), reduction, per, hardest)


def laplacian_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: Share | None = None,
    levels: NumLevels = 5,
) -> Tensor:
    """Distance between the Laplacian pyramids of predicted and true alpha.

    Formula: 1/L sum over levels l < L of 2^l mean |Lap_l(p - t)|; the mean of level l is over the region, of
    which it sees every 2^l-th pixel. The pyramid is made of the whole error and masked afterwards: masking
    before would draw edges of its own.
    Source: Hou and Liu, Context-Aware Image Matting, ICCV 2019; kernel, weights and scale as in RVM and
    ViTMatte.
    Optimises: errors of all widths, the wide ones with more weight than in l1.
    Proper: yes, but not alone: a constant offset costs nothing.
    Use: beside `alpha`; the modern recipe is the preset `alpha_laplacian`.
    Cost: about 3x alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> float(laplacian_loss(Matte(batch["alpha"]), batch))
    0.0
    """
    predicted, true = mattes(matte, batch)
    mask = mask_of(batch, region)
    total = predicted.new_zeros(())
    for level, detail in enumerate(laplacian_pyramid(predicted - true, levels)):
        height, width = detail.shape[-2:]
        seen = None if mask is None else mask[..., :: 2**level, :: 2**level][..., :height, :width]
        total = total + 2**level * masked_mean(detail.abs(), seen, reduction, per, hardest)
    return total / levels
