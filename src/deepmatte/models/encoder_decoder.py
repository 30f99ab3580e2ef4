"""Any encoder, and a decoder with detail capture."""

from __future__ import annotations

from typing import ClassVar

import torch

from deepmatte.batch import Matte
from deepmatte.models.base import Inputs, MattingModel, matte_of
from deepmatte.models.detail_capture import DetailCapture
from deepmatte.models.encoders import make_encoder
from deepmatte.models.encoders.layers import EncoderNorm


class EncoderDecoderMatting(MattingModel):
    """Any encoder of colours and trimap, and a decoder that fuses its features with ever finer ones.

    Source: the decoder is ViTMatte's detail capture, for features of several sizes; the encoders are those of
    He et al. 2016 (ResNet) and Sandler et al. 2018 (MobileNetV2), and Google's EfficientNet-Lite0.

    Differences: no published network is this one. The decoder also sees colours and trimap at full size, so
    no hair has to pass through the encoder. Its normalisation does not depend on the batch: a batch of one
    works, and processes don't depend on one another. Of a pretrained encoder the statistics of batch
    normalisation stay as they were. The trimap has no influence on the encoder at the start, and gets it by
    learning.

    Args:
        encoder: lite0, resnet50, resnet101, mobilenetv2, or any network of timm (extra ``timm``).
        pretrained: ``imagenet`` (lite0: extra ``pretrained``; else downloaded once), the path of a copy, or
            None for random weights.
        width: factor on the channel counts of the encoder; 1 if it is pretrained or timm's.
        decoder_width: factor on the channel counts of the decoder; 1 is ViTMatte's.
        norm: of the encoder; None: ``frozen`` batch normalisation if pretrained, else ``group``.
        decoder_norm: of the decoder: ``group``, ``batch`` or ``none``.
    """

    parts: ClassVar[tuple[str, ...]] = ("encoder", "decoder")

    def __init__(
        self,
        encoder: str = "lite0",
        pretrained: str | None = None,
        width: float = 1.0,
        decoder_width: float = 0.5,
        norm: EncoderNorm | None = None,
        decoder_norm: EncoderNorm = "group",
    ) -> None:
        network = make_encoder(encoder, 4, width, norm, pretrained)
        super().__init__(network.colours)
        self.encoder = network
        self.decoder = DetailCapture(network.channels, network.strides, decoder_width, decoder_norm)
        self.multiple = max(network.strides)

    def predict(self, inputs: Inputs, refine: bool = True) -> Matte:
        """Return the matte; there is no coarse one."""
        picture = torch.cat([inputs["image"], inputs["trimap"]], 1)
        logit = self.decoder(self.encoder(picture), picture)
        return matte_of(logit)
