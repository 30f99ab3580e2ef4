"""Shapes that strands grow on, and the finish that every foreground gets."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from deepmatte.data.procedural.fields import Array, blur, fractal, grain, ramp, spread, unit, warp
from deepmatte.data.procedural.raster import Canvas


class Layer(NamedTuple):
    """A foreground: ``colour`` (H, W, 3), defined everywhere, and ``alpha`` (H, W), both in [0, 1]."""

    colour: Array
    alpha: Array


class Body(NamedTuple):
    """An opaque shape: ``depth`` (H, W) = signed distance in pixels to its edge, > 0 inside; ``outward`` (H, W, 2) = unit (x, y)."""

    depth: Array
    outward: Array

    @property
    def coverage(self) -> Array:
        """Alpha (H, W) of the shape with an edge one pixel wide."""
        return np.clip(self.depth + 0.5, 0, 1)


def blob(
    rng: Generator, size: int, centre: tuple[float, float], radii: tuple[float, float], wobble: float = 0.15
) -> Body:
    """Return an ellipse with an irregular outline; ``centre`` and ``radii`` are (x, y) as fractions of ``size``."""
    half = size // 2  # the field is smooth: it is drawn at half the size
    y, x = (np.indices((half, half)) + 0.5) / half
    dx, dy = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
    angle = np.arctan2(dy, dx)
    radius = np.ones_like(angle)
    for k in range(2, 7):
        radius += wobble / k * rng.normal() * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    return from_implicit(cv2.resize(radius - np.hypot(dx, dy), (size, size), interpolation=cv2.INTER_CUBIC))


def union(*bodies: Body) -> Body:
    """Return the union of bodies."""
    return from_implicit(np.max([b.depth for b in bodies], 0))


def from_implicit(field: Array) -> Body:
    """Return the body where ``field`` > 0; its depth is the field over its slope at the edge, the distance transform farther away."""
    inside = (field > 0).astype(np.uint8)
    signed = cv2.distanceTransform(inside, cv2.DIST_L2, 5).astype(np.float64) - cv2.distanceTransform(
        1 - inside, cv2.DIST_L2, 5
    )
    gy, gx = np.gradient(field)
    near = np.clip(field / np.maximum(np.hypot(gx, gy), 1e-9), -3, 3)
    depth = np.where(np.abs(signed) < 2.5, near, signed)
    gy, gx = np.gradient(blur(depth, 4))
    length = np.maximum(np.hypot(gx, gy), 1e-9)
    return Body(depth, np.stack([-gx / length, -gy / length], -1))


def roundness(body: Body, light: Array, thickness: float) -> Array:
    """Return the shading (H, W), about 1, of the body puffed up to ``thickness`` pixels and lit from ``light`` (x, y, z)."""
    lean = np.clip(1 - body.depth / thickness, 0, 1) ** 1.5
    normal = np.stack([body.outward[..., 0] * lean, body.outward[..., 1] * lean], -1)
    upright = np.sqrt(np.maximum(1 - (normal**2).sum(-1), 0.05))
    return 0.45 + 0.75 * np.maximum(
        normal[..., 0] * light[0] + normal[..., 1] * light[1] + upright * light[2], 0
    )


def sample(rng: Generator, weight: Array, num: int) -> Array:
    """Return ``num`` points (num, 2) = (x, y), drawn with a density proportional to ``weight`` (H, W)."""
    cells = np.searchsorted(np.cumsum(weight.ravel()), rng.random(num) * weight.sum())
    rows, columns = np.divmod(np.minimum(cells, weight.size - 1), weight.shape[1])
    return np.stack([columns, rows], -1) + rng.random((num, 2))


def at(field: Array, points: Array) -> Array:
    """Return the values (N, ...) of ``field`` (H, W, ...) in the pixels of ``points`` (N, 2)."""
    size = field.shape[0]
    x, y = np.clip(points.astype(int), 0, size - 1).T
    return field[y, x]


def finish(rng: Generator, canvas: Canvas, lens: float | None = None, noise: float | None = None) -> Layer:
    """Return the canvas as a camera sees it: blurred a little by the lens, with colours everywhere and sensor noise.

    The blur acts on alpha and on alpha x colour alike, so that the matting equation stays exact.
    """
    lens = rng.uniform(0.35, 0.75) if lens is None else lens
    alpha = np.clip(blur(canvas.alpha, lens), 0, 1)
    alpha[alpha < 0.5 / 255] = 0
    alpha[alpha > 1 - 0.5 / 255] = 1
    colour = np.clip(spread(blur(canvas.premultiplied, lens), blur(canvas.alpha, lens)), 0, 1)
    return Layer(grain(rng, colour, rng.uniform(0.004, 0.015) if noise is None else noise), alpha)


def cloth(rng: Generator, size: int, palette: Array) -> Array:
    """Return a woven material (H, W, 3) with soft folds, for shoulders and the like."""
    k = size / 512
    y, x = np.indices((size, size), dtype=np.float64)
    thread = 0.05 * (np.sin(x * 2.2 / k) + np.sin(y * 2.1 / k))
    folds = 0.22 * fractal(rng, size, 3.2, stretch=(0.6, 1.6)) + 0.06 * fractal(rng, size, 1.0, cutoff=30)
    stripes = rng.choice([0.0, 0.12]) * np.sign(np.sin((x * rng.normal() + y * rng.normal()) * 0.15 / k))
    return np.clip(palette[rng.integers(len(palette))] * (1 + thread + folds + stripes)[..., None], 0, 1)


def post(rng: Generator, canvas: Canvas, start: Array, end: Array, width: float, palette: Array) -> None:
    """Paint an opaque round bar ``width`` pixels thick from ``start`` to ``end`` (x, y): what a cloth hangs on or smoke rises from."""
    size = canvas.size
    along = (end - start) / np.hypot(*(end - start))
    y, x = np.indices((size, size)) + 0.5
    length = (x - start[0]) * along[0] + (y - start[1]) * along[1]
    across = (y - start[1]) * along[0] - (x - start[0]) * along[1]
    inside = np.clip(
        np.minimum(width / 2 - np.abs(across), np.minimum(length, np.hypot(*(end - start)) - length)) + 0.5,
        0,
        1,
    )
    stretch = (1.0, 6.0) if abs(along[0]) > abs(along[1]) else (6.0, 1.0)
    bend = np.sqrt(np.maximum(1 - np.minimum(np.abs(2 * across / width), 1) ** 2, 0))
    shade = 0.35 + 0.75 * bend - rng.uniform(-0.3, 0.3) * across / width
    surface = ramp(palette, unit(0.6 * fractal(rng, size, 2.0, stretch=stretch)))
    canvas.over(np.clip(surface * shade[..., None], 0, 1), inside)


def beam(rng: Generator, canvas: Canvas, palette: Array) -> None:
    """Paint, in three pictures of four, the beam across the top that a cloth or a net hangs on."""
    y, drop = rng.uniform(0.05, 0.16, 2) * canvas.size
    if rng.random() < 0.75:
        width = rng.uniform(26, 46) * canvas.size / 512
        ends = np.array([[-9.0, y], [canvas.size + 9.0, 0.5 * (y + drop)]])
        post(rng, canvas, *ends, width, palette)


def swirl(rng: Generator, image: Array, amount: float) -> Array:
    """Return ``image`` bent by a smooth random displacement of about ``amount`` pixels."""
    size = image.shape[0]
    return warp(image, amount * fractal(rng, size, 3.5), amount * fractal(rng, size, 3.5))
