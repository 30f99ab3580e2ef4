"""What encoders are built from: normalisations, and a convolution with its normalisation."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.errors import InputError

EncoderNorm = Literal["batch", "frozen", "group", "none"]


class NormLayers:
    """Makes the normalisation that follows a convolution; ``bias`` is whether that convolution has a bias.

    Args:
        kind: ``batch``; ``frozen``, batch normalisation whose statistics stay those that were loaded, while
            scale and shift learn; ``group``, which does not depend on the batch either: 32 groups, as in
            Group Normalization (Wu and He 2018), and groups of four channels or more where 32 does not divide
            the channels of a thin network; or ``none``.
        eps: of all normalisations.
        momentum: of the running statistics.
        smallest: the number of channels below which no group goes.

    >>> normalise = NormLayers("group")
    >>> [normalise(channels).num_groups for channels in (256, 32, 24, 10)]
    [32, 32, 6, 2]
    """

    def __init__(
        self, kind: EncoderNorm, eps: float = 1e-5, momentum: float = 0.1, smallest: int = 1
    ) -> None:
        if kind not in get_args(EncoderNorm):
            raise InputError(f"model: norm={kind} is invalid; expected {', '.join(get_args(EncoderNorm))}")
        self.kind = kind
        self.eps = eps
        self.momentum = momentum
        self.smallest = smallest
        self.bias = kind == "none"

    def __call__(self, channels: int, pooled: bool = False) -> nn.Module:
        """Return the normalisation of that many channels.

        Where a picture is ``pooled`` to one value for each channel, a group is of eight channels or more:
        one of a single channel would have no deviation. 256 channels have 32 groups either way.
        """
        if self.kind in ("batch", "frozen"):
            kind = BatchNorm if self.kind == "batch" else FrozenBatchNorm
            return kind(channels, eps=self.eps, momentum=self.momentum)
        if self.kind == "group":
            groups = _groups(channels, max(self.smallest, 8 if pooled else 1))
            return GroupNorm(groups, channels, eps=self.eps)
        return nn.Identity()


def _groups(channels: int, at_least: int) -> int:
    if channels % 32 == 0 and channels // 32 >= at_least:
        return 32
    most = max(1, channels // max(4, at_least))
    return max(groups for groups in range(1, most + 1) if channels % groups == 0)


class GroupNorm(nn.GroupNorm):
    """Group normalisation that also takes groups of a single value, where PyTorch's raises.

    Such a value becomes the bias. Groups of one channel meet it in pictures of a few pixels.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that also trains where each channel has a single value.

    Such a value has no deviation, and PyTorch raises: the pooled branch of ASPP at one sample. There the
    running statistics take the place of the batch's.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class FrozenBatchNorm(BatchNorm):
    """Batch normalisation by its running statistics, also in training.

    So neither the samples nor the processes of a batch depend on one another.
    """

    def train(self, mode: bool = True) -> FrozenBatchNorm:
        """Stay in evaluation mode."""
        super().train(False)
        return self


def convolution(
    inputs: int,
    outputs: int,
    size: int,
    norm: NormLayers,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """Return a convolution that keeps the size but for its stride; a normalisation follows it."""
    padding = dilation * (size // 2)
    return nn.Conv2d(inputs, outputs, size, stride, padding, dilation, groups, bias=norm.bias)


def scaled(channels: int, width: float) -> int:
    """Return ``channels`` times ``width``, at least 1."""
    return max(1, round(channels * width))


@torch.no_grad()
def kaiming(module: nn.Module) -> None:
    """Draw the convolutions below ``module`` from He's normal distribution, as torchvision does."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
