"""Matting metrics: pure functions of one image in ``functional``, torchmetrics classes in the modules of the same names here.

The classes are imported when first asked for, so that a program that scores files need not load torch.
"""

from __future__ import annotations

from importlib import import_module

from deepmatte.metrics.functional import METRICS_VERSION, PROTOCOLS, Protocol, cross_tabulate, score_image

_CLASSES = {
    "Connectivity": "connectivity",
    "DTSSD": "temporal",
    "ForegroundError": "foreground",
    "GradientError": "gradient",
    "LabelIoU": "iou",
    "MatteIoU": "iou",
    "MattingDiagnostics": "diagnostics",
    "MattingMetrics": "matting",
    "MeanAbsoluteDifference": "difference",
    "MeanIoU": "iou",
    "MeanSquaredError": "difference",
    "SumOfAbsoluteDifferences": "difference",
}

__all__ = ["METRICS_VERSION", "PROTOCOLS", "Protocol", "cross_tabulate", "score_image", *_CLASSES]


def __getattr__(name: str) -> object:
    if name in _CLASSES:
        return getattr(import_module(f"{__name__}.{_CLASSES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
