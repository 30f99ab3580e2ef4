"""Benchmarks measure functions that there are."""

from __future__ import annotations

import importlib
import importlib.util
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from deepmatte.batch import Matte


def benchmark(name: str) -> ModuleType:
    file = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def phases() -> dict[str, list[str]]:
    return benchmark("phases").PHASES


@pytest.mark.parametrize("phase", phases())
def test_every_phase_is_made_of_functions_of_today(phase: str) -> None:
    earlier = {"deepmatte.training.callbacks:PictureGrids.on_validation_end"}
    for place in {*phases()[phase]} - earlier:
        module, _, name = place.partition(":")
        assert callable(attrgetter(name)(importlib.import_module(module))), place


def test_an_error_map_that_is_linear_in_the_true_error_correlates_fully() -> None:
    """A constant coarse matte: its error is that of the truth, known by hand, over blocks of 4 x 4 pixels."""
    rng = np.random.default_rng(0)
    blocks = rng.random((6, 8))
    truth = np.kron(blocks, np.ones((4, 4)))
    trimap = np.kron(np.where(np.arange(8) < 4, 128, 0) * np.ones((6, 1)), np.ones((4, 4))).astype(np.uint8)
    error = np.abs(0.5 - blocks)
    error[:, 4:] *= -1  # known zone: as wrong as can be
    planes = torch.full((1, 1, 6, 8), 0.5), torch.from_numpy(0.1 + 0.5 * error)[None, None]
    matte = Matte(torch.zeros(1, 1, 24, 32), coarse=Matte(planes[0], error=planes[1]))
    unknown, whole = benchmark("plates").correlations(matte, truth, trimap)
    assert unknown == pytest.approx(1)
    assert whole == pytest.approx(np.corrcoef(error.ravel(), np.abs(0.5 - blocks).ravel())[0, 1])
