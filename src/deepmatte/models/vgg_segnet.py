"""A VGG-16 SegNet for mattes, as in a student project of 2020.

It has one level less than Deep Image Matting, and no conv6.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.models.refined import Norm, RefinedMatting, Refiner, convolutions, normalisation
from deepmatte.models.vgg import Blocks, load_vgg16, read_vgg16, vgg16_blocks


class SegNet(nn.Module):
    """Maps (N, 4, H, W) to a logit (N, 1, H, W); H and W are multiples of 16.

    A 3x3 convolution maps colours and trimap to three channels. VGG-16's 13 convolutions follow, with a
    max-pool after each of the first four blocks. The decoder has six convolutions, a 1x1 deconv6 and 5x5
    deconv5 to deconv1; max-unpooling precedes the last four. A 5x5 convolution predicts alpha.
    """

    def __init__(self, blocks: Blocks, norm: Norm) -> None:
        super().__init__()

        def layer(inputs: int, outputs: int, size: int) -> nn.Sequential:
            convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2)
            return nn.Sequential(convolution, *normalisation(norm, outputs), nn.ReLU(inplace=True))

        self.entry = nn.Conv2d(4, 3, 3, padding=1)
        channels = 3
        self.blocks = nn.ModuleList()
        for block in blocks:
            pairs = zip((channels, *block), block, strict=False)
            self.blocks.append(nn.Sequential(*(layer(i, o, 3) for i, o in pairs)))
            channels = block[-1]
        self.deconv6 = layer(channels, channels, 1)
        # After unpooling at level k there are as many channels as in block k; the convolution reduces them to
        # those of block k - 1.
        levels = [block[-1] for block in reversed(blocks[:-1])]
        self.deconv5 = layer(channels, levels[0], 5)
        self.deconvs = nn.ModuleList(
            layer(i, o, 5) for i, o in zip(levels, [*levels[1:], levels[-1]], strict=True)
        )
        self.alpha = nn.Conv2d(levels[-1], 1, 5, padding=2)

    def convolutions(self) -> list[nn.Conv2d]:
        """Return VGG-16's convolutions in order."""
        return convolutions(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit."""
        x = self.entry(x)
        indices = []
        for block in self.blocks[:-1]:
            x, index = F.max_pool2d(block(x), 2, return_indices=True)
            indices.append(index)
        x = self.deconv5(self.deconv6(self.blocks[-1](x)))
        for deconv, index in zip(self.deconvs, reversed(indices), strict=True):
            x = deconv(F.max_unpool2d(x, index, (2, 2)))
        return self.alpha(x)


class VggSegNet(RefinedMatting):
    """SegNet on VGG-16, and Deep Image Matting's refiner, which the project left as future work.

    Source: a student project of 2020, after Badrinarayanan, Kendall, Cipolla, "SegNet", PAMI 2017.

    Differences: the refiner is trained too; normalisation is an option.

    Args:
        width: factor on all channel counts except VGG's three inputs; 1 is VGG-16.
        norm: normalisation after each convolution of encoder and decoder: ``none``, ``batch`` or ``group``.
        channels_last: use the channels-last memory format.
        pretrained: ``imagenet``, the path of torchvision's VGG-16 weights, or None for random weights; needs
            ``width=1``. The entry convolution then passes the colours through, so VGG starts with the input
            that it was trained on.

    >>> sum(p.numel() for p in VggSegNet().encoder_decoder.parameters())
    25936880
    """

    multiple = 16

    def __init__(
        self,
        width: float = 1.0,
        norm: Norm = "none",
        channels_last: bool = False,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        blocks = vgg16_blocks(width)
        self.encoder_decoder: SegNet = SegNet(blocks, norm)
        self.refiner = Refiner(blocks[0][-1])
        deconvs = convolutions(self.encoder_decoder.deconvs)
        self.initialise(((deconv, deconv.in_channels) for deconv in deconvs), channels_last)
        if pretrained is not None:
            load_vgg16(self.encoder_decoder.convolutions(), read_vgg16(pretrained))
            nn.init.dirac_(self.encoder_decoder.entry.weight)
