"""Metrics as losses: differentiable forms of reported scores."""

from __future__ import annotations

import torch
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.inputs import Share, mask_of, mattes
from deepmatte.losses.table.options import Positive
from deepmatte.ops.filtering.separable import Border, amplitude, blur, blur_taps, gaussian_taps
from deepmatte.ops.regions import Per, Reduction, Region, masked_mean

SIGMA = 1.4
EPS = 1e-9
"""Keeps the derivative of the magnitude finite where the matte is flat; too small to change the value."""
SSIM_C, SSIM_D = 0.01**2, 0.03**2
"""The published constants of structural similarity, for pictures in [0, 1]."""


def grad_metric_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: Share | None = None,
    scale: Positive = 1.0,
) -> Tensor:
    """The Grad metric as a loss: squared differences of gradient magnitudes.

    Formula: `scale` times the mean over the region of (A(p') - A(t'))^2, A the magnitude of the Gaussian
    gradient (sigma 1.4, 9x9, unit energy, replicated border) and p', t' the mattes stretched to [0, 1] over
    their whole image. Grad = mean x pixels / 1000.
    Source: Rhemann et al., CVPR 2009, as in the evaluation code of Deep Image Matting; without its rounding
    to 8 bit.
    Optimises: Grad.
    Proper: yes, but not alone: like Grad it is blind to a constant offset, a stretch or an inversion.
    Use: beside `alpha`, to see whether training on Grad improves Grad. `gradient` is the same without square
    and stretch.
    Cost: about 8x alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> float(grad_metric_loss(Matte(batch["alpha"]), batch))
    0.0
    """
    taps = gaussian_taps(SIGMA)
    found, wanted = (amplitude(stretch(alpha), *taps, "replicate", EPS) for alpha in mattes(matte, batch))
    return scale * masked_mean((found - wanted).square(), mask_of(batch, region), reduction, per, hardest)


def stretch(alpha: Tensor) -> Tensor:
    """Stretch each matte (N, 1, H, W) to [0, 1]; a constant one becomes 0.

    >>> stretch(torch.tensor([[[[0.2, 0.4, 0.6]]]]))
    tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """
    low, high = alpha.amin((-2, -1), keepdim=True), alpha.amax((-2, -1), keepdim=True)
    return (alpha - low) / torch.where(high > low, high - low, 1)


def ssim_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: Share | None = None,
    sigma: Positive = 1.5,
    border: Border = "replicate",
) -> Tensor:
    """Structural similarity: one minus the mean SSIM of predicted and true alpha.

    Formula: mean over the region of 1 - (2 m n + C) (2 c + D) / ((m^2 + n^2 + C) (v + w + D)); m and n, v and
    w, and c are the means, variances and covariance of p and t in a Gaussian window around the pixel (`sigma`
    1.5: 11x11), C = 0.01^2, D = 0.03^2. The window also sees pixels outside the region.
    Source: Wang et al., IEEE Transactions on Image Processing 2004; in segmentation Qin et al., BASNet, CVPR
    2019, and BiRefNet (there zeros beyond the border, the whole image).
    Optimises: local means, contrast and structure, relative to those of the truth: faint detail on a flat
    matte counts most, an error inside a busy texture hardly.
    Proper: yes, strictly in the whole image.
    Use: beside a per-pixel term (preset `birefnet`).
    Cost: about 10x alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=16, dtype=torch.float64)
    >>> abs(round(float(ssim_loss(Matte(batch["alpha"]), batch)), 9))
    0.0
    """
    predicted, true = mattes(matte, batch)
    moments = torch.cat([predicted, true, predicted.square() + true.square(), predicted * true], 1)
    mean_p, mean_t, squares, product = blur(moments, blur_taps(sigma), border).split(1, 1)
    square_means, mean_product = mean_p.square() + mean_t.square(), mean_p * mean_t
    luminance = (2 * mean_product + SSIM_C) / (square_means + SSIM_C)
    structure = (2 * (product - mean_product) + SSIM_D) / (squares - square_means + SSIM_D)
    return masked_mean(1 - luminance * structure, mask_of(batch, region), reduction, per, hardest)
