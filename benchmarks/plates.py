"""What a network that reads a captured background does with a wrong one: proof that it uses the plate.

Claim: `bgmv2_small` of docs/models.md (SAD 12.98) errs by 17.6 with picture and plate exchanged, and is worse
than the trivial matte (27.64) with the picture as its own plate (34.6) or a black one (35.1). Exchanged, the
difference of the two stays what it was, and only what objects look like tells them from the background.
Its error map, at the size of the coarse matte, correlates with that one's true error by r = 0.43 in the
unknown zone and 0.73 in the whole picture (means over the 32 test pictures).

Cost: half a minute. Command: python benchmarks/plates.py RUN [--split test]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch

from deepmatte.batch import Batch, Matte
from deepmatte.metrics.functional.matting import score_image
from deepmatte.runs.directory import RunDir
from deepmatte.scoring.photographs.predictors import trained_network
from deepmatte.training.building.from_config import build_data

SCORES = ("sad", "mse", "grad", "conn")
WHERE = ("unknown zone", "whole picture")


def with_plate(batch: Batch, plate: torch.Tensor, **others: torch.Tensor) -> Batch:
    """Return the batch with another plate."""
    return cast(Batch, {**batch, "captured_background": plate, **others})


WAYS: dict[str, Callable[[Batch], Batch]] = {
    "as it is": lambda batch: batch,
    "exchanged": lambda batch: with_plate(batch, batch["image"], image=batch["captured_background"]),
    "the picture": lambda batch: with_plate(batch, batch["image"]),
    "black": lambda batch: with_plate(batch, torch.zeros_like(batch["image"])),
}


def correlations(matte: Matte, truth: np.ndarray, trimap: np.ndarray) -> list[float]:
    """Return Pearson's correlation of the predicted error map with the true error of the coarse matte.

    That is the absolute error of the enlarged matte, averaged over the map's pixels; where the trimap is
    unknown somewhere in them, and in the whole picture.
    """
    coarse = matte.coarse
    assert coarse is not None
    assert coarse.error is not None
    predicted = coarse.error[0, 0].numpy()
    enlarged = cv2.resize(coarse.alpha[0, 0].numpy(), truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    true, unknown = (
        cv2.resize(plane.astype(np.float32), predicted.shape[::-1], interpolation=cv2.INTER_AREA)
        for plane in (np.abs(enlarged - truth), trimap == 128)
    )
    zones = unknown > 0, np.ones_like(unknown, bool)
    return [float(np.corrcoef(predicted[zone], true[zone])[0, 1]) for zone in zones]


def main() -> None:
    """Print the scores in the unknown zone of the usual trimap, a row a plate, and the error map's worth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", choices=("val", "test"), default="test")
    options = parser.parse_args()
    network = trained_network(options.run, guide="captured_background")
    data = build_data(RunDir(options.run).config("data", "composition"))
    data.check([options.split])
    found: dict[str, list[list[float]]] = {name: [] for name in WAYS}
    correlated = []
    for batch in data.eval_loader(options.split):
        truth, trimap = (batch[key][0, 0].numpy() for key in ("alpha", "trimap"))
        for name, change in WAYS.items():
            with torch.inference_mode():
                matte = network.model(change(batch), refine=network.refine)
            alpha = matte.alpha[0, 0].numpy()
            found[name].append(list(score_image(alpha, truth, trimap, scores=SCORES).values()))
            if name == "as it is":
                correlated.append(correlations(matte, truth, trimap))
    print(f"{'plate':12}" + "".join(f"{name:>9}" for name in SCORES))
    for name, rows in found.items():
        print(f"{name:12}" + "".join(f"{value:9.2f}" for value in np.mean(rows, 0)))
    for where, value in zip(WHERE, np.mean(correlated, 0), strict=True):
        print(f"error map and true error of the coarse matte, {where}: r = {value:.2f}")


if __name__ == "__main__":
    main()
