"""Deep Image Matting (Xu, Price, Cohen, Huang 2017): a max-unpooling encoder-decoder and a small refiner."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.models.refined import Norm, RefinedMatting, Refiner, convolutions, normalisation
from deepmatte.models.vgg import Blocks, load_vgg16, read_vgg16, vgg16_blocks

Skips = bool | Literal["sum"]


class Encoder(nn.Module):
    """VGG-16's 13 convolutions on image and trimap, five max-pools with indices, and conv6."""

    def __init__(self, blocks: Blocks, norm: Norm, skips: Skips, conv6: int) -> None:
        super().__init__()
        self.skips = skips
        channels = 4
        self.blocks = nn.ModuleList()
        for block in blocks:
            layers: list[nn.Module] = []
            for out in block:
                layers += [
                    nn.Conv2d(channels, out, 3, padding=1),
                    *normalisation(norm, out),
                    nn.ReLU(inplace=True),
                ]
                channels = out
            self.blocks.append(nn.Sequential(*layers))
        self.conv6 = nn.Conv2d(channels, channels, conv6, padding=conv6 // 2)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Map (N, 4, H, W) to features at 1/32, the skip features, and the pooling indices.

        The skip features are the inputs of the five max-pools; none without ``skips``.
        """
        features: list[Tensor] = []
        indices: list[Tensor] = []
        for block in self.blocks:
            x = block(x)
            if self.skips:
                features.append(x)
            x, index = F.max_pool2d(x, 2, return_indices=True)
            indices.append(index)
        return F.relu(self.conv6(x)), features, indices


class Decoder(nn.Module):
    """1x1 deconv6, five levels of max-unpooling and a 5x5 convolution, and the 5x5 alpha head.

    With ``skips`` each convolution is 3x3 and also sees the input of the max-pool of its level; with ``sum``
    it stays 5x5 and sees the sum of the two.
    """

    def __init__(self, blocks: Blocks, norm: Norm, skips: Skips) -> None:
        super().__init__()
        # After unpooling with the indices of pool k there are as many channels as in block k; the convolution
        # reduces them to those of block k - 1.
        inputs = [block[-1] for block in reversed(blocks)]
        outputs = [*inputs[1:], inputs[-1]]
        self.skips = skips
        self.deconv6 = nn.Conv2d(inputs[0], inputs[0], 1)
        self.deconvs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2 * i, o, 3, padding=1) if skips is True else nn.Conv2d(i, o, 5, padding=2),
                *normalisation(norm, o),
                nn.ReLU(inplace=True),
            )
            for i, o in zip(inputs, outputs, strict=True)
        )
        self.alpha = nn.Conv2d(outputs[-1], 1, 5, padding=2)

    def forward(self, x: Tensor, features: list[Tensor], indices: list[Tensor]) -> Tensor:
        """Return the logit (N, 1, H, W)."""
        x = F.relu(self.deconv6(x))
        for level, deconv in enumerate(self.deconvs, 1):
            x = F.max_unpool2d(x, indices[-level], (2, 2))
            if self.skips:
                skip = features[-level]
                x = x + skip if self.skips == "sum" else torch.cat([x, skip], 1)
            x = deconv(x)
        return self.alpha(x)


class EncoderDecoder(nn.Module):
    """Maps (N, 4, H, W) to a logit (N, 1, H, W); H and W are multiples of 32."""

    def __init__(self, blocks: Blocks, norm: Norm, skips: Skips, conv6: int) -> None:
        super().__init__()
        self.encoder = Encoder(blocks, norm, skips, conv6)
        self.decoder = Decoder(blocks, norm, skips)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit."""
        return self.decoder(*self.encoder(x))


class DeepImageMatting(RefinedMatting):
    """A max-unpooling encoder-decoder on VGG-16, and a small refiner of its matte.

    Source: Xu, Price, Cohen, Huang, "Deep image matting", CVPR 2017; ``width=1`` is the published network.

    Differences: the refiner's output is added to the logit and starts at zero, so refinement starts at the
    coarse matte; weights after an unpooling are drawn twice as large, since three of four of its values are
    zero. Normalisation and skip connections are options, for networks that start from random weights.

    Args:
        width: factor on all channel counts; 1 is VGG-16.
        norm: normalisation after each convolution of encoder and decoder: ``none`` (as published), ``batch``
            or ``group``.
        skips: skip connections from encoder to decoder: False as published; True concatenates them, with 3x3
            convolutions; ``sum`` adds them.
        conv6: kernel of the deepest convolution, 1 as published or 3.
        channels_last: use the channels-last memory format; what is faster depends on width and device.
        pretrained: ``imagenet``, the path of torchvision's VGG-16 weights, or None for random weights; needs
            ``width=1``.

    >>> sum(p.numel() for p in DeepImageMatting().parameters())
    26276802
    """

    multiple = 32

    def __init__(
        self,
        width: float = 1.0,
        norm: Norm = "none",
        skips: Skips = False,
        channels_last: bool = False,
        pretrained: str | None = None,
        conv6: Literal[1, 3] = 1,
    ) -> None:
        super().__init__()
        blocks = vgg16_blocks(width)
        self.encoder_decoder: EncoderDecoder = EncoderDecoder(blocks, norm, skips, conv6)
        self.refiner = Refiner(blocks[0][-1])
        deconvs = convolutions(self.encoder_decoder.decoder.deconvs)
        # A sum of the two has the variance of the skip, which is not thinned out.
        share = {True: 0.5, False: 1.0, "sum": 0.0}[skips]
        shares = ((deconv, int(deconv.in_channels * share)) for deconv in deconvs)
        self.initialise(shares, channels_last)
        if pretrained is not None:
            load_vgg16(convolutions(self.encoder_decoder.encoder.blocks), read_vgg16(pretrained))
