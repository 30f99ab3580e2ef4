"""Atrous spatial pyramid pooling (Chen et al. 2017) in the layout of torchvision's DeepLabV3."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deepmatte.models.encoders.layers import EncoderNorm, NormLayers, convolution, kaiming


class Pooled(nn.Sequential):
    """The mean over the picture, a 1x1 convolution, and the same value at every pixel."""

    def __init__(self, inputs: int, outputs: int, norm: NormLayers) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1),
            convolution(inputs, outputs, 1, norm),
            norm(outputs, pooled=True),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        return super().forward(x).expand(-1, -1, *x.shape[-2:])


class ASPP(nn.Module):
    """A 1x1 convolution, a 3x3 convolution for each rate and the pooled picture, joined by a 1x1 convolution.

    Args:
        inputs: channels of the features.
        outputs: channels of each branch and of the result.
        rates: dilations of the 3x3 convolutions: 6, 12, 18 (AlphaGAN) or 3, 6, 9 (Background Matting V2).
        dropout: probability that a value of the result is zeroed in training.
        norm: what follows each convolution: ``batch``, ``frozen``, ``group`` or ``none``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int = 256,
        rates: Sequence[int] = (6, 12, 18),
        dropout: float = 0.0,
        norm: EncoderNorm = "batch",
    ) -> None:
        super().__init__()
        normalise = NormLayers(norm)
        branches: list[nn.Module] = [
            nn.Sequential(
                convolution(inputs, outputs, 3 if rate else 1, normalise, dilation=rate or 1),
                normalise(outputs),
                nn.ReLU(inplace=True),
            )
            for rate in (0, *rates)
        ]
        self.convs = nn.ModuleList([*branches, Pooled(inputs, outputs, normalise)])
        self.project = nn.Sequential(
            convolution(len(self.convs) * outputs, outputs, 1, normalise),
            normalise(outputs),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        kaiming(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        return self.project(torch.cat([branch(x) for branch in self.convs], 1))
