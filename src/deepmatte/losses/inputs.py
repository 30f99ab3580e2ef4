"""What terms read: the two mattes, the logit and the region, checked, in at least single precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, cast

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.errors import InputError
from deepmatte.ops.regions import Region, region_mask

Share = Annotated[float, Interval(gt=0, le=1)]
"""The option ``hardest`` of terms that are means over pixels: only this share of them counts."""

Output = Literal["final", "coarse", "reduced"]
"""Which matte of a prediction a term sees: the last one, or the one before refinement.

That one is enlarged to the size of the truth (``coarse``), or the truth is reduced to its size (``reduced``).
"""

LOGIT_CLAMP = 1e-6
"""Bound on a prediction's distance from 0 and 1 where its logit has to be computed."""
ROUNDING = 1e-6


def mattes(matte: Matte, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return predicted and true alpha (N, 1, H, W).

    Raises:
        InputError: the shapes differ; they would silently broadcast.
    """
    predicted, true = matte.alpha, batch["alpha"]
    if predicted.shape != true.shape:
        shapes = f"{tuple(predicted.shape)}, batch['alpha'] {tuple(true.shape)}"
        raise InputError(f"the predicted alpha has shape {shapes}: make them equal")
    return predicted, true


def mask_of(batch: Batch, region: Region) -> Tensor | None:
    """Return the boolean mask (N, 1, H, W) of ``region``; None is the whole image, which needs no mask."""
    return None if region == "whole" else region_mask(batch["trimap"], region)


def logit_of(matte: Matte) -> Tensor:
    """Return the logit of the prediction (N, 1, H, W).

    Without one it is taken of alpha, clamped to [1e-6, 1 - 1e-6]. The clamp holds for the value alone: the
    gradient passes, so that a pixel that has saturated on the wrong side still learns.

    >>> logit_of(Matte(torch.tensor([0.0, 0.5])))
    tensor([-13.8155,   0.0000])
    """
    if matte.logit is not None:
        return matte.logit
    clamped = matte.alpha.detach().clamp(LOGIT_CLAMP, 1 - LOGIT_CLAMP)
    return torch.logit(matte.alpha + (clamped - matte.alpha.detach()))


def enlarged(coarse: Matte, batch: Batch) -> Matte:
    """Return a coarse matte at the size of the batch, enlarged bilinearly, so that every term can compare it.

    With a logit, it is the logit that is enlarged, and alpha is its sigmoid. The truth stays as it is:
    reduced by area instead, hairs of one pixel would fade from it, and the trimap's zones would blur.
    """
    size = batch["image"].shape[-2:] if "alpha" not in batch else batch["alpha"].shape[-2:]
    if coarse.alpha.shape[-2:] == size:
        return coarse
    large = coarse.mapped(lambda plane: resized(plane, size))
    return large if large.logit is None else replace(large, alpha=torch.sigmoid(large.logit))


def reduced(batch: Batch, coarse: Matte) -> Batch:
    """Return a batch whose planes have the size of a coarse matte, as Background Matting V2 compares them.

    Alpha and colours are resized bilinearly, so that a term sees the truth as the network could tell it; the
    trimap by its nearest pixel.
    """
    size = coarse.alpha.shape[-2:]
    planes = {key: plane for key, plane in batch.items() if isinstance(plane, Tensor) and plane.ndim == 4}
    trimap = planes.pop("trimap", None)
    small: dict[str, Any] = {key: resized(plane, size) for key, plane in planes.items()}
    if trimap is not None:
        small["trimap"] = F.interpolate(trimap, size=size, mode="nearest-exact")
    return cast(Batch, {**batch, **small})


def resized(plane: Tensor, size: torch.Size) -> Tensor:
    """Return a plane (N, C, H, W) at another size, bilinearly."""
    return F.interpolate(plane, size=size, mode="bilinear", align_corners=False)


def outputs_of(matte: Matte) -> list[Tensor]:
    """Return the outputs of a model that losses can read, those of the coarse matte only beside its alpha.

    The final alpha is made of the coarse one, where both learn; predicted colours and errors need not be.
    """
    mattes = [matte] if matte.coarse is None else [matte, matte.coarse]
    extra = [plane for each in mattes for plane in (each.foreground, each.error) if plane is not None]
    return [matte.alpha, *extra]


def prepare(matte: Matte, batch: Batch) -> tuple[Matte, Batch]:
    """Check the tensors of a step and convert half precision to single; float64 stays.

    Raises:
        InputError: shapes differ, or an alpha is outside [0, 1]. NaN passes: the loss then reports it with
            the names of the samples.
    """
    if "alpha" in batch:
        mattes(matte, batch)
    shape = _shape_of("alpha", matte)
    for key, tensor in batch.items():
        if not isinstance(tensor, Tensor) or tensor.ndim != 4:
            continue
        if (len(tensor), *tensor.shape[2:]) != (shape[0], *shape[2:]):
            shapes = f"{tuple(tensor.shape)}, alpha {shape}"
            raise InputError(f"'{key}' has shape {shapes}: make them equal in N, H and W")
    alphas = {"the predicted alpha": matte.alpha.detach()}
    if "alpha" in batch:
        alphas["batch['alpha']"] = batch["alpha"]
    if matte.coarse is not None:
        if len(matte.coarse.alpha) != shape[0]:
            raise InputError(f"the coarse alpha has {len(matte.coarse.alpha)} samples, alpha {shape[0]}")
        _shape_of("the coarse alpha", matte.coarse)
        alphas["the coarse alpha"] = matte.coarse.alpha.detach()
    for name, alpha in alphas.items():
        low, high = (float(end) for end in alpha.aminmax()) if alpha.numel() else (0.0, 1.0)
        if low < -ROUNDING or high > 1 + ROUNDING:
            span = f"from {low:.6g} to {high:.6g}"
            raise InputError(f"{name} has values {span}: scale it to [0, 1] (8-bit mattes by 1/255)")
    lifted = {key: lift(value) if isinstance(value, Tensor) else value for key, value in batch.items()}
    return branched(matte), cast(Batch, lifted)


def _shape_of(name: str, matte: Matte) -> tuple[int, ...]:
    """Return the shape of an alpha after checking it, and that of its logit."""
    shape = tuple(matte.alpha.shape)
    if len(shape) != 4 or shape[1] != 1:
        raise InputError(f"{name} has shape {shape}: make it (N, 1, H, W)")
    if matte.logit is not None and tuple(matte.logit.shape) != shape:
        shapes = f"{tuple(matte.logit.shape)}, {name} {shape}"
        raise InputError(f"'logit' has shape {shapes}: make them equal in N, H and W")
    return shape


def branched(matte: Matte) -> Matte:
    """Return a matte whose outputs, the coarse ones too, are lifted and nodes of their own."""
    return replace(matte.mapped(branch), coarse=None if matte.coarse is None else branched(matte.coarse))


def lift(tensor: Tensor) -> Tensor:
    """Return a half-precision tensor in single precision, any other as it is."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def branch(prediction: Tensor) -> Tensor:
    """Return ``prediction`` lifted, as a new node of the graph, which separates the two gradients."""
    lifted = lift(prediction)
    return lifted.view_as(lifted)
