"""Matting metrics: pure functions of one image in ``functional``, torchmetrics classes in modules here.

Names are imported on first use: scoring files loads no torch, reading the table of names compiles nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepmatte.metrics.connectivity import Connectivity as Connectivity
    from deepmatte.metrics.diagnostics import MattingDiagnostics as MattingDiagnostics
    from deepmatte.metrics.difference import MeanAbsoluteDifference as MeanAbsoluteDifference
    from deepmatte.metrics.difference import MeanSquaredError as MeanSquaredError
    from deepmatte.metrics.difference import SumOfAbsoluteDifferences as SumOfAbsoluteDifferences
    from deepmatte.metrics.foreground import ForegroundError as ForegroundError
    from deepmatte.metrics.functional import METRICS_VERSION as METRICS_VERSION
    from deepmatte.metrics.functional import PROTOCOLS as PROTOCOLS
    from deepmatte.metrics.functional import Protocol as Protocol
    from deepmatte.metrics.functional import score_image as score_image
    from deepmatte.metrics.gradient import GradientError as GradientError
    from deepmatte.metrics.iou import LabelIoU as LabelIoU
    from deepmatte.metrics.iou import MatteIoU as MatteIoU
    from deepmatte.metrics.iou import MeanIoU as MeanIoU
    from deepmatte.metrics.matting import MattingMetrics as MattingMetrics
    from deepmatte.metrics.temporal import DTSSD as DTSSD

_HOMES = {
    "METRICS_VERSION": "deepmatte.metrics.functional",
    "PROTOCOLS": "deepmatte.metrics.functional",
    "Protocol": "deepmatte.metrics.functional",
    "score_image": "deepmatte.metrics.functional",
    "Connectivity": "deepmatte.metrics.connectivity",
    "DTSSD": "deepmatte.metrics.temporal",
    "ForegroundError": "deepmatte.metrics.foreground",
    "GradientError": "deepmatte.metrics.gradient",
    "LabelIoU": "deepmatte.metrics.iou",
    "MatteIoU": "deepmatte.metrics.iou",
    "MattingDiagnostics": "deepmatte.metrics.diagnostics",
    "MattingMetrics": "deepmatte.metrics.matting",
    "MeanAbsoluteDifference": "deepmatte.metrics.difference",
    "MeanIoU": "deepmatte.metrics.iou",
    "MeanSquaredError": "deepmatte.metrics.difference",
    "SumOfAbsoluteDifferences": "deepmatte.metrics.difference",
}
"""The module of each public name."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
