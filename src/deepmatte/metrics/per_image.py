"""What all matting metrics share: one row of numbers an image, gathered from all processes, each image once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from deepmatte.errors import InputError

UNNUMBERED = -1
"""The index of an image that was given without one; such images are never taken for each other."""


class PerImage(Metric):
    """Rows of ``width`` numbers, one an image, by dataset index.

    A distributed sampler repeats some images to even out the ranks; gathered by index, each counts once, and
    sums run in the order of the indices. So a result is the same on one process and on many, to the last
    digit, also with uneven numbers or on a rank that has seen nothing. ``compute`` is a collective call, to
    be made on every rank.
    """

    is_differentiable = False
    full_state_update = False
    records: list[Tensor]

    def __init__(self, width: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.width = width
        # One flat float64 vector: that is what torchmetrics makes of an empty list when a rank has nothing to
        # send.
        self.set_dtype(torch.float64)
        self.add_state("records", default=[], dist_reduce_fx="cat")

    def append(self, rows: Sequence[Sequence[float]], index: Tensor | None) -> None:
        """Keep one row an image under its dataset index."""
        numbers = [UNNUMBERED] * len(rows) if index is None else index.tolist()
        records = [[number, *row] for number, row in zip(numbers, rows, strict=True)]
        self.records.append(torch.tensor(records, dtype=torch.float64, device=self.device).flatten())

    def gathered(self) -> tuple[list[int], Tensor]:
        """Return, within ``compute``, the sorted indices and their rows (number of images, width) on the CPU.

        Raises:
            InputError: no process has seen an image.
        """
        records = (
            dim_zero_cat(self.records).cpu() if len(self.records) else torch.zeros(0, dtype=torch.float64)
        )
        rows = records.view(-1, 1 + self.width)
        rows = rows[rows[:, 0].argsort(stable=True)]
        fresh = torch.ones(len(rows), dtype=torch.bool)
        fresh[1:] = (rows[1:, 0] != rows[:-1, 0]) | (rows[1:, 0] == UNNUMBERED)
        if not len(rows):
            raise InputError(f"{type(self).__name__} has seen no image: the validation or test set is empty")
        return [int(number) for number in rows[fresh, 0]], rows[fresh, 1:]


def at_image(error: InputError, i: int, index: Tensor | None) -> InputError:
    """Return ``error`` with the image in front: its dataset index, or its place in the batch."""
    return InputError(
        f"image {i} of the batch: {error}" if index is None else f"image with index {int(index[i])}: {error}"
    )
