"""Mean intersection over union of mattes and label maps, from a confusion matrix."""

from __future__ import annotations

import math

import numpy as np

from deepmatte.errors import InputError
from deepmatte.metrics.functional.inputs import Image, Pair, prepare
from deepmatte.metrics.functional.protocols import Protocol


def miou(
    prediction: Image, alpha: Image, trimap: Image | None = None, protocol: str | Protocol = "adobe"
) -> float:
    """Return the mean IoU of alpha >= 0.5 and its complement over the whole image under every protocol.

    >>> prediction, alpha = np.array([[0.0, 0.6, 1.0, 1.0]]), np.array([[0.0, 0.0, 1.0, 1.0]])
    >>> miou(prediction, alpha, protocol="whole")  # (1/2 + 2/3) / 2
    0.5833333333333333
    """
    return miou_of(prepare(prediction, alpha, trimap, protocol))


def miou_of(pair: Pair, threshold: float = 0.5) -> float:
    """Return the mean IoU of a prepared pair's mattes at one threshold."""
    return mean_iou(binary_confusion(pair, threshold))


def binary_confusion(pair: Pair, threshold: float = 0.5) -> np.ndarray:
    """Return the (2, 2) confusion matrix, rows true and columns predicted, of alpha >= ``threshold``."""
    level = threshold if pair.peak == 1 else math.ceil(255 * threshold)
    predicted, true = pair.prediction >= level, pair.alpha >= level
    both = np.count_nonzero(predicted & true)
    num_predicted, num_true = np.count_nonzero(predicted), np.count_nonzero(true)
    neither = true.size - num_predicted - num_true + both
    return np.array([[neither, num_predicted - both], [num_true - both, both]], np.int64)


def three_class_confusion(pair: Pair) -> np.ndarray:
    """Return the (3, 3) confusion matrix of background (0), transition and foreground (1), rows true.

    Unrounded network output is hardly ever exactly 0 or 1, so this suits 8-bit protocols only.
    """
    predicted, true = (_thirds(image, pair.peak) for image in (pair.prediction, pair.alpha))
    return label_confusion(predicted, true, 3)


def label_confusion(
    prediction: np.ndarray, truth: np.ndarray, num_classes: int, ignore: int | None = None
) -> np.ndarray:
    """Return the (C, C) confusion matrix of two integer label maps of one shape, rows true.

    Args:
        prediction: labels in 0..C-1.
        truth: labels in 0..C-1, or ``ignore``.
        num_classes: C.
        ignore: true label whose pixels are ignored.

    Raises:
        InputError: shapes differ, or a label that is not ignored is outside 0..C-1.

    >>> label_confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    if prediction.shape != truth.shape:
        raise InputError(f"label maps have shapes {prediction.shape} and {truth.shape}: give one size")
    if ignore is not None:
        prediction, truth = prediction[truth != ignore], truth[truth != ignore]
    for name, labels in (("prediction", prediction), ("truth", truth)):
        integers = labels.dtype.kind in "iub"
        if not integers or (labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes):
            raise InputError(
                f"label map of the {name} has other values than integers in 0..{num_classes - 1}"
            )
    joint = truth.astype(np.int64).ravel() * num_classes + prediction.ravel()
    return np.bincount(joint, minlength=num_classes**2).reshape(num_classes, num_classes)


def _thirds(image: np.ndarray, peak: int) -> np.ndarray:
    return (image > 0).astype(np.uint8) + (image >= peak)


def iou_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return intersection / (truth + prediction - intersection) of each class; NaN for classes in neither.

    >>> iou_per_class(np.array([[1, 1], [0, 2]])).round(4).tolist()
    [0.5, 0.6667]
    """
    intersection = np.diagonal(confusion).astype(np.float64)
    union = confusion.sum(0) + confusion.sum(1) - intersection
    return np.divide(intersection, union, out=np.full(union.shape, np.nan), where=union > 0)


def mean_iou(confusion: np.ndarray) -> float:
    """Return the mean IoU over the classes in at least one of the two images; 0 without any.

    >>> mean_iou(np.array([[1, 1], [0, 2]]))
    0.5833333333333333
    """
    present = iou_per_class(confusion)
    present = present[~np.isnan(present)]
    return float(present.mean()) if present.size else 0.0
