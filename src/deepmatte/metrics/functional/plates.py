"""Captured backgrounds that fit the image less and less: moved, of another exposure, without its shadow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from deepmatte.batch import Batch

Kind = Literal["shift", "gain", "shadow"]

AMOUNTS: dict[Kind, tuple[float, ...]] = {
    "shift": (0, 1, 2, 4, 8),
    "gain": (0.7, 0.85, 1, 1.15, 1.3),
    "shadow": (0, 0.1, 0.2, 0.3),
}
"""Pixels to the right and down, factors of the plate's colours, and the largest loss of light in a shadow."""


@dataclass(frozen=True)
class Disturbance:
    """One point of the robustness curve of models that read a captured background."""

    kind: Kind
    amount: float

    @property
    def name(self) -> str:
        """Return the name under which its scores are logged."""
        return f"{self.kind}/{self.amount:g}"

    def __call__(self, batch: Batch) -> Batch:
        """Return the batch with another plate or, for a shadow, another image; alpha and trimap stay."""
        if self.kind != "shadow":
            plate = batch["captured_background"]
            moved = self.kind == "shift"
            plate = shifted(plate, int(self.amount)) if moved else (self.amount * plate).clamp(0, 1)
            return Batch(**{**batch, "captured_background": plate})
        return Batch(**{**batch, "image": shaded(batch["image"], batch["alpha"], self.amount)})


DISTURBANCES = tuple(Disturbance(kind, amount) for kind, amounts in AMOUNTS.items() for amount in amounts)


def shifted(planes: Tensor, pixels: int) -> Tensor:
    """Return planes (N, C, H, W) moved to the right and down; their first row and column are repeated.

    >>> import torch
    >>> shifted(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 1).flatten().tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    height, width = planes.shape[-2:]
    return F.pad(planes, (pixels, 0, pixels, 0), mode="replicate")[..., :height, :width]


def shaded(image: Tensor, alpha: Tensor, strength: float) -> Tensor:
    """Return an image (N, 3, H, W) whose background is darker by at most ``strength`` where the shadow is.

    The shadow is alpha (N, 1, H, W), moved by a twentieth of the shorter side and blurred by a box.
    """
    side = max(1, round(min(alpha.shape[-2:]) / 20))
    near = F.pad(shifted(alpha, side), (side,) * 4, mode="replicate")
    shadow = F.avg_pool2d(near, 2 * side + 1, stride=1)
    return (image - strength * (1 - alpha) * shadow).clamp(0, 1)
