"""Objects with hard edges, in focus, defocused, or blurred by motion."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from deepmatte.data.procedural.bodies import Layer, blob, cloth, finish, roundness, swirl
from deepmatte.data.procedural.fields import Array, fractal, ramp, random_light, textured
from deepmatte.data.procedural.raster import Canvas


def defocus(rng: Generator, size: int, palette: Array) -> Layer:
    """A hard object out of focus: alpha and alpha x colour convolved with the disc of the aperture."""
    radius = rng.uniform(3, 11) * size / 512
    return _convolved(rng, _object(rng, size, palette), disc(radius))


def motion(rng: Generator, size: int, palette: Array) -> Layer:
    """A hard object that moved along a slightly curved path during the exposure."""
    length, angle = rng.uniform(12, 45) * size / 512, rng.uniform(0, np.pi)
    return _convolved(rng, _object(rng, size, palette), streak(length, angle, rng.normal(0, 0.15)))


def _convolved(rng: Generator, canvas: Canvas, kernel: Array) -> Layer:
    """Return the object convolved with the normalised point spread function ``kernel``."""
    colour, alpha = (
        np.asarray(cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float64)
        for plane in (canvas.premultiplied, canvas.alpha)
    )
    blurred = Canvas(canvas.size)
    blurred.premultiplied, blurred.alpha = colour, np.clip(alpha, 0, 1)
    return finish(rng, blurred, lens=0.4)


def disc(radius: float) -> Array:
    """Return a disc (K, K) of sum 1 with an anti-aliased rim.

    >>> round(float(disc(4.0).sum()), 12)
    1.0
    """
    half = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return kernel / kernel.sum()


def streak(length: float, angle: float, bend: float) -> Array:
    """Return the normalised trace (K, K) of a point moving ``length`` pixels.

    It starts at ``angle`` - ``bend`` / 2 and turns by ``bend``, both in radians.
    """
    s = np.linspace(-0.5, 0.5, 8 * int(length) + 9)
    heading = angle + bend * s
    path = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], -1), 0) * length / len(s)
    path -= (path[0] + path[-1]) / 2
    half = int(np.ceil(np.abs(path).max())) + 2
    kernel, low = np.zeros((2 * half + 1, 2 * half + 1)), np.floor(path).astype(int)
    part = path - low
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
        np.add.at(kernel, (low[:, 1] + dy + half, low[:, 0] + dx + half), weight)
    return kernel / kernel.sum()


def foliage(rng: Generator, size: int, palette: Array) -> Layer:
    """Twigs with leaves, in focus: hard edges, thin stems and gaps."""
    return finish(rng, twigs(rng, size, palette, int(rng.integers(3, 8))))


def _object(rng: Generator, size: int, palette: Array) -> Canvas:
    """Return twigs with leaves, or rounded solids."""
    kind = rng.choice(["twigs", "solid", "solid"])
    return twigs(rng, size, palette) if kind == "twigs" else _solid(rng, size, palette)


def _solid(rng: Generator, size: int, palette: Array) -> Canvas:
    """Return a few rounded, lit and textured objects that may overlap; some have a hole."""
    k, light, canvas = size / 512, random_light(rng), Canvas(size)
    for _ in range(rng.integers(1, 4)):
        centre = rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.8)
        body = blob(rng, size, centre, tuple(rng.uniform(0.14, 0.3, 2)), rng.uniform(0.1, 0.5))
        cover = body.coverage
        if rng.random() < 0.4:
            cover = cover * (1 - blob(rng, size, centre, tuple(rng.uniform(0.05, 0.1, 2)), 0.2).coverage)
        surface = (
            cloth(rng, size, palette)
            if rng.random() < 0.4
            else swirl(rng, textured(rng, size, palette), 6 * k)
        )
        canvas.over(
            np.clip(surface * roundness(body, light, rng.uniform(40, 120) * k)[..., None], 0, 1), cover
        )
    return canvas


def twigs(rng: Generator, size: int, palette: Array, num: int = 5) -> Canvas:
    """Return ``num`` branches with textured leaves, growing from the lower border."""
    k, canvas = size / 512, Canvas(size)
    veins = np.clip(textured(rng, size, palette) * (1 + 0.12 * fractal(rng, size, 2.2))[..., None], 0, 1)
    t = np.linspace(0, 1, 24)
    for _ in range(num):
        start = np.array([rng.uniform(0.1, 0.9), 1.02]) * size
        heading = -np.pi / 2 + rng.normal(0, 0.4) + np.cumsum(rng.normal(0, 0.07, 24))
        path = (
            start
            + np.cumsum(np.stack([np.cos(heading), np.sin(heading)], -1), 0) * rng.uniform(220, 430) * k / 24
        )
        bark = np.clip(ramp(palette, 0.3 + 0.3 * rng.random(24))[None] * 0.8, 0, 1)
        canvas.strands(path[None], (np.linspace(rng.uniform(3, 7), 1.0, 24) * k)[None], bark)
        for at in rng.integers(4, 24, rng.integers(14, 30)):
            turn = heading[at] + rng.choice([-1, 1]) * rng.uniform(0.3, 1.3)
            _leaf(rng, canvas, path[at], turn, rng.uniform(26, 70) * k * (1.1 - 0.5 * t[at]), veins, palette)
    return canvas


def _leaf(
    rng: Generator, canvas: Canvas, root: Array, angle: float, length: float, surface: Array, palette: Array
) -> None:
    """Paint a pointed leaf with a lighter and a darker half and a midrib."""
    s = np.linspace(0, 1, 14)
    bend = angle + rng.normal(0, 0.5) * (s - 0.3)
    rib = root + np.cumsum(np.stack([np.cos(bend), np.sin(bend)], -1), 0) * length / len(s)
    normal = np.stack([-np.sin(bend), np.cos(bend)], -1)
    half = (
        length
        * rng.uniform(0.12, 0.3)
        * np.sin(np.pi * s**0.8)[:, None]
        * (1 + 0.06 * np.sin(s * rng.uniform(20, 60)))[:, None]
    )
    tone = rng.uniform(0.6, 1.25)
    for side, shade in ((1, 1.1), (-1, 0.85)):
        edge = np.concatenate([rib, (rib + side * half * normal * rng.uniform(0.7, 1.1))[::-1]])
        canvas.polygon(edge, surface, gain=tone * shade)
    light = np.clip(np.broadcast_to(palette[-1] * tone, (1, len(s), 3)), 0, 1)
    canvas.strands(rib[None], np.linspace(1.6, 0.4, len(s))[None] * canvas.size / 512, light)
