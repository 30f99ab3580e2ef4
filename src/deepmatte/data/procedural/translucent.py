"""Glass, veils and smoke: partial alpha over large areas.

Glass does not refract, as the matting equation has no refraction. It shows what the equation can express:
absorption, stronger towards the outline of a thin wall (Beer-Lambert along the chord), and reflections of
windows and lamps.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from deepmatte.data.procedural.bodies import Layer, bar, beam, finish
from deepmatte.data.procedural.fields import Array, blur, fractal, ramp, random_light, squash, warp
from deepmatte.data.procedural.raster import Canvas


def glass(rng: Generator, size: int, palette: Array) -> Layer:
    """One or two vessels (tumbler, wine glass, bottle, bulb) with reflections, some with a liquid."""
    canvas = Canvas(size)
    num = rng.choice([1, 1, 2])
    for n in range(num):
        middle = 0.5 if num == 1 else (0.3, 0.68)[n]
        _vessel(rng, canvas, (middle + rng.uniform(-0.07, 0.07)) * size, palette)
    return finish(rng, canvas)


PROFILES = {
    "tumbler": ([0.0, 0.1, 0.9, 1.0], [0.30, 0.295, 0.24, 0.235]),
    "wine": (
        [0.0, 0.1, 0.25, 0.4, 0.5, 0.53, 0.6, 0.88, 0.93, 0.96, 1.0],
        [0.17, 0.19, 0.21, 0.2, 0.12, 0.03, 0.016, 0.016, 0.04, 0.13, 0.15],
    ),
    "bottle": (
        [0.0, 0.06, 0.07, 0.25, 0.38, 0.45, 0.95, 1.0],
        [0.05, 0.05, 0.04, 0.045, 0.12, 0.14, 0.14, 0.12],
    ),
    "bulb": ([0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0], [0.02, 0.1, 0.2, 0.24, 0.22, 0.14, 0.06, 0.05]),
}
"""Profiles (heights from the top, radii), both as fractions of the height of the vessel."""


def _vessel(rng: Generator, canvas: Canvas, centre: float, palette: Array) -> None:
    """Paint one vessel with its axis at x = ``centre`` pixels."""
    size = canvas.size
    kind = rng.choice(list(PROFILES))
    height, top = rng.uniform(0.62, 0.85) * size, rng.uniform(0.06, 0.14) * size
    y, x = np.indices((size, size)) + 0.5
    v = (y[:, 0] - top) / height
    radius = np.interp(v, *PROFILES[kind]) * height * rng.uniform(0.85, 1.1)
    radius = blur(np.repeat(radius[:, None], 3, 1), 0.012 * size)[:, 1]
    inside = np.clip(np.minimum(v * height, (1 - v) * height) + 0.5, 0, 1)[:, None]
    slope = np.hypot(1, np.gradient(radius))[:, None]
    cover = np.clip((radius[:, None] - np.abs(x - centre)) / slope + 0.5, 0, 1) * inside
    u = np.clip((x - centre) / np.maximum(radius[:, None], 1), -1, 1)
    if rng.random() < 0.5:
        tint = np.clip(palette[rng.integers(len(palette))] * rng.uniform(0.8, 1.3), 0, 1)
    else:
        tint = np.full(3, rng.uniform(0.35, 0.8))
    wall = rng.uniform(0.05, 0.2) if rng.random() < 0.7 else rng.uniform(0.3, 0.5)
    chord = 1 / np.sqrt(np.maximum(1 - (0.985 * u) ** 2, 1e-3))
    _liquid(rng, canvas, u, v, cover, palette)
    absorbed = 1 - (1 - wall) ** chord
    streaks = 0.04 * fractal(rng, size, 2.5, stretch=(4.0, 1.0)) * (1 - u**2)
    side = 0.85 + 0.35 * u * rng.choice([-1, 1])
    colour = tint * (side + 2 * streaks)[..., None] * (1 - 0.45 * u[..., None] ** 8)
    canvas.over(np.clip(colour, 0, 1), np.clip(absorbed + streaks, 0, 0.93) * cover)
    _reflections(rng, canvas, u, v, cover)
    _rims(rng, canvas, centre, top, height, radius, tint)


def _liquid(rng: Generator, canvas: Canvas, u: Array, v: Array, cover: Array, palette: Array) -> None:
    """Fill the lower part of every second vessel with a coloured liquid whose surface is an ellipse."""
    if rng.random() < 0.5:
        return
    level = rng.uniform(0.25, 0.6)
    edge = level + 0.018 * np.sqrt(np.maximum(1 - u**2, 0))
    below = np.clip((v[:, None] - edge) * canvas.size * 0.7 + 0.5, 0, 1)
    filled = below * np.clip((0.94 - v[:, None]) * canvas.size * 0.7, 0, 1)
    colour = palette[rng.integers(len(palette))]
    depth = np.sqrt(np.maximum(1 - (0.96 * u) ** 2, 0.02))
    alpha = 1 - (1 - rng.uniform(0.35, 0.8)) ** depth if rng.random() < 0.5 else np.ones_like(depth)
    canvas.over(
        np.clip(colour * (0.7 + 0.5 * depth[..., None]), 0, 1), alpha * filled * cover * (np.abs(u) < 0.97)
    )
    ring = np.exp(-((((v[:, None] - edge) * canvas.size) / 1.6) ** 2)) * cover
    canvas.over(np.clip(colour * 0.5 + 0.4, 0, 1), 0.6 * ring)


def _reflections(rng: Generator, canvas: Canvas, u: Array, v: Array, cover: Array) -> None:
    """Paint reflected windows and lamps: bright bands along the axis with soft ends, some with a crossbar."""
    for _ in range(rng.integers(2, 5)):
        at, wide, long = rng.uniform(-0.85, 0.85), rng.uniform(0.02, 0.12), rng.uniform(0.1, 0.35)
        middle, soft = rng.uniform(0.1, 0.8), rng.uniform(0.006, 0.03)
        bent = np.arcsin(0.999 * u) / (np.pi / 2)
        band = 0.5 * (np.tanh((wide - np.abs(bent - at)) / soft) + 1)
        span = 0.5 * (np.tanh((long - np.abs(v - middle)) / 0.02) + 1)[:, None]
        if rng.random() < 0.4:
            span = span * np.clip(np.abs(v - middle) / 0.012, 0, 1)[:, None] ** 2
        colour = np.clip(np.array([1.0, 0.99, 0.96]) * rng.uniform(0.85, 1.05), 0, 1)
        canvas.over(colour, rng.uniform(0.15, 0.85) * band * span * cover)


def _rims(
    rng: Generator, canvas: Canvas, centre: float, top: float, height: float, radius: Array, tint: Array
) -> None:
    """Paint the mouth and the foot: ellipses, brighter at the front."""
    phase = np.linspace(0, 2 * np.pi, 90)
    k = canvas.size / 512
    for y in (top + 2 * k, top + height - 4 * k):
        r = radius[int(np.clip(y + 3, 0, canvas.size - 1))]
        ring = np.stack([centre + r * np.cos(phase), y + rng.uniform(0.05, 0.1) * r * np.sin(phase)], -1)
        colour = np.clip(
            tint * 0.6 + 0.5 * (0.5 + 0.5 * np.sin(3 * phase + rng.uniform(0, 6)))[:, None] ** 2, 0, 1
        )
        canvas.strands(ring[None], np.full((1, 90), rng.uniform(1.5, 3.5) * k), colour[None], opacity=0.75)


def veil(rng: Generator, size: int, palette: Array) -> Layer:
    """One to three sheets of sheer, folded cloth with weave and hem, denser where it leans away."""
    k, canvas, light = size / 512, Canvas(size), random_light(rng)
    y, x = np.indices((size, size), dtype=np.float64)
    for _ in range(rng.integers(1, 4)):
        angle = rng.uniform(-0.6, 0.6)
        across = np.cos(angle) * (x - size / 2) + np.sin(angle) * (y - size / 2)
        bent = across + 22 * k * fractal(rng, size, 4.0) + 0.15 * rng.normal() * (y - size / 2)
        folds = _folds(rng, bent / (rng.uniform(26, 60) * k))
        folds = folds + 0.35 * fractal(rng, size, 3.5, stretch=(3.0, 1.0))
        height = folds * rng.uniform(9, 18) * k
        gy, gx = np.gradient(height)
        lean = np.sqrt(1 + gx**2 + gy**2)
        thread = 0.5 + 0.25 * np.sin(2 * np.pi * bent / (3.1 * k)) + 0.25 * np.sin(2 * np.pi * y / (3.3 * k))
        density = -np.log(1 - rng.uniform(0.16, 0.5)) * (0.8 + 0.4 * thread)
        alpha = 1 - np.exp(-density * lean)
        shade = np.clip(0.6 + 0.5 * (-gx * light[0] - gy * light[1] + light[2]) / lean, 0, 1.5)
        border, hem = _drape(rng, size, across, k)
        colour = palette[rng.integers(2, len(palette))] * shade[..., None] + 0.1 * (lean[..., None] - 1)
        canvas.over(np.clip(colour, 0, 1), np.clip(alpha + 0.35 * hem, 0, 0.97) * border)
    beam(rng, canvas, palette)
    return finish(rng, canvas)


def _folds(rng: Generator, phase: Array) -> Array:
    """Return pleats over ``phase``: sums of waves with sharp crests."""
    wave = (
        np.sin(phase + rng.uniform(0, 6))
        + 0.5 * np.sin(1.7 * phase + rng.uniform(0, 6))
        + 0.25 * np.sin(3.9 * phase)
    )
    return wave + 0.3 * np.abs(np.sin(0.8 * phase + rng.uniform(0, 6)))


def _drape(rng: Generator, size: int, across: Array, k: float) -> tuple[Array, Array]:
    """Return the coverage (H, W) of a sheet with a wavy lower edge, and of its hem, both in [0, 1]."""
    y = np.indices((size, size), dtype=np.float64)[0]
    wavy = 10 * k * np.sin(across / (17 * k)) + 14 * k * fractal(rng, size, 4.0)
    sides = rng.uniform(0.16, 0.34) * size - np.abs(across + rng.normal() * 30 * k + 0.6 * wavy)
    edge = np.minimum(rng.uniform(0.7, 0.97) * size - y + wavy, sides)
    return np.clip(edge + 0.5, 0, 1), np.exp(-((np.clip(edge - 3 * k, -9, None) / (2.5 * k)) ** 2))


def smoke(rng: Generator, size: int, palette: Array) -> Layer:
    """Rising smoke or steam: turbulence stretched along a plume, transparent almost everywhere."""
    y, x = (np.indices((size, size)) + 0.5) / size
    path = (
        rng.uniform(0.35, 0.65)
        + 0.12 * np.sin(y * rng.uniform(2, 6) + rng.uniform(0, 6))
        + rng.normal() * 0.15 * (1 - y)
    )
    wide = rng.uniform(0.05, 0.1) + rng.uniform(0.1, 0.3) * (1 - y) ** rng.uniform(0.7, 1.5)
    plume = np.exp(-(((x - path) / wide) ** 2)) * np.clip((y - 0.02) * 4, 0, 1)
    swirl = 0.05 * size
    billow = fractal(rng, size, 2.9, stretch=(1.4, 1.0))
    billow = warp(billow, swirl * fractal(rng, size, 3.6), swirl * fractal(rng, size, 3.6))
    wisps = 1 - np.abs(
        np.tanh(1.4 * warp(fractal(rng, size, 3.0), swirl * billow, swirl * fractal(rng, size, 3.4)))
    )
    density = np.clip(plume * (0.9 + 0.75 * billow + 0.9 * (wisps - 0.5)) - 0.12, 0, None) * rng.uniform(
        1.0, 2.6
    )
    alpha = 1 - np.exp(-density)
    tone = rng.uniform(0.55, 0.95) * np.ones(3) * (1 + 0.15 * (ramp(palette, np.array(0.7)) - 0.5))
    shade = 0.8 + 0.3 * squash(billow - 0.8 * np.roll(billow, 9, 1), 1.5) - 0.15 * density
    canvas = Canvas(size)
    canvas.over(np.clip(tone * shade[..., None], 0, 1), np.clip(alpha, 0, 1))
    foot, width = np.array([path[-1, 0] * size, size + 9.0]), rng.uniform(36, 80) * size / 512
    bar(rng, canvas, foot - (0.02 * size, rng.uniform(0.15, 0.3) * size), foot, width, palette)
    return finish(rng, canvas, lens=0.5)
