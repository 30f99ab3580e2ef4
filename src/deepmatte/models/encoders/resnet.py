"""ResNet (He et al. 2016) in torchvision's layout, for any input, with the strides and dilations of matting.

The stride of a block is that of its 3x3 convolution ("v1.5").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.models.encoders.encoder import Encoder
from deepmatte.models.encoders.layers import EncoderNorm, NormLayers, convolution, kaiming, scaled

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Bottlenecks by stage, for each depth."""

Dilated = Literal["torchvision", "first", "all"]
Pooling = Literal["overlapping", "2x2"]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution beside the identity, or beside a 1x1 convolution if the shape changes."""

    def __init__(self, inputs: int, planes: int, norm: NormLayers, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = 4 * planes
        self.conv1 = convolution(inputs, planes, 1, norm)
        self.bn1 = norm(planes)
        self.conv2 = convolution(planes, planes, 3, norm, stride, dilation)
        self.bn2 = norm(planes)
        self.conv3 = convolution(planes, outputs, 1, norm)
        self.bn3 = norm(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, norm, stride), norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, 4 planes, H / stride, W / stride)."""
        residual = F.relu(self.bn1(self.conv1(x)))
        residual = F.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return F.relu(residual + (x if self.downsample is None else self.downsample(x)))


class ResNet(Encoder):
    """The stem and four stages of bottlenecks; the classifier is left out.

    Levels: the stem before its pooling (64 channels at 1/2), then the stages (256, 512, 1024, 2048 channels;
    at 1/4, 1/8, 1/16, 1/32 by default).

    Args:
        depth: 50 or 101.
        inputs: channels of the input.
        width: factor on all channel counts.
        norm: what follows each convolution: ``batch``, ``frozen``, ``group`` or ``none``.
        strides: of the first block of each stage.
        dilations: of each stage.
        dilated: which blocks have the dilation of their stage: all ``but the first``, which has that of the
            stage before (``torchvision``, for weights that were trained without dilation); only the ``first``
            (a well-known implementation of AlphaGAN); or ``all``.
        pooling: of the stem: 3x3 at stride 2, ``overlapping`` (published), or ``2x2``. Overlapping windows
            can choose the same pixel, which makes `max_unpool2d` nondeterministic on GPUs.

    >>> sum(p.numel() for p in ResNet(50).parameters())
    23508032
    """

    def __init__(
        self,
        depth: int = 50,
        inputs: int = 3,
        width: float = 1.0,
        norm: EncoderNorm = "batch",
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        dilated: Dilated = "torchvision",
        pooling: Pooling = "overlapping",
    ) -> None:
        super().__init__()
        normalise = NormLayers(norm)
        planes = [scaled(channels, width) for channels in (64, 128, 256, 512)]
        channels = planes[0]
        self.pooling = pooling
        self.conv1 = nn.Conv2d(inputs, channels, 7, stride=2, padding=3, bias=normalise.bias)
        self.bn1 = normalise(channels)
        self.channels = (channels, *(4 * stage for stage in planes))
        sizes = [2, 4]
        for number, blocks in enumerate(BLOCKS[depth]):
            before = dilations[number - 1] if number else 1
            of_blocks = _dilations(blocks, dilations[number], before, dilated)
            stage: list[nn.Module] = []
            for block, dilation in enumerate(of_blocks):
                stride = strides[number] if block == 0 else 1
                stage.append(Bottleneck(channels, planes[number], normalise, stride, dilation))
                channels = 4 * planes[number]
            self.add_module(f"layer{number + 1}", nn.Sequential(*stage))
            if number:
                sizes.append(sizes[-1] * strides[number])
        self.strides = tuple(sizes)
        kaiming(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of the five levels."""
        return self.with_indices(x)[0]

    def with_indices(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the features of the five levels, and the indices of the stem's pooling (for unpooling)."""
        x = F.relu(self.bn1(self.conv1(x)))
        levels = [x]
        size, padding = (3, 1) if self.pooling == "overlapping" else (2, 0)
        x, indices = F.max_pool2d(x, size, 2, padding, return_indices=True)
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
            levels.append(x)
        return levels, indices


def _dilations(blocks: int, own: int, before: int, dilated: Dilated) -> list[int]:
    """Return the dilation of each block of a stage."""
    if dilated == "first":
        return [own] + [1] * (blocks - 1)
    return [own if dilated == "all" else before] + [own] * (blocks - 1)
