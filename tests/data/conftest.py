"""Small folders of cut-outs and backgrounds, and a real folder where the environment names one."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def soft_matte(height: int, width: int, seed: int) -> np.ndarray:
    """A disc with a soft rim and a semi-transparent hole, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    radius = np.hypot(y - height * rng.uniform(0.4, 0.6), x - width * rng.uniform(0.4, 0.6))
    alpha = np.clip(0.5 + (min(height, width) * 0.35 - radius) / 8, 0, 1)
    alpha[height // 2 - 5 : height // 2 + 5, width // 2 - 9 : width // 2] *= 0.4
    return np.round(alpha * 255).astype(np.uint8)


def photograph(height: int, width: int, seed: int) -> np.ndarray:
    """Smooth colours with some noise, uint8."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(coarse) + rng.integers(-9, 10, (height, width, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with fg/NAME.jpg, alpha/NAME.png and bg/NAME.png, and returns it."""

    def make(names=("cat", "dog", "fern", "glass"), backgrounds=("sea", "wall", "wood"), size=(96, 128)) -> Path:
        for folder in ("fg", "alpha", "bg"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for i, name in enumerate(names):
            Image.fromarray(photograph(*size, seed=i)).save(tmp_path / "fg" / f"{name}.jpg")
            Image.fromarray(soft_matte(*size, seed=i)).save(tmp_path / "alpha" / f"{name}.png")
        for i, name in enumerate(backgrounds):
            Image.fromarray(photograph(80, 100, seed=100 + i)).save(tmp_path / "bg" / f"{name}.png")
        return tmp_path

    return make


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = os.environ.get("DEEPMATTE_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("DEEPMATTE_REAL_DATA does not name a folder of photographs")
    return Path(folder)
