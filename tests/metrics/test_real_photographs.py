"""The whole path from files to scores on 13 photographs, against figures made by other programs."""

import os
from pathlib import Path

import numpy as np
import pytest

from deepmatte.data.sources.images import read_alpha, read_trimap
from deepmatte.metrics import score_image

ROOT = os.environ.get("DEEPMATTE_REAL_DATA")


@pytest.mark.skipif(not ROOT, reason="DEEPMATTE_REAL_DATA names no folder of photographs")
@pytest.mark.parametrize(
    ("kind", "published"),
    [("tight", (33.778, 198.34, 53.381, 34.382)), ("loose", (50.617, 213.44, 51.615, 51.260))],
)
def test_the_trivial_matte_scores_as_published(kind, published):
    folder = Path(ROOT) / "alphamatting"
    rows = []
    for file in sorted((folder / "alpha").iterdir()):
        trimap = read_trimap(folder / f"trimap_{kind}" / file.name)
        trivial = np.where(trimap == 128, 0.5, trimap / 255)
        rows.append(
            list(
                score_image(
                    trivial, read_alpha(file), trimap, "adobe", ("sad", "mse", "grad", "conn")
                ).values()
            )
        )
    assert len(rows) == 13
    assert np.mean(rows, axis=0) == pytest.approx(published, rel=3e-5)
