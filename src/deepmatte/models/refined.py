"""What encoder-decoders with a refiner share: normalisation, the refiner, initial weights, `predict`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from deepmatte.batch import Matte
from deepmatte.errors import InputError
from deepmatte.models.base import Inputs, MattingModel, at_least_float32, matte_of

Norm = Literal["none", "batch", "group"]


def normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    """Return the layers between a convolution and its ReLU: none, as published, or a normalisation.

    ``batch`` learns fastest, but its statistics cover only one process's share of a batch. ``group`` does not
    depend on the batch, but on the image size: trained on crops, it generalises less well to whole
    photographs.
    """
    if norm not in get_args(Norm):
        raise InputError(f"model.norm={norm} is invalid; expected one of {', '.join(get_args(Norm))}")
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(max(1, channels // 4), channels)] if norm == "group" else []


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    """Return the convolutions inside ``module``, in order."""
    return [part for part in module.modules() if isinstance(part, nn.Conv2d)]


class Refiner(nn.Module):
    """Four 3x3 convolutions on image and coarse alpha, whose output is added to the coarse logit.

    The last one is initialised to zero, so an untrained refiner is the identity.
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
        """Return the residual of the logit (N, 1, H, W).

        The normalised image is (N, 3, H, W), alpha (N, 1, H, W) in [0, 1].
        """
        return self.convs(torch.cat([image, alpha.to(image.dtype)], 1))


class RefinedMatting(MattingModel):
    """An encoder-decoder on image and trimap that predicts a logit, followed by the refiner.

    A subclass sets ``encoder_decoder`` and ``refiner`` and calls `initialise`.
    """

    parts: ClassVar[tuple[str, ...]] = ("encoder_decoder", "refiner")
    stages: ClassVar[str] = "encoder_decoder_refiner"

    encoder_decoder: nn.Module
    refiner: Refiner

    def initialise(self, unpooled: Iterable[tuple[nn.Conv2d, int]], channels_last: bool) -> None:
        """Initialise the weights at random.

        Args:
            unpooled: the convolutions after a max-unpooling, and the number of their inputs that it feeds.
            channels_last: whether to use the channels-last memory format.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for convolution, inputs in unpooled:
                # Three of four inputs after max-unpooling are zero; this factor keeps the variance of the
                # signal from shrinking level by level.
                convolution.weight[:, :inputs].mul_(2.0)
        nn.init.zeros_(convolutions(self.refiner)[-1].weight)
        if channels_last:
            self.use_channels_last()

    def predict(self, inputs: Inputs, refine: bool) -> Matte:
        """Return the matte of the padded inputs; `Matte.coarse` is the matte of the encoder-decoder."""
        image = inputs["image"]
        layers = torch.cat([image, inputs["trimap"]], 1).contiguous(memory_format=self.memory_format)
        logit = at_least_float32(self.encoder_decoder(layers))
        coarse = matte_of(logit)
        if not refine:
            return Matte(coarse.alpha, logit=logit, coarse=coarse)
        return matte_of(logit + self.refiner(image, coarse.alpha), coarse)
