"""MobileNetV2 (Sandler et al. 2018) in torchvision's layout, for any input."""

from __future__ import annotations

from torch import Tensor, nn

from deepmatte.models.encoders.encoder import Encoder
from deepmatte.models.encoders.layers import EncoderNorm, NormLayers, convolution, kaiming, scaled

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, output channels, blocks and stride of the first block, by stage."""


def unit(
    inputs: int,
    outputs: int,
    size: int,
    norm: NormLayers,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Return a convolution, its normalisation and a ReLU6."""
    layer = convolution(inputs, outputs, size, norm, stride, dilation, groups)
    return nn.Sequential(layer, norm(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Expansion by a 1x1 convolution, a 3x3 convolution by channel, and a linear 1x1 convolution."""

    def __init__(
        self, inputs: int, outputs: int, expansion: int, norm: NormLayers, stride: int, dilation: int
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        layers: list[nn.Module] = [unit(inputs, hidden, 1, norm)] if expansion != 1 else []
        layers.append(unit(hidden, hidden, 3, norm, stride, dilation, groups=hidden))
        self.conv = nn.Sequential(*layers, convolution(hidden, outputs, 1, norm), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(Encoder):
    """The stem and 17 inverted residuals; the classifier is left out.

    Levels: 16 channels at 1/2, 24 at 1/4, 32 at 1/8, and 96 at 1/16 and 320 at 1/32; with ``dilated`` instead
    320 at 1/16.

    Args:
        inputs: channels of the input.
        width: factor on all channel counts.
        norm: what follows each convolution: ``batch``, ``frozen``, ``group`` or ``none``.
        dilated: ``features.14`` has stride 1 and the blocks behind it dilation 2, as in Background Matting
            V2.
        last: keep the 1x1 convolution to 1280 channels, whose features are then those of the last level.

    >>> sum(p.numel() for p in MobileNetV2().parameters())
    1811712
    """

    def __init__(
        self,
        inputs: int = 3,
        width: float = 1.0,
        norm: EncoderNorm = "batch",
        dilated: bool = False,
        last: bool = False,
    ) -> None:
        super().__init__()
        normalise = NormLayers(norm)
        channels, stride = scaled(32, width), 2
        features: list[nn.Module] = [unit(inputs, channels, 3, normalise, stride=2)]
        ends: dict[int, tuple[int, int]] = {}  # the last layer of each size, with channels and stride
        for expansion, outputs, blocks, first in STAGES:
            outputs = scaled(outputs, width)
            for block in range(blocks):
                kept = dilated and len(features) >= 14
                step = 1 if kept or block else first
                stride *= step
                if step == 2:
                    ends[len(features) - 1] = (channels, stride // 2)
                dilation = 2 if kept and len(features) > 14 else 1
                features.append(InvertedResidual(channels, outputs, expansion, normalise, step, dilation))
                channels = outputs
        if last:
            features.append(unit(channels, channels := scaled(1280, max(1.0, width)), 1, normalise))
        ends[len(features) - 1] = (channels, stride)
        self.features = nn.Sequential(*features)
        self.ends = tuple(ends)
        self.channels, self.strides = map(tuple, zip(*ends.values(), strict=True))
        kaiming(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of all levels."""
        levels = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.ends:
                levels.append(x)
        return levels
