"""Random fields, palettes, light and colour: the building blocks of every renderer.

All pixels are computed in double precision, so the quantised result does not depend on vector instructions.
Lengths are in pixels of a 512 x 512 image times ``k`` = size / 512.
"""

from __future__ import annotations

import cv2
import numpy as np
import scipy.fft
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]

_NATURAL = """
1c1817 34261e 543a28 795234 9e7046 c49c68 dec49a ece2d0 682c18 964824 5c5854 8c8882
bab6b0 e2e0dc 3e4a26 607036 8a9656 2c3e38 5c7896 96b2cc 3a4c68 aa4c3a cc8a6e b2a088
"""
NATURAL = (
    np.array([[int(code[c : c + 2], 16) for c in (0, 2, 4)] for code in _NATURAL.split()], np.float64) / 255
)
"""Colours (K, 3) of hair, fur, wood, stone, leaves, sky, brick and skin in sRGB."""


def fractal(
    rng: Generator,
    size: int,
    beta: float = 2.0,
    stretch: tuple[float, float] = (1.0, 1.0),
    cutoff: float = 0.0,
) -> Array:
    """Return Gaussian noise (H, W) whose power falls as 1/f^beta, of mean 0 and standard deviation 1.

    ``stretch`` (y, x) > 1 lengthens the grain along that axis; frequencies below ``cutoff`` (cycles per
    image) are removed. Natural photographs have beta of about 2 (Field 1987).
    """
    # The highest frequencies of steep spectra are negligible: 1.4 instead of 18 ms at 512 pixels.
    if beta >= 3 and not cutoff and size >= 128:
        half = fractal(rng, size // 2, beta, stretch)
        return np.asarray(cv2.resize(half, (size, size), interpolation=cv2.INTER_CUBIC), np.float64)
    spectrum = rng.standard_normal((size, size // 2 + 1, 2)).view(np.complex128)[..., 0]
    fy = np.fft.fftfreq(size)[:, None] * size * stretch[0]
    fx = np.fft.rfftfreq(size)[None, :] * size * stretch[1]
    f2 = fy**2 + fx**2
    f2[0, 0] = np.inf
    gain = f2 ** (-beta / 4)
    gain[f2 < cutoff**2] = 0
    field = scipy.fft.irfft2(spectrum * gain, s=(size, size))
    return (field - field.mean()) / field.std()


def squash(field: Array, contrast: float = 1.0) -> Array:
    """Map a zero-mean field to (0, 1) by a hyperbolic tangent."""
    return 0.5 + 0.5 * np.tanh(contrast * field)


def warp(image: Array, dy: Array, dx: Array, mode: str = "reflect") -> Array:
    """Return ``image`` (H, W) or (H, W, C) sampled at (y + dy, x + dx), bilinearly."""
    y, x = np.indices(dy.shape, dtype=np.float64)
    if image.ndim == 2:
        return ndimage.map_coordinates(image, (y + dy, x + dx), order=1, mode=mode)
    return np.stack([warp(image[..., c], dy, dx, mode) for c in range(image.shape[2])], -1)


def blur(image: Array, sigma: float) -> Array:
    """Return the Gaussian blur of ``image`` (H, W) or (H, W, C); unchanged for ``sigma`` <= 0."""
    if sigma <= 0:
        return image
    blurred = cv2.GaussianBlur(image, (0, 0), float(sigma), borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float64)


def natural_palette(rng: Generator, num: int = 5) -> Array:
    """Return ``num`` related colours (num, 3), from dark to light, as those of one object or scene."""
    anchor = NATURAL[rng.integers(len(NATURAL))]
    nearest = np.argsort(np.abs(NATURAL - anchor).sum(1).round(6), kind="stable")
    others = NATURAL[nearest[rng.integers(0, 12, num)]]
    mixed = anchor + (others - anchor) * rng.uniform(0.2, 1.0, (num, 1)) + rng.normal(0, 0.03, (num, 3))
    mixed *= np.linspace(0.6, 1.3, num)[:, None]
    return sorted_by_luma(np.clip(mixed, 0.02, 0.97))


def sorted_by_luma(colours: Array) -> Array:
    """Return the colours (K, 3) ordered from dark to light."""
    return colours[np.argsort(luma(colours), kind="stable")]


def luma(colours: Array) -> Array:
    """Return the luma (...) of colours (..., 3), with the weights of Rec. 601."""
    # Not a matrix product: BLAS libraries round differently.
    return 0.299 * colours[..., 0] + 0.587 * colours[..., 1] + 0.114 * colours[..., 2]


def one_hue(palette: Array) -> Array:
    """Return the palette (K, 3) shifted towards its mean hue, like the tones of one head of hair or coat."""
    grey = luma(palette)[:, None]
    chroma = palette - grey
    return np.clip(grey + 0.35 * chroma + 0.65 * chroma.mean(0) * grey / grey.mean(), 0, 1)


def ramp(palette: Array, position: Array) -> Array:
    """Return the colours (..., 3) at ``position`` (...) in [0, 1] along the palette (K, 3), interpolated.

    Read from a table, at a twelfth of the time of `np.interp` on every pixel.
    """
    fine = np.linspace(0, len(palette) - 1, 4097)
    table = np.stack([np.interp(fine, np.arange(len(palette)), palette[:, c]) for c in range(3)], -1)
    return np.take(table, np.rint(np.clip(position, 0, 1) * 4096).astype(np.intp), axis=0)


def textured(rng: Generator, size: int, palette: Array, beta: float | None = None) -> Array:
    """Return a mottled material (H, W, 3) in the colours of ``palette``: patches, grain and colour noise."""
    patches = fractal(rng, size, beta or rng.uniform(1.6, 2.8))
    position = squash(0.7 * patches + 0.25 * fractal(rng, size, 1.0, cutoff=size / 40))
    tinge = 0.03 * np.stack([fractal(rng, size, 2.0) for _ in range(3)], -1)
    return np.clip(ramp(palette, position) + tinge, 0, 1)


def relief(height: Array, light: Array, depth: float = 1.0) -> Array:
    """Return the Lambert shading (H, W), about 1 where flat, of a ``height`` field.

    Heights are in pixels, multiplied by ``depth``; ``light`` is the unit vector (x, y, z) to the light.
    """
    gy, gx = np.gradient(height * depth)
    length = np.sqrt(gx**2 + gy**2 + 1)
    shade = (-gx * light[0] - gy * light[1] + light[2]) / length
    return np.maximum(shade, 0) / max(light[2], 0.2)


def random_light(rng: Generator) -> Array:
    """Return a random unit vector (x, y, z) towards a light above the scene."""
    angle, height = rng.uniform(-2.6, -0.5), rng.uniform(0.5, 0.9)
    flat = np.sqrt(1 - height**2)
    return np.array([flat * np.cos(angle), flat * np.sin(angle), height])


def grain(rng: Generator, image: Array, strength: float) -> Array:
    """Return ``image`` (H, W, 3) with sensor noise: slightly correlated, stronger in luma than in chroma."""
    height, width = image.shape[:2]
    noise = blur(rng.standard_normal((height, width)), 0.6) * 1.8
    chroma = rng.standard_normal((height // 2, width // 2, 3))
    chroma = np.asarray(cv2.resize(chroma, (width, height), interpolation=cv2.INTER_LINEAR), np.float64)
    amplitude = strength * (0.5 + 0.7 * np.sqrt(luma(image)))
    return np.clip(image + amplitude[..., None] * (noise[..., None] + 0.5 * chroma), 0, 1)


def extend_colours(premultiplied: Array, alpha: Array) -> Array:
    """Return colours (H, W, 3): ``premultiplied / alpha`` where alpha > 0, smoothly extended elsewhere.

    Resizing or compositing the result causes no dark fringes. Fills from a pyramid of area averages.
    """
    height, width = alpha.shape
    weight = np.where(alpha > 1e-4, alpha, 0.0)
    if min(height, width) <= 1 or (weight > 0).all():
        return premultiplied / np.maximum(alpha, 1e-4)[..., None]
    colour = np.where(weight[..., None] > 0, premultiplied, 0.0)
    half = ((width + 1) // 2, (height + 1) // 2)
    averages = (
        np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.float64)
        for plane in (colour, weight)
    )
    coarse = cv2.resize(extend_colours(*averages), (width, height), interpolation=cv2.INTER_LINEAR)
    known = (weight > 0)[..., None]
    return np.where(known, premultiplied / np.maximum(alpha, 1e-4)[..., None], coarse)
