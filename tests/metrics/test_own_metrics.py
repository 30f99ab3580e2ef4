"""A user's own metrics: each image by itself, their means, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, Metric

from deepmatte.batch import example_batch
from deepmatte.errors import InputError
from deepmatte.metrics.own import OwnMetrics


class Summed(Metric):
    """A sum over pixels of one image's difference, in the zone of ``trimap``."""

    higher_is_better = True
    unit = "px"
    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, p: Tensor, truth: Tensor, trimap: Tensor, weights: Tensor | None = None) -> None:
        """Add a batch."""
        self.total += ((p - truth) * (trimap == 128)).sum()

    def compute(self) -> Tensor:
        """Return the sum."""
        return self.total


def test_each_image_is_scored_by_itself_and_the_mean_is_over_images() -> None:
    """Against torchmetrics' own on each image, and a sum by hand. An image that is repeated counts once."""
    batch: Any = example_batch(num=3, size=8)
    prediction = (batch["alpha"] * 0.5 + 0.1).clamp(0, 1)
    own = OwnMetrics({"mean_error": MeanAbsoluteError(), "summed": Summed()})
    own.update(prediction, batch)
    own.update(prediction[1:], {key: value[1:] for key, value in batch.items()})
    pairs = list(zip(prediction, batch["alpha"], batch["trimap"], strict=True))
    errors = [float((p - t).abs().mean()) for p, t, _ in pairs]
    sums = [float((p - t)[zone == 128].sum()) for p, t, zone in pairs]
    rows = own.per_image()
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert [row["mean_error"] for row in rows] == pytest.approx(errors, rel=1e-6)
    assert [row["summed"] for row in rows] == pytest.approx(sums, rel=1e-5)
    assert float(own.compute()["mean_error"]) == pytest.approx(sum(errors) / 3, rel=1e-6)
    assert {name: metric.unit for name, metric in own.declared.items()} == {"mean_error": "", "summed": "px"}
    assert own.declared["summed"].higher_is_better
    own.check(("trimap",), "the test data of discs")
    with pytest.raises(InputError, match=r"metrics\.summed: reads trimap, which the test data of discs does"):
        own.check(("image",), "the test data of discs")


def test_what_cannot_be_a_score_is_refused_in_a_line() -> None:
    undirected = type("Undirected", (MeanAbsoluteError,), {"higher_is_better": None})()
    narrow = type("Narrow", (Summed,), {"update": lambda self, p: None})()
    for metrics, message in [
        ({"sad": MeanAbsoluteError()}, r"metrics\.sad: choose another name"),
        ({"image": MeanAbsoluteError()}, r"metrics\.image: choose another name"),
        ({"Edge-Error": MeanAbsoluteError()}, r"metrics\.Edge-Error: choose another name"),
        ({"mine": undirected}, r"metrics\.mine: Undirected does not say whether higher is better"),
        ({"mine": narrow}, r"metrics\.mine: its update has to take the prediction and the true alpha"),
    ]:
        with pytest.raises(InputError, match=message):
            OwnMetrics(metrics)
    batch: Any = example_batch(num=1, size=8)
    endless = type("Endless", (Summed,), {"compute": lambda self: self.total / 0})()
    with pytest.raises(InputError, match=r"image with index 0: metrics\.mine: is (nan|-?inf)"):
        OwnMetrics({"mine": endless}).update(batch["alpha"], batch)
    broken = type("Broken", (Summed,), {"compute": lambda self: self.total[7]})()
    with pytest.raises(InputError, match=r"image with index 0: metrics\.mine: IndexError"):
        OwnMetrics({"mine": broken}).update(batch["alpha"], batch)
