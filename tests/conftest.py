"""Fixtures for tests that need a whole configuration or a trained run."""

from __future__ import annotations

import gc
import getpass
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from simulated_runs import PER_FOREGROUND, write_run
from tiny_run import TINY, compose

# Before anything imports them: albumentations asks a server for its version, and W&B would write beside the
# tests.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ["WANDB_MODE"] = "disabled"
os.environ["WANDB_SILENT"] = "true"

# Hydra parses the same two dozen files for each of a thousand compositions: here libyaml does it, which reads
# the same (tests/config/test_configuration.py) in a tenth of the time.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # type: ignore[misc]

gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    """Give the session a ``$TMPDIR`` that goes with it: what tests kill can't remove its own files."""
    if hasattr(config, "workerinput"):  # a worker of xdist, which has the controller's
        return
    usual = tempfile.gettempdir()
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", usual)  # tmp_path stays where one looks for it
    # torch takes minutes to compile again what is kept there.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", f"{usual}/torchinductor_{getpass.getuser()}")
    folder = tempfile.mkdtemp(prefix="deepmatte-tests-")
    os.environ["TMPDIR"], tempfile.tempdir = folder, None
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_finish() -> None:
    """Modules and collected tests are no garbage: to look through them doubles the time of collecting."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def procedural_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of drawn samples for the whole session."""
    return tmp_path_factory.mktemp("procedural")


@pytest.fixture(scope="session")
def tiny(procedural_cache: Path) -> Callable[..., tuple[str, ...]]:
    """Return the overrides of a tiny run, with more on top."""
    return lambda *more: (*TINY, f"data.source.cache_dir={procedural_cache}", *more)


@pytest.fixture(scope="session")
def train_tiny(tiny: Callable[..., tuple[str, ...]]) -> Callable[..., dict]:
    """Train a tiny run in ``directory`` and return its result."""

    def run(directory: Path, *more: str) -> dict:
        from deepmatte.training.run import train

        overrides = tiny(*more)
        return train(compose("train", overrides), directory, list(overrides))

    return run


@pytest.fixture(scope="session")
def trained(train_tiny: Callable[..., dict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run with all three stages; tests must not write into it."""
    directory = tmp_path_factory.mktemp("runs") / "tiny"
    train_tiny(directory, "stages.refine.epochs=1", "stages.joint.epochs=1", "num_pictures=2")
    return directory


Sweep = Callable[..., Path]


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """Return a maker of sweep directories: ``sweep({"alpha": 10.0}, seeds=5)`` gives the true mean SAD."""

    def make(
        effects: dict[str, float],
        seeds: int = 5,
        foregrounds: int = 12,
        noise: float = 1.0,
        name: str = "sweep",
        key: str = "loss",
    ) -> Path:
        rng = np.random.default_rng(7)
        difficulty = np.repeat(rng.gamma(4, 1, foregrounds), PER_FOREGROUND)
        for number, (choice, effect) in enumerate(effects.items()):
            liking = np.repeat(rng.normal(0, 0.3 * noise, foregrounds), PER_FOREGROUND)
            for seed in range(seeds):
                scores = (
                    effect
                    + difficulty
                    + liking
                    + noise * (rng.normal(0, 0.3) + rng.normal(0, 0.5, len(difficulty)))
                )
                write_run(tmp_path / name / f"{number:04x}{seed:04x}", [f"{key}={choice}"], seed, scores)
        return tmp_path / name

    return make
