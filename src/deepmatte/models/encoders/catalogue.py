"""The encoders by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from deepmatte.errors import InputError, did_you_mean
from deepmatte.models.encoders.encoder import Encoder
from deepmatte.models.encoders.layers import EncoderNorm
from deepmatte.models.encoders.lite0 import EfficientNetLite0
from deepmatte.models.encoders.mobilenet import MobileNetV2
from deepmatte.models.encoders.resnet import ResNet
from deepmatte.models.encoders.timm import TimmEncoder, has_timm, timm_names
from deepmatte.models.encoders.weights import load_imagenet

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "lite0": EfficientNetLite0,
    "resnet50": partial(ResNet, 50),
    "resnet101": partial(ResNet, 101),
    "mobilenetv2": MobileNetV2,
}
"""The package's own encoders; any other name is one of timm's."""

TIMM = "timm/"
"""Before a name of timm that is also one of the package's own."""


def make_encoder(
    name: str,
    inputs: int = 4,
    width: float = 1.0,
    norm: EncoderNorm | None = None,
    pretrained: str | None = None,
) -> Encoder:
    """Return an encoder whose inputs beside the three colours start without influence.

    Args:
        name: one of `ENCODERS`, or a network of timm.
        inputs: channels of the input.
        width: factor on all channel counts; 1 for ImageNet weights and for timm.
        norm: None is ``frozen`` for pretrained weights, else ``group``, or for timm ``batch``.
        pretrained: ``imagenet``, the path of weights, or None for random ones.

    Raises:
        InputError: there is no such encoder, its extra isn't installed, or the options don't fit it.
    """
    if pretrained is not None and width != 1:
        raise InputError(f"model.width={width}: pretrained weights need 1; model.pretrained=null takes any")
    if name in ENCODERS:
        norm = norm or ("frozen" if pretrained else "group")
        encoder = ENCODERS[name](inputs=inputs, width=width, norm=norm)
        with torch.no_grad():
            next(encoder.parameters())[:, 3:].zero_()
        if pretrained is not None:
            load_imagenet(encoder, name, pretrained)
        return encoder
    known = name.removeprefix(TIMM)
    if known not in timm_names():
        raise InputError(f"model.encoder={name}: {_unknown(known)}")
    if width != 1:
        raise InputError(f"model.width={width}: networks of timm have a width of their own; give 1")
    return TimmEncoder(known, inputs, norm or ("frozen" if pretrained else "batch"), pretrained)


def _unknown(name: str) -> str:
    """Return what is wrong with a name."""
    meant = did_you_mean(name, [*ENCODERS, *timm_names()], "model.encoder={}")
    if has_timm():
        return f"neither {', '.join(ENCODERS)} nor a network of timm{meant}"
    install = "`pip install 'deepmatte[timm]'`"
    return f"is none of {', '.join(ENCODERS)}{meant}; networks of timm need the extra `timm`: {install}"
