"""Metrics as losses: differentiable forms of reported scores."""

from __future__ import annotations

import torch
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.inputs import mask_of, mattes
from deepmatte.losses.options import Positive
from deepmatte.ops.filters import amplitude, gaussian_taps
from deepmatte.ops.regions import Per, Reduction, Region, masked_mean

SIGMA = 1.4
EPS = 1e-9
"""Keeps the derivative of the magnitude finite where the matte is flat; too small to change the value."""


def grad_metric_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "unknown",
    reduction: Reduction = "batch",
    per: Per = "region",
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
    return scale * masked_mean((found - wanted).square(), mask_of(batch, region), reduction, per)


def stretch(alpha: Tensor) -> Tensor:
    """Stretch each matte (N, 1, H, W) to [0, 1]; a constant one becomes 0.

    >>> stretch(torch.tensor([[[[0.2, 0.4, 0.6]]]]))
    tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """
    low, high = alpha.amin((-2, -1), keepdim=True), alpha.amax((-2, -1), keepdim=True)
    return (alpha - low) / torch.where(high > low, high - low, 1)
