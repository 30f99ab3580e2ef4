"""Every metric by name, with unit and direction: the one table. Imports no torch, compiles nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How to read a score: its unit and direction."""

    unit: str = ""
    higher_is_better: bool = False


METRICS: dict[str, Metric] = {
    "sad": Metric("/1000"),
    "mse": Metric("x1000"),
    "mad": Metric("x1000"),
    "grad": Metric("/1000"),
    "conn": Metric("/1000"),
    "miou": Metric(higher_is_better=True),
    "dtssd": Metric("x100"),
    "foreground_mse": Metric("x1000"),
    "foreground_mad": Metric("x1000"),
    "foreground_mse_unknown": Metric("x1000"),
    "foreground_mad_unknown": Metric("x1000"),
}
"""Every metric by the name of its column."""

DEFAULT_SCORES = ("sad", "mse", "grad", "conn", "miou")
"""The scores that runs record and tables show, in this order."""

_GROW_WITH_QUALITY = ("iou", "accuracy", "f1", "psnr", "ssim")


def titled(name: str) -> str:
    """Return a column's title, the metric's name with its unit.

    >>> titled("sad"), titled("miou"), titled("sad_known")
    ('sad /1000', 'miou', 'sad_known')
    """
    return f"{name} {METRICS.get(name, Metric()).unit}".rstrip()


def higher_is_better(name: str) -> bool:
    """Return whether a larger score is better; outside the table, the name decides, and most are errors.

    >>> higher_is_better("miou"), higher_is_better("sad"), higher_is_better("my_ssim")
    (True, False, True)
    """
    if name in METRICS:
        return METRICS[name].higher_is_better
    return any(part in name.lower() for part in _GROW_WITH_QUALITY)
