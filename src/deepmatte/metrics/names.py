"""Every metric by name, with unit and direction: the one table. Imports no torch, compiles nothing."""

from __future__ import annotations

from collections.abc import Mapping
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

DECLARED: dict[str, Metric] = {}
"""Metrics of users' own, as the runs declare them that this process has read or scored."""

DEFAULT_SCORES = ("sad", "mse", "grad", "conn", "miou")
"""The scores that runs record and tables show, in this order."""

_GROW_WITH_QUALITY = ("iou", "accuracy", "f1", "psnr", "ssim")


def declare(metrics: Mapping[str, Metric]) -> None:
    """Take over units and directions of metrics that are not in the table."""
    DECLARED.update({name: metric for name, metric in metrics.items() if name not in METRICS})


def titled(name: str) -> str:
    """Return a column's title, the metric's name with its unit.

    >>> titled("sad"), titled("miou"), titled("sad_known")
    ('sad /1000', 'miou', 'sad_known')
    """
    return f"{name} {(METRICS | DECLARED).get(name, Metric()).unit}".rstrip()


def higher_is_better(name: str) -> bool:
    """Return whether a larger score is better; where nothing declares it, the name decides: most are errors.

    >>> higher_is_better("miou"), higher_is_better("sad"), higher_is_better("my_ssim")
    (True, False, True)
    """
    if found := METRICS.get(name) or DECLARED.get(name):
        return found.higher_is_better
    return any(part in name.lower() for part in _GROW_WITH_QUALITY)


def heading(metric: str) -> str:
    """Return the title of a metric's column: name, unit, and an arrow to the better end.

    >>> heading("sad"), heading("miou")
    ('sad /1000 ↓', 'miou ↑')
    """
    return f"{titled(metric)} {'↑' if higher_is_better(metric) else '↓'}"
