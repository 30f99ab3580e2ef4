"""What makes the cheapest guide for `model=guided`: solvers on the same composites, in one run, side by side.

Claim: information flow at half the size, enlarged by the colours (``fast_information_flow``), costs half of
closed form (0.54) at lower errors than any other (24 composites of cut-outs over photographs: SAD 7.46, MSE
52.4, Grad 6.92; closed form 8.71, 67.3 and 9.69; KNN 9.98, 76.9 and 9.90 for 3.6 times its time). At the full
size it takes 3.7 times and gains nothing there. ``fast_closed_form`` is the cheapest (0.17).

Seconds are of processor time, and the ratio to closed form counts, since both were measured on the same
samples in turn. ``half`` solves at half the size and enlarges the matte. The bias is the mean of found minus
true alpha where that is between 0.1 and 0.9: where it is far from 0 for every solver, the mattes of the
foregrounds don't fit their colours, and a network learns that, too.

Data: drawn foregrounds and backgrounds, the validation split; with --root DIR the training split of
DIR/cutouts/fg, DIR/cutouts/alpha and DIR/backgrounds. Cost: three minutes.
Command: OMP_NUM_THREADS=1 python benchmarks/guides.py [--size 384] [--num 16] [--root DIR] [--kinds hair fur]
[--solvers closed_form fast_information_flow]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import cv2
import numpy as np

from deepmatte.classical import (
    KNN,
    ClosedForm,
    FastClosedForm,
    FastInformationFlow,
    FastKNN,
    InformationFlow,
    LearningBased,
)
from deepmatte.classical.method import downscale
from deepmatte.data import Composition, CompositionDataset, FolderData
from deepmatte.data.procedural import ProceduralData
from deepmatte.metrics.functional.matting import score_image
from deepmatte.ops.zones import impose_trimap

Solve = Callable[[np.ndarray, np.ndarray], np.ndarray]


def at_half_size(solve: Solve) -> Solve:
    """Return a method that solves a picture of half the size."""

    def solved(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
        height, width = trimap.shape
        small = solve(*downscale(image, trimap, (width // 2, height // 2)))
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)

    return solved


SOLVERS: dict[str, Solve] = {
    "closed_form": ClosedForm(),
    "closed_form, tolerance 1e-4": ClosedForm(tolerance=1e-4),
    "closed_form, half": at_half_size(ClosedForm()),
    "fast_closed_form": FastClosedForm(),
    "knn": KNN(),
    "knn, 10 and 5 neighbours": KNN(neighbours=(10, 5)),
    "knn, half": at_half_size(KNN()),
    "fast_knn": FastKNN(),
    "learning_based": LearningBased(),
    "information_flow": InformationFlow(),
    "fast_information_flow": FastInformationFlow(),
}


def main() -> None:
    """Print a row a solver: seconds, their ratio to closed form's, and the scores of its mattes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--num", type=int, default=16)
    parser.add_argument("--root", help="a folder with cutouts/fg, cutouts/alpha and backgrounds")
    parser.add_argument("--kinds", nargs="+", help="of drawn foregrounds; without it, all")
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=list(SOLVERS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    split = "train" if options.root else "val"
    source: FolderData | ProceduralData = ProceduralData(num_val=options.num, kinds=options.kinds)
    if options.root:
        folders = {"foreground": "cutouts/fg", "alpha": "cutouts/alpha", "background": "backgrounds"}
        source = FolderData(options.root, **folders, name="cutouts")
    recipe = Composition(crop_sizes=(320, 384, 448, 512), size=options.size, erode=(3, 25), dilate=(3, 25))
    layers = source.foregrounds(split), source.backgrounds(split)
    dataset = CompositionDataset(*layers, recipe, seed=0, split=split)
    samples = [dataset[(0, index)] for index in range(options.num)]
    stripes = np.tile(np.repeat(np.array([0, 128, 255], np.uint8), 16), (48, 1))
    solvers = {name: SOLVERS[name] for name in dict.fromkeys(["closed_form", *options.solvers])}
    scores: dict[str, list[list[float]]] = {name: [] for name in solvers}
    for solve in solvers.values():
        solve(np.random.default_rng(0).random((48, 48, 3)), stripes)  # compiles what it needs
    for sample in samples:
        image = sample["image"].permute(1, 2, 0).double().numpy()
        alpha, trimap = sample["alpha"][0].numpy(), sample["trimap"][0].numpy()
        between = (alpha > 0.1) & (alpha < 0.9)
        for name, solve in solvers.items():
            start = time.process_time()
            found = solve(image, trimap)
            seconds = time.process_time() - start
            found = impose_trimap(np.clip(found, 0, 1), trimap)
            judged = score_image(found, alpha, trimap, scores=("sad", "mse", "grad"))
            bias = (found - alpha)[between].mean() if between.any() else np.nan
            scores[name].append([seconds, *judged.values(), bias])
    usual = np.mean(scores["closed_form"], 0)
    print(f"{options.num} composites of {options.size} pixels\n")
    print("| solver | seconds | ratio | SAD | MSE x1000 | Grad | bias |\n|---|--:|--:|--:|--:|--:|--:|")
    for name, rows in scores.items():
        seconds, *found, _ = np.mean(rows, 0)
        bias = np.nanmean(rows, 0)[-1]  # some pictures have no such pixel
        cells = " | ".join(f"{value:.3g}" for value in found)
        print(f"| {name} | {seconds:.2f} | {seconds / usual[0]:.2f} | {cells} | {bias:+.3f} |")


if __name__ == "__main__":
    main()
