"""Learned refinement of classical mattes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from deepmatte.batch import Matte
from deepmatte.errors import InputError
from deepmatte.models.base import Inputs, MattingModel
from deepmatte.models.detail_capture import DetailCapture
from deepmatte.models.encoders import make_encoder
from deepmatte.models.encoders.layers import EncoderNorm

UNKNOWN_FROM, UNKNOWN_TO = 0.25, 0.75
"""Between these values a trimap that was divided by 255 is unknown."""


class GuidedMatting(MattingModel):
    """Corrects the matte of a classical method: at the start of training it is that matte, to the bit.

    Source: the idea of Cho, Tai, Kweon, "Natural image matting using deep convolutional neural networks",
    ECCV 2016, whose network maps closed-form matte, KNN matte and colours to alpha. The decoder is ViTMatte's
    detail capture.

    Differences: theirs is a chain of a few convolutions that predicts alpha; this is an encoder, with
    ImageNet's weights by option, and a decoder, which predict what to change. Alpha is a mean of the guides,
    weighted in each pixel by a softmax, plus a residual, clipped to [0, 1], in the unknown zone alone. The
    last layer starts at zero, so that alpha is the guide, or the plain mean of several. The gradient passes
    the clipping unchanged: guides are mostly 0 or 1, and a residual that once points outside would never
    learn again. Trimap and guides have no influence on the encoder at the start, and get it by learning.

    Args:
        encoder: lite0, resnet50, resnet101, mobilenetv2, or any network of timm (extra ``timm``).
        pretrained: ``imagenet`` (lite0: extra ``pretrained``; else downloaded once), the path of a copy, or
            None for random weights.
        guides: the classical methods whose mattes it refines.
        levels: of encoder lite0, how many it uses, from the finest on; None: all five. The fifth, at 1/32,
            has three quarters of the parameters.
        width: factor on the channel counts of the encoder; 1 if it is pretrained or timm's.
        decoder_width: factor on the channel counts of the decoder; 1 is ViTMatte's.
        norm: of the encoder; None: ``frozen`` batch normalisation if pretrained, else ``group``.
        decoder_norm: of the decoder: ``group``, ``batch`` or ``none``.
    """

    reads: ClassVar[tuple[str, ...]] = ("image", "trimap", "guide")
    parts: ClassVar[tuple[str, ...]] = ("encoder", "decoder")

    def __init__(
        self,
        encoder: str = "lite0",
        pretrained: str | None = None,
        guides: Sequence[str] = ("fast_information_flow",),
        levels: int | None = None,
        width: float = 1.0,
        decoder_width: float = 0.5,
        norm: EncoderNorm | None = None,
        decoder_norm: EncoderNorm = "group",
    ) -> None:
        if not guides or len(set(guides)) < len(guides):
            raise InputError(f"model.guides=[{','.join(guides)}]: name one or more methods, each once")
        inputs = 4 + len(guides)
        network = make_encoder(encoder, inputs, width, norm, pretrained)
        super().__init__(network.colours)
        self.guides = tuple(guides)
        self.encoder = network
        if levels is not None:
            network.keep_levels(levels)
        outputs = 1 if len(guides) == 1 else 1 + len(guides)
        self.decoder = DetailCapture(
            network.channels, network.strides, decoder_width, decoder_norm, inputs, outputs
        )
        self.decoder.matting_head.zero()
        self.multiple = max(network.strides)

    def predict(self, inputs: Inputs, refine: bool = True) -> Matte:
        """Return the matte; there is no coarse one."""
        guide, trimap = inputs["guide"], inputs["trimap"]
        picture = torch.cat([inputs["image"], trimap, guide], 1)
        found = self.decoder(self.encoder(picture), picture).to(guide.dtype)
        mean = guide if len(self.guides) == 1 else (found[:, 1:].softmax(1) * guide).sum(1, keepdim=True)
        unknown = (trimap > UNKNOWN_FROM) & (trimap < UNKNOWN_TO)
        return Matte(clipped(mean + found[:, :1] * unknown))


def clipped(values: Tensor) -> Tensor:
    """Return ``values`` clipped to [0, 1]; their gradient is as if they weren't.

    >>> values = torch.tensor([-0.5, 0.5, 2.0], requires_grad=True)
    >>> clipped(values).sum().backward()
    >>> clipped(values).tolist(), values.grad.tolist()
    ([0.0, 0.5, 1.0], [1.0, 1.0, 1.0])
    """
    return values.detach().clamp(0, 1) + (values - values.detach())
