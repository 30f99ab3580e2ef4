"""A maker of sweep directories with known effects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from simulated_runs import PER_FOREGROUND, write_run

Sweep = Callable[..., Path]


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Return a maker of sweep directories: ``sweep({"alpha": 10.0, "dice": 12.0}, seeds=5)`` gives the settings' true mean SAD."""

    def make(
        effects: dict[str, float], seeds: int = 5, foregrounds: int = 12, noise: float = 1.0, name: str = "sweep", key: str = "loss"
    ) -> Path:
        rng = np.random.default_rng(7)
        difficulty = np.repeat(rng.gamma(4, 1, foregrounds), PER_FOREGROUND)
        for number, (choice, effect) in enumerate(effects.items()):
            liking = np.repeat(rng.normal(0, 0.3 * noise, foregrounds), PER_FOREGROUND)
            for seed in range(seeds):
                scores = effect + difficulty + liking + noise * (rng.normal(0, 0.3) + rng.normal(0, 0.5, len(difficulty)))
                write_run(tmp_path / name / f"{number:04x}{seed:04x}", [f"{key}={choice}"], seed, scores)
        return tmp_path / name

    return make
