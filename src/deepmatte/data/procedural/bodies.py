"""Shapes that strands grow on, materials, and the camera effects applied to every foreground."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from deepmatte.data.procedural.fields import Array, blur, extend_colours, fractal, grain, ramp, squash, warp
from deepmatte.data.procedural.raster import Canvas


class Layer(NamedTuple):
    """A foreground: ``colour`` (H, W, 3), defined everywhere, and ``alpha`` (H, W), both in [0, 1]."""

    colour: Array
    alpha: Array


class Body(NamedTuple):
    """An opaque shape.

    ``depth`` (H, W) is the signed distance to its edge in pixels, > 0 inside; ``outward`` (H, W, 2) the unit
    vector (x, y) that points outwards.
    """

    depth: Array
    outward: Array

    @property
    def coverage(self) -> Array:
        """Alpha (H, W) of the shape with an edge one pixel wide."""
        return np.clip(self.depth + 0.5, 0, 1)


def blob(
    rng: Generator, size: int, centre: tuple[float, float], radii: tuple[float, float], wobble: float = 0.15
) -> Body:
    """Return an ellipse with an irregular outline.

    ``centre`` and ``radii`` are (x, y) as fractions of ``size``; ``wobble`` is the amplitude of the
    irregularity.
    """
    half = size // 2  # the field is smooth enough to be computed at half the size
    y, x = (np.indices((half, half)) + 0.5) / half
    dx, dy = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
    angle = np.arctan2(dy, dx)
    radius = np.ones_like(angle)
    for k in range(2, 7):
        radius += wobble / k * rng.normal() * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    field = cv2.resize(radius - np.hypot(dx, dy), (size, size), interpolation=cv2.INTER_CUBIC)
    return from_implicit(np.asarray(field, np.float64))


def union(*bodies: Body) -> Body:
    """Return the union of bodies."""
    return from_implicit(np.max([b.depth for b in bodies], 0))


def from_implicit(field: Array) -> Body:
    """Return the body where ``field`` > 0.

    Its depth is the field divided by its slope near the edge, and the distance transform farther away.
    """
    inside = (field > 0).astype(np.uint8)
    outer = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    signed = cv2.distanceTransform(inside, cv2.DIST_L2, 5).astype(np.float64) - outer
    gy, gx = np.gradient(field)
    near = np.clip(field / np.maximum(np.hypot(gx, gy), 1e-9), -3, 3)
    depth = np.where(np.abs(signed) < 2.5, near, signed)
    gy, gx = np.gradient(blur(depth, 4))
    length = np.maximum(np.hypot(gx, gy), 1e-9)
    return Body(depth, np.stack([-gx / length, -gy / length], -1))


def roundness(body: Body, light: Array, thickness: float) -> Array:
    """Return the shading (H, W), about 1, of the body inflated to ``thickness`` pixels."""
    lean = np.clip(1 - body.depth / thickness, 0, 1) ** 1.5
    normal = np.stack([body.outward[..., 0] * lean, body.outward[..., 1] * lean], -1)
    upright = np.sqrt(np.maximum(1 - (normal**2).sum(-1), 0.05))
    lambert = normal[..., 0] * light[0] + normal[..., 1] * light[1] + upright * light[2]
    return 0.45 + 0.75 * np.maximum(lambert, 0)


def sample_points(rng: Generator, weight: Array, num: int) -> Array:
    """Return ``num`` random points (num, 2) = (x, y) with density proportional to ``weight`` (H, W)."""
    cells = np.searchsorted(np.cumsum(weight.ravel()), rng.random(num) * weight.sum())
    rows, columns = np.divmod(np.minimum(cells, weight.size - 1), weight.shape[1])
    return np.stack([columns, rows], -1) + rng.random((num, 2))


def values_at(field: Array, points: Array) -> Array:
    """Return the values (N, ...) of ``field`` (H, W, ...) at the pixels of ``points`` (N, 2)."""
    size = field.shape[0]
    x, y = np.clip(points.astype(int), 0, size - 1).T
    return field[y, x]


def finish(rng: Generator, canvas: Canvas, lens: float | None = None, noise: float | None = None) -> Layer:
    """Return the canvas with lens blur, sensor noise, and colours everywhere.

    The blur is applied to both alpha and alpha x colour, so the matting equation stays exact.
    """
    lens = rng.uniform(0.35, 0.75) if lens is None else lens
    alpha = np.clip(blur(canvas.alpha, lens), 0, 1)
    alpha[alpha < 0.5 / 255] = 0
    alpha[alpha > 1 - 0.5 / 255] = 1
    colour = np.clip(extend_colours(blur(canvas.premultiplied, lens), blur(canvas.alpha, lens)), 0, 1)
    return Layer(grain(rng, colour, rng.uniform(0.004, 0.015) if noise is None else noise), alpha)


def cloth(rng: Generator, size: int, palette: Array) -> Array:
    """Return a woven material (H, W, 3) with soft folds, such as clothes."""
    k = size / 512
    y, x = np.indices((size, size), dtype=np.float64)
    thread = 0.05 * (np.sin(x * 2.2 / k) + np.sin(y * 2.1 / k))
    folds = 0.22 * fractal(rng, size, 3.2, stretch=(0.6, 1.6)) + 0.06 * fractal(rng, size, 1.0, cutoff=30)
    stripes = rng.choice([0.0, 0.12]) * np.sign(np.sin((x * rng.normal() + y * rng.normal()) * 0.15 / k))
    return np.clip(palette[rng.integers(len(palette))] * (1 + thread + folds + stripes)[..., None], 0, 1)


def bar(rng: Generator, canvas: Canvas, start: Array, end: Array, width: float, palette: Array) -> None:
    """Paint an opaque round bar, ``width`` pixels thick, from ``start`` to ``end`` (x, y)."""
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
    surface = ramp(palette, squash(0.6 * fractal(rng, size, 2.0, stretch=stretch)))
    canvas.over(np.clip(surface * shade[..., None], 0, 1), inside)


def beam(rng: Generator, canvas: Canvas, palette: Array) -> None:
    """Paint, with probability 3/4, a beam across the top from which a cloth or a net hangs."""
    y, drop = rng.uniform(0.05, 0.16, 2) * canvas.size
    if rng.random() < 0.75:
        width = rng.uniform(26, 46) * canvas.size / 512
        ends = np.array([[-9.0, y], [canvas.size + 9.0, 0.5 * (y + drop)]])
        bar(rng, canvas, ends[0], ends[1], width, palette)


def swirl(rng: Generator, image: Array, amount: float) -> Array:
    """Return ``image`` bent by a smooth random displacement of about ``amount`` pixels."""
    size = image.shape[0]
    return warp(image, amount * fractal(rng, size, 3.5), amount * fractal(rng, size, 3.5))
