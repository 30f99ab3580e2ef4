"""A loss: absolute errors, which weigh more where the true matte is an edge."""

from __future__ import annotations

import torch
from torch import Tensor


def edge_loss(matte, batch, *, sharpness: float = 4.0) -> Tensor:
    """Return the mean over the unknown zone of (1 + 4 s a (1 - a)) |p - a|.

    Its minimum is the true matte a, since the weight does not depend on the prediction p.

    Args:
        matte: the prediction.
        batch: the truth.
        sharpness: s, by how much a pixel of alpha 1/2 weighs more than one of 0 or 1.
    """
    alpha = batch["alpha"]
    unknown = batch["trimap"] == 128
    weight = (1 + 4 * sharpness * alpha * (1 - alpha)) * unknown
    errors = weight * (matte.alpha - alpha).abs()
    return errors.sum() / torch.clamp(unknown.sum(), min=1)


edge_loss.reads = ("alpha", "trimap")
