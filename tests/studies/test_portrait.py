"""What the portraits' page says of two mattes that nobody trains, measured on the pictures of its curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny_run import compose

from deepmatte.training.building.from_config import build_data

FILE = Path(__file__).parents[2] / "experiments" / "portrait_vgg16.yaml"


@pytest.mark.slow
def test_the_losses_to_compare_with_are_those_of_the_page(procedural_cache: Path) -> None:
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    params = content["hydra"]["sweeper"]["params"]
    keys = ("data", "composition.size", "composition.fixed_size", "composition.erode", "composition.dilate")
    words = [f"{key}={params[key]}" for key in keys]
    config = compose(
        "train",
        ["experiments=portrait_vgg16", "~budget", *words, f"data.source.cache_dir={procedural_cache}"],
    )
    dataset = build_data(config).eval_dataset("val")
    samples = [dataset[index] for index in range(len(dataset))]
    alphas, trimaps = (np.stack([sample[key].numpy() for sample in samples]) for key in ("alpha", "trimap"))
    assert alphas.shape[-2:] == (28, 28)
    nothing, trivial = (
        alphas.mean(),
        np.abs(np.select([trimaps == 0, trimaps == 255], [0.0, 1.0], 0.5) - alphas).mean(),
    )
    text = " ".join(content["study"]["text"].split())
    assert (
        f"0 everywhere has a loss of {nothing:.2f} on these pictures, "
        f"and the trimap with 0.5 in its unknown zone one of {trivial:.2f}" in text
    )
