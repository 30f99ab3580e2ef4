"""The table of docs/model_card.md: methods and networks on the photographs GT01 to GT13 of alphamatting.com.

Scores are those of `deepmatte evaluate` (SAD, Grad and Conn / 1000, MSE x 1000, in the unknown zone) of 8-bit
mattes, as means over the photographs. The last column is the ratio of the SAD to closed form's, with the 2.5
and 97.5 percentiles of 10,000 bootstrap samples of the photographs.

Data: the environment variable DEEPMATTE_REAL_DATA names a folder with alphamatting/{image,alpha,trimap_tight,
trimap_loose}. Cost: fifteen minutes on one core, by estimate, once; the mattes stay in the cache of guides.
Command: python benchmarks/photographs.py [NAME or RUN ...]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from deepmatte.batch import Batch
from deepmatte.data import FolderData, ImageDataset, collate
from deepmatte.data.guides import GuideCache, GuidedDataset
from deepmatte.metrics.functional.matting import score_image
from deepmatte.models import MattingModel
from deepmatte.ops.zones import impose_trimap, trivial_matte
from deepmatte.scoring.photographs.predictors import network_of_run
from deepmatte.training.guides import solvers

SCORES = ("sad", "mse", "grad", "conn")
SAMPLES = 10_000
METHODS = (
    *("closed_form", "fast_closed_form", "knn", "fast_knn", "blend", "learning_based"),
    *("information_flow", "fast_information_flow"),
)


@torch.inference_mode()
def matte_of(model: MattingModel, batch: Batch, methods: Sequence[str]) -> torch.Tensor:
    """Return the matte of a network, whose guides are among the mattes of ``methods``."""
    wanted = [methods.index(name) for name in model.guides]
    own = Batch(**{**batch, "guide": batch["guide"][:, wanted]})
    return model({key: value for key, value in own.items() if key in model.reads}).alpha


def ratio(scores: np.ndarray, usual: np.ndarray) -> str:
    """Return the ratio of two means over the same photographs, with its interval."""
    drawn = np.random.default_rng(0).integers(len(scores), size=(SAMPLES, len(scores)))
    low, high = np.percentile(scores[drawn].mean(1) / usual[drawn].mean(1), [2.5, 97.5])
    return f"{scores.mean() / usual.mean():.2f} ({low:.2f} to {high:.2f})"


def table(root: Path, trimap: str, networks: dict[str, MattingModel], methods: Sequence[str]) -> str:
    """Return the rows of one kind of trimap as Markdown."""
    source = FolderData(root, image="image", alpha="alpha", trimap=trimap, name="alphamatting")
    images = ImageDataset(source.images("test"), name=source.name, version=source.version)
    known, cache = solvers(methods), GuideCache()
    cache.prepare([(images, index) for index in range(len(images))], known)
    found: dict[str, list[list[float]]] = {}
    for index in range(len(images)):
        batch = collate([GuidedDataset(images, known, cache)[index]])
        mattes = {"trivial": trivial_matte(batch["trimap"])}
        mattes |= {name: batch["guide"][:, i : i + 1] for i, name in enumerate(methods)}
        mattes |= {name: matte_of(model, batch, methods) for name, model in networks.items()}
        for name, alpha in mattes.items():
            final = (impose_trimap(alpha, batch["trimap"]) * 255).round() / 255
            scores = score_image(final[0, 0], batch["alpha"][0, 0], batch["trimap"][0, 0])
            found.setdefault(name, []).append([scores[key] for key in SCORES])
    usual = np.array(found["closed_form"])
    lines = [f"| {trimap} | SAD | MSE | Grad | Conn | SAD to closed form's |", "|---|--:|--:|--:|--:|--:|"]
    for name, rows in found.items():
        means = " | ".join(f"{value:.3f}" for value in np.mean(rows, 0))
        lines.append(f"| {name} | {means} | {ratio(np.array(rows)[:, 0], usual[:, 0])} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the tables of tight and loose trimaps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="names of weights that come with deepmatte, or runs")
    options = parser.parse_args()
    root = os.environ.get("DEEPMATTE_REAL_DATA")
    if not root:
        print("DEEPMATTE_REAL_DATA names no folder of photographs")
        return
    networks: dict[str, MattingModel] = {
        Path(name).name: network_of_run(Path(name)).model for name in options.networks
    }
    for trimap in ("trimap_tight", "trimap_loose"):
        print(table(Path(root) / "alphamatting", trimap, networks, METHODS))


if __name__ == "__main__":
    main()
