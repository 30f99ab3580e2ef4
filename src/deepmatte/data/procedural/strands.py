"""Hair, fur and feathers: thousands of tapering strands over a body."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from deepmatte.data.procedural.bodies import Body, Layer, at, blob, cloth, finish, roundness, sample, union
from deepmatte.data.procedural.fields import NATURAL, Array, fractal, one_hue, ramp, random_light, unit
from deepmatte.data.procedural.raster import Canvas

STEPS = 22
"""Points along a strand."""


def hair(rng: Generator, size: int, palette: Array) -> Layer:
    """A head of hair, straight to frizzy, falling or in the wind, over shoulders; flyaways down to a third of a pixel."""
    k, light = size / 512, random_light(rng)
    centre = (rng.uniform(0.38, 0.62), rng.uniform(0.42, 0.56))
    skull = blob(rng, size, centre, (rng.uniform(0.15, 0.21), rng.uniform(0.19, 0.25)), 0.05)
    chest = blob(
        rng,
        size,
        (centre[0] + rng.normal() * 0.03, 1.12),
        (rng.uniform(0.34, 0.48), rng.uniform(0.3, 0.42)),
        0.1,
    )
    neck = blob(rng, size, (centre[0], centre[1] + 0.25), (0.09, 0.25), 0.05)
    canvas = Canvas(size)
    shade = roundness(chest, light, 60 * k)[..., None]
    canvas.over(
        np.clip(NATURAL[22] * rng.uniform(0.4, 1.1) * roundness(neck, light, 40 * k)[..., None], 0, 1),
        neck.coverage,
    )
    canvas.over(np.clip(cloth(rng, size, palette[::-1]) * shade, 0, 1), chest.coverage)
    tones = (
        one_hue(palette)
        if rng.random() < 0.5
        else np.clip(np.linspace(0.4, 1.5, 5)[:, None] * NATURAL[rng.integers(0, 10)], 0, 1)
    )
    canvas.over(np.broadcast_to(tones[0] * 0.6, (size, size, 3)), np.clip(skull.depth - 6 * k, 0, 1))
    style = Style.draw(rng, k)
    for share, loose in ((0.74, 0.0), (0.18, 0.45), (0.08, 0.9)):
        _lock(rng, canvas, skull, style, tones, light, max(int(style.num * share), 8), loose, k)
    return finish(rng, canvas)


class Style:
    """How a head of hair grows: ``length`` and ``curl`` in pixels, ``fall`` towards the ground, ``clumping`` in [0, 1]."""

    def __init__(
        self, num: int, length: float, curl: float, turns: float, fall: float, wind: Array, clumping: float
    ) -> None:
        self.num, self.length, self.curl, self.turns = num, length, curl, turns
        self.fall, self.wind, self.clumping = fall, wind, clumping

    @classmethod
    def draw(cls, rng: Generator, k: float) -> Style:
        """Draw straight, wavy, frizzy or blown hair for pictures of 512 k pixels."""
        kind = rng.choice(["straight", "wavy", "frizzy", "blown"])
        wind = rng.normal(0, 0.15, 2)
        if kind == "straight":
            return cls(
                2600, rng.uniform(110, 230) * k, rng.uniform(0, 3) * k, 1.0, rng.uniform(0.9, 1.6), wind, 0.6
            )
        if kind == "wavy":
            return cls(
                2400,
                rng.uniform(100, 220) * k,
                rng.uniform(5, 11) * k,
                rng.uniform(1.5, 3),
                rng.uniform(0.7, 1.3),
                wind,
                0.8,
            )
        if kind == "frizzy":
            return cls(
                3000,
                rng.uniform(50, 100) * k,
                rng.uniform(4, 8) * k,
                rng.uniform(2, 4),
                rng.uniform(0, 0.3),
                wind,
                0.45,
            )
        wind = rng.choice([-1.0, 1.0]) * np.array([rng.uniform(0.8, 1.4), rng.uniform(-0.4, 0.1)])
        return cls(
            2400,
            rng.uniform(110, 220) * k,
            rng.uniform(3, 9) * k,
            rng.uniform(1, 2),
            rng.uniform(0.2, 0.5),
            wind,
            0.7,
        )


def _lock(
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
    """Paint ``num`` strands that follow shared guides, less so the more ``loose`` (0 to 1) they are."""
    size = canvas.size
    num_guides = max(int(160 * (1 - loose)), 24)
    guides = sample(rng, np.clip(skull.depth, 0, None) ** 0.15 * (skull.depth > 0), num_guides)
    centre = np.array([np.average(np.arange(size), weights=(skull.depth > 0).sum(a)) for a in (0, 1)])
    out = (guides - centre) / (np.hypot(*(guides - centre).T).max() + 1e-9)
    order = np.argsort(-(out**2).sum(1) + rng.normal(0, 0.1, num_guides), kind="stable")
    guides, out = guides[order], out[order]
    t = np.linspace(0, 1, STEPS)
    flow = np.stack([fractal(rng, size, 4.0), fractal(rng, size, 4.0)], -1)
    path, points = [guides], guides
    heading = out + np.array([0, -0.35]) + rng.normal(0, 0.2 + 0.3 * loose, out.shape)
    length = style.length * rng.uniform(0.6, 1.15, (num_guides, 1))
    for step in t[1:]:
        push = (
            heading * (1 - 0.75 * step)
            + style.wind * step
            + np.array([0, 1.0]) * style.fall * step
            + 0.35 * at(flow, points)
        )
        points = points + push / np.maximum(np.hypot(*push.T), 0.3)[:, None] * length / (STEPS - 1)
        path.append(points)
    path = ndimage.gaussian_filter1d(np.stack(path, 1), 1.8, axis=1, mode="nearest")
    if not loose:  # the mass of hair behind the single strands
        depth = rng.uniform(0.35, 0.6, num_guides)[:, None, None]
        canvas.strands(
            _shorten(path, np.full((num_guides, 1), 0.7)),
            11 * k * (1.02 - t) * np.ones((num_guides, 1)),
            np.clip(tones[1] * depth * np.ones((1, STEPS, 1)), 0, 1),
        )
    clump = np.sort(rng.integers(0, num_guides, num))
    tangent = np.gradient(path, axis=1)
    tangent /= np.hypot(tangent[..., 0], tangent[..., 1])[..., None] + 1e-9
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)[clump]
    spread = rng.normal(0, 1, (num, 1)) * (7 + 12 * loose) * k * (
        1 - style.clumping * t * (1 - loose)
    ) + rng.normal(0, 1, (num, 1)) * t * k * (3 + 26 * loose)
    phase = 2 * np.pi * (rng.random(num_guides)[clump] + rng.normal(0, 0.08 + 0.2 * loose, num))[:, None]
    turns = style.turns * rng.normal(1, 0.1 + 0.2 * loose, (num, 1))
    curl = style.curl * np.sqrt(t) * np.sin(2 * np.pi * turns * t + phase) * rng.uniform(0.6, 1.3, (num, 1))
    frizz = (
        ndimage.gaussian_filter1d(rng.normal(0, 1, (num, STEPS)).cumsum(1), 1.5, axis=1)
        * (0.3 + 0.9 * loose)
        * k
    )
    reach = rng.uniform(0.55, 1.0, (num, 1)) ** (0.5 + loose)
    points = _shorten(path[clump] + normal * (spread + curl + frizz)[..., None], reach)
    width = rng.uniform(0.9, 1.7, (num, 1)) * k * (1 - 0.55 * loose) * np.clip(1.05 - t**2.5, 0.12, 1)
    canvas.strands(points, width, _hair_colours(rng, points, clump, num_guides, tones, light, t))


def _shorten(points: Array, reach: Array) -> Array:
    """Return the strands (N, T, 2) cut to the fraction ``reach`` (N, 1) of their length."""
    where = np.linspace(0, points.shape[1] - 1.001, points.shape[1]) * reach
    low = where.astype(int)
    part = (where - low)[..., None]
    rows = np.arange(len(points))[:, None]
    return points[rows, low] * (1 - part) + points[rows, low + 1] * part


def _hair_colours(
    rng: Generator, points: Array, clump: Array, num_clumps: int, tones: Array, light: Array, t: Array
) -> Array:
    """Return colours (N, T, 3): tone by clump and strand, dark roots, and the sheen of hair that lies across the light."""
    num = len(points)
    tone = (
        rng.normal(0.5, 0.16, num_clumps)[clump][:, None] + rng.normal(0, 0.12, (num, 1)) + 0.12 * (t - 0.4)
    )
    colour = ramp(tones, tone)
    tangent = np.gradient(points, axis=1)
    tangent /= np.hypot(tangent[..., 0], tangent[..., 1])[..., None] + 1e-9
    across = 1 - (tangent @ light[:2]) ** 2
    band = np.exp(-(((t - rng.uniform(0.25, 0.5) - 0.05 * rng.normal(size=(num, 1))) / 0.14) ** 2))
    depth = rng.uniform(0.55, 1.05, num_clumps)[clump][:, None]
    shade = depth * (0.5 + 0.55 * across) * (0.75 + 0.35 * np.minimum(t * 3, 1))
    sheen = 0.28 * band * across**3 * rng.uniform(0, 1, (num, 1)) * depth
    return np.clip(colour * shade[..., None] + sheen[..., None], 0, 1)


def fur(rng: Generator, size: int, palette: Array) -> Layer:
    """An animal's back and head, or a plush toy: short strands combed along the body, with a pattern and round shading."""
    k, light = size / 512, random_light(rng)
    centre = rng.uniform(0.4, 0.6), rng.uniform(0.6, 0.75)
    body = blob(rng, size, centre, (rng.uniform(0.24, 0.34), rng.uniform(0.26, 0.36)), 0.2)
    head = blob(
        rng,
        size,
        (centre[0] + rng.uniform(-0.2, 0.2), centre[1] - rng.uniform(0.25, 0.34)),
        (0.15, 0.14),
        0.15,
    )
    ears = [
        blob(rng, size, (centre[0] + dx, centre[1] - rng.uniform(0.38, 0.5)), (0.05, 0.08), 0.1)
        for dx in rng.uniform(-0.25, 0.25, 2)
    ]
    body = union(body, head, *ears) if rng.random() < 0.75 else body
    palette, pattern = one_hue(palette), _pattern(rng, size)
    skin = (
        ramp(palette, pattern)
        * (0.7 * roundness(body, light, 60 * k) + 0.1 * fractal(rng, size, 1.5))[..., None]
    )
    canvas = Canvas(size)
    canvas.over(np.clip(skin, 0, 1), np.clip(body.depth - 2 * k, 0, 1))
    shade = roundness(body, light, 70 * k) * (1 + 0.08 * fractal(rng, size, 2.5))
    length = rng.uniform(13, 42) * k
    comb = (
        0.55 * np.stack([fractal(rng, size, 3.5), fractal(rng, size, 3.5)], -1)
        + rng.normal(0, 0.35, 2)
        + (0, 0.35)
    )
    num = int(9000 * min(1.0, 22 * k / length) + 3000)
    for share, loose in ((0.93, 0.0), (0.07, 1.0)):
        rim = np.exp(-np.clip(body.depth, 0, None) / (25 * k)) * (1.2 if loose else 0.9) + (
            0.0 if loose else 0.35
        )
        roots = sample(rng, (body.depth > 0) * rim, int(num * share))
        _coat(rng, canvas, body, roots, comb, pattern, shade, palette, length * (1 + 0.5 * loose), loose, k)
    return finish(rng, canvas)


def _pattern(rng: Generator, size: int) -> Array:
    """Return where on the palette the coat lies (H, W): plain, patches, stripes or spots."""
    base = fractal(rng, size, 2.6)
    kind = rng.choice(["plain", "patches", "stripes", "spots"])
    if kind == "plain":
        return 0.5 + 0.15 * base
    if kind == "patches":
        return unit(base, 4.0) * 0.8 + 0.1
    if kind == "stripes":
        y, x = np.indices((size, size)) / size
        return (
            unit(np.sin(2 * np.pi * rng.uniform(5, 11) * (x * rng.normal() * 0.4 + y) + 1.3 * base), 2.0)
            * 0.8
            + 0.1
        )
    return unit(fractal(rng, size, 3.0, cutoff=6) + 0.3, 3.0) * 0.8 + 0.1


def _coat(rng, canvas, body, roots, comb, pattern, shade, palette, length, loose, k) -> None:
    """Paint the strands of a coat, the outermost first, so that the tips of each lie over the roots of the next."""
    roots = roots[np.argsort(at(body.depth, roots) + rng.normal(0, 4 * k, len(roots)), kind="stable")]
    num, t = len(roots), np.linspace(0, 1, 7)
    near_edge = np.exp(-np.clip(at(body.depth, roots), 0, None) / (30 * k))[:, None]
    tuft = at(
        np.stack([fractal(rng, canvas.size, 2.0, cutoff=8), fractal(rng, canvas.size, 2.0, cutoff=8)], -1),
        roots,
    )
    heading = (
        at(body.outward, roots) * (0.4 + 0.7 * near_edge)
        + at(comb, roots)
        + 0.3 * tuft
        + rng.normal(0, 0.16 + 0.3 * loose, (num, 2))
    )
    heading /= np.maximum(np.hypot(*heading.T), 0.4)[:, None]
    bend = rng.normal(0, 0.25, (num, 1)) * np.array([[1.0, 0.0]]) + np.array([0, 0.3]) + 0.35 * tuft
    long = length * rng.uniform(0.6, 1.2, (num, 1)) * (1 + 0.35 * np.clip(tuft[:, :1], -1, 1.5))
    points = roots[:, None] + long[..., None] * (
        t[:, None] * heading[:, None] + (t**2)[:, None] * 0.5 * bend[:, None]
    )
    points = (
        points
        + heading[:, None, ::-1] * (-1, 1) * (rng.normal(0, 1, (num, 7)).cumsum(1) * 0.18 * k)[..., None]
    )
    width = rng.uniform(1.0, 2.2, (num, 1)) * k * (1 - 0.6 * loose) * np.clip(1.02 - t**1.8, 0.1, 1)
    tone = at(pattern, roots)[:, None] + rng.normal(0, 0.1, (num, 1)) + rng.uniform(0.0, 0.25) * (t - 0.5)
    light = at(shade, roots)[:, None] * (0.6 + 0.45 * t) * rng.normal(1, 0.13, (num, 1))
    canvas.strands(points, width, np.clip(ramp(palette, tone) * light[..., None], 0, 1))


def feather(rng: Generator, size: int, palette: Array) -> Layer:
    """One to four plumes: barbs that cling together in places and fray in others, on a curved shaft."""
    k, canvas = size / 512, Canvas(size)
    for _ in range(rng.integers(1, 4)):
        _plume(rng, canvas, palette, rng.uniform(-0.5, 0.5), k)
    return finish(rng, canvas)


def _plume(rng: Generator, canvas: Canvas, palette: Array, lean: float, k: float) -> None:
    """Paint one plume, its shaft from below the middle upwards, leaning by ``lean`` radians."""
    size = canvas.size
    length, s = rng.uniform(340, 500) * k, np.linspace(0, 1, 60)
    angle = -np.pi / 2 + lean + rng.uniform(-0.6, 0.6) * s
    start = np.array([rng.uniform(0.4, 0.6) - 0.25 * lean, rng.uniform(0.88, 1.0)]) * size
    shaft = start + np.cumsum(np.stack([np.cos(angle), np.sin(angle)], -1), 0) * length / 60
    num, t = 1100, np.linspace(0, 1, 10)
    where = np.sort(rng.uniform(0.06, 1.0, num))[::-1]
    side = rng.choice([-1.0, 1.0], num)[:, None]
    fray = np.interp(
        where, np.linspace(0, 1, 40), np.clip(rng.normal(0.15, 0.35, 40), 0, 1) + np.linspace(1.2, 0, 40) ** 3
    )[:, None]
    lift = (
        rng.uniform(0.5, 0.8)
        - 0.15 * where[:, None]
        + fray * rng.normal(0, 0.35, (num, 1))
        - 0.5 * t * rng.uniform(0.2, 0.7)
    )
    heading = np.interp(where, s, angle)[:, None] + side * (lift + 0.1)
    reach = (
        rng.uniform(70, 130) * k * (np.sin(np.pi * np.clip(where, 0.02, 0.98) ** 0.75) ** 0.6 + 0.08)[:, None]
    )
    reach = reach * (1 + rng.normal(0, 0.04, (num, 1)) + 0.15 * fray * rng.normal(size=(num, 1)))
    step = np.stack([np.cos(heading), np.sin(heading)], -1) * (reach / len(t))[..., None]
    step = (
        step
        + np.array([0, 0.25]) * fray[..., None] * (t[:, None]) * k
        + rng.normal(0, 0.35, step.shape) * fray[..., None] * k
    )
    root = np.stack([np.interp(where, s, shaft[:, c]) for c in (0, 1)], -1)
    points = root[:, None] + np.concatenate([np.zeros((num, 1, 2)), np.cumsum(step, 1)[:, :-1]], 1)
    bands = (
        0.5
        + 0.4 * np.sin(where * rng.uniform(4, 30) + rng.uniform(0, 6))[:, None] * rng.choice([0.3, 1.0])
        + 0.25 * t
    )
    sheen = 1 + 0.25 * side * np.cos(lean) + 0.1 * rng.normal(size=(num, 1))
    colours = np.clip(
        ramp(palette, bands + rng.normal(0, 0.06, (num, 1))) * (sheen * (0.75 + 0.3 * t))[..., None], 0, 1
    )
    width = (1.25 - 0.55 * fray) * k * np.clip(1.05 - t**3, 0.15, 1) * rng.uniform(0.75, 1.2, (num, 1))
    canvas.strands(points, width, colours)
    quill = np.clip(palette[-1] * np.linspace(1.1, 0.7, 60)[:, None], 0, 1)
    canvas.strands(shaft[None], (np.linspace(5, 0.8, 60) * k)[None], quill[None])
