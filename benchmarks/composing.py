"""Offline composition: what of its time is PNG encoding, and what a second process gives.

Run: python benchmarks/composing.py [NUM].
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deepmatte.data.composition1k.adobe import composed
from deepmatte.data.composition1k.manifest import compose
from deepmatte.data.composition1k.plan import find_inputs, plan
from deepmatte.data.sources.images import read_as_stored, write_png

SIZE = (900, 1200)


def photograph(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Smooth colours with a sensor's noise, which is what PNG has to encode."""
    coarse = cv2.resize(
        rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.clip(coarse + rng.normal(0, 3, coarse.shape), 0, 255).astype(np.uint8)


def make_inputs(root: Path, num_foregrounds: int, per_foreground: int) -> None:
    rng = np.random.default_rng(0)
    distance = np.hypot(*np.meshgrid(np.linspace(-1, 1, SIZE[0]), np.linspace(-1, 1, SIZE[1]), indexing="ij"))
    for folder in ("fg", "alpha", "bg"):
        (root / folder).mkdir()
    for i in range(num_foregrounds):
        alpha = np.clip(4 * (0.7 - distance) + rng.normal(0, 0.1, SIZE) * (abs(distance - 0.7) < 0.2), 0, 1)
        Image.fromarray(photograph(rng, *SIZE)).save(root / "fg" / f"f{i}.png")
        Image.fromarray(np.round(alpha * 255).astype(np.uint8)).save(root / "alpha" / f"f{i}.png")
    for i in range(num_foregrounds * per_foreground):
        Image.fromarray(photograph(rng, 375, 500)).save(root / "bg" / f"b{i}.jpg")
    (root / "fg.txt").write_text("".join(f"f{i}\n" for i in range(num_foregrounds)))
    (root / "bg.txt").write_text("".join(f"b{i}.jpg\n" for i in range(num_foregrounds * per_foreground)))


def main() -> None:
    num, each = int(sys.argv[1]) if len(sys.argv) > 1 else 4, 10
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_inputs(root, num, each)
        inputs = find_inputs(root, "fg", "alpha", root / "bg")
        images = plan(inputs, root / "fg.txt", root / "bg.txt", each, "{foreground}_{k}")
        layers = [
            np.asarray(read_as_stored(root / kind / "f0.png", mode))
            for kind, mode in (("fg", "RGB"), ("alpha", "L"))
        ]
        background = read_as_stored(root / "bg" / "b0.jpg", "RGB")
        start = time.perf_counter()
        for _ in range(each):
            pixels = composed(*layers, background)
        arithmetic = (time.perf_counter() - start) / each
        start = time.perf_counter()
        for i in range(each):
            write_png(root / "encoded" / f"{i}.png", pixels)
        encoding = (time.perf_counter() - start) / each
        seconds = {}
        for processes in (1, 2):
            start = time.perf_counter()
            compose(images, inputs, root / f"out{processes}", processes)
            seconds[processes] = (time.perf_counter() - start) / len(images)
        gain = seconds[1] / seconds[2]
        print(f"{len(images)} images of {SIZE[1]}x{SIZE[0]}, milliseconds an image:")
        print(f"resize and blend {1e3 * arithmetic:.0f}, encode and write {1e3 * encoding:.0f}")
        print(
            f"all, one process {1e3 * seconds[1]:.0f}; two processes {1e3 * seconds[2]:.0f} "
            f"({gain:.2f} times as fast)"
        )
        print(f"a thousand images with two processes: {1000 * seconds[2] / 60:.1f} minutes")


if __name__ == "__main__":
    main()
