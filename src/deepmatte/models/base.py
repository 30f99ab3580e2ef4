"""The interface of every matting network."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from deepmatte.batch import Batch, Matte

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class MattingModel(nn.Module):
    """A network that maps a batch to a matte.

    ``reads`` are the batch keys that `forward` uses; ``parts`` are the submodules that a training stage can
    train or freeze. Input colours are in [0, 1]; the model normalises them itself.
    """

    reads: ClassVar[tuple[str, ...]] = ("image", "trimap")
    parts: ClassVar[tuple[str, ...]] = ()

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(3, 1, 1), persistent=False)

    def normalise(self, image: Tensor) -> Tensor:
        """Return (N, 3, H, W) colours in [0, 1] standardised with ImageNet's mean and deviation."""
        return (image - self.mean) / self.std

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        """Return the matte of ``batch``; ``refine=False`` stops at the coarse matte."""
        raise NotImplementedError


def probability(logit: Tensor) -> Tensor:
    """Return the sigmoid in at least 32 bits, even if autocast computed the logit in fewer."""
    return torch.sigmoid(logit if logit.dtype == torch.float64 else logit.float())
