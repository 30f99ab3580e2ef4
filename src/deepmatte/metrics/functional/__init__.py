"""Matting metrics as pure functions of one image (arrays or tensors); importing them loads no torch."""

from deepmatte.metrics.functional.connectivity import conn
from deepmatte.metrics.functional.diagnostics import calibration_error, diagnose
from deepmatte.metrics.functional.difference import mad, mse, sad
from deepmatte.metrics.functional.foreground import foreground_mad, foreground_mse
from deepmatte.metrics.functional.gradient import grad
from deepmatte.metrics.functional.iou import iou_per_class, label_confusion, mean_iou, miou
from deepmatte.metrics.functional.matting import SCORES, score_image
from deepmatte.metrics.functional.protocols import METRICS_VERSION, PROTOCOLS, Protocol
from deepmatte.metrics.functional.robustness import widen_unknown
from deepmatte.metrics.functional.temporal import dtssd
from deepmatte.metrics.names import DEFAULT_SCORES

__all__ = [
    "DEFAULT_SCORES",
    "METRICS_VERSION",
    "PROTOCOLS",
    "SCORES",
    "Protocol",
    "calibration_error",
    "conn",
    "diagnose",
    "dtssd",
    "foreground_mad",
    "foreground_mse",
    "grad",
    "iou_per_class",
    "label_confusion",
    "mad",
    "mean_iou",
    "miou",
    "mse",
    "sad",
    "score_image",
    "widen_unknown",
]
