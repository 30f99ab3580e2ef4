"""Matting metrics: pure functions of one image in ``functional``, torchmetrics classes of the same names here.

The classes are imported when first asked for, so that programs that score files need not load torch.
"""

from __future__ import annotations

from importlib import import_module

from deepmatte.metrics.functional import METRICS_VERSION, PROTOCOLS, Protocol, cross_tabulate, score_image

_SHELLS = {
    "MattingMetrics": "matting",
}

__all__ = ["METRICS_VERSION", "PROTOCOLS", "Protocol", "cross_tabulate", "score_image", *_SHELLS]


def __getattr__(name: str) -> object:
    if name in _SHELLS:
        return getattr(import_module(f"{__name__}.{_SHELLS[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
