"""Mean intersection over union of mattes and label maps, always from a confusion matrix."""

from __future__ import annotations

import cv2
import numpy as np

from deepmatte.metrics.functional.inputs import Image, Pair, prepare
from deepmatte.metrics.functional.protocols import Protocol


def miou(prediction: Image, alpha: Image, trimap: Image | None = None, protocol: str | Protocol = "adobe") -> float:
    """Return the mean IoU of alpha >= 0.5 and its complement over the whole image, whatever the protocol's region.

    >>> miou(np.array([[0.0, 0.6, 1.0, 1.0]]), np.array([[0.0, 0.0, 1.0, 1.0]]), protocol="whole")  # (1/2 + 2/3) / 2
    0.5833333333333333
    """
    return miou_of(prepare(prediction, alpha, trimap, protocol))


def miou_of(pair: Pair, threshold: float = 0.5) -> float:
    """Return the mean IoU of a prepared pair's mattes at one threshold."""
    return mean_iou(binary_confusion(pair, threshold))


def binary_confusion(pair: Pair, threshold: float) -> np.ndarray:
    """Return the (2, 2) confusion matrix, rows true and columns predicted, of alpha >= ``threshold``."""
    predicted, true = (_reaches(image, threshold * pair.peak) for image in (pair.prediction, pair.alpha))
    both = cv2.countNonZero(cv2.bitwise_and(predicted, true))
    num_predicted, num_true = cv2.countNonZero(predicted), cv2.countNonZero(true)
    neither = true.size - num_predicted - num_true + both
    return np.array([[neither, num_predicted - both], [num_true - both, both]], np.int64)


def _reaches(image: np.ndarray, threshold: float) -> np.ndarray:
    if image.dtype == np.uint8:
        threshold = int(np.ceil(threshold))
    return cv2.compare(image, threshold, cv2.CMP_GE)


def iou_per_class(confusion: np.ndarray) -> np.ndarray:
    """Return intersection / (truth + prediction - intersection) of each class; NaN for a class that neither image has.

    >>> iou_per_class(np.array([[1, 1], [0, 2]])).round(4).tolist()
    [0.5, 0.6667]
    """
    intersection = np.diagonal(confusion).astype(np.float64)
    union = confusion.sum(0) + confusion.sum(1) - intersection
    return np.divide(intersection, union, out=np.full(union.shape, np.nan), where=union > 0)


def mean_iou(confusion: np.ndarray) -> float:
    """Return the mean of the classes' IoU over the classes that at least one of the two images has."""
    return float(np.nanmean(iou_per_class(confusion)))
