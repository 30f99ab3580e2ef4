"""Metrics of a user's own, each a torchmetric, scored image by image beside deepmatte's."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric as TorchMetric

from deepmatte.errors import InputError
from deepmatte.metrics.names import METRICS, Metric
from deepmatte.metrics.per_image import PerImage, at_image

TAKEN = (*METRICS, "image", "foreground", "background", "category", "index", "calibration_error")
"""Columns of ``per_image.csv`` that are there already, or may be."""


class OwnMetrics(PerImage):
    """Means over images of a user's metrics, and their value at each image.

    A metric sees one image at a time, so that its scores can be paired and averaged as deepmatte's are. Its
    ``update`` takes the prediction and the true alpha, (1, 1, H, W) float in [0, 1], as its first two
    arguments; further ones get what the batch has under their names, as ``trimap``. It declares its direction
    by torchmetrics' ``higher_is_better``, and by ``unit`` what stands beside its name.

    Args:
        metrics: by name, which becomes a column.
        kwargs: passed on to ``torchmetrics.Metric``.

    Raises:
        InputError: a name is taken or no name, a metric has no direction, or ``update`` has no place for the
            truth.
    """

    def __init__(self, metrics: Mapping[str, TorchMetric], **kwargs: object) -> None:
        super().__init__(width=len(metrics), **kwargs)
        self.reads = {name: _arguments(name, metric) for name, metric in metrics.items()}
        self.declared = {name: _declared(name, metric) for name, metric in metrics.items()}
        self.metrics = nn.ModuleDict({f"own_{name}": metric for name, metric in metrics.items()})
        for metric in metrics.values():
            metric.sync_on_compute = False  # an image is on one process

    def update(self, prediction: Tensor, batch: Mapping[str, Any]) -> None:
        """Score a batch: predictions (N, 1, H, W) in [0, 1], and ``alpha`` and what the metrics read.

        Raises:
            InputError: a value is no finite number, or a metric refuses an image.
        """
        rows = []
        for i in range(len(prediction)):
            try:
                rows.append(list(self._of_image(prediction[i : i + 1], batch, i)))
            except InputError as error:
                raise at_image(error, i, batch.get("index")) from None
        self.append(rows, batch.get("index"))

    def _of_image(self, prediction: Tensor, batch: Mapping[str, Any], i: int) -> Iterator[float]:
        for name, keys in self.reads.items():
            metric = cast(TorchMetric, self.metrics[f"own_{name}"])
            others = {key: batch[key][i : i + 1] for key in keys if key in batch}
            metric.reset()
            try:
                metric.update(prediction, batch["alpha"][i : i + 1], **others)
                value = float(metric.compute())
            except Exception as error:  # a user's metric may fail in any way
                line = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                raise InputError(f"metrics.{name}: {line}") from error
            if not torch.isfinite(torch.tensor(value)):
                raise InputError(f"metrics.{name}: is {value}; a score has to be a finite number")
            yield value

    def compute(self) -> dict[str, Tensor]:
        """Return the means over all images of all processes as float64 scalars."""
        return dict(zip(self.reads, self.gathered()[1].mean(0), strict=True))

    def per_image(self) -> list[dict[str, float]]:
        """Return {"index": …, NAME: …} of all images of all processes; a collective call."""
        indices, rows = self.gathered()
        return [
            {"index": index, **dict(zip(self.reads, row, strict=True))}
            for index, row in zip(indices, rows.tolist(), strict=True)
        ]

    def check(self, serves: Sequence[str], data: str) -> None:
        """Refuse data without a key that a metric needs.

        Raises:
            InputError: it names metric, key and cure.
        """
        for name, keys in self.reads.items():
            for key, needed in keys.items():
                if needed and key not in serves:
                    raise InputError(
                        f"metrics.{name}: reads {key}, which {data} does not have; "
                        f"leave the metric out, or give its argument {key} a default"
                    )


def _arguments(name: str, metric: TorchMetric) -> dict[str, bool]:
    """Return the names of what ``update`` takes after the two mattes, and whether it needs them."""
    signature = inspect.signature(type(metric).update)
    found = [each for each in signature.parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD][1:]
    if len(found) < 2:
        raise InputError(f"metrics.{name}: its update has to take the prediction and the true alpha")
    return {each.name: each.default is each.empty for each in found[2:]}


def _declared(name: str, metric: TorchMetric) -> Metric:
    """Return unit and direction of a metric, under a name that is free."""
    if name in TAKEN or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*", name):
        raise InputError(f"metrics.{name}: choose another name, of small letters, that no score has yet")
    if metric.higher_is_better is None:
        raise InputError(
            f"metrics.{name}: {type(metric).__name__} does not say whether higher is better; "
            "set its attribute higher_is_better"
        )
    return Metric(str(getattr(metric, "unit", "")), bool(metric.higher_is_better))
