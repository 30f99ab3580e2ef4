"""Feathers: barbs on a curved shaft."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from deepmatte.data.procedural.bodies import Layer, finish
from deepmatte.data.procedural.fields import Array, ramp
from deepmatte.data.procedural.raster import Canvas


def feather(rng: Generator, size: int, palette: Array) -> Layer:
    """One to three plumes whose barbs cling together in places and fray in others."""
    k, canvas = size / 512, Canvas(size)
    for _ in range(rng.integers(1, 4)):
        _plume(rng, canvas, palette, rng.uniform(-0.5, 0.5), k)
    return finish(rng, canvas)


def _plume(rng: Generator, canvas: Canvas, palette: Array, lean: float, k: float) -> None:
    """Paint one plume whose shaft starts at the bottom and leans by ``lean`` radians."""
    size = canvas.size
    length, s = rng.uniform(340, 500) * k, np.linspace(0, 1, 60)
    angle = -np.pi / 2 + lean + rng.uniform(-0.6, 0.6) * s
    start = np.array([rng.uniform(0.4, 0.6) - 0.25 * lean, rng.uniform(0.88, 1.0)]) * size
    shaft = start + np.cumsum(np.stack([np.cos(angle), np.sin(angle)], -1), 0) * length / 60
    num, t = 1100, np.linspace(0, 1, 10)
    where = np.sort(rng.uniform(0.06, 1.0, num))[::-1]
    side = rng.choice([-1.0, 1.0], num)[:, None]
    frayed = np.clip(rng.normal(0.15, 0.35, 40), 0, 1) + np.linspace(1.2, 0, 40) ** 3
    fray = np.interp(where, np.linspace(0, 1, 40), frayed)[:, None]
    lift = rng.uniform(0.5, 0.8) - 0.15 * where[:, None] + fray * rng.normal(0, 0.35, (num, 1))
    lift = lift - 0.5 * t * rng.uniform(0.2, 0.7)
    heading = np.interp(where, s, angle)[:, None] + side * (lift + 0.1)
    outline = np.sin(np.pi * np.clip(where, 0.02, 0.98) ** 0.75) ** 0.6 + 0.08
    reach = rng.uniform(70, 130) * k * outline[:, None]
    reach = reach * (1 + rng.normal(0, 0.04, (num, 1)) + 0.15 * fray * rng.normal(size=(num, 1)))
    step = np.stack([np.cos(heading), np.sin(heading)], -1) * (reach / len(t))[..., None]
    step = step + np.array([0, 0.25]) * fray[..., None] * (t[:, None]) * k
    step = step + rng.normal(0, 0.35, step.shape) * fray[..., None] * k
    root = np.stack([np.interp(where, s, shaft[:, c]) for c in (0, 1)], -1)
    points = root[:, None] + np.concatenate([np.zeros((num, 1, 2)), np.cumsum(step, 1)[:, :-1]], 1)
    waves = np.sin(where * rng.uniform(4, 30) + rng.uniform(0, 6))[:, None]
    bands = 0.5 + 0.4 * waves * rng.choice([0.3, 1.0]) + 0.25 * t
    sheen = 1 + 0.25 * side * np.cos(lean) + 0.1 * rng.normal(size=(num, 1))
    colours = ramp(palette, bands + rng.normal(0, 0.06, (num, 1))) * (sheen * (0.75 + 0.3 * t))[..., None]
    width = (1.25 - 0.55 * fray) * k * np.clip(1.05 - t**3, 0.15, 1) * rng.uniform(0.75, 1.2, (num, 1))
    canvas.strands(points, width, np.clip(colours, 0, 1))
    quill = np.clip(palette[-1] * np.linspace(1.1, 0.7, 60)[:, None], 0, 1)
    canvas.strands(shaft[None], (np.linspace(5, 0.8, 60) * k)[None], quill[None])
