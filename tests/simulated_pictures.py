"""Writes a small data set of photographs as alphamatting.com has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def photographs(root: Path, wider: int = 0) -> Path:
    """Write two triples as alphamatting.com has them, the loose trimap all unknown."""
    pixels = np.random.default_rng(3).integers(0, 255, (40, 48 + wider, 3), dtype=np.uint8)
    alpha = np.zeros((40, 48 + wider), np.uint8)
    alpha[10:30, 12:36] = 255
    tight = np.where(alpha > 0, np.uint8(255), np.uint8(0))
    tight[8:14] = 128
    loose = np.full_like(alpha, 128)
    for name in ("GT01", "GT02"):
        layers = {"image": pixels, "alpha": alpha, "trimap_tight": tight, "trimap_loose": loose}
        for folder, layer in layers.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(layer).save(root / folder / f"{name}.png")
    return root
