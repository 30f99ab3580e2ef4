"""The shape of VGG-16, and its ImageNet weights for encoders that are built like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from deepmatte.errors import InputError

VGG16_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
"""The file that torchvision publishes as ``VGG16_Weights.IMAGENET1K_V1``."""

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Output channels of the 13 convolutions, block by block; a max-pool follows each block (Simonyan and Zisserman 2015, D)."""


Blocks = tuple[tuple[int, ...], ...]
"""Output channels of convolutions, block by block."""


def vgg16_blocks(width: float) -> Blocks:
    """Return VGG-16's channels by block, times ``width``."""
    return tuple(tuple(max(1, round(channels * width)) for channels in block) for block in VGG16_BLOCKS)


def read_vgg16(source: str) -> Mapping[str, Tensor]:
    """Return VGG-16's state dict: ``imagenet`` is downloaded by `torch.hub` (cached), anything else is the path of such a file."""
    if source == "imagenet":
        try:
            return torch.hub.load_state_dict_from_url(VGG16_URL, map_location="cpu", weights_only=True)
        except OSError as error:
            message = f"model.pretrained=imagenet: {VGG16_URL} can't be reached ({error}); download it elsewhere and give its path"
            raise InputError(message) from error
    if not Path(source).is_file():
        raise InputError(
            f"model.pretrained={source}: there is no such file; give `imagenet`, null, or the path of torchvision's vgg16 weights"
        )
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"model.pretrained={source}: not a readable PyTorch state dict; give torchvision's vgg16-397923af.pth"
        ) from error


@torch.no_grad()
def load_vgg16(convolutions: Sequence[nn.Conv2d], state: Mapping[str, Tensor]) -> None:
    """Copy the 13 convolutions ``features.*`` of ``state`` into ``convolutions``.

    The first one may have more input channels than the three colours: the weights of the others become zero,
    so that at the start the network sees what VGG saw (the trimap's influence is learned).
    """
    keys = sorted(
        {int(key.split(".")[1]) for key in state if key.startswith("features.") and key.endswith(".weight")}
    )
    if len(keys) != len(convolutions):
        found = f"the file has {len(keys)} convolutions `features.*`, VGG-16 has {len(convolutions)}"
        raise InputError(f"model.pretrained: {found}; give vgg16 without batch norm")
    for convolution, key in zip(convolutions, keys, strict=True):
        weight, bias = state[f"features.{key}.weight"], state[f"features.{key}.bias"]
        kept = weight.shape[1]
        if convolution.weight[:, :kept].shape != weight.shape:
            shapes = f"{tuple(weight.shape)} in the file, {tuple(convolution.weight.shape)} in the model"
            raise InputError(
                f"model.pretrained: features.{key}.weight is {shapes}; ImageNet weights need model.width=1"
            )
        convolution.weight.zero_()
        convolution.weight[:, :kept] = weight
        assert convolution.bias is not None
        convolution.bias.copy_(bias)
