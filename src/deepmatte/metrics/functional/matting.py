"""All scores of one image at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deepmatte.metrics.functional.connectivity import conn_of
from deepmatte.metrics.functional.difference import mad_of, mse_of, sad_of
from deepmatte.metrics.functional.gradient import grad_of
from deepmatte.metrics.functional.inputs import Image, Pair, prepare
from deepmatte.metrics.functional.iou import miou_of
from deepmatte.metrics.functional.protocols import Protocol
from deepmatte.metrics.names import DEFAULT_SCORES

SCORES: dict[str, Callable[[Pair], float]] = {
    "sad": sad_of,
    "mse": mse_of,
    "mad": mad_of,
    "grad": grad_of,
    "conn": conn_of,
    "miou": miou_of,
}
"""Every score of a single image, by the name of its column."""


def score_image(
    prediction: Image,
    alpha: Image,
    trimap: Image | None = None,
    protocol: str | Protocol = "adobe",
    scores: Sequence[str] = DEFAULT_SCORES,
) -> dict[str, float]:
    """Return the scores of one image: sad, grad, conn / 1000, mse and mad x 1000, miou in [0, 1].

    If the protocol's region is empty, sad, mse, mad, grad and conn are 0. Report how many such images a mean
    includes, as ``MattingMetrics`` does.

    >>> import numpy as np
    >>> score_image(np.eye(9), np.eye(9), np.full((9, 9), 128, np.uint8))
    {'sad': 0.0, 'mse': 0.0, 'grad': 0.0, 'conn': 0.0, 'miou': 1.0}
    """
    pair = prepare(prediction, alpha, trimap, protocol)
    return {name: SCORES[name](pair) for name in scores}
