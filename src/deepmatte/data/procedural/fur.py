"""Fur: thousands of short strands combed along a body."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from deepmatte.data.procedural.bodies import (
    Body,
    Layer,
    blob,
    finish,
    roundness,
    sample_points,
    union,
    values_at,
)
from deepmatte.data.procedural.fields import Array, fractal, one_hue, ramp, random_light, squash
from deepmatte.data.procedural.raster import Canvas


def fur(rng: Generator, size: int, palette: Array) -> Layer:
    """An animal or a plush toy: short strands combed along a shaded body, with a colour pattern."""
    k, light = size / 512, random_light(rng)
    centre = rng.uniform(0.4, 0.6), rng.uniform(0.6, 0.75)
    body = blob(rng, size, centre, (rng.uniform(0.24, 0.34), rng.uniform(0.26, 0.36)), 0.2)
    head_centre = centre[0] + rng.uniform(-0.2, 0.2), centre[1] - rng.uniform(0.25, 0.34)
    head = blob(rng, size, head_centre, (0.15, 0.14), 0.15)
    ears = [
        blob(rng, size, (centre[0] + dx, centre[1] - rng.uniform(0.38, 0.5)), (0.05, 0.08), 0.1)
        for dx in rng.uniform(-0.25, 0.25, 2)
    ]
    body = union(body, head, *ears) if rng.random() < 0.75 else body
    palette, pattern = one_hue(palette), _pattern(rng, size)
    skin = 0.7 * roundness(body, light, 60 * k) + 0.1 * fractal(rng, size, 1.5)
    canvas = Canvas(size)
    canvas.over(np.clip(ramp(palette, pattern) * skin[..., None], 0, 1), np.clip(body.depth - 2 * k, 0, 1))
    shade = roundness(body, light, 70 * k) * (1 + 0.08 * fractal(rng, size, 2.5))
    length = rng.uniform(13, 42) * k
    waves = 0.55 * np.stack([fractal(rng, size, 3.5), fractal(rng, size, 3.5)], -1)
    comb = waves + rng.normal(0, 0.35, 2) + (0, 0.35)
    num = int(9000 * min(1.0, 22 * k / length) + 3000)
    for share, loose in ((0.93, 0.0), (0.07, 1.0)):
        rim = np.exp(-np.clip(body.depth, 0, None) / (25 * k)) * (1.2 if loose else 0.9)
        density = rim + (0.0 if loose else 0.35)
        roots = sample_points(rng, (body.depth > 0) * density, int(num * share))
        _coat(rng, canvas, body, roots, comb, pattern, shade, palette, length * (1 + 0.5 * loose), loose, k)
    return finish(rng, canvas)


def _pattern(rng: Generator, size: int) -> Array:
    """Return the position of the coat on the palette (H, W): plain, patches, stripes or spots."""
    base = fractal(rng, size, 2.6)
    kind = rng.choice(["plain", "patches", "stripes", "spots"])
    if kind == "plain":
        return 0.5 + 0.15 * base
    if kind == "patches":
        return squash(base, 4.0) * 0.8 + 0.1
    if kind == "stripes":
        y, x = np.indices((size, size)) / size
        waves = np.sin(2 * np.pi * rng.uniform(5, 11) * (x * rng.normal() * 0.4 + y) + 1.3 * base)
        return squash(waves, 2.0) * 0.8 + 0.1
    return squash(fractal(rng, size, 3.0, cutoff=6) + 0.3, 3.0) * 0.8 + 0.1


def _coat(
    rng: Generator,
    canvas: Canvas,
    body: Body,
    roots: Array,
    comb: Array,
    pattern: Array,
    shade: Array,
    palette: Array,
    length: float,
    loose: float,
    k: float,
) -> None:
    """Paint the strands of a coat, the outermost first: inner strands cover the roots of outer ones."""
    roots = roots[np.argsort(values_at(body.depth, roots) + rng.normal(0, 4 * k, len(roots)), kind="stable")]
    num, t = len(roots), np.linspace(0, 1, 7)
    near_edge = np.exp(-np.clip(values_at(body.depth, roots), 0, None) / (30 * k))[:, None]
    tufts = np.stack([fractal(rng, canvas.size, 2.0, cutoff=8), fractal(rng, canvas.size, 2.0, cutoff=8)], -1)
    tuft = values_at(tufts, roots)
    heading = values_at(body.outward, roots) * (0.4 + 0.7 * near_edge) + values_at(comb, roots) + 0.3 * tuft
    heading = heading + rng.normal(0, 0.16 + 0.3 * loose, (num, 2))
    heading /= np.maximum(np.hypot(*heading.T), 0.4)[:, None]
    bend = rng.normal(0, 0.25, (num, 1)) * np.array([[1.0, 0.0]]) + np.array([0, 0.3]) + 0.35 * tuft
    long = length * rng.uniform(0.6, 1.2, (num, 1)) * (1 + 0.35 * np.clip(tuft[:, :1], -1, 1.5))
    curve = t[:, None] * heading[:, None] + (t**2)[:, None] * 0.5 * bend[:, None]
    frizz = rng.normal(0, 1, (num, 7)).cumsum(1) * 0.18 * k
    points = roots[:, None] + long[..., None] * curve
    points = points + heading[:, None, ::-1] * (-1, 1) * frizz[..., None]
    width = rng.uniform(1.0, 2.2, (num, 1)) * k * (1 - 0.6 * loose) * np.clip(1.02 - t**1.8, 0.1, 1)
    tone = (
        values_at(pattern, roots)[:, None] + rng.normal(0, 0.1, (num, 1)) + rng.uniform(0.0, 0.25) * (t - 0.5)
    )
    light = values_at(shade, roots)[:, None] * (0.6 + 0.45 * t) * rng.normal(1, 0.13, (num, 1))
    canvas.strands(points, width, np.clip(ramp(palette, tone) * light[..., None], 0, 1))
