"""Mean intersection over union as torchmetrics: per image at 0.5, or from a dataset's confusion matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from deepmatte.errors import InputError
from deepmatte.metrics.functional.inputs import prepare
from deepmatte.metrics.functional.iou import (
    binary_confusion,
    iou_per_class,
    label_confusion,
    mean_iou,
    three_class_confusion,
)
from deepmatte.metrics.functional.protocols import Protocol, get_protocol
from deepmatte.metrics.matting import SingleScore
from deepmatte.metrics.per_image import PerImage, at_image


class MeanIoU(SingleScore):
    """Mean over images of the mean IoU of alpha >= 0.5 and its complement; see ``functional.iou.miou``."""

    score = "miou"


class DatasetIoU(PerImage):
    """IoU from one confusion matrix of the pixels of all images.

    ``compute`` returns ``miou`` (scalar) and ``iou`` (C,), which is NaN for a class that never occurs.
    """

    higher_is_better = True

    def __init__(self, num_classes: int, **kwargs: object) -> None:
        super().__init__(width=num_classes**2, **kwargs)
        self.num_classes = num_classes

    def compute(self) -> dict[str, Tensor]:
        """Return {"miou": scalar, "iou": (C,)} of all images of all processes."""
        confusion = self.gathered()[1].sum(0).view(self.num_classes, -1).numpy()
        return {
            "miou": torch.tensor(mean_iou(confusion), dtype=torch.float64),
            "iou": torch.from_numpy(iou_per_class(confusion)),
        }


class MatteIoU(DatasetIoU):
    """IoU of the classes of mattes over a dataset's whole images.

    Args:
        classes: 3 for background, transition and foreground; 2 for alpha below ``threshold`` and the rest.
        threshold: between the two classes.
        protocol: name of the protocol or a ``Protocol``.
        kwargs: passed on to ``torchmetrics.Metric``.
    """

    def __init__(
        self, classes: int = 3, threshold: float = 0.5, protocol: str | Protocol = "adobe", **kwargs: object
    ) -> None:
        if classes not in (2, 3):
            raise ValueError(f"classes={classes}: a matte has 2 or 3")
        super().__init__(classes, **kwargs)
        self.threshold, self.protocol = threshold, get_protocol(protocol)

    def update(
        self, prediction: Tensor, alpha: Tensor, trimap: Tensor | None = None, index: Tensor | None = None
    ) -> None:
        """Count the pixels of a batch; arguments as in ``MattingMetrics.update``."""
        rows = []
        for i in range(len(prediction)):
            try:
                pair = prepare(prediction[i], alpha[i], None if trimap is None else trimap[i], self.protocol)
            except InputError as error:
                raise at_image(error, i, index) from None
            confusion = (
                three_class_confusion(pair)
                if self.num_classes == 3
                else binary_confusion(pair, self.threshold)
            )
            rows.append(confusion.ravel().tolist())
        self.append(rows, index)


class LabelIoU(DatasetIoU):
    """IoU of label maps with ``num_classes`` classes.

    Args:
        num_classes: number of classes C.
        ignore: true label whose pixels are ignored.
        kwargs: passed on to ``torchmetrics.Metric``.

    >>> metric = LabelIoU(2)
    >>> metric.update(torch.tensor([[0, 1, 1]]), torch.tensor([[0, 0, 1]]))
    >>> metric.compute()["iou"].tolist()
    [0.5, 0.5]
    """

    def __init__(self, num_classes: int, ignore: int | None = None, **kwargs: object) -> None:
        super().__init__(num_classes, **kwargs)
        self.ignore = ignore

    def update(self, prediction: Tensor, truth: Tensor, index: Tensor | None = None) -> None:
        """Count the pixels of N label maps (N, ...), integers in 0..C-1."""
        rows = []
        for i in range(len(prediction)):
            predicted, true = prediction[i].cpu().numpy(), truth[i].cpu().numpy()
            try:
                rows.append(label_confusion(predicted, true, self.num_classes, self.ignore).ravel().tolist())
            except InputError as error:
                raise at_image(error, i, index) from None
        self.append(rows, index)
