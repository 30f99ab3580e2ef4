"""Matting metrics as pure functions of one image; no torch needed."""

from deepmatte.metrics.functional.connectivity import conn
from deepmatte.metrics.functional.difference import mad, mse, sad
from deepmatte.metrics.functional.gradient import grad
from deepmatte.metrics.functional.iou import iou_per_class, mean_iou, miou
from deepmatte.metrics.functional.matting import cross_tabulate, score_image
from deepmatte.metrics.functional.protocols import METRICS_VERSION, PROTOCOLS, Protocol

__all__ = [
    "METRICS_VERSION",
    "PROTOCOLS",
    "Protocol",
    "conn",
    "cross_tabulate",
    "grad",
    "iou_per_class",
    "mad",
    "mean_iou",
    "miou",
    "mse",
    "sad",
    "score_image",
]
