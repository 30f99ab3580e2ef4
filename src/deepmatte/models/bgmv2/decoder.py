"""The decoder of Background Matting V2: from features at 1/16 to what the base predicts, with skips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Decoder(nn.Module):
    """Four times: enlarge bilinearly to the size of the skip, join both, 3x3 convolution.

    The first three convolutions are followed by batch normalisation and ReLU, the last one by nothing.

    Args:
        inputs: channels of the features.
        skips: channels of the skips, from coarse to fine; the last one is the picture itself.
        widths: output channels of the four convolutions.
    """

    def __init__(self, inputs: int, skips: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        first, second, third, last = widths
        self.conv1 = nn.Conv2d(inputs + skips[0], first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.conv2 = nn.Conv2d(first + skips[1], second, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(second)
        self.conv3 = nn.Conv2d(second + skips[2], third, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(third)
        self.conv4 = nn.Conv2d(third + skips[3], last, 3, padding=1)

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Map features (N, inputs, h, w) and the skips, from coarse to fine, to (N, widths[3], H, W)."""
        x = F.relu(self.bn1(self.conv1(_joined(x, skips[0]))))
        x = F.relu(self.bn2(self.conv2(_joined(x, skips[1]))))
        x = F.relu(self.bn3(self.conv3(_joined(x, skips[2]))))
        return self.conv4(_joined(x, skips[3]))


def _joined(x: Tensor, skip: Tensor) -> Tensor:
    enlarged = F.interpolate(x, skip.shape[-2:], mode="bilinear", align_corners=False)
    return torch.cat([enlarged, skip], 1)
