"""AlphaGAN's decoder: bilinear, unpooling and transposed upsampling, with a skip connection at each size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.models.encoders.layers import EncoderNorm, NormLayers, convolution, scaled


def unit(inputs: int, outputs: int, size: int, norm: NormLayers) -> list[nn.Module]:
    """Return a convolution, its normalisation and a ReLU."""
    return [convolution(inputs, outputs, size, norm), norm(outputs), nn.ReLU(inplace=True)]


class Decoder(nn.Module):
    """Maps features at 1/8 to a logit at full size, in three steps of a factor of two.

    Bilinear interpolation, concatenated with the encoder's features at 1/4; unpooling to where the stem's
    pooling took its maxima from, concatenated with the stem's features at 1/2; a transposed convolution,
    concatenated with the picture.

    Args:
        features: channels of the features at 1/8.
        quarter: channels of the skip features at 1/4.
        half: channels of the skip features at 1/2, which were pooled.
        width: factor on the decoder's own channel counts.
        norm: what follows each convolution: ``batch``, ``group`` or ``none``.
    """

    def __init__(self, features: int, quarter: int, half: int, width: float, norm: EncoderNorm) -> None:
        super().__init__()
        normalise = NormLayers(norm)
        c256, c128, c64, c32 = (scaled(channels, width) for channels in (256, 128, 64, 32))
        self.skip_quarter = nn.Sequential(*unit(quarter, c64, 1, normalise))
        self.at_quarter = nn.Sequential(
            *unit(features + c64, c256, 3, normalise),
            *unit(c256, c128, 3, normalise),
            *unit(c128, half, 3, normalise),  # the unpooling puts each channel where its own maxima were
        )
        self.skip_half = nn.Sequential(*unit(half, c32, 1, normalise))
        self.at_half = nn.Sequential(
            *unit(half + c32, c64, 3, normalise),
            nn.ConvTranspose2d(c64, c64, 3, 2, padding=1, output_padding=1, bias=normalise.bias),
            normalise(c64),
            nn.ReLU(inplace=True),
            *unit(c64, c32, 3, normalise),
        )
        self.at_full = nn.Sequential(*unit(c32 + 3, c32, 3, normalise), *unit(c32, c32, 3, normalise))
        self.alpha = nn.Conv2d(c32, 1, 3, padding=1, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor, quarter: Tensor, half: Tensor, indices: Tensor, image: Tensor) -> Tensor:
        """Return the logit (N, 1, H, W).

        Args:
            x: features at 1/8.
            quarter: skip features at 1/4.
            half: skip features at 1/2.
            indices: where the stem's pooling took its maxima from.
            image: normalised colours (N, 3, H, W).
        """
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        x = self.at_quarter(torch.cat([x, self.skip_quarter(quarter)], 1))
        x = F.max_unpool2d(x, indices, [2, 2])
        x = self.at_half(torch.cat([x, self.skip_half(half)], 1))
        return self.alpha(self.at_full(torch.cat([x, image], 1)))
