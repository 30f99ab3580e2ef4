"""A network: three convolutions that correct a guess made of the trimap alone."""

from __future__ import annotations

import torch
from torch import nn

from deepmatte import Matte, MattingModel


class SlimMatting(MattingModel):
    """Alpha is the sigmoid of a correction, plus a logit of the trimap that is 0 where it is unknown.

    The correction is computed at half the size, so that a pixel sees 13 x 13 others.

    Args:
        channels: of the hidden layers.
    """

    reads = ("image", "trimap")
    parts = ("body",)
    multiple = 2

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, channels, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, 4, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def predict(self, inputs, refine: bool) -> Matte:
        """Return the matte, of the inputs' size."""
        trimap = inputs["trimap"]
        correction = self.body(torch.cat([inputs["image"], trimap], 1))
        logit = correction + 8 * (trimap - 128 / 255)
        return Matte(torch.sigmoid(logit.float()), logit)
