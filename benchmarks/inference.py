"""Time and memory of a matte against the number of pixels, whole and in tiles, beside closed-form matting.

Claim: in tiles of 512 pixels the network takes time in proportion to the pixels, and 90 bytes a pixel for the
picture, the matte and the cut-out: 1.3 GB in all for 8.3 megapixels (4K), where the whole picture takes 2.3.
Tiles leave no seam that 8 bits show (half a step). Information flow takes
1364 MB and 30 s for 8.3 megapixels on a busy machine, at half the size as much: above 4 megapixels both are
solved at one, and enlarged by the colours; below, half the size takes a quarter to a half of the time. The
weights ``starter``, which correct it in tiles of 768 pixels, take 1349 MB and 66 s.

The network is dim_small with random weights; each picture is matted in a process of its own, as `deepmatte
predict` does, colours of the cut-out included. Cost: three minutes. Command: python benchmarks/inference.py
[--megapixels 0.5 2 8.3] [--tile 512] [--ways whole tiles closed_form ...]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from deepmatte.metrics.functional.seams import seams
from deepmatte.models import DeepImageMatting, MattingModel
from deepmatte.models.shipped import STARTER
from deepmatte.ops.tiling import borders
from deepmatte.scoring.photographs.predict import matted
from deepmatte.scoring.photographs.predictors import (
    Predictor,
    network_predictor,
    predictor_of_method,
    predictor_of_run,
)

METHODS = ("closed_form", "fast_closed_form", "information_flow", "fast_information_flow")
WAYS = ("whole", "tiles", *METHODS, STARTER)
ASPECT = 16 / 9


def scene(megapixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Return an image, uint8 (H, W, 3), and a trimap whose unknown zone is a ring, a fifth of the picture."""
    height = round((megapixels * 1e6 / ASPECT) ** 0.5)
    width = round(height * ASPECT)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    distance = np.hypot(y - height / 2, x - width / 2) / height
    grain = np.random.default_rng(0).integers(-12, 13, (height, width, 1))
    colours = (
        128
        + 90 * np.sin(np.dstack([x / 40, y / 31, (x + y) / 57])) * np.where(distance < 0.35, 1, -1)[..., None]
    )
    trimap = np.select([distance < 0.27, distance < 0.42], [255, 128], 0).astype(np.uint8)
    return np.clip(colours + grain, 0, 255).astype(np.uint8), trimap


def measure(way: str, megapixels: float, tile: int) -> dict[str, float]:
    """Return seconds, and the MB that were taken beside those of a first, small picture."""
    if way in METHODS:
        predictor: Predictor = predictor_of_method(way)
    elif way == STARTER:
        predictor = predictor_of_run(Path(STARTER))
    else:
        predictor = network_predictor(network(), refine=True, impose=True, tile=tile if way == "tiles" else 0)

    def run(size: float) -> float:
        image, trimap = scene(size)
        start = time.perf_counter()
        matted(image, predictor(image, trimap))
        return time.perf_counter() - start

    run(0.01)
    before = peak()
    seconds = run(megapixels)
    return {"seconds": seconds, "more": peak() - before, "peak": peak()}


def network() -> MattingModel:
    """Return dim_small with random weights."""
    torch.manual_seed(0)
    return DeepImageMatting(width=0.125).eval()


def peak() -> float:
    """Return the most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seam(tile: int) -> tuple[float, float]:
    """Return the strongest seam of a picture in tiles, and how far its matte is from the whole one's."""
    image, trimap = scene(1)
    model = network()
    whole, tiled = (
        network_predictor(model, refine=True, impose=True, tile=size)(image, trimap).alpha
        for size in (0, tile)
    )
    rows, columns = (borders(side, tile, tile // 4, 32) for side in trimap.shape)
    return seams(tiled, whole, rows, columns), float(np.abs(tiled - whole).mean())


def main() -> None:
    """Print a line for each way and size, and the strongest seam."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", nargs="+", type=float, default=[0.5, 2, 8.3])
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child[0], float(options.child[1]), options.tile)))
        return
    for way in options.ways:
        for size in options.megapixels:
            command = [sys.executable, __file__, "--tile", str(options.tile), "--child", way, str(size)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            each = f"{found['seconds'] / size:5.1f} s and {found['more'] / size:4.0f} MB a megapixel"
            whole = f"{found['seconds']:6.1f} s, {found['peak']:5.0f} MB in all"
            print(f"{way:21} {size:4.1f} megapixels: {whole}; {each}", flush=True)
    strongest, far = seam(options.tile)
    print(f"strongest seam: {255 * strongest:.2f}/255, where the mattes differ by {255 * far:.2f}/255")


if __name__ == "__main__":
    main()
