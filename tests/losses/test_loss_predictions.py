"""Colours and expected errors: Background Matting V2's losses give the published values, part by part."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.config.compose import compose
from deepmatte.errors import InputError
from deepmatte.losses import LOSSES, LossTable

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from model_cases import model_cases

PUBLISHED = model_cases()["bgmv2_losses"]
STAGES = Path(__file__).parents[2] / "conf" / "stages" / "bgmv2.yaml"


def plane(channels: int, height: int, width: int, a: float, b: float, p: float) -> Tensor:
    """Return the reference's formula: clip(0.5 + 0.7 sin(a x (c + 1) + b y + p + 0.3 n), 0, 1)."""
    n, c, y, x = np.ogrid[:2, :channels, :height, :width]
    values = 0.5 + 0.7 * np.sin(a * x * (c + 1) + b * y + p + 0.3 * n)
    return torch.from_numpy(values.clip(0, 1).astype(np.float32))


def case() -> tuple[Batch, Matte, Matte]:
    """Return the truth, and predictions of its size and of a smaller one."""
    alpha, colours = plane(1, 64, 96, 0.13, 0.05, 0), plane(3, 64, 96, 0.07, 0.11, 1)
    trimap = torch.full(alpha.shape, 128, dtype=torch.uint8)
    batch = Batch(alpha=alpha, foreground=colours, trimap=trimap)
    large = Matte(
        plane(1, 64, 96, 0.12, 0.06, 0.1),
        foreground=plane(3, 64, 96, 0.08, 0.1, 1.1),
        error=plane(1, 64, 96, 0.2, 0.03, 0.5),
    )
    small = Matte(
        plane(1, 16, 24, 0.5, 0.21, 0.05),
        foreground=plane(3, 16, 24, 0.3, 0.4, 1.05),
        error=plane(1, 16, 24, 0.8, 0.1, 0.5),
    )
    return batch, large, small


def losses(stage: str) -> LossTable:
    config = compose("loss/bgmv2")
    config.loss = OmegaConf.merge(config.loss, OmegaConf.load(STAGES)[stage].loss)
    return LossTable(OmegaConf.to_container(config.loss, resolve=True))


def weighted(table: LossTable, matte: Matte, batch: Batch) -> dict[str, float]:
    result = table(matte, batch)
    found = {name: float(result.weights[name] * value) for name, value in result.terms.items()}
    return found | {"total": float(result.total)}


NAMES = {
    "base": {
        "alpha": "alpha_l1",
        "gradient": "alpha_sobel_l1",
        "foreground": "fgr_l1",
        "error": "err_mse",
        "total": "total",
    },
    "joint": {
        "refined_alpha": "alpha_l1_large",
        "refined_gradient": "alpha_sobel_large",
        "refined_foreground": "fgr_large",
        "alpha": "alpha_l1_small",
        "gradient": "alpha_sobel_small",
        "foreground": "fgr_small",
        "error": "err_mse",
        "total": "total",
    },
}


@pytest.mark.parametrize("stage", NAMES)
def test_each_stage_has_the_published_terms_with_the_published_values(stage):
    batch, large, small = case()
    matte = Matte(large.alpha, foreground=large.foreground, coarse=large if stage == "base" else small)
    found = weighted(losses(stage), matte, batch)
    published = PUBLISHED["base" if stage == "base" else "refine"]
    assert found.keys() == NAMES[stage].keys()
    assert len(published) == len(found)
    for name, value in found.items():
        assert value == pytest.approx(published[NAMES[stage][name]], rel=1e-5), name


def test_detached_the_error_term_teaches_the_expected_error_alone():
    batch = example_batch(dtype=torch.float64)
    for detach in (True, False):
        alpha = (0.1 + 0.7 * batch["alpha"]).requires_grad_()
        error = torch.full_like(alpha, 0.3).requires_grad_()
        LOSSES["error"].function(Matte(alpha, error=error), batch, detach=detach).backward()
        assert error.grad.any()
        assert (alpha.grad is not None and bool(alpha.grad.any())) is not detach


def test_colours_count_where_there_is_foreground_alone():
    batch = example_batch(dtype=torch.float64)
    wrong = torch.where(batch["alpha"] > 0, batch["foreground"], 1 - batch["foreground"])
    assert float(LOSSES["foreground"].function(Matte(batch["alpha"], foreground=wrong), batch)) == 0
    off = batch["foreground"] + 0.25
    shares = (batch["alpha"] > 0).double().mean(), 1.0
    for per, share in zip(("image", "region"), shares, strict=True):
        value = LOSSES["foreground"].function(Matte(batch["alpha"], foreground=off), batch, per=per)
        assert float(value) == pytest.approx(0.25 * float(share))


def test_models_without_colours_or_errors_are_named_before_training_and_after():
    for name, output in (("foreground", "foreground"), ("error", "error")):
        table = LossTable({"alpha": {"weight": 1}, name: {"weight": 1}})
        table.check_outputs(("foreground", "error"))
        with pytest.raises(
            InputError, match=rf"^loss\.{name} reads the predicted {output}, which this model"
        ):
            table.check_outputs(())
        with pytest.raises(InputError, match=rf"^loss\.{name}: this model predicts no "):
            table(Matte(example_batch()["alpha"]), example_batch())
