"""The torchmetrics shell: scores of every image, kept by index, averaged exactly over any number of processes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

from deepmatte.errors import InputError
from deepmatte.metrics.functional.inputs import prepare
from deepmatte.metrics.functional.matting import DEFAULT_SCORES, SCORES
from deepmatte.metrics.functional.protocols import Protocol, get_protocol

UNNUMBERED = -1
"""The index of an image that was given without one."""


class MattingMetrics(Metric):
    """Mean over images of the matting scores, with the images' own scores kept.

    Every image's scores are one row of the state; rows are gathered from all processes, each dataset index counts once (a
    distributed sampler repeats some to even out the ranks), and the mean is taken in the order of the indices. So the result is
    the same on one process and on many, to the last digit, also with uneven numbers or with a rank that saw nothing.

    Args:
        protocol: name of the protocol or a ``Protocol``.
        scores: which of sad, mse, mad, grad, conn, miou.
        kwargs: passed on to ``torchmetrics.Metric``.
    """

    is_differentiable = False
    full_state_update = False
    records: list[Tensor] | Tensor

    def __init__(self, protocol: str | Protocol = "adobe", scores: Sequence[str] = DEFAULT_SCORES, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.protocol = get_protocol(protocol)
        unknown = [name for name in scores if name not in SCORES]
        if unknown:
            raise ValueError(f"score '{unknown[0]}' is none of {', '.join(SCORES)}")
        self.scores = tuple(scores)
        # One flat float64 vector: that is what torchmetrics makes of an empty list when a rank has nothing to send.
        self.set_dtype(torch.float64)
        self.add_state("records", default=[], dist_reduce_fx="cat")
        self._per_image: list[dict[str, float | int]] = []
        self._num_without_unknown = 0

    def update(self, prediction: Tensor, alpha: Tensor, trimap: Tensor | None = None, index: Tensor | None = None) -> None:
        """Score a batch.

        Args:
            prediction: (N, 1, H, W) float in [0, 1] or uint8, on any device.
            alpha: the same of the truth.
            trimap: (N, 1, H, W) uint8 of 0, 128, 255; None only under a protocol that reads none.
            index: (N,) dataset indices >= 0. Without them no image is taken for a repetition of another.

        Raises:
            InputError: what ``prepare`` refuses, with the image's index in front.
        """
        numbers = [UNNUMBERED] * len(prediction) if index is None else index.tolist()
        rows = []
        for i, number in enumerate(numbers):
            try:
                pair = prepare(prediction[i], alpha[i], None if trimap is None else trimap[i], self.protocol)
            except InputError as error:
                raise InputError(f"image {i if index is None else number}: {error}") from None
            rows.append([number, pair.num_pixels] + [SCORES[name](pair) for name in self.scores])
        self.records.append(torch.tensor(rows, dtype=torch.float64, device=self.device).flatten())

    def compute(self) -> dict[str, Tensor]:
        """Return the means over all images of all processes; a collective call, made on every rank.

        Raises:
            InputError: no process has seen an image.
        """
        rows = dim_zero_cat(self.records).cpu().view(-1, 2 + len(self.scores)) if len(self.records) else torch.zeros(0, 2)
        rows = _once_by_index(rows)
        if len(rows) == 0:
            raise InputError("no image was scored: the validation or test set is empty")
        self._per_image = [{"index": int(row[0]), **dict(zip(self.scores, row[2:], strict=True))} for row in rows.tolist()]
        self._num_without_unknown = int((rows[:, 1] == 0).sum())
        return dict(zip(self.scores, rows[:, 2:].mean(0), strict=True))

    def per_image(self) -> list[dict[str, float | int]]:
        """Return {"index": ..., "sad": ..., ...} of all images of all processes, sorted by index; collective unless just computed."""
        self.compute()
        return self._per_image

    @property
    def num_images(self) -> int:
        """Number of images in the last result."""
        return len(self._per_image)

    @property
    def num_images_without_unknown(self) -> int:
        """How many images of the last result had no pixel in the protocol's region; they count with 0 errors."""
        return self._num_without_unknown

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        self._per_image, self._num_without_unknown = [], 0


def _once_by_index(rows: Tensor) -> Tensor:
    """Return the rows sorted by index (first column), each index once; rows without an index stay, in front."""
    rows = rows[rows[:, 0].argsort(stable=True)]
    keep = torch.ones(len(rows), dtype=torch.bool)
    keep[1:] = (rows[1:, 0] != rows[:-1, 0]) | (rows[1:, 0] == UNNUMBERED)
    return rows[keep]
