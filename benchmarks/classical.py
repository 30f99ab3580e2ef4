"""Clustering mattes against scikit-learn's own calls, on a photograph of 600x800 pixels.

Run: python benchmarks/classical.py.

Wanted: K-means at most 1.2 times scikit-learn's call; the mixture fitted to a sample at least 3 times as fast
as fitted to every pixel, at a SAD within 1 %; the table of many pictures on both cores.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
from sklearn import cluster
from sklearn.datasets import load_sample_image
from torch.utils.data import DataLoader

from deepmatte.classical import GaussianMixture, KMeans
from deepmatte.classical.clustering import features
from deepmatte.data import MattingDataset, collate
from deepmatte.data.composing.tensors import to_tensor
from deepmatte.data.parallel import num_cores
from deepmatte.metrics import score_image
from deepmatte.ops.compositing import composite
from deepmatte.ops.trimap import trimap_from_alpha
from deepmatte.scoring.baselines import SOLVED, SolvedDataset

Value = TypeVar("Value")
PICTURES, TURNS, SEEDS = 8, 5, 3


def picture() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image (600, 800, 3), trimap and alpha: a flower before a temple, cut out by colour."""
    flower, china = (
        cv2.resize(load_sample_image(name), (800, 600)) / 255 for name in ("flower.jpg", "china.jpg")
    )
    red = (flower[..., 0] > 1.2 * flower[..., 1]).astype(np.uint8)
    alpha = cv2.GaussianBlur(
        cv2.morphologyEx(red, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8)).astype(float), (0, 0), 2
    )
    alpha = np.rint(alpha * 255).astype(np.uint8)
    return composite(flower, china, alpha[..., None] / 255), trimap_from_alpha(alpha, 15, 15), alpha / 255


def timed(function: Callable[[], Value]) -> tuple[float, Value]:
    """Return seconds and result of a call."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def fastest(*functions: Callable[[], object]) -> list[float]:
    """Return the least seconds of each call; they take turns, so that a drift in speed affects all alike."""
    return [
        min(column)
        for column in zip(
            *[[timed(function)[0] for function in functions] for _ in range(TURNS)], strict=True
        )
    ]


class Pictures(MattingDataset[int]):
    """One picture, several times."""

    def __init__(self, image: np.ndarray, trimap: np.ndarray) -> None:
        super().__init__("pictures", "1", "test")
        self.layers = {
            "image": to_tensor(np.rint(image * 255).astype(np.uint8)),
            "trimap": to_tensor(trimap).mul(255).byte(),
        }

    def __len__(self) -> int:
        return PICTURES

    def make(self, key: int) -> dict:
        return {**self.layers, "index": key, "name": str(key)}


def solve_all(dataset: SolvedDataset, num_workers: int) -> float:
    """Return a sum over all mattes, so that nothing is left out."""
    return sum(
        float(batch[SOLVED].sum())
        for batch in DataLoader(dataset, num_workers=num_workers, collate_fn=collate)
    )


def main() -> None:
    """Print the ratios, each of calls made one after the other."""
    warnings.simplefilter("ignore")
    image, trimap, alpha = picture()
    pixels = features(image, "lab", 0)

    theirs, ours = fastest(
        lambda: cluster.KMeans(8, n_init=1, random_state=0).fit_predict(pixels),
        lambda: KMeans()(image, trimap),
    )
    print(
        f"K-means, 600x800, 8 clusters: {ours:.2f} s for the matte, "
        f"scikit-learn's fit_predict {theirs:.2f} s; ratio {ours / theirs:.2f}"
    )

    sampled = [timed(lambda seed=seed: GaussianMixture(seed=seed)(image, trimap)) for seed in range(SEEDS)]
    every = [
        timed(lambda seed=seed: GaussianMixture(seed=seed, fit_pixels=10**9)(image, trimap))
        for seed in range(SEEDS)
    ]
    for fit, runs in (("a sample", sampled), ("every pixel", every)):
        sads = [score_image(matte, alpha, trimap, "adobe", ("sad",))["sad"] for _, matte in runs]
        times = [seconds for seconds, _ in runs]
        shown = ", ".join(f"{sad:.4g}" for sad in sads)
        print(
            f"mixture, 600x800, fitted to {fit}: {sum(times) / SEEDS:.1f} s, SAD of {SEEDS} seeds {shown}; "
            f"mean {sum(sads) / SEEDS:.4g}"
        )
    print(f"    {sum(t for t, _ in every) / sum(t for t, _ in sampled):.1f} times as fast")

    dataset = SolvedDataset(Pictures(image, trimap), GaussianMixture())
    one, first = timed(lambda: solve_all(dataset, 0))
    many, second = timed(lambda: solve_all(dataset, num_cores()))
    same = "equal" if first == second else "different"
    print(
        f"{PICTURES} pictures: {one:.1f} s in one process, {many:.1f} s in {num_cores()}; "
        f"ratio {one / many:.2f}; results {same}"
    )


if __name__ == "__main__":
    main()
