"""Benchmarks measure functions that there are."""

from __future__ import annotations

import importlib
import importlib.util
from operator import attrgetter
from pathlib import Path

import pytest


def phases() -> dict[str, list[str]]:
    file = Path(__file__).parents[1] / "benchmarks" / "phases.py"
    spec = importlib.util.spec_from_file_location("phases", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PHASES


@pytest.mark.parametrize("phase", phases())
def test_every_phase_is_made_of_functions_of_today(phase: str) -> None:
    earlier = {"deepmatte.training.callbacks:PictureGrids.on_validation_end"}
    for place in {*phases()[phase]} - earlier:
        module, _, name = place.partition(":")
        assert callable(attrgetter(name)(importlib.import_module(module))), place
