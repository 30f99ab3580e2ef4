"""Fixtures for tests that need a whole configuration or a trained run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import TINY, compose

# Before anything imports them: albumentations asks a server for its version, and W&B would write beside the tests.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ["WANDB_MODE"] = "disabled"
os.environ["WANDB_SILENT"] = "true"


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
        from deepmatte.run import train

        overrides = tiny(*more)
        return train(compose("train", overrides), directory, list(overrides))

    return run


@pytest.fixture(scope="session")
def trained(train_tiny: Callable[..., dict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run with all three stages; tests must not write into it."""
    directory = tmp_path_factory.mktemp("runs") / "tiny"
    train_tiny(directory, "stages.refine.epochs=1", "stages.joint.epochs=1")
    return directory
