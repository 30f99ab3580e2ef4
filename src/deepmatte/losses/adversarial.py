"""The adversarial terms: what a discriminator says to composites with the predicted alpha, and its own loss.

Both are rows of one table, and their sum is one loss: `adversarial` keeps the discriminator as it is, and
`discriminator` the matte, so each player's parameters get the gradient of its own loss alone. One step of one
optimiser is then a step of each player from where both stood before it. That is the algorithm of alternating
optimisers, since the discriminator learns from the mattes that were predicted before the generator's step.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses.measured import Measured
from deepmatte.ops.compositing import composite
from deepmatte.ops.freezing import frozen
from deepmatte.ops.regions import masked_mean
from deepmatte.ops.zones import impose_trimap

Objective = Literal["least_squares", "bce"]


def adversarial_loss(matte: Matte, batch: Batch, *, objective: Objective = "least_squares") -> Tensor:
    """How far from real the discriminator finds the composite with the predicted alpha.

    Formula: mean over the patches of (D(C, T) - 1)^2, with C = p F + (1 - p) B, where p is 0 and 1 in the
    known zones of the trimap T; with `objective: bce` of log(1 + exp(-D(C, T))). D's weights are constants.
    Source: Lutz, Amplianitis and Smolic, AlphaGAN, BMVC 2018; PatchGAN: Isola et al., CVPR 2017; least
    squares: Mao et al., ICCV 2017.
    Optimises: composites whose patches can't be told from true ones, and so sharp transitions where several
    alphas are likely.
    Proper: exempt: it compares with true composites in general, not with this one, and what is least moves as
    D learns.
    Use: at a small weight beside `alpha`, with `discriminator` on and the weight rising from 0 (preset
    `alphagan`), for a model that has a discriminator.
    Cost: a pass of the discriminator forward and back.
    """
    with frozen(batch["discriminator"]):
        fake = batch["discriminator"](recomposed(matte.alpha, batch), batch["trimap"])
    return distance_from(1.0, fake, objective)


def discriminator_loss(matte: Matte, batch: Batch, *, objective: Objective = "least_squares") -> Measured:
    """How badly the discriminator tells true composites from those with the predicted alpha.

    Formula: half the mean over the patches of (D(composite, T) - 1)^2 and half that of D(C, T)^2, with C as
    in `adversarial`; with `objective: bce` log(1 + exp(-D)) and log(1 + exp(D)). The matte is a constant.
    Source: as `adversarial`.
    Optimises: the discriminator; no gradient reaches the matte.
    Proper: exempt: it is constant in the predicted alpha.
    Use: at weight 1 wherever a discriminator learns. Logged beside it: the means of D for true (`real`) and
    predicted (`fake`) composites; both near 1/2 (bce: 0) are a draw.
    Cost: two passes of the discriminator forward and back.
    """
    discriminator = batch["discriminator"]
    real = discriminator(batch["composite"], batch["trimap"])
    fake = discriminator(recomposed(matte.alpha.detach(), batch), batch["trimap"])
    loss = 0.5 * (distance_from(1.0, real, objective) + distance_from(0.0, fake, objective))
    means = {"real": masked_mean(real.detach(), None), "fake": masked_mean(fake.detach(), None)}
    return Measured(loss, means)


def recomposed(alpha: Tensor, batch: Batch) -> Tensor:
    """Return the composite (N, 3, H, W) with the predicted alpha in the unknown zone, on the true layers."""
    return composite(batch["foreground"], batch["background"], impose_trimap(alpha, batch["trimap"]))


def distance_from(label: float, verdict: Tensor, objective: Objective) -> Tensor:
    """Return the mean distance of verdicts (N, 1, h, w) from 1, real, or 0, predicted, over all processes.

    >>> import torch
    >>> verdict = torch.full((1, 1, 2, 2), 0.25)
    >>> [float(distance_from(label, verdict, "least_squares")) for label in (1.0, 0.0)]
    [0.5625, 0.0625]
    """
    if objective == "least_squares":
        distance = (verdict - label).square()
    else:
        distance = F.binary_cross_entropy_with_logits(
            verdict, verdict.new_full(verdict.shape, label), reduction="none"
        )
    return masked_mean(distance, None)
