"""Detail capture, the decoder of ViTMatte (Yao, Wang, Yang, Wang 2023), for encoders with any levels.

The layers are named as in the published implementation (hustvl/ViTMatte), whose weights fit them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.errors import InputError
from deepmatte.models.encoders.layers import EncoderNorm, NormLayers, kaiming, scaled

STREAM = {2: 48, 4: 96, 8: 192}
"""Channels of the stream of convolutions, by how much its features are smaller than the picture."""

FUSED = {1: 32, 2: 64, 4: 128, 8: 256, 16: 256}
"""Channels after each fusion, by size."""


class Unit(nn.Module):
    """A 3x3 convolution, its normalisation and a ReLU."""

    def __init__(self, inputs: int, outputs: int, norm: NormLayers, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=norm.bias)
        self.bn = norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return F.relu(self.bn(self.conv(x)))


class Stream(nn.Module):
    """Convolutions of stride 2 on the picture, for the sizes at which the encoder has no features."""

    def __init__(self, channels: Sequence[int], norm: NormLayers) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            Unit(inputs, outputs, norm, stride=2) for inputs, outputs in pairwise(channels)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the picture itself and the features at 1/2, 1/4, …."""
        levels = [x]
        for conv in self.convs:
            levels.append(conv(levels[-1]))
        return levels


class Fusion(nn.Module):
    """Enlarges features to the size of finer ones, and joins both by a 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, norm: NormLayers) -> None:
        super().__init__()
        self.conv = Unit(inputs, outputs, norm)

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        """Map (N, C, h, w) and fine features (N, D, H, W) to (N, outputs, H, W)."""
        x = F.interpolate(x, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        return self.conv(torch.cat([fine, x], 1))


class Head(nn.Module):
    """A 3x3 and a 1x1 convolution to the logit, or to other outputs."""

    def __init__(self, inputs: int, norm: NormLayers, outputs: int = 1) -> None:
        super().__init__()
        hidden = max(1, inputs // 2)
        self.matting_convs = nn.Sequential(
            nn.Conv2d(inputs, hidden, 3, padding=1),
            norm(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit (N, outputs, H, W)."""
        return self.matting_convs(x)

    def zero(self) -> None:
        """Let all outputs be 0 at the start of training."""
        for parameter in self.matting_convs[-1].parameters():
            nn.init.zeros_(parameter)


class DetailCapture(nn.Module):
    """From the coarsest features to a logit at full size: enlarged by 2 and fused with finer ones in turn.

    The finer ones are the encoder's, as far as it has them, then those of a stream of convolutions on the
    picture, and last the picture itself: colours and trimap at full size.

    Args:
        channels: of the encoder's features, by level.
        strides: of the encoder's features; powers of two.
        width: factor on the decoder's own channel counts.
        norm: what follows each convolution: ``batch``, ``frozen``, ``group`` (with four channels in a group
            or more) or ``none``.
        inputs: channels of the picture.
        outputs: channels of the result.

    Raises:
        InputError: the encoder has features of sizes that halving doesn't lead to, or none of a size.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        width: float = 1.0,
        norm: EncoderNorm = "group",
        inputs: int = 4,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        normalise = NormLayers(norm, smallest=4)
        # Of several levels of one size the last counts: it has seen most.
        levels = dict(zip(strides, channels, strict=True))
        finer = {size: scaled(count, width) for size, count in STREAM.items() if size < min(levels)}
        self.convstream = Stream([inputs, *finer.values()], normalise)
        skips = {1: inputs, **finer, **levels}
        self.coarsest = max(levels)
        halves = {2**number for number in range(self.coarsest.bit_length())}
        if wrong := sorted(halves.symmetric_difference({*skips})):
            have = ", ".join(f"1/{size}" for size in strides)
            raise InputError(f"model.encoder: its features at {have} don't fit the decoder (1/{wrong[0]})")
        depth = levels[self.coarsest]
        self.fusion_blks = nn.ModuleList()
        size = self.coarsest // 2
        while size:
            fused = scaled(FUSED.get(size, max(FUSED.values())), width)
            self.fusion_blks.append(Fusion(skips[size] + depth, fused, normalise))
            depth, size = fused, size // 2
        self.matting_head = Head(depth, normalise, outputs)
        self.strides = tuple(strides)
        kaiming(self)

    def forward(self, features: Sequence[Tensor], picture: Tensor) -> Tensor:
        """Return the logit (N, outputs, H, W) of the encoder's features and the picture (N, inputs, H, W)."""
        fine = {2**number: level for number, level in enumerate(self.convstream(picture))}
        fine.update(zip(self.strides, features, strict=True))
        x, size = fine[self.coarsest], self.coarsest // 2
        for fusion in self.fusion_blks:
            x, size = fusion(x, fine[size]), size // 2
        return self.matting_head(x)
