"""The architecture of VGG-16, and its ImageNet weights for encoders built like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from deepmatte.errors import InputError

VGG16_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
"""The file of torchvision's ``VGG16_Weights.IMAGENET1K_V1``."""

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Output channels of the 13 convolutions by block (Simonyan and Zisserman 2015, D); each precedes a pool."""

Blocks = tuple[tuple[int, ...], ...]
"""Output channels of convolutions, by block."""


def vgg16_blocks(width: float) -> Blocks:
    """Return VGG-16's output channels by block, times ``width``."""
    return tuple(tuple(max(1, round(channels * width)) for channels in block) for block in VGG16_BLOCKS)


def read_vgg16(source: str) -> Mapping[str, Tensor]:
    """Return VGG-16's state dict.

    Args:
        source: ``imagenet``, downloaded once by `torch.hub`, or the path of a file of torchvision's weights.

    Raises:
        InputError: the weights can't be downloaded or read.
    """
    if source == "imagenet":
        try:
            return torch.hub.load_state_dict_from_url(VGG16_URL, map_location="cpu", weights_only=True)
        except OSError as error:
            reason = f"downloading {VGG16_URL} failed ({error})"
            raise InputError(f"model.pretrained=imagenet: {reason}; pass the path of a copy") from error
    if not Path(source).is_file():
        expected = "`imagenet`, null, or the path of torchvision's vgg16 weights"
        raise InputError(f"model.pretrained={source}: no such file; expected {expected}")
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = "not a readable PyTorch state dict; expected torchvision's vgg16-397923af.pth"
        raise InputError(f"model.pretrained={source}: {reason}") from error


@torch.no_grad()
def load_vgg16(convolutions: Sequence[nn.Conv2d], state: Mapping[str, Tensor]) -> None:
    """Copy the 13 convolutions ``features.*`` of ``state`` into ``convolutions``.

    The first one may have more inputs than the three colours. Weights of the others are set to zero, so the
    network starts with what VGG saw and learns the influence of the trimap.
    """
    weights = [key for key in state if key.startswith("features.") and key.endswith(".weight")]
    keys = sorted({int(key.split(".")[1]) for key in weights})
    if len(keys) != len(convolutions):
        found = f"the file has {len(keys)} convolutions `features.*`, VGG-16 has {len(convolutions)}"
        raise InputError(f"model.pretrained: {found}; expected vgg16 without batch normalisation")
    for convolution, key in zip(convolutions, keys, strict=True):
        weight, bias = state[f"features.{key}.weight"], state[f"features.{key}.bias"]
        kept = weight.shape[1]
        if convolution.weight[:, :kept].shape != weight.shape:
            shapes = f"{tuple(weight.shape)} in the file, {tuple(convolution.weight.shape)} in the model"
            raise InputError(
                f"model.pretrained: features.{key}.weight is {shapes}; ImageNet weights require model.width=1"
            )
        convolution.weight.zero_()
        convolution.weight[:, :kept] = weight
        assert convolution.bias is not None
        convolution.bias.copy_(bias)
