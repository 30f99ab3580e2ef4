"""The table of metrics has every metric, with its direction."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepmatte import metrics
from deepmatte.metrics.functional import SCORES
from deepmatte.metrics.names import DEFAULT_SCORES, METRICS, higher_is_better


def test_the_table_names_every_score_and_the_default_scores_are_scores():
    assert set(SCORES) <= set(METRICS)
    assert set(DEFAULT_SCORES) <= set(SCORES)


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("SumOfAbsoluteDifferences", False),
        ("MeanSquaredError", False),
        ("GradientError", False),
        ("Connectivity", False),
        ("MeanIoU", True),
    ],
)
def test_the_torchmetrics_classes_have_the_direction_of_the_table(name, better):
    metric = getattr(metrics, name)
    assert metric.higher_is_better is better
    assert higher_is_better(metric.score) is better


def test_the_page_names_every_metric_class_and_protocol():
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for name in (*METRICS, *metrics.__all__):
        assert f"`{name}`" in page, name
    for protocol in metrics.PROTOCOLS.values():
        assert f"| `{protocol.name}` | {protocol.description} |" in page
