"""Drawn backgrounds: clutter, foliage, walls, planks, landscapes, lights and drapery."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from deepmatte.data.procedural.bodies import cloth, swirl
from deepmatte.data.procedural.fields import (
    Array,
    blur,
    fractal,
    grain,
    natural_palette,
    ramp,
    random_light,
    relief,
    squash,
    textured,
    warp,
)
from deepmatte.data.procedural.optics import disc, twigs
from deepmatte.data.procedural.raster import Canvas


def clutter(rng: Generator, size: int, palette: Array) -> Array:
    """Overlapping lit shapes of all sizes: a dead-leaves model, with the spectrum of natural images."""
    k, light = size / 512, random_light(rng)
    sheets = [textured(rng, size, natural_palette(rng) if rng.random() < 0.5 else palette) for _ in range(2)]
    sheets += [cloth(rng, size, palette)]
    canvas = Canvas(size)
    canvas.over(sheets[0], np.ones((size, size)))
    for _ in range(220):
        radius = 9 * k / rng.uniform(0.04, 1.0)
        centre, corners = rng.uniform(0, size, 2), rng.integers(3, 40)
        angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        if corners < 9:
            angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        stretch = rng.uniform(0.35, 1.0)
        spin = rng.uniform(0, np.pi)
        bumps = [rng.normal() / j * np.cos(j * angle + rng.uniform(0, 6)) for j in range(2, 6)]
        outline = radius * (1 + 0.25 * np.clip(np.sum(bumps, 0), -2, 2))
        points = np.stack([np.cos(angle), stretch * np.sin(angle)], -1) * outline[:, None]
        points = points @ np.array([[np.cos(spin), np.sin(spin)], [-np.sin(spin), np.cos(spin)]]) + centre
        tone = rng.uniform(0.55, 1.3) * (1 + 0.1 * rng.normal(size=3))
        canvas.polygon(points + 2.5 * k * np.array([light[0], 1.0]), np.zeros(3), opacity=0.35)
        canvas.polygon(points, sheets[rng.integers(3)], gain=tone)
    return canvas.premultiplied * (1 + 0.15 * fractal(rng, size, 3.0))[..., None]


def thicket(rng: Generator, size: int, palette: Array) -> Array:
    """Leaves in front of dark, defocused leaves and grass."""
    canvas = Canvas(size)
    canvas.over(textured(rng, size, palette * 0.5), np.ones((size, size)))
    _blades(rng, canvas, palette)
    rear = twigs(rng, size, palette * 0.7, num=10)
    rear.premultiplied += canvas.premultiplied * (1 - rear.alpha)[..., None]
    soft = cv2.filter2D(rear.premultiplied, -1, disc(rng.uniform(1, 5) * size / 512))
    front = twigs(rng, size, palette, num=6)
    return front.premultiplied + soft * (1 - front.alpha)[..., None]


def _blades(rng: Generator, canvas: Canvas, palette: Array) -> None:
    """Paint blades of grass."""
    num, k, t = 900, canvas.size / 512, np.linspace(0, 1, 6)
    x = rng.uniform(-20 * k, canvas.size + 20 * k, num)
    root = np.stack([x, np.sort(rng.uniform(0.35, 1.2, num)) * canvas.size], -1)
    lean = rng.normal(0, 0.35, num)[:, None] * (0.3 + t) + 0.2
    reach = rng.uniform(50, 150, (num, 1)) * k
    points = root[:, None] + np.stack([np.sin(lean) * t * reach, -np.cos(lean) * t * reach], -1)
    shade = rng.uniform(0.5, 1.2, (num, 1)) * (0.5 + 0.6 * t)
    colours = np.clip(ramp(palette, rng.normal(0.5, 0.25, (num, 1)) + 0 * t) * shade[..., None], 0, 1)
    canvas.strands(points, rng.uniform(2, 6, (num, 1)) * k * (1.05 - t), colours)


def wall(rng: Generator, size: int, palette: Array) -> Array:
    """Rough bricks or tiles with mortar, unevenly lit, in slight perspective."""
    k, light = size / 512, random_light(rng)
    y, x = np.indices((size, size), dtype=np.float64)
    lean = 1 + rng.uniform(-0.25, 0.25) * (x / size - 0.5)
    dy, dx = 1.5 * k * fractal(rng, size, 2.2), 1.5 * k * fractal(rng, size, 2.2)
    height, width = rng.uniform(22, 60) * k, rng.uniform(50, 130) * k
    row = (y - size / 2) * lean / height + dy / height + 40
    column = x / width + dx / width + 0.5 * (np.floor(row) % 2) + 40
    gap = np.minimum((0.5 - np.abs(row % 1 - 0.5)) * height, (0.5 - np.abs(column % 1 - 0.5)) * width)
    stone = np.clip(gap / (3.5 * k), 0, 1)
    table = rng.normal(0, 1, (128, 128))
    tone = table[np.floor(row).astype(int) % 128, np.floor(column).astype(int) % 128]
    rough = fractal(rng, size, 1.6)
    surface = ramp(palette, 0.5 + 0.16 * tone + 0.1 * rough)
    mortar = palette[rng.integers(5)] * 0.8 + 0.1
    shade = relief((3 * stone + 0.5 * rough + 0.8 * fractal(rng, size, 2.4)) * k, light, 1.2)
    glow = 1 + 0.2 * fractal(rng, size, 3.6)
    return (surface * stone[..., None] + mortar * (1 - stone[..., None])) * (shade * glow)[..., None]


def planks(rng: Generator, size: int, palette: Array) -> Array:
    """Wooden boards with grain, knots and joints."""
    k = size / 512
    y, x = np.indices((size, size), dtype=np.float64)
    width = rng.uniform(50, 150) * k
    board = np.floor(x / width).astype(int)
    offset = rng.uniform(0, 400, 64)[board % 64]
    bend = fractal(rng, size, 3.2, stretch=(5.0, 1.0))
    rings = np.sin(
        (x + offset * 3) * rng.uniform(0.1, 0.3) / k
        + 2.2 * bend
        + 0.01 * rng.normal(size=64)[board % 64] * y / k
    )
    fibre = fractal(rng, size, 1.3, stretch=(14.0, 1.0))
    tone = 0.5 + 0.13 * rings + 0.12 * fibre + 0.12 * rng.normal(size=64)[board % 64]
    joint = np.clip((0.5 - np.abs((x / width) % 1 - 0.5)) * width / (2 * k), 0.25, 1)
    image = ramp(palette, tone) * (joint * (1 + 0.15 * fractal(rng, size, 3.4)))[..., None]
    return np.ascontiguousarray(image.transpose(1, 0, 2)) if rng.random() < 0.5 else image


def landscape(rng: Generator, size: int, palette: Array) -> Array:
    """Ridges fading into haze under a cloudy sky."""
    y = np.indices((size, size), dtype=np.float64)[0] / size
    sky = natural_palette(rng)[-1] * 0.3 + np.array([0.45, 0.55, 0.68]) * rng.uniform(0.6, 1.1)
    cover = fractal(rng, size, 2.8, stretch=(0.7, 1.6))
    dy, dx = (12 * fractal(rng, size, 3.0) for _ in range(2))
    clouds = squash(warp(cover, dy, dx), 1.6)[..., None]
    image = sky * (0.75 + 0.35 * y)[..., None] * (1 - 0.55 * clouds) + 0.55 * clouds * rng.uniform(0.7, 1.0)
    num = rng.integers(3, 6)
    for n in range(num):
        near = (n + 1) / num
        line = 0.3 + 0.5 * near + 0.06 * fractal(rng, size, 2.6 + near)[0] * (1.4 - near)
        line = line + 0.012 * near * fractal(rng, size, 1.2)[1]
        cover = np.clip((y - line[None]) * size + 0.5, 0, 1)[..., None]
        ground = textured(rng, size, palette, 1.3) * (0.5 + 0.5 * squash(fractal(rng, size, 2.0)))[..., None]
        image = (ground * near + sky * (1 - near) * 0.9) * cover + image * (1 - cover)
    return image


def lights(rng: Generator, size: int, palette: Array) -> Array:
    """A strongly defocused room or street: lamps become discs over dark shapes."""
    k = size / 512
    canvas = Canvas(size)
    canvas.over(blur(textured(rng, size, palette * rng.uniform(0.4, 0.9), 3.0), 4 * k), np.ones((size, size)))
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], -1)
    for _ in range(rng.integers(25, 60)):
        centre, radius, strength = rng.uniform(0, size, 2), rng.uniform(5, 30) * k, rng.uniform(0.15, 0.7)
        colour = np.clip(palette[rng.integers(2, 5)] * rng.uniform(0.9, 1.7) + rng.uniform(0, 0.2), 0, 1)
        canvas.polygon(centre + radius * ring, colour, opacity=strength)
        canvas.polygon(centre + 0.85 * radius * ring, colour * 0.85, opacity=0.3 * strength)
    return canvas.premultiplied


def drapery(rng: Generator, size: int, palette: Array) -> Array:
    """Patterned cloth in deep folds."""
    height = 40 * size / 512 * fractal(rng, size, 4.6, stretch=(2.0, 1.0))
    shade = relief(height, random_light(rng), 0.8)
    return swirl(rng, cloth(rng, size, palette), 8 * size / 512) * shade[..., None]


SCENES = (clutter, thicket, wall, planks, landscape, lights, drapery)


def scene(rng: Generator, index: int, size: int, palette: Array) -> Array:
    """Return drawn background number ``index`` (H, W, 3) in [0, 1], cycling through the kinds."""
    return np.clip(SCENES[index % len(SCENES)](rng, size, palette), 0, 1)


def photographed(rng: Generator, image: Array) -> Array:
    """Return a background with camera effects: two in five are defocused, all are slightly soft and noisy."""
    scale = image.shape[0] / 512
    if rng.random() < 0.4:
        kernel = disc(rng.uniform(1.0, 6.0) * scale)
        blurred = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
        image = np.asarray(blurred, np.float64)
    return grain(rng, np.clip(blur(image, rng.uniform(0.3, 0.7)), 0, 1), rng.uniform(0.004, 0.015))
