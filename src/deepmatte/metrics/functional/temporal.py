"""dtSSD: how well the change from frame to frame is predicted (Erofeev et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from deepmatte.errors import InputError
from deepmatte.metrics.functional.inputs import Image, Pair, prepare
from deepmatte.metrics.functional.protocols import Protocol


def dtssd(
    prediction: Sequence[Image],
    alpha: Sequence[Image],
    trimap: Sequence[Image] | None = None,
    protocol: str | Protocol = "whole",
) -> float:
    """Return 100 times the mean over pairs of frames of the root mean square difference of the changes.

    For predicted and true mattes p and a, the value of frames t - 1 and t is sqrt(mean ((p_t - p_{t-1}) -
    (a_t - a_{t-1}))^2), the mean over the protocol's region of frame t (0 if that is empty). The tables of
    Robust Video Matting count a 0 for the first frame as well, which gives (T - 1) / T of it; TCVOM sums
    instead of averaging.

    Args:
        prediction: T >= 2 frames of one size, (T, H, W) or (T, 1, H, W) or a sequence of images.
        alpha: the same of the truth.
        trimap: the same, or None under a protocol that needs none.
        protocol: name or object.

    Raises:
        InputError: fewer than two frames, unequal numbers of frames, or what ``prepare`` refuses.

    >>> still = np.zeros((2, 4, 4))
    >>> dtssd(np.stack([still[0], still[0] + 0.2]), still)
    20.0
    """
    num_frames = {len(frames) for frames in (prediction, alpha, trimap) if frames is not None}
    if len(num_frames) != 1 or num_frames == {1} or num_frames == {0}:
        counts = ", ".join(map(str, sorted(num_frames)))
        raise InputError(f"a clip has {counts} frames: dtSSD needs equal numbers, at least 2")
    frames = [
        prepare(prediction[t], alpha[t], None if trimap is None else trimap[t], protocol)
        for t in range(num_frames.pop())
    ]
    return 100 * float(np.mean([_change_error(before, now) for before, now in pairwise(frames)]))


def _change_error(before: Pair, now: Pair) -> float:
    if before.alpha.shape != now.alpha.shape:
        raise InputError("the frames of a clip differ in size: dtSSD needs one size")
    kind = np.int16 if now.peak == 255 else np.float64
    error = [
        image.astype(kind) - previous
        for image, previous in ((now.prediction, before.prediction), (now.alpha, before.alpha))
    ]
    difference = (error[0] - error[1])[now.mask != 0].astype(np.float64)
    return float(np.sqrt(np.square(difference).mean())) / now.peak if difference.size else 0.0
