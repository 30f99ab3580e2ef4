"""Several objects before one background: their visible alphas and label maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepmatte.errors import InputError


def visible_alphas(alphas: np.ndarray) -> np.ndarray:
    """Return the visible alphas: alpha_i times the product of 1 - alpha_j over the objects in front.

    ``alphas`` is (K, H, W) in [0, 1], the front object first; so is the result, whose sum over the objects is
    at most 1.

    >>> visible_alphas(np.array([0.5, 1.0, 1.0]).reshape(3, 1, 1)).ravel().tolist()
    [0.5, 0.5, 0.0]
    """
    before = np.ones_like(alphas[0])
    visible = np.empty_like(alphas)
    for number, alpha in enumerate(alphas):
        visible[number] = alpha * before
        before = before * (1 - alpha)
    return visible


def layered(colours: np.ndarray, visible: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the picture (H, W, 3) of objects (K, H, W, 3) with visible alphas over a background."""
    rest = 1 - visible.sum(0)
    return (visible[..., None] * colours).sum(0) + rest[..., None] * background


def instance_map(visible: np.ndarray) -> np.ndarray:
    """Return the (H, W) map of what covers most of a pixel: 0 for background, k + 1 for object k.

    ``visible`` is (K, H, W). The background has what the objects leave of 1; where their alphas were
    predicted one by one they may exceed it, and it has nothing. Of equals the first one counts, the
    background before all.

    >>> instance_map(np.array([[0.2, 0.5, 0.4], [0.3, 0.1, 0.9]]).reshape(2, 1, 3)).tolist()
    [[0, 1, 2]]
    """
    return np.argmax(_with_background(visible), 0)


def class_map(visible: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Return the (H, W) map of the class that covers most of a pixel: 0 for background, else of ``classes``.

    The alphas of objects of one class are added up first, so two halves of a pixel that belong to two of them
    are one whole.

    Args:
        visible: (K, H, W).
        classes: the class of each object, 1 or more.

    >>> halves = np.array([0.3, 0.3]).reshape(2, 1, 1)
    >>> class_map(halves, [4, 4]).tolist(), class_map(halves, [4, 5]).tolist()
    ([[4]], [[0]])
    """
    if len(classes) != len(visible) or min(classes, default=0) < 1:
        raise InputError(
            f"{len(visible)} objects have the classes {list(classes)}: give each of them one, 1 or more"
        )
    labels = sorted(set(classes))
    sums = np.stack([visible[np.array(classes) == label].sum(0) for label in labels])
    return np.array([0, *labels])[np.argmax(_with_background(sums), 0)]


def _with_background(visible: np.ndarray) -> np.ndarray:
    return np.concatenate([np.clip(1 - visible.sum(0), 0, None)[None], visible])
