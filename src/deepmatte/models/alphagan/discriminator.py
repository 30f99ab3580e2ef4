"""PatchGAN (Isola et al. 2017): a convolutional discriminator that judges patches, not pictures."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from deepmatte.errors import InputError
from deepmatte.models.base import IMAGENET
from deepmatte.models.encoders.layers import EncoderNorm, NormLayers, scaled

Field = Literal[34, 70]
"""Side of a patch in pixels."""

NUM_STRIDED = {34: 2, 70: 3}
"""Convolutions of stride 2 before the two of stride 1: what CycleGAN's code calls the number of layers."""

SLOPE = 0.2
"""Of the leaky ReLU below zero."""


class PatchDiscriminator(nn.Module):
    """Maps a composite and its trimap to a logit for each patch: high where the patch looks real.

    AlphaGAN's 4x4 convolutions: some of stride 2, which double the channels from 64 on, then one of stride 1,
    and one to a single channel; a leaky ReLU behind each but the last, whose output no sigmoid follows. It
    starts at 0, so that an untrained discriminator pulls at no matte.

    Args:
        field: side of the patch that a logit sees: 70, as published, or 34 (a well-known implementation).
        width: factor on all channel counts.
        norm: what follows the convolutions between the first and the last: ``none``, or ``batch`` (published)
            or ``group``. Batch normalisation standardises real and predicted composites apart from each
            other, and each process's by itself; with either of them a logit depends on the whole crop.

    >>> sum(p.numel() for p in PatchDiscriminator(norm="batch").parameters())
    2766657
    """

    mean: Tensor
    std: Tensor

    def __init__(self, field: Field = 70, width: float = 1.0, norm: EncoderNorm = "none") -> None:
        super().__init__()
        if field not in NUM_STRIDED:
            raise InputError(f"model.field={field}: choose 70 or 34")
        normalise = NormLayers(norm)
        num_strided = NUM_STRIDED[field]
        channels = scaled(64, width)
        layers: list[nn.Module] = [nn.Conv2d(4, channels, 4, 2, 1), nn.LeakyReLU(SLOPE, inplace=True)]
        for level in range(1, num_strided + 1):
            inputs, channels = channels, scaled(64 * 2**level, width)
            stride = 2 if level < num_strided else 1
            layers += [
                nn.Conv2d(inputs, channels, 4, stride, 1, bias=normalise.bias),
                normalise(channels),
                nn.LeakyReLU(SLOPE, inplace=True),
            ]
        last = nn.Conv2d(channels, 1, 4, 1, 1)
        self.layers = nn.Sequential(*layers, last)
        self.smallest = 3 * 2**num_strided
        self.register_buffer("mean", torch.tensor(IMAGENET.mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET.std).reshape(3, 1, 1), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.zeros_(last.weight)  # what has learned nothing says nothing

    def forward(self, colours: Tensor, trimap: Tensor) -> Tensor:
        """Return the logits (N, 1, h, w) of colours (N, 3, H, W) in [0, 1] and a trimap of 0, 128, 255.

        Raises:
            InputError: the picture is smaller than what the convolutions leave anything of.
        """
        height, width = colours.shape[-2:]
        if min(height, width) < self.smallest:
            raise InputError(
                f"the discriminator needs crops of {self.smallest} pixels or more, not {height} x {width}: "
                "give composition.size more, or set loss.adversarial.weight=0"
            )
        return self.layers(torch.cat([(colours - self.mean) / self.std, trimap.to(colours.dtype) / 255], 1))
