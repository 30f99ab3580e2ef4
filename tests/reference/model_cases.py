"""What published networks give for weights and pictures made by formulas: ``models.json`` has the figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

TOLERANCE = 2e-4

Layout = Sequence[tuple[str, Sequence[int]]]


@cache
def model_cases() -> dict[str, Any]:
    """Return the figures by network."""
    return json.loads((Path(__file__).parent / "models.json").read_text(encoding="utf-8"))


def formula_weights(layout: Layout, overrides: Mapping[str, float] | None = None) -> dict[str, Tensor]:
    """Return the state dict of ``layout``, keys and shapes in order, filled as ``conventions`` says.

    ``overrides`` sets single values: ``{"decoder.conv4.bias[0]": 0.0}``.
    """
    state: dict[str, Tensor] = {}
    filled = 0
    for key, shape in layout:
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        count = math.prod(shape)
        unit = _hashed(count, filled)
        if key.endswith("running_var"):
            values = 1 + 0.2 * unit
        elif len(shape) > 1:
            values = unit * math.sqrt(3 / (count / shape[0]))
        elif key.endswith("weight"):
            values = 1 + 0.2 * unit
        else:
            values = 0.1 * unit
        state[key] = torch.from_numpy(values.astype(np.float32)).reshape(tuple(shape))
        filled += 1
    for place, value in (overrides or {}).items():
        key, _, index = place.rstrip("]").partition("[")
        state[key][int(index)] = value
    return state


def _hashed(count: int, number: int) -> np.ndarray:
    """Return ``count`` values in [-1, 1) for the tensor of that number."""
    low = np.uint64(2**32 - 1)
    values = np.arange(count, dtype=np.uint64)
    values = (values * np.uint64(2654435761) + np.uint64(number * 805459861 + 12345)) & low
    values ^= values >> np.uint64(15)
    values = (values * np.uint64(2246822519)) & low
    values ^= values >> np.uint64(13)
    return 2 * values.astype(np.float64) / 2**32 - 1


def part_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the entries below ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def formula_pictures(num: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return source and captured background, each (num, 3, height, width)."""
    n, c, y, x = np.ogrid[:num, :3, :height, :width]
    source = 0.5 + 0.4 * np.sin(0.11 * x * (c + 1) + 0.07 * y + 0.9 * n)
    background = 0.5 + 0.4 * np.cos(0.05 * x + 0.09 * y * (c + 1) - 0.4 * n)
    return torch.from_numpy(source.astype(np.float32)), torch.from_numpy(background.astype(np.float32))


def formula_trimap(num: int, height: int, width: int) -> Tensor:
    """Return the trimap (num, 1, height, width) of AlphaGAN's case, in 0, 0.5 and 1."""
    y, x = np.mgrid[:height, :width]
    values = np.where(np.abs(x / width - 0.5) < 0.3, 0.5, np.where(y < height / 2, 1.0, 0.0))
    return torch.from_numpy(values.astype(np.float32)).expand(num, 1, height, width)


def assert_as_published(found: Tensor, published: Mapping[str, Any]) -> None:
    """Compare shape, statistics and sampled values with those of one output."""
    assert list(found.shape) == published["shape"]
    values = found.detach().double().flatten()
    statistics = {"mean": values.mean(), "std": values.std(unbiased=False)}
    statistics |= {"min": values.min(), "max": values.max()}
    for name, value in statistics.items():
        expected = torch.tensor(published[name], dtype=torch.float64)
        torch.testing.assert_close(value, expected, rtol=TOLERANCE, atol=TOLERANCE, msg=name)
    expected = torch.tensor(published["value"], dtype=torch.float64)
    torch.testing.assert_close(values[published["flat_index"]], expected, rtol=TOLERANCE, atol=TOLERANCE)
