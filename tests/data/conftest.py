"""Small folders of cut-outs and backgrounds, and a real folder where the environment names one."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from small_pictures import photograph, soft_matte


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with fg/NAME.jpg, alpha/NAME.png and bg/NAME.png, and returns it."""

    def make(
        names=("cat", "dog", "fern", "glass"), backgrounds=("sea", "wall", "wood"), size=(96, 128)
    ) -> Path:
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
