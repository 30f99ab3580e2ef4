"""Deep Image Matting (Xu, Price, Cohen, Huang 2017): an encoder-decoder with max-unpooling, and a small refiner."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deepmatte.batch import Batch, Matte
from deepmatte.errors import InputError
from deepmatte.models.base import MattingModel, probability
from deepmatte.models.vgg import VGG16_BLOCKS, load_vgg16, read_vgg16
from deepmatte.ops.padding import pad_to_multiple

Blocks = tuple[tuple[int, ...], ...]
Norm = Literal["none", "batch", "group"]


def normalisation(norm: Norm, channels: int) -> list[nn.Module]:
    """Return what stands between a convolution and its ReLU: nothing, as published, or a normalisation.

    ``batch`` learns fastest, but sees only its own process's share of a batch; ``group`` depends on neither, but on the size of
    the picture: what it learned on crops holds less well for whole photographs.
    """
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(max(1, channels // 4), channels)] if norm == "group" else []


class Encoder(nn.Module):
    """VGG-16's 13 convolutions on image and trimap, with five max-pools that keep their indices, and a 1x1 conv6."""

    def __init__(self, blocks: Blocks, norm: Norm, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        channels = 4
        self.blocks = nn.ModuleList()
        for block in blocks:
            layers: list[nn.Module] = []
            for out in block:
                layers += [nn.Conv2d(channels, out, 3, padding=1), *normalisation(norm, out), nn.ReLU(inplace=True)]
                channels = out
            self.blocks.append(nn.Sequential(*layers))
        self.conv6 = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Map (N, 4, H, W) to features at 1/32, with ``skips`` what goes into the five max-pools, and the pools' indices."""
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
    """deconv6 1x1, then five times max-unpooling and a 5x5 convolution, and the 5x5 alpha head.

    With ``skips`` each convolution also sees what went into the max-pool of its level, and is 3x3.
    """

    def __init__(self, blocks: Blocks, norm: Norm, skips: bool) -> None:
        super().__init__()
        # After unpooling with the indices of pool k the channels are those of block k; they leave with those of block k - 1.
        inputs = [block[-1] for block in reversed(blocks)]
        outputs = [*inputs[1:], inputs[-1]]
        self.skips = skips
        self.deconv6 = nn.Conv2d(inputs[0], inputs[0], 1)
        self.deconvs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2 * i, o, 3, padding=1) if skips else nn.Conv2d(i, o, 5, padding=2),
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
            x = F.max_unpool2d(x, indices[-level], 2)
            x = deconv(torch.cat([x, features[-level]], 1) if self.skips else x)
        return self.alpha(x)


class EncoderDecoder(nn.Module):
    """(N, 4, H, W) to a logit (N, 1, H, W); H and W are multiples of 32."""

    def __init__(self, blocks: Blocks, norm: Norm, skips: bool) -> None:
        super().__init__()
        self.encoder = Encoder(blocks, norm, skips)
        self.decoder = Decoder(blocks, norm, skips)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit."""
        return self.decoder(*self.encoder(x))


class Refiner(nn.Module):
    """Four 3x3 convolutions on the image and the coarse alpha; what they give is added to the coarse logit.

    The last one starts at zero, so before its training the refined matte equals the coarse one.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(4, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, 1, 3, padding=1),
        )

    def forward(self, image: Tensor, alpha: Tensor) -> Tensor:
        """Return the residual of the logit (N, 1, H, W) for a normalised image (N, 3, H, W) and alpha (N, 1, H, W) in [0, 1]."""
        return self.convs(torch.cat([image, alpha.to(image.dtype)], 1))


class DeepImageMatting(MattingModel):
    """Encoder-decoder and refiner. ``width=1`` is the published network with 26.3 M parameters.

    Args:
        width: factor of all channel counts; 1 is VGG-16.
        norm: ``none`` as published, or ``batch`` or ``group`` normalisation after each convolution of encoder and decoder.
        skips: the decoder also sees the encoder's features of each level, by 3x3 convolutions; False as published.
        channels_last: keep activations with the channels innermost; measure which is faster for your width and device.
        pretrained: ``imagenet``, the path of torchvision's VGG-16 weights, or None for random weights; needs ``width=1``.

    >>> sum(p.numel() for p in DeepImageMatting().parameters())
    26276802
    """

    parts: ClassVar[tuple[str, ...]] = ("encoder_decoder", "refiner")

    def __init__(
        self, width: float = 1.0, norm: Norm = "none", skips: bool = False, channels_last: bool = False, pretrained: str | None = None
    ) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise InputError(f"model.norm={norm}: choose one of {', '.join(get_args(Norm))}")
        blocks = tuple(tuple(max(1, round(channels * width)) for channels in block) for block in VGG16_BLOCKS)
        self.encoder_decoder = EncoderDecoder(blocks, norm, skips)
        self.refiner = Refiner(blocks[0][-1])
        self._initialise(skips)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.to(memory_format=self.memory_format)
        if pretrained is not None:
            encoder = self.encoder_decoder.encoder
            load_vgg16([layer for block in encoder.blocks for layer in block if isinstance(layer, nn.Conv2d)], read_vgg16(pretrained))

    def _initialise(self, skips: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for deconv in self.encoder_decoder.decoder.deconvs:
                # Three of four inputs after max-unpooling are zero: without this factor the signal would fade level by level.
                deconv[0].weight[:, : deconv[0].in_channels // (2 if skips else 1)].mul_(2.0)
        last = self.refiner.convs[-1]
        nn.init.zeros_(last.weight)

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        """Map image and trimap of any size to a matte; `Matte.coarse` is the encoder-decoder's alpha."""
        height, width = batch["image"].shape[-2:]
        image = pad_to_multiple(self.normalise(batch["image"]), 32)
        trimap = pad_to_multiple(batch["trimap"].to(image.dtype) / 255, 32)
        logit = self.encoder_decoder(torch.cat([image, trimap], 1).contiguous(memory_format=self.memory_format))
        coarse = probability(logit)
        if refine:
            logit = logit + self.refiner(image, coarse)
        logit, coarse = logit[..., :height, :width], coarse[..., :height, :width]
        return Matte(alpha=probability(logit) if refine else coarse, logit=logit, coarse=coarse)
