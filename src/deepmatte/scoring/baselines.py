"""A classical method in place of a network, so that both are scored by the same code.

The loader's processes solve the images, several at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.classical import ClassicalMethod, MattingWarning
from deepmatte.data import MattingDataset
from deepmatte.data.samples import DerivedDataset
from deepmatte.models import MattingModel

SOLVED, NOTES = "solved", "notes"
"""Keys of a solved sample beside the usual ones: alpha (1, H, W), and the method's warnings, '' for none."""


class SolvedDataset(DerivedDataset[int]):
    """The samples of ``dataset``, solved by ``method`` where they are made, in the loader's processes."""

    def __init__(self, dataset: MattingDataset[int], method: ClassicalMethod) -> None:
        super().__init__(dataset)
        self.method = method

    def make(self, key: int) -> dict[str, Any]:
        """Return sample ``key`` with its alpha and the method's warnings."""
        sample = self.dataset.make(key)
        alpha, notes = solve(self.method, sample["image"], sample["trimap"])
        return {**sample, SOLVED: alpha, NOTES: notes}


class ClassicalMatting(MattingModel):
    """A model without weights: uses the alpha of a `SolvedDataset`, and solves where there is none.

    ``notes`` collects the method's warnings by the name of the image.
    """

    def __init__(self, method: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self.method = method
        self.notes: dict[str, str] = {}

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        """Return the matte, with the dtype and device of the image."""
        found = cast(dict[str, Any], batch)
        if SOLVED in found:
            alpha, notes = found[SOLVED], found[NOTES]
        else:
            pairs = [
                solve(self.method, *layers) for layers in zip(batch["image"], batch["trimap"], strict=True)
            ]
            alpha, notes = torch.stack([pair[0] for pair in pairs]), [pair[1] for pair in pairs]
        self.notes |= {name: note for name, note in zip(batch["name"], notes, strict=True) if note}
        return Matte(alpha=alpha.to(batch["image"]))


def solve(
    method: Callable[[np.ndarray, np.ndarray], np.ndarray], image: Tensor, trimap: Tensor
) -> tuple[Tensor, str]:
    """Return alpha, float32 (1, H, W), of an image (3, H, W) and its trimap (1, H, W), and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", MattingWarning)
        alpha = method(image.permute(1, 2, 0).double().cpu().numpy(), trimap[0].cpu().numpy())
    return torch.from_numpy(np.asarray(alpha, np.float32))[None], "; ".join(
        str(item.message) for item in caught
    )
