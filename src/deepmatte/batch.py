"""The vocabulary: what goes into a model (`Batch`) and what comes out of it (`Matte`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

LAYERS = ("foreground", "background", "composite")
"""The keys that only composited samples have."""


class Batch(TypedDict, total=False):
    """N samples of one size; colours are (N, 3, H, W) and alpha is (N, 1, H, W), all float in [0, 1].

    ``composite`` equals ``alpha * foreground + (1 - alpha) * background`` to rounding; ``image`` is what the
    network sees, that is the composite after degradations (noise, JPEG, blur). ``trimap`` is uint8 (N, 1, H,
    W) with 0 = background, 128 = unknown, 255 = foreground. Evaluation data without known layers has
    ``image``, ``alpha``, ``trimap``, ``name``, ``index``. ``previous`` (N,) is for frames of clips: the row
    of the frame before in the same batch, -1 where there is none.
    """

    image: Tensor
    composite: Tensor
    foreground: Tensor
    background: Tensor
    alpha: Tensor
    trimap: Tensor
    captured_background: Tensor
    previous: Tensor
    name: list[str]
    index: Tensor


@dataclass
class Matte:
    """A prediction: ``alpha`` (N, 1, H, W) in [0, 1] is the stage's final output.

    Every loss and metric reads it. ``logit`` is its value before the sigmoid where the model has one,
    ``coarse`` the matte before refinement, which may be smaller than the image (losses with
    ``output: coarse`` see it), ``foreground`` (N, 3, H, W) predicted colours and ``error`` (N, 1, H, W) a
    predicted error map.
    """

    alpha: Tensor
    logit: Tensor | None = None
    coarse: Matte | None = None
    foreground: Tensor | None = None
    error: Tensor | None = None


def example_batch(num: int = 2, size: int = 32, seed: int = 0, dtype: torch.dtype = torch.float32) -> Batch:
    """Return a small complete batch for tests and doctests.

    It has soft discs over smooth colours, with their trimaps. The second sample counts as the frame after the
    first.

    >>> batch = example_batch(size=8)
    >>> batch["image"].shape, batch["trimap"].unique().tolist()
    (torch.Size([2, 3, 8, 8]), [0, 128, 255])
    """
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(size, dtype=dtype), torch.arange(size, dtype=dtype), indexing="ij")
    centre = size / 2 + (torch.rand(num, 2, 1, 1, generator=generator, dtype=dtype) - 0.5) * size / 8
    distance = ((x - centre[:, :1]) ** 2 + (y - centre[:, 1:]) ** 2).sqrt()
    alpha = (0.5 + (0.3 * size - distance) / (0.2 * size)).clamp(0, 1)
    phase = 6 * torch.rand(num, 2, 3, 1, 1, generator=generator, dtype=dtype)
    foreground = 0.5 + 0.4 * torch.sin(x / 5 + phase[:, 0]) * torch.cos(y / 7)
    background = 0.5 + 0.4 * torch.cos(x / 9) * torch.sin(y / 4 + phase[:, 1])
    composite = alpha * foreground + (1 - alpha) * background
    trimap = torch.full_like(alpha, 128, dtype=torch.uint8)
    trimap[alpha <= 0] = 0
    trimap[alpha >= 1] = 255
    return Batch(
        image=composite.clone(),
        composite=composite,
        foreground=foreground,
        background=background,
        alpha=alpha,
        trimap=trimap,
        name=[f"example_{i}" for i in range(num)],
        index=torch.arange(num),
        previous=torch.tensor([0 if row == 1 else -1 for row in range(num)]),
    )
