"""Heads of hair: thousands of tapering strands that follow shared guides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from deepmatte.data.procedural.bodies import (
    Body,
    Layer,
    blob,
    cloth,
    finish,
    roundness,
    sample_points,
    values_at,
)
from deepmatte.data.procedural.fields import NATURAL, Array, fractal, one_hue, ramp, random_light
from deepmatte.data.procedural.raster import Canvas

STEPS = 22
"""Points along a strand."""


def hair(rng: Generator, size: int, palette: Array) -> Layer:
    """A head of straight to frizzy, falling or windblown hair over shoulders.

    Flyaway strands are as thin as a third of a pixel.
    """
    k, light = size / 512, random_light(rng)
    centre = (rng.uniform(0.38, 0.62), rng.uniform(0.42, 0.56))
    skull = blob(rng, size, centre, (rng.uniform(0.15, 0.21), rng.uniform(0.19, 0.25)), 0.05)
    middle = (centre[0] + rng.normal() * 0.03, 1.12)
    chest = blob(rng, size, middle, (rng.uniform(0.34, 0.48), rng.uniform(0.3, 0.42)), 0.1)
    neck = blob(rng, size, (centre[0], centre[1] + 0.25), (0.09, 0.25), 0.05)
    canvas = Canvas(size)
    shade = roundness(chest, light, 60 * k)[..., None]
    skin = NATURAL[22] * rng.uniform(0.4, 1.1) * roundness(neck, light, 40 * k)[..., None]
    canvas.over(np.clip(skin, 0, 1), neck.coverage)
    canvas.over(np.clip(cloth(rng, size, palette[::-1]) * shade, 0, 1), chest.coverage)
    tones = one_hue(palette) if rng.random() < 0.5 else _natural_tones(rng)
    canvas.over(np.broadcast_to(tones[0] * 0.6, (size, size, 3)), np.clip(skull.depth - 6 * k, 0, 1))
    style = Style.draw(rng, k)
    for share, loose in ((0.74, 0.0), (0.18, 0.45), (0.08, 0.9)):
        _strands(rng, canvas, skull, style, tones, light, max(int(style.num * share), 8), loose, k)
    return finish(rng, canvas)


def _natural_tones(rng: Generator) -> Array:
    """Return five tones (5, 3) of one natural hair colour, from dark to light."""
    return np.clip(np.linspace(0.4, 1.5, 5)[:, None] * NATURAL[rng.integers(0, 10)], 0, 1)


@dataclass(frozen=True)
class Style:
    """How hair grows: ``num`` strands with ``turns`` curls each, ``length`` and ``curl`` in pixels.

    ``fall`` is the pull towards the ground, ``wind`` (2,) = (x, y), ``clumping`` in [0, 1].
    """

    num: int
    length: float
    curl: float
    turns: float
    fall: float
    wind: Array
    clumping: float

    @classmethod
    def draw(cls, rng: Generator, k: float) -> Style:
        """Return a random straight, wavy, frizzy or windblown style for images of 512 k pixels."""
        kind = rng.choice(["straight", "wavy", "frizzy", "blown"])
        wind, u = rng.normal(0, 0.15, 2), rng.uniform
        if kind == "straight":
            return cls(2600, u(110, 230) * k, u(0, 3) * k, 1.0, u(0.9, 1.6), wind, 0.6)
        if kind == "wavy":
            return cls(2400, u(100, 220) * k, u(5, 11) * k, u(1.5, 3), u(0.7, 1.3), wind, 0.8)
        if kind == "frizzy":
            return cls(3000, u(50, 100) * k, u(4, 8) * k, u(2, 4), u(0, 0.3), wind, 0.45)
        wind = rng.choice([-1.0, 1.0]) * np.array([u(0.8, 1.4), u(-0.4, 0.1)])
        return cls(2400, u(110, 220) * k, u(3, 9) * k, u(1, 2), u(0.2, 0.5), wind, 0.7)


def _strands(
    rng: Generator,
    canvas: Canvas,
    skull: Body,
    style: Style,
    tones: Array,
    light: Array,
    num: int,
    loose: float,
    k: float,
) -> None:
    """Paint ``num`` strands along shared guides; the larger ``loose`` (0 to 1), the farther they stray."""
    num_guides, t = max(int(160 * (1 - loose)), 24), np.linspace(0, 1, STEPS)
    path = _guides(rng, canvas.size, skull, style, num_guides, loose)
    if not loose:  # dark wide strands fill the gaps between the fine ones
        depth = rng.uniform(0.35, 0.6, num_guides)[:, None, None]
        canvas.strands(
            _shorten(path, np.full((num_guides, 1), 0.7)),
            11 * k * (1.02 - t) * np.ones((num_guides, 1)),
            np.clip(tones[1] * depth * np.ones((1, STEPS, 1)), 0, 1),
        )
    clump = np.sort(rng.integers(0, num_guides, num))
    tangent = _tangents(path)
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)[clump]
    within = rng.normal(0, 1, (num, 1)) * (7 + 12 * loose) * k * (1 - style.clumping * t * (1 - loose))
    spread = within + rng.normal(0, 1, (num, 1)) * t * k * (3 + 26 * loose)
    phase = 2 * np.pi * (rng.random(num_guides)[clump] + rng.normal(0, 0.08 + 0.2 * loose, num))[:, None]
    turns = style.turns * rng.normal(1, 0.1 + 0.2 * loose, (num, 1))
    curl = style.curl * np.sqrt(t) * np.sin(2 * np.pi * turns * t + phase) * rng.uniform(0.6, 1.3, (num, 1))
    frizz = ndimage.gaussian_filter1d(rng.normal(0, 1, (num, STEPS)).cumsum(1), 1.5, axis=1)
    frizz = frizz * (0.3 + 0.9 * loose) * k
    reach = rng.uniform(0.55, 1.0, (num, 1)) ** (0.5 + loose)
    points = _shorten(path[clump] + normal * (spread + curl + frizz)[..., None], reach)
    width = rng.uniform(0.9, 1.7, (num, 1)) * k * (1 - 0.55 * loose) * np.clip(1.05 - t**2.5, 0.12, 1)
    canvas.strands(points, width, _colours(rng, points, clump, num_guides, tones, light))


def _guides(rng: Generator, size: int, skull: Body, style: Style, num: int, loose: float) -> Array:
    """Return ``num`` smooth paths (num, STEPS, 2) that grow from the skull, back to front."""
    roots = sample_points(rng, np.clip(skull.depth, 0, None) ** 0.15 * (skull.depth > 0), num)
    centre = np.array([np.average(np.arange(size), weights=(skull.depth > 0).sum(a)) for a in (0, 1)])
    out = (roots - centre) / (np.hypot(*(roots - centre).T).max() + 1e-9)
    order = np.argsort(-(out**2).sum(1) + rng.normal(0, 0.1, num), kind="stable")
    points, out = roots[order], out[order]
    flow = np.stack([fractal(rng, size, 4.0), fractal(rng, size, 4.0)], -1)
    path = [points]
    heading = out + np.array([0, -0.35]) + rng.normal(0, 0.2 + 0.3 * loose, out.shape)
    length = style.length * rng.uniform(0.6, 1.15, (num, 1))
    for step in np.linspace(0, 1, STEPS)[1:]:
        push = (
            heading * (1 - 0.75 * step)
            + style.wind * step
            + np.array([0, 1.0]) * style.fall * step
            + 0.35 * values_at(flow, points)
        )
        points = points + push / np.maximum(np.hypot(*push.T), 0.3)[:, None] * length / (STEPS - 1)
        path.append(points)
    return ndimage.gaussian_filter1d(np.stack(path, 1), 1.8, axis=1, mode="nearest")


def _tangents(points: Array) -> Array:
    """Return the unit tangents (N, T, 2) of the strands ``points`` (N, T, 2)."""
    tangent = np.gradient(points, axis=1)
    return tangent / (np.hypot(tangent[..., 0], tangent[..., 1])[..., None] + 1e-9)


def _shorten(points: Array, reach: Array) -> Array:
    """Return the strands (N, T, 2) cut to the fractions ``reach`` (N, 1) of their length."""
    where = np.linspace(0, points.shape[1] - 1.001, points.shape[1]) * reach
    low = where.astype(int)
    part = (where - low)[..., None]
    rows = np.arange(len(points))[:, None]
    return points[rows, low] * (1 - part) + points[rows, low + 1] * part


def _colours(
    rng: Generator, points: Array, clump: NDArray[np.int64], num_clumps: int, tones: Array, light: Array
) -> Array:
    """Return colours (N, T, 3) with tones by clump and strand, dark roots, and sheen across the light."""
    num, t = len(points), np.linspace(0, 1, STEPS)
    tone = (
        rng.normal(0.5, 0.16, num_clumps)[clump][:, None] + rng.normal(0, 0.12, (num, 1)) + 0.12 * (t - 0.4)
    )
    colour = ramp(tones, tone)
    across = 1 - (_tangents(points) @ light[:2]) ** 2
    band = np.exp(-(((t - rng.uniform(0.25, 0.5) - 0.05 * rng.normal(size=(num, 1))) / 0.14) ** 2))
    depth = rng.uniform(0.55, 1.05, num_clumps)[clump][:, None]
    shade = depth * (0.5 + 0.55 * across) * (0.75 + 0.35 * np.minimum(t * 3, 1))
    sheen = 0.28 * band * across**3 * rng.uniform(0, 1, (num, 1)) * depth
    return np.clip(colour * shade[..., None] + sheen[..., None], 0, 1)
