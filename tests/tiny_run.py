"""The configuration of tests that need a whole run: everything small."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from omegaconf import DictConfig

from deepmatte.config.places import conf_dir

TINY = (
    "data.source.size=96",
    "data.source.num_train=4",
    "data.source.num_val=3",
    "data.source.num_test=3",
    "data.batch_size=4",
    "data.samples_per_epoch=8",
    "data.num_workers=0",
    "composition.crop_sizes=[64,96]",
    "composition.size=64",
    "model.width=0.0625",
    "stages.encoder_decoder.epochs=1",
    "stages.joint.epochs=0",
    "num_pictures=0",
)
"""Overrides under which every phase of a run takes a second."""


def compose(name: str, overrides: Sequence[str]) -> DictConfig:
    """Return the configuration that ``deepmatte train`` (or evaluate) would see."""
    return pickle.loads(_composed(name, tuple(overrides), Path.cwd()))


@cache
def _composed(name: str, overrides: tuple[str, ...], folder: Path) -> bytes:
    """Compose once what many tests ask for."""
    from deepmatte.config.compose import compose

    return pickle.dumps(compose(name, overrides))


def rows_of_choices() -> list[list[tuple[str, str]]]:
    """Return rows of (group, choice), of all groups of a training at once, in which every choice is met."""
    groups = {
        folder.name: sorted(file.stem for file in folder.glob("*.yaml"))
        for folder in sorted(conf_dir().iterdir())
        if folder.is_dir() and folder.name not in ("hydra", "budget", "debug", "method", "experiments")
    }
    columns = [[(group, name) for name in names] for group, names in groups.items()]
    return [[pair for pair in row if pair is not None] for row in itertools.zip_longest(*columns)]
