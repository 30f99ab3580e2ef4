"""Scores in double precision, and evaluations side by side, each under a name that says how it differs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from simulated_pictures import photographs
from tiny_run import compose

from deepmatte.scoring.evaluate import evaluate
from deepmatte.training.score import conditions


def result(directory: Path) -> dict:
    return json.loads((directory / "result.json").read_text())


def test_scores_are_means_in_double_precision(trained: Path) -> None:
    """The mean of ``per_image.csv`` by numpy, to the last digits; single precision has seven."""
    images = pd.read_csv(trained / "per_image.csv")
    scores = result(trained)["scores"]
    for metric in ("sad", "mse", "grad", "conn", "miou"):
        np.testing.assert_allclose(scores[f"test/{metric}"], images[metric].mean(), rtol=1e-14)
    kept = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)["deepmatte"]["scores"]
    assert scores["val/sad"] == kept["val/sad"]
    for name in ("val/sad", "test/sad", "trivial/test/sad"):
        assert scores[name] != float(np.float32(scores[name])), name


def evaluated(run: Path, *more: str) -> dict:
    words = [f"run={run}", "num_pictures=0", "data.num_workers=0", *more]
    return evaluate(compose("evaluate", words))


@pytest.mark.slow
def test_evaluations_under_other_trimaps_stand_side_by_side(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    set_a, set_b = photographs(tmp_path / "a"), photographs(tmp_path / "b", wider=8)
    data = ("data=alphamatting", f"data.root={set_a}")
    tight = evaluated(run, *data)
    loose = evaluated(run, *data, "data.trimap=trimap_loose")
    raw = evaluated(run, *data, "impose_trimap=false")
    last = evaluated(run, *data, "checkpoint=last")
    tiles = evaluated(run, *data, "tile=128")
    other = evaluated(run, "data=alphamatting", f"data.root={set_b}")
    evaluated(run, *data)  # again: in its place
    names = {folder.name for folder in (run / "evaluations").iterdir()}
    digest = other["dataset"]["digest"][:8]
    assert names == {
        "alphamatting_test",
        "alphamatting_test_trimap_loose",
        "alphamatting_test_impose_trimap=false",
        "alphamatting_test_checkpoint=last",
        "alphamatting_test_tile=128",
        f"alphamatting_test_{digest}",
    }
    assert result(run / "evaluations" / "alphamatting_test")["scores"] == tight["scores"]
    assert loose["scores"]["trivial/test/sad"] > tight["scores"]["trivial/test/sad"]
    assert tight["trimap"]["given"] == "trimap_tight"
    assert loose["trimap"]["given"] == "trimap_loose"
    assert (tight["impose_trimap"], raw["impose_trimap"]) == (True, False)
    assert (tight["data_root"], other["data_root"]) == (str(set_a), str(set_b))
    assert last["method"] == "run, last"
    assert tiles["scores"] == tight["scores"]  # a tile holds the whole of these pictures
    assert (tiles["tile"], tight["tile"]) == (128, None)
    assert result(trained)["trimap"] == {"given": None, "composites": "kernels"}
    assert result(trained)["impose_trimap"] is True


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ({"test": "val", "val": {"trimap": "val/trimap"}, "trimap": "trimap"}, "val/trimap"),
        ({"test": "val", "val": None, "trimap": "trimap"}, "trimap"),
        ({"test": {"image": "photos"}, "trimap": None}, None),
    ],
)
def test_trimaps_that_are_recorded_are_those_of_the_pictures_that_are_scored(
    source: dict, given: str | None
) -> None:
    config = OmegaConf.create({"data": {"source": source}, "impose_trimap": True})
    assert conditions(config, ("trimap",))["trimap"]["given"] == given
