"""The comparison as plain data for programs: dicts, lists, numbers, and None for what is unknown."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from deepmatte.compare.comparison import Comparison, Metric
from deepmatte.compare.factors import effects
from deepmatte.compare.race_view import verdict_of
from deepmatte.compare.records.json_numbers import plain


def as_record(comparison: Comparison) -> dict[str, Any]:
    """Return all results; keys are those of the dataclasses, unknown numbers are None."""
    first = comparison.runs[0].result
    record = {
        "metric": comparison.main,
        "baseline": comparison.baseline,
        "screening": comparison.screening,
        "verdict_is_for": "new seeds and new foregrounds",
        "verdict": asdict(verdict_of(comparison)),
        "protocol": first.get("protocol"),
        "dataset": first.get("dataset"),
        "settings": [
            {
                "setting": item.name,
                "levels": item.levels,
                "seeds": item.seeds,
                "runs": [str(run.path) for run in item.runs],
            }
            for item in comparison.settings
        ],
        "effects": [asdict(item) | {"name": item.name} for item in effects(comparison.decisive.table)],
        "metrics": {name: metric_record(metric) for name, metric in comparison.metrics.items()},
        "left_out": [
            {"run": str(item.path), "status": item.status, "reason": item.reason}
            for item in comparison.excluded
        ],
    }
    return plain(record)


def metric_record(metric: Metric) -> dict[str, Any]:
    """Return scores and differences of one metric."""
    return {
        "scores": [asdict(score) for score in metric.scores],
        "differences": [
            asdict(item) | {"distinguishable": item.distinguishable} for item in metric.differences
        ],
    }
