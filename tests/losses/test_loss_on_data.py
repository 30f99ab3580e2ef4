"""A loss that the data can't serve is refused before the run directory is touched."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from deepmatte.errors import InputError


@pytest.fixture
def photographs(tmp_path: Path) -> list[str]:
    """Overrides under which sixteen photographs are trained on as they are."""
    y, x = np.mgrid[:96, :96]
    alpha = np.clip(8 * (36 - np.hypot(x - 48, y - 48)), 0, 255).astype(np.uint8)
    for number in range(16):
        for folder, pixels in (
            ("photo", np.full((96, 96, 3), 10 * number, np.uint8)),
            ("alpha", np.roll(alpha, number, axis=1)),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            assert cv2.imwrite(str(tmp_path / folder / f"{number}.png"), pixels)
    shares = ["data.source.val_fraction=0.25", "data.source.test_fraction=0.25"]
    places = [
        f"data.root={tmp_path}",
        "data.source.foreground=photo",
        "data.source.alpha=alpha",
        "data.source.background=own",
    ]
    return ["data=folder", *places, *shares]


def test_a_run_whose_data_has_no_layers_is_refused_before_it_begins(
    tmp_path: Path, photographs: list[str]
) -> None:
    from tiny_run import TINY, compose

    from deepmatte.training.run import train

    tiny = [override for override in TINY if not override.startswith("data.source.")]
    run = tmp_path / "run"
    overrides = [*tiny, *photographs, "loss.composition.weight=1", "loss.composition.region=known"]
    with pytest.raises(
        InputError,
        match=r"^loss\.composition reads foreground, .* which the training data does not have",
    ):
        train(compose("train", overrides), run, overrides)
    assert not run.exists()
