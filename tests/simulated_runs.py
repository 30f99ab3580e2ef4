"""Writes run directories as `deepmatte train` writes them."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

PER_FOREGROUND = 4
METRICS = ("sad", "mse", "grad", "conn", "miou")
EDGES = {
    "alpha": [f"{number / 20:g}" for number in range(21)],
    "border": ["0", "2", "4", "8", "16", "32", "inf"],
    "width": ["0", "8", "16", "32", "64", "128", "inf"],
}
"""The bins of what `deepmatte.metrics` calls diagnostics."""


def shares(kind: str) -> dict[str, float]:
    """Return the share of SAD that each bin of a kind gets here, by column: 1 : 2 : 3 and so on."""
    bins = list(pairwise(EDGES[kind]))
    return {
        f"sad_{kind}_{low}_{high}": 2 * (n + 1) / len(bins) / (len(bins) + 1)
        for n, (low, high) in enumerate(bins)
    }


def write_run(
    directory: Path,
    overrides: list[str],
    seed: int,
    scores: np.ndarray | None,
    changes: dict[str, Any] | None = None,
    *,
    parts: bool = False,
) -> Path:
    """Write one run; ``scores`` (images,) are its SAD, None makes a run that failed before it was scored.

    With ``parts``, ``per_image.csv`` has the columns of every bin's part of SAD, too, as training writes
    them.
    """
    (directory / ".hydra").mkdir(parents=True)
    (directory / ".hydra" / "config.yaml").write_text(
        yaml.safe_dump({"seed": seed, "optimizer": {"lr": 0.001}, "output": str(directory)})
    )
    (directory / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([*overrides, f"seed={seed}"]))
    result = _result(directory, [*overrides, f"seed={seed}"], seed, scores)
    if scores is not None:
        table = _table(scores, parts)
        result["scores"] = {f"test/{name}": float(np.mean(table[name])) for name in METRICS}
        result["scores"] |= {f"trivial/test/{name}": 99.0 for name in METRICS}
        _write_per_image(directory / "per_image.csv", table)
    (directory / "result.json").write_text(json.dumps(result | (changes or {})))
    return directory


def _result(directory: Path, overrides: list[str], seed: int, scores: np.ndarray | None) -> dict[str, Any]:
    return {
        "status": "finished",
        "config_hash": directory.name,
        "experiment": "loss_combinations",
        "overrides": overrides,
        "seed": seed,
        "stage": "joint",
        "best_epoch": 3,
        "git_commit": "0123456789ab",
        "versions": {"deepmatte": "0.1.0"},
        "protocol": "adobe",
        "metrics_version": "1",
        "dataset": {
            "name": "procedural",
            "version": "1",
            "split": "test",
            "digest": "d1g357",
            "num_images": 0 if scores is None else len(scores),
        },
        "scores": {},
        "cost": {"seconds": 60.0 + seed, "steps": 300, "peak_memory_mb": 800.0 + 100 * len(overrides)},
        "error": None,
        "command": "deepmatte train " + " ".join(overrides),
    }


def _table(scores: np.ndarray, parts: bool) -> dict[str, np.ndarray]:
    """Return the columns of ``per_image.csv``: SAD, scores made of it, and its parts by bin."""
    table = {
        "sad": scores,
        "mse": scores * 2 + 1,
        "grad": 5 - scores / 10,
        "conn": scores**2,
        "miou": 1 / (1 + abs(scores)),
    }
    if parts:
        table |= {column: scores * share for kind in EDGES for column, share in shares(kind).items()}
    return table


def _write_per_image(path: Path, table: dict[str, np.ndarray]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "foreground", "background", "category", *table])
        for number in range(len(table["sad"])):
            foreground = number // PER_FOREGROUND
            labels = (f"{number:04d}", f"fg{foreground}", f"bg{number % PER_FOREGROUND}")
            category = ("hair", "glass")[foreground % 2]
            writer.writerow([*labels, category, *(float(values[number]) for values in table.values())])
