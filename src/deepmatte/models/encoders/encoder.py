"""The interface of every encoder."""

from __future__ import annotations

from torch import Tensor, nn

from deepmatte.errors import InputError
from deepmatte.models.base import IMAGENET, Normalisation


class Encoder(nn.Module):
    """A network that maps a picture to features at falling sizes.

    Attributes:
        channels: of the features, by level from fine to coarse.
        strides: by how much each level is smaller than the picture.
        colours: how the colours of its ImageNet weights were normalised.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    colours: Normalisation = IMAGENET

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, C, H, W) to the features (N, channels, ceil(H / stride), ceil(W / stride)) by level."""
        raise NotImplementedError

    def keep_levels(self, num: int) -> None:
        """Leave out the levels after the first ``num``, and the layers that they alone need.

        Raises:
            InputError: it can't, or has not that many.
        """
        raise InputError(f"model.levels={num}: only encoder lite0 can leave out levels; give null")
