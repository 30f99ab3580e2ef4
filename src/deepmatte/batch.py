"""The vocabulary: what goes into a model (`Batch`) and what comes out of it (`Matte`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

LAYERS = ("foreground", "background", "composite")
"""The keys that only composited samples have."""

CRITICS = ("discriminator",)
"""The keys that no data has: parts of a model that judge mattes, which a training step adds to the batch."""


CURES = {
    "captured_background": "compose pictures with plates by composition.captured.plate=true, or give a data "
    "set that has them (data=captured data.root=DIR)",
    "previous": "make training samples frames of clips by composition.clip.frames=2 (validation has stills)",
}
"""What gives data a key that a model or a loss reads, where that takes a key of the configuration."""


class Batch(TypedDict, total=False):
    """N samples of one size; colours are (N, 3, H, W) and alpha is (N, 1, H, W), all float in [0, 1].

    ``composite`` equals ``alpha * foreground + (1 - alpha) * background`` to rounding; ``image`` is what the
    network sees, that is the composite after degradations (noise, JPEG, blur). ``trimap`` is uint8 (N, 1, H,
    W) with 0 = background, 128 = unknown, 255 = foreground. Evaluation data without known layers has
    ``image``, ``alpha``, ``trimap``, ``name``, ``index``. ``captured_background`` is a photograph of the
    scene without the subject, taken apart from ``image``. ``guide`` (N, G, H, W) has the mattes of G
    classical methods, the known zones imposed, for models that refine them. ``previous`` (N,) is there for
    frames of clips (``composition.clip``): the row of the frame before in the same batch, -1 where there is
    none. ``discriminator`` is there for losses alone (`CRITICS`): a network that maps colours (N, 3, H, W) in
    [0, 1] and a trimap to what it holds them for.
    """

    image: Tensor
    composite: Tensor
    foreground: Tensor
    background: Tensor
    alpha: Tensor
    trimap: Tensor
    captured_background: Tensor
    guide: Tensor
    previous: Tensor
    name: list[str]
    index: Tensor
    discriminator: nn.Module


@dataclass
class Matte:
    """A prediction: ``alpha`` (N, 1, H, W) in [0, 1] is the stage's final output.

    Every loss and metric reads it. ``logit`` is its value before the sigmoid where the model has one,
    ``foreground`` (N, 3, H, W) predicted colours and ``error`` (N, 1, H, W) a predicted error map.
    ``coarse`` is the matte before refinement, with all of these at a size of its own, which may be smaller
    than the image's (losses with ``output: coarse`` see it enlarged).
    """

    alpha: Tensor
    logit: Tensor | None = None
    coarse: Matte | None = None
    foreground: Tensor | None = None
    error: Tensor | None = None

    def cropped(self, height: int, width: int) -> Matte:
        """Return the upper left part of ``height`` x ``width`` pixels.

        A smaller coarse matte keeps the pixels that show any of that part.

        >>> matte = Matte(torch.zeros(1, 1, 8, 8), coarse=Matte(torch.zeros(1, 1, 4, 4))).cropped(5, 8)
        >>> matte.alpha.shape[-2:], matte.coarse.alpha.shape[-2:]
        (torch.Size([5, 8]), torch.Size([3, 4]))
        """
        rows, columns = self.alpha.shape[-2:]
        coarse = self.coarse
        if coarse is not None:
            own_rows, own_columns = coarse.alpha.shape[-2:]
            coarse = coarse.cropped(-(-height * own_rows // rows), -(-width * own_columns // columns))
        return replace(self.mapped(lambda plane: plane[..., :height, :width]), coarse=coarse)

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Matte:
        """Return what ``function`` makes of each output; the coarse matte stays as it is."""
        planes = {name: getattr(self, name) for name in ("alpha", "logit", "foreground", "error")}
        made: dict[str, Any] = {name: function(plane) for name, plane in planes.items() if plane is not None}
        return replace(self, **made)


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
