"""The base of the matting metrics: a row of numbers for each image, gathered from all processes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from deepmatte.errors import InputError

UNNUMBERED = -1
"""The index of images that were given without one; they are all taken as different."""


class PerImage(Metric):
    """Rows of ``width`` numbers, one for each image, by dataset index.

    A distributed sampler repeats images to even out the ranks; gathered by index, each image counts once, and
    sums run in the order of the indices. So the result on many processes equals that on one to the last
    digit, even if a rank has seen nothing. ``compute`` is a collective call: call it on every rank.
    """

    is_differentiable = False
    full_state_update = False
    records: list[Tensor]

    def __init__(self, width: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.width = width
        # One flat float64 vector, as torchmetrics makes it of an empty list on a rank with nothing to send.
        self.set_dtype(torch.float64)
        self.add_state("records", default=[], dist_reduce_fx="cat")

    def append(self, rows: Sequence[Sequence[float]], index: Tensor | None) -> None:
        """Keep a row for each image under its dataset index."""
        numbers = [UNNUMBERED] * len(rows) if index is None else index.tolist()
        records = [[number, *row] for number, row in zip(numbers, rows, strict=True)]
        self.records.append(torch.tensor(records, dtype=torch.float64, device=self.device).flatten())

    def gathered(self) -> tuple[list[int], Tensor]:
        """Return, within ``compute``, the sorted indices and their rows (number of images, width) on the CPU.

        Raises:
            InputError: no process has seen any image.
        """
        records = (
            dim_zero_cat(self.records).cpu() if len(self.records) else torch.zeros(0, dtype=torch.float64)
        )
        rows = records.view(-1, 1 + self.width)
        rows = rows[rows[:, 0].argsort(stable=True)]
        fresh = torch.ones(len(rows), dtype=torch.bool)
        fresh[1:] = (rows[1:, 0] != rows[:-1, 0]) | (rows[1:, 0] == UNNUMBERED)
        if not len(rows):
            raise InputError(f"{type(self).__name__} has seen no images: the validation or test set is empty")
        return [int(number) for number in rows[fresh, 0]], rows[fresh, 1:]


def at_image(error: InputError, i: int, index: Tensor | None) -> InputError:
    """Return ``error`` prefixed with the image: its dataset index, or its position in the batch."""
    image = f"image {i} of the batch" if index is None else f"image with index {int(index[i])}"
    return InputError(f"{image}: {error}")
