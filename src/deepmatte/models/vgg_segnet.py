"""A VGG-16 SegNet for mattes, as a course study of 2020 used it: one level less than Deep Image Matting, and no conv6."""

from __future__ import annotations

from typing import ClassVar, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.batch import Batch, Matte
from deepmatte.errors import InputError
from deepmatte.models.base import MattingModel, probability
from deepmatte.models.dim import Blocks, Norm, Refiner, normalisation
from deepmatte.models.vgg import VGG16_BLOCKS, load_vgg16, read_vgg16
from deepmatte.ops.padding import pad_to_multiple


class SegNet(nn.Module):
    """(N, 4, H, W) to a logit (N, 1, H, W); H and W are multiples of 16.

    A 3x3 convolution makes three channels of colours and trimap. VGG-16's 13 convolutions follow, with a max-pool after each of
    the first four blocks. The decoder has six convolutions, deconv6 1x1 and deconv5 to deconv1 5x5, and undoes the pools before
    the last four of them. A 5x5 convolution predicts alpha.
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
            self.blocks.append(nn.Sequential(*(layer(i, o, 3) for i, o in zip((channels, *block), block, strict=False))))
            channels = block[-1]
        self.deconv6 = layer(channels, channels, 1)
        # After the unpooling of level k the channels are those of block k; they leave with those of block k - 1.
        levels = [block[-1] for block in reversed(blocks[:-1])]
        self.deconv5 = layer(channels, levels[0], 5)
        self.deconvs = nn.ModuleList(layer(i, o, 5) for i, o in zip(levels, [*levels[1:], levels[-1]], strict=True))
        self.alpha = nn.Conv2d(levels[-1], 1, 5, padding=2)

    def convolutions(self) -> list[nn.Conv2d]:
        """Return VGG-16's convolutions in their order."""
        return [module for module in self.blocks.modules() if isinstance(module, nn.Conv2d)]

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit."""
        x = self.entry(x)
        indices = []
        for block in self.blocks[:-1]:
            x, index = F.max_pool2d(block(x), 2, return_indices=True)
            indices.append(index)
        x = self.deconv5(self.deconv6(self.blocks[-1](x)))
        for deconv, index in zip(self.deconvs, reversed(indices), strict=True):
            x = deconv(F.max_unpool2d(x, index, 2))
        return self.alpha(x)


class VggSegNet(MattingModel):
    """SegNet on VGG-16, and Deep Image Matting's refiner, which the study left as future work.

    Args:
        width: factor of all channel counts but the three that enter VGG; 1 is VGG-16.
        norm: ``none``, or ``batch`` or ``group`` normalisation after each convolution of encoder and decoder.
        channels_last: keep activations with the channels innermost.
        pretrained: ``imagenet``, the path of torchvision's VGG-16 weights, or None for random weights; needs ``width=1``. The entry
            then hands the colours through, so that at the start VGG sees what it was trained on.

    >>> sum(p.numel() for p in VggSegNet().encoder_decoder.parameters())
    25936880
    """

    parts: ClassVar[tuple[str, ...]] = ("encoder_decoder", "refiner")

    def __init__(self, width: float = 1.0, norm: Norm = "none", channels_last: bool = False, pretrained: str | None = None) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise InputError(f"model.norm={norm}: choose one of {', '.join(get_args(Norm))}")
        blocks = tuple(tuple(max(1, round(channels * width)) for channels in block) for block in VGG16_BLOCKS)
        self.encoder_decoder = SegNet(blocks, norm)
        self.refiner = Refiner(blocks[0][-1])
        self._initialise()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)
        if pretrained is not None:
            load_vgg16(self.encoder_decoder.convolutions(), read_vgg16(pretrained))
            nn.init.dirac_(self.encoder_decoder.entry.weight)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for deconv in self.encoder_decoder.deconvs:
                # Three of four inputs after max-unpooling are zero: without this factor the signal would fade level by level.
                deconv[0].weight.mul_(2.0)
        nn.init.zeros_(self.refiner.convs[-1].weight)

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        """Map image and trimap of any size to a matte; `Matte.coarse` is the SegNet's alpha."""
        height, width = batch["image"].shape[-2:]
        image = pad_to_multiple(self.normalise(batch["image"]), 16)
        trimap = pad_to_multiple(batch["trimap"].to(image.dtype) / 255, 16)
        logit = self.encoder_decoder(torch.cat([image, trimap], 1).contiguous(memory_format=self.memory_format))
        coarse = probability(logit)
        if refine:
            logit = logit + self.refiner(image, coarse)
        logit, coarse = logit[..., :height, :width], coarse[..., :height, :width]
        return Matte(alpha=probability(logit) if refine else coarse, logit=logit, coarse=coarse)
