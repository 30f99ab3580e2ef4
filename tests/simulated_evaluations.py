"""Writes a sweep whose runs are evaluated on two other data sets, and compares it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
from simulated_runs import write_run

from deepmatte.cli.compare import main

RNG = np.random.default_rng(5)
SETS = {"alphamatting_test": (40, 100.0), "ppm100_test": (24, 1.0)}
"""Images and typical score of two data sets."""


def write_sweep(folder: Path, seeds: int = 3) -> Path:
    """``dice`` is better in the runs' own test, ``alpha`` by a fifth on both other sets."""
    difficulty = {name: scale * RNG.gamma(9, 1 / 9, count) for name, (count, scale) in SETS.items()}
    for setting, own, factor in (("alpha", 20.0, 1.0), ("dice", 10.0, 1.25)):
        for seed in range(seeds):
            run = write_run(folder / f"{setting}{seed}", [f"loss={setting}"], seed, own + RNG.gamma(4, 1, 12))
            for name, base in difficulty.items():
                scores = factor * base * np.exp(RNG.normal(0, 0.03, len(base)) + RNG.normal(0, 0.02))
                dataset = {"name": name.removesuffix("_test"), "split": "test", "digest": name}
                who = {"dataset": dataset, "run": str(run), "method": "x, best", "overrides": []}
                write_run(run / "evaluations" / name, ["ignored=1"], 0, scores, who)
    return folder


def json_of(folder: Path, *words: str) -> dict:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main([str(folder), "--json", *words]) == 0
    return json.loads(text.getvalue())
