"""ViTMatte (Yao, Wang, Yang, Wang 2023): a plain vision transformer, and detail capture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from deepmatte.batch import Matte
from deepmatte.models.base import Inputs, MattingModel, matte_of
from deepmatte.models.detail_capture import DetailCapture
from deepmatte.models.encoders.layers import EncoderNorm
from deepmatte.models.encoders.vit import VisionTransformer
from deepmatte.models.encoders.weights import load_transformer


@dataclass(frozen=True)
class Size:
    """Channels of a token, heads and blocks of the transformer; the factor on the decoder's channels."""

    dim: int
    heads: int
    depth: int
    decoder_width: float = 1.0


SIZES = {"S": Size(384, 6, 12), "B": Size(768, 12, 12), "tiny": Size(96, 3, 6, decoder_width=0.25)}
"""The published sizes, and one that trains on a CPU."""


class ViTMatte(MattingModel):
    """A plain vision transformer, and a decoder that fuses its features with details of the picture.

    Source: Yao, Wang, Yang, Wang, "ViTMatte: Boosting image matting with pre-trained plain vision
    transformers", Information Fusion 2024; hustvl/ViTMatte, whose layout the state dicts have.

    Differences: sides are padded by reflection to multiples of 16 (there with zeros to multiples of 32, which
    adds background to the trimap, and 32 pixels to a side that needs none where the other does); attention is
    PyTorch's fused one, which needs less memory; the decoder's normalisation can be chosen, since batch
    statistics make small batches and several processes depend on one another.

    Args:
        size: ``S``, ``B`` or ``tiny``.
        pretrained: ``imagenet`` (S: DINO, B: MAE; downloaded once), the path of such weights, or None.
        decoder_norm: of the decoder: ``batch`` (published), ``frozen``, ``group`` or ``none``.
        checkpointing: compute the transformer's blocks anew in the backward pass: less memory, more time.

    >>> with torch.device("meta"):
    ...     sum(p.numel() for p in ViTMatte().parameters())
    25814753
    """

    parts: ClassVar[tuple[str, ...]] = ("backbone", "decoder")
    multiple = 16

    def __init__(
        self,
        size: Literal["S", "B", "tiny"] = "S",
        pretrained: str | None = None,
        decoder_norm: EncoderNorm = "batch",
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        of = SIZES[size]
        self.backbone = VisionTransformer(of.dim, of.heads, of.depth, inputs=4, checkpointing=checkpointing)
        with torch.no_grad():
            self.backbone.patch_embed.proj.weight[:, 3:].zero_()
        if pretrained is not None:
            load_transformer(self.backbone, size, pretrained)
        channels, strides = self.backbone.channels, self.backbone.strides
        self.decoder = DetailCapture(channels, strides, of.decoder_width, decoder_norm)

    def predict(self, inputs: Inputs, refine: bool = True) -> Matte:
        """Return the matte; there is no coarse one."""
        # The published network reads the unknown zone as exactly a half.
        trimap = (2 * inputs["trimap"]).round() / 2
        picture = torch.cat([inputs["image"], trimap], 1)
        logit = self.decoder(self.backbone(picture), picture)
        return matte_of(logit)

    def layers_above(self, parameter: str) -> int:
        """Count from the last block down to the embeddings; bottlenecks, never pretrained, have 0."""
        depth = len(self.backbone.blocks)
        if parameter.startswith(("backbone.pos_embed", "backbone.patch_embed.")):
            return depth + 1
        block = re.match(r"backbone\.blocks\.(\d+)\.(?!residual\.)", parameter)
        return depth - int(block[1]) if block else 0
