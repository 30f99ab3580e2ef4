"""Backgrounds cropped from the photographs in the scikit-image and scikit-learn wheels.

A photograph belongs to one split only, so its crops can't leak from training into testing. Licences, as
stated by the two packages: astronaut (NASA) and hubble_deep_field (NASA) public domain; rocket (SpaceX)
released into the public domain; chelsea (Stefan van der Walt) and coffee (Rachel Michetti) CC0; brick, grass,
gravel (CC0 Textures) CC0; china (danielbuechele, Flickr) and flower (vultilion, Flickr) CC BY 2.0. deepmatte
contains none of the files and downloads nothing: it reads the installed packages.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from deepmatte.data.procedural.fields import Array, luma, natural_palette, ramp, sorted_by_luma
from deepmatte.errors import InputError

PHOTOGRAPHS = {
    "train": (
        *("astronaut.png", "coffee.png", "chelsea.png"),
        *("brick.png", "hubble_deep_field.jpg", "grass.png"),
    ),
    "val": ("rocket.jpg", "gravel.png"),
    "test": ("china.jpg", "flower.jpg"),
}
"""File names by split."""

_FOLDERS = {"china.jpg": ("sklearn", "datasets/images"), "flower.jpg": ("sklearn", "datasets/images")}


@lru_cache(maxsize=12)
def photograph(name: str) -> Array:
    """Return a photograph as (H, W, 3) in [0, 1], or (H, W) if it is grey."""
    package, folder = _FOLDERS.get(name, ("skimage", "data"))
    spec = find_spec(package)
    path = Path(spec.origin).parent / folder / name if spec and spec.origin else Path(name)
    pixels: np.ndarray | None = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError(f"{path}: photograph of {package} is missing or unreadable; reinstall {package}")
    pixels = pixels[..., ::-1].astype(np.float64, order="C") / 255
    return pixels[..., 0] if (pixels[..., :1] == pixels).all() else pixels


def crop(rng: Generator, split: str, index: int, size: int) -> Array:
    """Return a square crop (size, size, 3) of the split's photograph number ``index``.

    It is mirrored and re-exposed at random. Grey textures are tinted with a natural palette.
    """
    names = PHOTOGRAPHS[split]
    image = photograph(names[index % len(names)])
    short = min(image.shape[:2])
    side = int(rng.uniform(max(0.55, min(300 / short, 0.9)), 1.0) * short)
    y, x = (int(rng.integers(0, n - side + 1)) for n in image.shape[:2])
    view = image[y : y + side, x : x + side]
    view = view[:, ::-1] if rng.random() < 0.5 else view
    method = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    view = np.clip(cv2.resize(np.ascontiguousarray(view), (size, size), interpolation=method), 0, 1)
    if view.ndim == 2:
        view = ramp(natural_palette(rng), view)
    return np.clip(view ** rng.uniform(0.8, 1.25) * rng.normal(1, 0.05, 3) * rng.uniform(0.85, 1.1), 0, 1)


def palette_of(image: Array, num: int = 5) -> Array:
    """Return ``num`` mean colours (num, 3) of ``image`` (H, W, 3), from dark to light."""
    pixels = image[4::16, 4::16].reshape(-1, 3)
    groups = np.array_split(pixels[np.argsort(luma(pixels), kind="stable")], num)
    return sorted_by_luma(np.stack([g.mean(0) for g in groups]))


def kind(split: str, index: int) -> str:
    """Return the name, without suffix, of the split's photograph number ``index``."""
    return Path(PHOTOGRAPHS[split][index % len(PHOTOGRAPHS[split])]).stem
