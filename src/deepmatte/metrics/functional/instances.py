"""Scores of pictures with several objects: by class (semantic), by object (instance), and confusions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepmatte.errors import InputError
from deepmatte.metrics.functional.difference import sad
from deepmatte.metrics.functional.iou import iou_per_class, label_confusion
from deepmatte.metrics.functional.protocols import Protocol
from deepmatte.ops.layers import class_map, instance_map


@dataclass(frozen=True)
class SceneScores:
    """Scores of one picture with K objects of C classes, the background being class 0.

    Attributes:
        confusion: (C + 1, C + 1) pixels of the class maps, rows true; those of several pictures add up.
        iou: (K,) of each object in the instance map; NaN without a pixel in either map.
        sad: (K,) of each object's alpha.
        objects: number of pixels whose true label is an object.
        strayed: number of those assigned to the wrong object of the right class.
    """

    confusion: np.ndarray
    iou: np.ndarray
    sad: np.ndarray
    objects: int
    strayed: int


def score_scene(
    predicted: np.ndarray,
    true: np.ndarray,
    trimaps: np.ndarray,
    classes: Sequence[int],
    num_classes: int,
    protocol: str | Protocol = "adobe",
) -> SceneScores:
    """Compare predicted and true visible alphas by the label maps of their maxima (`deepmatte.ops.layers`).

    Args:
        predicted: (K, H, W) in [0, 1].
        true: (K, H, W) in [0, 1].
        trimaps: (K, H, W), uint8 0 / 128 / 255, one of each object.
        classes: class of each object, in 1..C.
        num_classes: C.
        protocol: of SAD.

    Raises:
        InputError: shapes differ, or a class is outside its range.
    """
    if not predicted.shape == true.shape == trimaps.shape or len(classes) != len(true):
        shapes = f"{predicted.shape}, {true.shape} and {trimaps.shape} for {len(classes)} objects"
        raise InputError(f"predicted and true alphas and trimaps have shapes {shapes}: make them equal")
    found, wanted = instance_map(predicted), instance_map(true)
    class_of = np.array([0, *classes])
    wrong_object = (found != wanted) & (class_of[found] == class_of[wanted])
    return SceneScores(
        confusion=label_confusion(class_map(predicted, classes), class_map(true, classes), num_classes + 1),
        iou=iou_per_class(label_confusion(found, wanted, len(classes) + 1))[1:],
        sad=np.array([sad(*images, protocol) for images in zip(predicted, true, trimaps, strict=True)]),
        objects=int(np.count_nonzero(wanted)),
        strayed=int(np.count_nonzero(wrong_object)),
    )
