"""What encoder-decoders with Deep Image Matting's refiner share: normalisation, refiner, initial weights, the way through both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from deepmatte.batch import Batch, Matte
from deepmatte.errors import InputError
from deepmatte.models.base import MattingModel, probability
from deepmatte.ops.padding import pad_to_multiple

Norm = Literal["none", "batch", "group"]


def normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    """Return what stands between a convolution and its ReLU: nothing, as published, or a normalisation.

    ``batch`` learns fastest, but sees only its own process's share of a batch; ``group`` depends on neither,
    but on the size of the picture: what it learned on crops holds less well for whole photographs.
    """
    if norm not in get_args(Norm):
        raise InputError(f"model.norm={norm}: choose one of {', '.join(get_args(Norm))}")
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(max(1, channels // 4), channels)] if norm == "group" else []


class Refiner(nn.Module):
    """Four 3x3 convolutions on the image and the coarse alpha; what they give is added to the coarse logit.

    The last one starts at zero, so before its training the refined matte equals the coarse one.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(4, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, 1, 3, padding=1),
        )

    def forward(self, image: Tensor, alpha: Tensor) -> Tensor:
        """Return the residual of the logit (N, 1, H, W) for a normalised image (N, 3, H, W) and alpha (N, 1, H, W) in [0, 1]."""
        return self.convs(torch.cat([image, alpha.to(image.dtype)], 1))


class RefinedMatting(MattingModel):
    """An encoder-decoder on image and trimap that gives a logit, and the refiner on top of it.

    A subclass sets ``encoder_decoder`` and ``refiner`` and calls `initialise`; ``multiple`` is what its sides
    have to be divisible by.
    """

    parts: ClassVar[tuple[str, ...]] = ("encoder_decoder", "refiner")
    multiple: ClassVar[int]

    encoder_decoder: nn.Module
    refiner: Refiner

    def initialise(self, unpooled: Iterable[tuple[nn.Conv2d, int]], channels_last: bool) -> None:
        """Draw the weights; ``unpooled`` are the convolutions after a max-unpooling, with how many of their inputs come from it."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for convolution, inputs in unpooled:
                # Three of four inputs after max-unpooling are zero: without this factor the signal would fade
                # level by level.
                convolution.weight[:, :inputs].mul_(2.0)
        nn.init.zeros_(self.refiner.convs[-1].weight)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        """Map image and trimap of any size to a matte; `Matte.coarse` is the encoder-decoder's alpha."""
        height, width = batch["image"].shape[-2:]
        image = pad_to_multiple(self.normalise(batch["image"]), self.multiple)
        trimap = pad_to_multiple(batch["trimap"].to(image.dtype) / 255, self.multiple)
        logit = self.encoder_decoder(
            torch.cat([image, trimap], 1).contiguous(memory_format=self.memory_format)
        )
        coarse = probability(logit)
        if refine:
            logit = logit + self.refiner(image, coarse)
        logit, coarse = logit[..., :height, :width], coarse[..., :height, :width]
        return Matte(alpha=probability(logit) if refine else coarse, logit=logit, coarse=coarse)
