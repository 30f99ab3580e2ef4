"""Trimaps that are made of masks, against those that people have drawn, on photographs with true mattes.

Claim: where the mask is right, `--width auto` leaves less than half as much wrong as a band of one width does
for the same share of the picture (at 400 pixels: unknown 18.3 %, left wrong 1.7 %; 17.8 % and 4.0 %), and its
share is that of the tight trimaps that people have drawn. GrabCut by a box alone is often wrong by more than
any band makes good: give a mask, or strokes.

Data: the environment variable DEEPMATTE_REAL_DATA names a folder with alphamatting/{image,alpha,trimap_tight,
trimap_loose}. Cost: a minute. Command: python benchmarks/trimaps.py [--side 400]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deepmatte.classical.band import trimap_of_mask
from deepmatte.classical.segmentation import Box, segment, strokes_of_box
from deepmatte.data import read_alpha, read_image, read_trimap
from deepmatte.data.composing.trimaps import resize_conservatively
from deepmatte.ops.trimap import trimap_from_distances
from deepmatte.ops.zones import UNKNOWN

FRACTIONAL = (0.02, 0.98)
"""Captured mattes are noisy: what is nearer to 0 or 1 does not count as fractional."""

WIDTHS = (0.01, 0.015, 0.02, 0.03, 0.04)
"""Of bands of one width, to either side of the edge: shares of the longest side."""


@dataclass(frozen=True)
class Case:
    """A photograph in [0, 1], its true matte and the trimaps that people have drawn."""

    image: np.ndarray
    alpha: np.ndarray
    drawn: dict[str, np.ndarray]

    @property
    def mask(self) -> np.ndarray:
        """The best mask that there can be."""
        return self.alpha >= 0.5

    def fixed(self, share: float) -> np.ndarray:
        """Return the trimap whose band has one width."""
        width = share * max(self.alpha.shape)
        return trimap_from_distances(np.where(self.mask, np.uint8(255), np.uint8(0)), width, width)

    def by_box(self) -> np.ndarray:
        """Return the trimap of the mask that GrabCut makes of the foreground's bounding box."""
        rows, columns = (np.flatnonzero(self.mask.any(axis)) for axis in (1, 0))
        left, top = int(columns[0]), int(rows[0])
        box = Box(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1)
        return trimap_of_mask(self.image, segment(self.image, strokes_of_box(box, *self.mask.shape)))

    def judged(self, trimap: np.ndarray) -> tuple[float, float, float]:
        """Return in per cent what is unknown, how many fractional pixels are, and what remains wrong.

        That is the sum of what alpha differs from the mask outside the unknown zone, to that in all.
        """
        unknown = trimap == UNKNOWN
        fractional = (self.alpha > FRACTIONAL[0]) & (self.alpha < FRACTIONAL[1])
        difference = np.abs(self.alpha - self.mask)
        wrong = np.abs(self.alpha - trimap / 255.0)[~unknown].sum() / difference.sum()
        return 100 * unknown.mean(), 100 * unknown[fractional].mean(), 100 * wrong


def cases(folder: Path, side: int) -> Iterator[Case]:
    """Yield the photographs, with ``side`` pixels at their longest side; 0 is as they are."""
    for file in sorted((folder / "image").iterdir()):
        image, alpha = read_image(file) / 255, read_alpha(folder / "alpha" / file.name) / 255
        drawn = {kind: read_trimap(folder / f"trimap_{kind}" / file.name) for kind in ("tight", "loose")}
        height, width = alpha.shape
        if side:
            scale = side / max(height, width)
            size = round(width * scale), round(height * scale)
            image, alpha = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (image, alpha))
            drawn = {kind: resize_conservatively(trimap, *alpha.shape) for kind, trimap in drawn.items()}
        yield Case(image, alpha, drawn)


def main() -> None:
    """Print a line for each way to make a trimap: means over the photographs, and the worst one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=0, help="longest side in pixels (default: as they are)")
    options = parser.parse_args()
    root = os.environ.get("DEEPMATTE_REAL_DATA")
    if not root:
        print("DEEPMATTE_REAL_DATA names no folder of photographs")
        return
    ways: dict[str, Callable[[Case], np.ndarray]] = {
        "drawn, tight": lambda case: case.drawn["tight"],
        "drawn, loose": lambda case: case.drawn["loose"],
    }
    for share in WIDTHS:
        ways[f"one width, {100 * share:g} %"] = lambda case, share=share: case.fixed(share)
    ways["auto, of the best mask"] = lambda case: trimap_of_mask(case.image, case.mask)
    ways["auto, of a box"] = Case.by_box
    found = list(cases(Path(root) / "alphamatting", options.side))
    print(f"{len(found)} photographs{'':12}unknown   covered   left wrong   least covered")
    for name, way in ways.items():
        rows = np.array([case.judged(way(case)) for case in found])
        unknown, covered, wrong = rows.mean(0)
        print(f"{name:24} {unknown:7.1f} % {covered:8.1f} % {wrong:10.2f} % {rows[:, 1].min():13.1f} %")


if __name__ == "__main__":
    main()
