"""How a device computes: precision of products, memory format, compilation."""

from __future__ import annotations

from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from deepmatte.config.validation import Acceleration
from deepmatte.errors import check_arguments
from deepmatte.models import MattingModel


def acceleration(config: DictConfig) -> Acceleration:
    """Return the keys of ``trainer`` that are ours and not Lightning's, checked.

    Raises:
        InputError: one of them has a wrong value.
    """
    keys: Any = OmegaConf.to_container(config.trainer, resolve=True)
    own = {name: keys[name] for name in Acceleration.model_fields if name in keys}
    check_arguments(Acceleration, own, "trainer")
    return Acceleration(**own)


def accelerate(model: MattingModel, config: DictConfig, training: bool = False) -> None:
    """Prepare process and model for the device: `Acceleration`; only training compiles.

    Pictures of validation and test have many sizes, for each of which a network would be compiled again:
    `MattingModule` runs them as they are written.
    """
    wanted = acceleration(config)
    torch.set_float32_matmul_precision(wanted.matmul_precision)
    # Of convolutions, where PyTorch's default is TF32.
    torch.backends.cudnn.allow_tf32 = wanted.matmul_precision != "highest"
    if wanted.channels_last:
        model.use_channels_last()
    if training and wanted.compile is not None:
        model.compile(mode=wanted.compile)
