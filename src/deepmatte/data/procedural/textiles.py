"""Nets and lace: threads with holes finer than any trimap."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from deepmatte.data.procedural.bodies import Layer, beam, blob, finish
from deepmatte.data.procedural.fields import Array, fractal, one_hue, ramp, random_light, relief
from deepmatte.data.procedural.raster import Canvas


def net(rng: Generator, size: int, palette: Array) -> Layer:
    """A sagging, knotted net of twisted cord with diamond or square meshes and a border rope."""
    k, canvas, palette = size / 512, Canvas(size), one_hue(palette)
    spacing, width = rng.uniform(13, 34) * k, rng.uniform(1.0, 2.6) * k
    tilt = np.pi / 4 if rng.random() < 0.6 else rng.uniform(-0.2, 0.2)
    sag = np.stack([fractal(rng, size, 4.2), fractal(rng, size, 4.2)], -1) * rng.uniform(12, 34) * k
    t = np.linspace(-0.75, 0.75, 130) * size
    lines = np.arange(-0.75 * size, 0.75 * size, spacing)
    light = 1 + 0.25 * fractal(rng, size, 3.0)
    for angle in (tilt, tilt + np.pi / 2):
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        flat = size / 2 + t[None, :, None] * along + lines[:, None, None] * across
        _cord(rng, canvas, _sagged(flat, sag), width, palette, light)
    rotation = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    knots = size / 2 + np.stack(np.meshgrid(lines, lines), -1).reshape(-1, 2) @ rotation
    bead = np.linspace(-0.9, 0.9, 5)[None, :, None] * width * np.array([1.0, 0.3])
    thickness = width * 2.0 * np.sqrt(1.02 - np.linspace(-1, 1, 5) ** 2)
    _cord(rng, canvas, _sagged(knots, sag)[:, None] + bead, thickness, palette, light)
    _trim(rng, canvas, width * 2.2, palette, light)
    beam(rng, canvas, palette)
    return finish(rng, canvas)


def _sagged(points: Array, sag: Array) -> Array:
    """Return ``points`` (..., 2) displaced by the field ``sag`` (H, W, 2), interpolated bilinearly."""
    edge = sag.shape[0] - 1.001
    at = np.clip(points, 0, edge)
    low = at.astype(int)
    x, y = low[..., 0], low[..., 1]
    px, py = at[..., :1] - low[..., :1], at[..., 1:] - low[..., 1:]
    top = sag[y, x] * (1 - px) + sag[y, x + 1] * px
    bottom = sag[y + 1, x] * (1 - px) + sag[y + 1, x + 1] * px
    return points + top * (1 - py) + bottom * py


def _cord(
    rng: Generator, canvas: Canvas, points: Array, width: float | Array, palette: Array, light: Array
) -> None:
    """Paint cords (N, T, 2) whose colour varies with the twist and the light ``light`` (H, W)."""
    num, steps = points.shape[:2]
    x, y = np.clip(points, 0, canvas.size - 1).astype(int).transpose(2, 0, 1)
    twist = 0.5 + 0.2 * rng.normal(size=(num, steps)) + 0.15 * rng.normal(size=(num, 1))
    colours = np.clip(ramp(palette, twist) * light[y, x][..., None], 0, 1)
    widths = np.broadcast_to(width, (num, steps)) * rng.uniform(0.85, 1.15, (num, steps))
    canvas.strands(points, widths, colours)


def _trim(rng: Generator, canvas: Canvas, width: float, palette: Array, light: Array) -> None:
    """Cut the canvas to an irregular piece with a rope along its edge."""
    size = canvas.size
    centre = rng.uniform(0.35, 0.65), rng.uniform(0.35, 0.5)
    piece = blob(rng, size, centre, (rng.uniform(0.26, 0.44), rng.uniform(0.26, 0.44)), 0.25)
    canvas.alpha *= piece.coverage
    canvas.premultiplied *= piece.coverage[..., None]
    inside = (piece.depth > 0).astype(np.uint8)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    path = np.pad(max(outlines, key=len)[:, 0].astype(np.float64) + 0.5, ((6, 6), (0, 0)), mode="wrap")
    smooth = np.stack([np.convolve(path[:, c], np.full(13, 1 / 13), "valid") for c in (0, 1)], -1)[::3]
    _cord(rng, canvas, np.concatenate([smooth, smooth[:1]])[None], width, palette, light)


def lace(rng: Generator, size: int, palette: Array) -> Layer:
    """Softly folded lace: stitched flowers, rings and leaves on a fine hexagonal ground, a scalloped hem."""
    k, canvas = size / 512, Canvas(size)
    y, x = np.indices((size, size), dtype=np.float64)
    folds = fractal(rng, size, 4.2, stretch=(2.0, 1.0)) * rng.uniform(8, 24) * k
    angle = rng.uniform(-0.5, 0.5)
    u = np.cos(angle) * x + np.sin(angle) * y + folds
    v = -np.sin(angle) * x + np.cos(angle) * y + 0.6 * np.roll(folds, size // 3, 1)
    cell = rng.uniform(80, 130) * k
    stitched = np.clip(_edge(_motifs(rng, u, v, cell, k)) + 0.5, 0, 1)
    ground = np.clip(_edge(_hexagons(u, v, rng.uniform(7, 12) * k, rng.uniform(0.9, 1.5) * k)) + 0.5, 0, 1)
    thread = 0.5 + 0.5 * np.sin(2 * np.pi * (u + 0.4 * v) / (2.9 * k)) * np.sin(2 * np.pi * v / (3.3 * k))
    alpha = np.maximum(stitched * (0.8 + 0.2 * thread), ground * 0.95) * _hem(rng, u, v, size, cell, k)
    shade = relief(2.0 * k * stitched + 0.8 * folds, random_light(rng), 0.7) * (0.82 + 0.25 * thread)
    colour = palette[rng.integers(1, 5)] if rng.random() < 0.6 else np.array([0.93, 0.92, 0.88])
    colour = colour * (0.9 + 0.08 * fractal(rng, size, 2.0))[..., None]
    canvas.over(np.clip(colour * shade[..., None], 0, 1), np.clip(alpha, 0, 1))
    beam(rng, canvas, palette)
    return finish(rng, canvas)


def _edge(field: Array) -> Array:
    """Return the first-order distance in pixels to the zero level of ``field``."""
    gy, gx = np.gradient(field)
    return field / np.maximum(np.hypot(gx, gy), 0.05)


def _hexagons(u: Array, v: Array, spacing: float, width: float) -> Array:
    """Return a field, > 0 on the threads of a hexagonal mesh.

    They are the borders of the Voronoi cells of a triangular lattice.
    """
    rows = spacing * np.sqrt(3)
    first = np.stack([(u + spacing / 2) % spacing - spacing / 2, (v + rows / 2) % rows - rows / 2])
    second = np.stack([u % spacing - spacing / 2, v % rows - rows / 2])
    near = np.abs(np.hypot(*first) - np.hypot(*second))
    beside = np.where(np.hypot(*first) < np.hypot(*second), np.abs(first[0]), np.abs(second[0]))
    return np.maximum(width - near, width / 2 - (spacing / 2 - beside))


def _motifs(rng: Generator, u: Array, v: Array, cell: float, k: float) -> Array:
    """Return a field, > 0 in the ornaments; they repeat every ``cell`` pixels."""
    row = np.floor(v / cell)
    du, dv = (u + 0.5 * cell * (row % 2)) % cell - cell / 2, v % cell - cell / 2
    radius, angle = np.hypot(du, dv), np.arctan2(dv, du)
    petals, big = rng.integers(5, 9), rng.uniform(0.28, 0.4) * cell
    flower = big * (0.62 + 0.38 * np.cos(petals * angle)) - radius
    slits = np.abs(np.sin(petals * angle / 2)) * radius - 1.6 * k
    heart = np.abs(radius - 0.12 * cell) - 1.5 * k
    flower = np.minimum(np.minimum(flower, np.where(radius > 0.1 * cell, slits, 1)), heart)
    ring = 1.6 * k - np.abs(radius - 1.15 * big)
    vine = 1.5 * k - np.abs(dv - 0.25 * cell * np.sin(2 * np.pi * du / cell) - 0.3 * cell)
    eu, ev = np.abs(du) - 0.42 * cell, np.abs(dv) - 0.34 * cell
    leaf = 0.1 * cell - np.hypot(eu * 1.9, ev) + 0.02 * cell * np.cos(6 * np.arctan2(ev, eu))
    return np.maximum.reduce([flower, ring, vine, leaf])


def _hem(rng: Generator, u: Array, v: Array, size: int, cell: float, k: float) -> Array:
    """Return the coverage (H, W) of the lace: above a scalloped hem, on one side of a cut edge."""
    scallop = 0.16 * cell * np.abs(np.sin(np.pi * u / cell * 2))
    lower = rng.uniform(0.5, 0.8) * size - v + scallop
    side = (u - rng.uniform(0.0, 0.4) * size) if rng.random() < 0.8 else np.full_like(u, 9.0)
    return np.clip(np.minimum(_edge(lower), side / k) + 0.5, 0, 1)
