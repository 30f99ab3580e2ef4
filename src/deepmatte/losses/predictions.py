"""Terms for what a model predicts beside alpha: the foreground's colours, and where alpha is wrong."""

from __future__ import annotations

from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.errors import InputError
from deepmatte.losses.inputs import Share, mask_of, mattes
from deepmatte.losses.regression import distance_of
from deepmatte.losses.table.options import Distance, Positive
from deepmatte.ops.regions import Per, Reduction, Region, masked_mean


def foreground_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "whole",
    reduction: Reduction = "batch",
    per: Per = "image",
    hardest: Share | None = None,
    distance: Distance = "l1",
    eps: Positive = 1e-6,
) -> Tensor:
    """Distance between predicted and true colours of the foreground, where there is any.

    Formula: sum over the pixels of the region with t > 0, and the three channels, of |P - F|, divided by all
    pixels and channels; with `per: region` by those that count.
    Source: Lin et al., Real-Time High-Resolution Background Matting, CVPR 2021 (the published code).
    Optimises: the foreground error of the opaque and the half-transparent pixels.
    Proper: yes for the colours; it says nothing about alpha.
    Use: with models that predict colours (`model=bgmv2`).
    Cost: about 4x alpha (three channels).

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> foreground_loss(Matte(batch["alpha"], foreground=batch["foreground"]), batch)
    tensor(0.)
    """
    if matte.foreground is None:
        raise InputError("loss.foreground: this model predicts no foreground colours; set its weight to 0")
    visible = batch["alpha"] > 0
    inside = mask_of(batch, region)
    error = distance_of(matte.foreground - batch["foreground"], distance, eps)
    return masked_mean(error, visible if inside is None else visible & inside, reduction, per, hardest)


def error_loss(
    matte: Matte,
    batch: Batch,
    *,
    region: Region = "whole",
    reduction: Reduction = "batch",
    per: Per = "region",
    hardest: Share | None = None,
    distance: Distance = "l2",
    eps: Positive = 1e-6,
    detach: bool = False,
) -> Tensor:
    """Distance between the expected error of alpha, which a model predicts, and its error.

    Formula: mean over the region of (e - |p - t|)^2. With `detach: true` |p - t| is a constant, and alpha
    learns nothing from this term; with `detach: false` alpha is also drawn to where its error is the expected
    one.
    Source: Lin et al., Real-Time High-Resolution Background Matting, CVPR 2021 (the published code, which
    detaches in the stage of the base, and does not in the joint one).
    Optimises: the order in which a refiner selects patches.
    Proper: only with `detach: true`, and for the expected error alone; without, a wrong alpha whose error is
    the expected one costs nothing.
    Use: with models that predict an error map (`model=bgmv2`), for its coarse matte: `output: coarse`.
    Cost: about 1x alpha.

    >>> from deepmatte.batch import example_batch
    >>> batch = example_batch(size=8)
    >>> half = 0.5 * batch["alpha"]
    >>> error_loss(Matte(half, error=half), batch)
    tensor(0.)
    """
    predicted, true = mattes(matte, batch)
    if matte.error is None:
        raise InputError(
            "loss.error: this model predicts no error map; set its weight to 0, or output=coarse"
        )
    error = (predicted - true).abs()
    difference = matte.error - (error.detach() if detach else error)
    return masked_mean(
        distance_of(difference, distance, eps), mask_of(batch, region), reduction, per, hardest
    )
