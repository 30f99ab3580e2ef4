"""Scores in double precision, and evaluations side by side, each under a name that says how it differs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch


def result(directory: Path) -> dict:
    return json.loads((directory / "result.json").read_text())


def test_scores_are_means_in_double_precision(trained: Path) -> None:
    """The mean of ``per_image.csv`` by numpy, to the last digits; single precision has seven."""
    images = pd.read_csv(trained / "per_image.csv")
    scores = result(trained)["scores"]
    for metric in ("sad", "mse", "grad", "conn", "miou"):
        np.testing.assert_allclose(scores[f"test/{metric}"], images[metric].mean(), rtol=1e-14)
    kept = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)["deepmatte"]["scores"]
    assert scores["val/sad"] == kept["val/sad"]
    for name in ("val/sad", "test/sad", "trivial/test/sad"):
        assert scores[name] != float(np.float32(scores[name])), name
