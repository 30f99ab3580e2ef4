"""Deep supervision: terms see the final or the coarse matte, whatever its size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from deepmatte.batch import Matte, example_batch
from deepmatte.errors import InputError
from deepmatte.losses import LossTable

DEEP = {"alpha": {"weight": 1}, "deep": {"term": "alpha", "weight": 0.5, "output": "coarse"}}


def prediction(batch, factor: int = 2, with_logit: bool = False) -> Matte:
    """Return a matte whose coarse one is ``factor`` times smaller."""
    alpha = 0.1 + 0.7 * batch["alpha"]
    small = F.avg_pool2d(0.2 + 0.6 * batch["alpha"], factor)
    logit = torch.logit(small).requires_grad_() if with_logit else None
    coarse = Matte(small.requires_grad_() if logit is None else torch.sigmoid(logit), logit=logit)
    return Matte(alpha.requires_grad_(), coarse=coarse)


def test_a_row_with_output_coarse_is_the_term_of_the_enlarged_coarse_matte():
    batch = example_batch(dtype=torch.float64)
    matte = prediction(batch)
    terms = LossTable(DEEP)(matte, batch).terms
    large = F.interpolate(matte.coarse.alpha, scale_factor=2, mode="bilinear", align_corners=False)
    inside = batch["trimap"] == 128
    for name, alpha in {"alpha": matte.alpha, "deep": large}.items():
        wanted = ((alpha - batch["alpha"])[inside].square() + 1e-12).sqrt().mean()
        torch.testing.assert_close(terms[name], wanted, rtol=1e-12, atol=0)


def test_each_matte_learns_from_its_own_rows_alone():
    batch = example_batch()
    for output, learns, rests in (("coarse", 1, 0), ("final", 0, 1)):
        matte = prediction(batch)
        LossTable({"alpha": {"weight": 1, "output": output}})(matte, batch).total.backward()
        gradients = [matte.alpha.grad, matte.coarse.alpha.grad]
        assert gradients[learns].any()
        assert gradients[rests] is None or not gradients[rests].any()


def test_with_a_logit_it_is_the_logit_that_is_enlarged():
    batch = example_batch(dtype=torch.float64)
    matte = prediction(batch, factor=4, with_logit=True)
    table = LossTable({"bce": {"weight": 1, "output": "coarse", "region": "whole"}})
    large = F.interpolate(matte.coarse.logit, scale_factor=4, mode="bilinear", align_corners=False)
    wanted = F.binary_cross_entropy_with_logits(large, batch["alpha"])
    torch.testing.assert_close(table(matte, batch).total, wanted, rtol=1e-12, atol=0)


def test_a_coarse_matte_of_full_size_is_not_resized():
    batch = example_batch(dtype=torch.float64)
    matte = prediction(batch, factor=1)
    alone = LossTable({"alpha": {"weight": 1}})(matte.coarse, batch).total
    torch.testing.assert_close(LossTable(DEEP)(matte, batch).terms["deep"], alone, rtol=0, atol=0)


def test_balance_scales_a_coarse_row_by_its_gradient_at_the_coarse_matte():
    batch = example_batch(dtype=torch.float64)
    matte = prediction(batch)
    config = {"balance": "gradient", "log_cosines": True, "alpha": {"weight": 1, "distance": "l1"}}
    deep = {"term": "bce", "weight": 1, "output": "coarse"}
    result = LossTable({**config, "deep": deep})(matte, batch)
    (own,) = torch.autograd.grad(result.terms["deep"], matte.coarse.alpha, retain_graph=True)
    (unit,) = torch.autograd.grad(result.terms["alpha"], matte.alpha, retain_graph=True)
    assert result.factors["deep"] == pytest.approx(float(unit.norm() / own.norm()), rel=1e-5)
    assert result.cosines == {"alpha_vs_deep": 0}


def test_a_model_without_a_coarse_matte_is_named_in_one_line():
    batch = example_batch()
    with pytest.raises(
        InputError, match=r"^loss\.deep\.output=coarse: this model gives no coarse matte; set"
    ):
        LossTable(DEEP)(Matte(batch["alpha"]), batch)


def test_a_bad_coarse_matte_is_named_in_one_line():
    batch = example_batch()
    for coarse, message in (
        (2 * batch["alpha"], "the coarse alpha has values"),
        (batch["alpha"][:1], "the coarse alpha has 1 samples, alpha 2"),
        (batch["alpha"][:, 0], r"the coarse alpha has shape \(2, 32, 32\): make it"),
    ):
        with pytest.raises(InputError, match=message):
            LossTable(DEEP)(Matte(batch["alpha"], coarse=Matte(coarse)), batch)


def test_half_precision_reaches_the_coarse_terms_in_single_precision():
    batch = example_batch()
    small = F.avg_pool2d(0.2 + 0.6 * batch["alpha"], 2).bfloat16()
    value = LossTable(DEEP)(Matte(batch["alpha"], coarse=Matte(small)), batch).terms["deep"]
    assert value.dtype == torch.float32


def colours(matte, batch):
    """A term on predicted colours and the predicted error map, at one size with the truth."""
    return (matte.foreground - batch["foreground"]).abs().mean() + matte.error.mean()


colours.reads = ("foreground",)


def test_predicted_colours_and_errors_of_the_coarse_matte_are_enlarged_like_its_alpha():
    batch = example_batch(dtype=torch.float64)
    small = {
        "foreground": F.avg_pool2d(batch["foreground"], 4).requires_grad_(),
        "error": F.avg_pool2d(batch["alpha"], 4).requires_grad_(),
    }
    matte = Matte(
        batch["alpha"].clone().requires_grad_(), coarse=Matte(F.avg_pool2d(batch["alpha"], 4), **small)
    )
    config = {"alpha": {"weight": 1}, "own": {"term": "x:colours", "weight": 1, "output": "coarse"}}
    result = LossTable(config, own_terms=lambda key, name: colours)(matte, batch)
    large = {
        name: F.interpolate(plane, size=(32, 32), mode="bilinear", align_corners=False)
        for name, plane in small.items()
    }
    wanted = (large["foreground"] - batch["foreground"]).abs().mean() + large["error"].mean()
    torch.testing.assert_close(result.terms["own"], wanted, rtol=1e-12, atol=0)
    result.total.backward()
    assert all(plane.grad.any() for plane in small.values())


def test_output_reduced_compares_at_the_size_of_the_coarse_matte():
    batch = example_batch(size=32, dtype=torch.float64)
    matte = prediction(batch, factor=4)
    row = {"weight": 1, "output": "reduced", "region": "whole", "distance": "l1"}
    truth = F.interpolate(batch["alpha"], size=(8, 8), mode="bilinear", align_corners=False)
    wanted = (matte.coarse.alpha - truth).abs().mean()
    torch.testing.assert_close(LossTable({"alpha": row})(matte, batch).total, wanted, rtol=1e-12, atol=0)
    zone = F.interpolate(batch["trimap"].double(), size=(8, 8), mode="nearest-exact") == 128
    inside = LossTable({"alpha": row | {"region": "unknown"}})(matte, batch).total
    torch.testing.assert_close(inside, (matte.coarse.alpha - truth).abs()[zone].mean(), rtol=1e-12, atol=0)


def test_outputs_that_no_term_reads_still_take_part_so_that_no_parameter_is_left_without_a_gradient():
    batch = example_batch()
    error = torch.rand_like(batch["alpha"]).requires_grad_()
    matte = Matte(0.5 * batch["alpha"].clone().requires_grad_(), error=error)
    LossTable({"alpha": {"weight": 1}})(matte, batch).total.backward()
    assert torch.equal(error.grad, torch.zeros_like(error))
