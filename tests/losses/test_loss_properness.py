"""Proper terms are least at the true, fractional alpha; the textbook forms are not."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses import LOSSES, LossTable

PROPER = [
    ("alpha", {}),
    ("alpha", {"distance": "l1", "reduction": "sample"}),
    ("alpha", {"distance": "l2", "region": "whole"}),
    ("composition", {}),
    ("composition", {"distance": "l1", "region": "known", "per": "image"}),
    ("gradient", {}),
    ("gradient", {"filter": "sobel", "compare": "components"}),
    ("laplacian", {}),
    ("laplacian", {"region": "whole", "levels": 2, "reduction": "sample"}),
    ("bce", {}),
    ("bce", {"positive_weight": 3.0}),
    ("bce", {"positive_weight": "auto", "region": "band:1"}),
    ("focal", {}),
    ("focal", {"gamma": 1.5, "balance": 0.25}),
    ("focal", {"form": "exponential"}),
    ("dice", {}),
    ("dice", {"smooth": 0, "reduction": "sample"}),
    ("jaccard", {}),
    ("tversky", {}),
    ("tversky", {"alpha": 0.9, "beta": 0.2, "smooth": 0}),
    ("lovasz", {}),
    ("lovasz", {"reduction": "batch", "region": "whole"}),
    ("grad_metric", {}),
    ("ssim", {"region": "whole"}),
    ("ssim", {"border": "zeros", "reduction": "sample"}),
    ("temporal", {}),
    ("alpha", {"hardest": 0.25}),
    ("bce", {"hardest": 0.5, "reduction": "sample"}),
    ("laplacian", {"hardest": 0.5, "region": "whole"}),
]
TEXTBOOK = [
    ("bce", {"form": "textbook", "positive_weight": 2.5}),
    ("focal", {"form": "textbook"}),
    ("focal", {"form": "textbook", "balance": 0.25}),
    ("dice", {"form": "textbook"}),
    ("jaccard", {"form": "textbook"}),
    ("tversky", {"form": "textbook"}),
    ("lovasz", {"form": "textbook"}),
]
EXEMPT = [("smoothness", {"edge_scale": 5.0}), ("gradient_penalty", {}), ("ddc", {"region": "whole"})]
NO_PIXEL = ("gradient", "laplacian", "grad_metric", "temporal")
"""Terms that read more than single pixels, so that a pixel's own error may cost nothing."""

few = settings(max_examples=8, deadline=None, derandomize=True)


def name_of(case):
    return f"{case[0]}-{'-'.join(f'{key}={value}' for key, value in case[1].items())}"


def random_batch(seed: int) -> tuple[Batch, torch.Generator]:
    """Truths in [0.02, 0.98], mixed trimaps (one sample may have no unknown pixel), random layers."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 1, 6, 7)
    alpha = 0.02 + 0.96 * torch.rand(shape, generator=generator, dtype=torch.float64)
    trimap = torch.tensor([0, 128, 128, 255], dtype=torch.uint8)[
        torch.randint(0, 4, shape, generator=generator)
    ]
    foreground, background = torch.rand(2, 2, 3, 6, 7, generator=generator, dtype=torch.float64)
    return Batch(
        alpha=alpha,
        trimap=trimap,
        foreground=foreground,
        background=background,
        composite=alpha * foreground + (1 - alpha) * background,
        image=background,
        previous=torch.tensor([-1, 0]),
    ), generator


def value_at(case, alpha: Tensor, batch: Batch, with_logit: bool = False) -> Tensor:
    term, options = case
    return LOSSES[term].function(
        Matte(alpha, logit=torch.logit(alpha) if with_logit else None), batch, **options
    )


@pytest.mark.parametrize("case", PROPER, ids=name_of)
@few
@given(seed=st.integers(0, 2**31), share=st.floats(0, 1))
def test_no_prediction_costs_less_than_the_truth(case, seed, share):
    batch, generator = random_batch(seed)
    truth = batch["alpha"]
    at_truth = float(value_at(case, truth, batch))
    rivals = [
        torch.rand(truth.shape, generator=generator, dtype=torch.float64),
        (truth > 0.5).double(),
        truth.round(decimals=1),
        truth**0.7,
    ]
    for rival in [*rivals, torch.zeros_like(truth), torch.ones_like(truth)]:
        nearer = share * rival + (1 - share) * truth
        assert float(value_at(case, nearer, batch)) >= at_truth - 1e-12


@pytest.mark.parametrize("case", PROPER, ids=name_of)
@few
@given(seed=st.integers(0, 2**31))
def test_gradient_at_the_truth_is_zero_and_every_small_step_away_costs(case, seed):
    batch, generator = random_batch(seed)
    truth = batch["alpha"].clone().requires_grad_()
    at_truth = value_at(case, truth, batch)
    (gradient,) = torch.autograd.grad(at_truth, truth)
    assert gradient.abs().max() < 1e-10
    for _ in range(4):
        step = 1e-4 * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
        for side in (step, -step):
            change = float(value_at(case, truth.detach() + side, batch) - at_truth.detach())
            assert change >= -1e-14
            if case[0] not in NO_PIXEL and "hardest" not in case[1]:
                assert change > 0


@pytest.mark.parametrize("case", PROPER + TEXTBOOK + EXEMPT, ids=name_of)
def test_gradient_away_from_the_truth_is_the_numerical_one(case):
    batch, generator = random_batch(11)
    away = 0.05 + 0.1 * torch.rand(batch["alpha"].shape, generator=generator, dtype=torch.float64)
    start = torch.where(batch["alpha"] < 0.5, batch["alpha"] + away, batch["alpha"] - away).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda alpha: value_at(case, alpha, batch, with_logit=case[0] in ("bce", "focal", "lovasz")),
        start,
        eps=1e-7,
    )


@pytest.mark.parametrize("case", TEXTBOOK, ids=name_of)
@few
@given(seed=st.integers(0, 2**31))
def test_textbook_form_falls_on_the_way_from_the_truth_to_a_harder_matte(case, seed):
    batch, _ = random_batch(seed)
    truth = batch["alpha"]
    lower = [
        value_at(case, truth + share * (goal - truth), batch)
        for share in (0.01, 0.1, 0.3)
        for goal in (truth.round(), torch.ones_like(truth))
    ]
    assert min(float(value) for value in lower) < float(value_at(case, truth, batch))


TWO_PIXELS = {  # the reference's table for t = (0.8, 0.4): p = t, (1, 0), (0, 0), (0.9, 0.5)
    ("dice", "textbook"): (0.333333, 0.272727, 1.000000, 0.292308),
    ("dice", "proper"): (0.000000, 0.272727, 1.000000, 0.076923),
    ("jaccard", "textbook"): (0.500000, 0.428571, 1.000000, 0.452381),
    ("jaccard", "proper"): (0.000000, 0.428571, 1.000000, 0.142857),
    ("tversky", "textbook"): (0.333333, 0.298246, 1.000000, 0.269841),
    ("tversky", "proper"): (0.000000, 0.298246, 1.000000, 0.047619),
    ("lovasz", "proper"): (0.000000, 0.311111, 0.685714, 0.100000),
}


@pytest.mark.parametrize(("term", "form"), TWO_PIXELS)
def test_two_pixels_give_the_values_of_the_reference_table(term, form):
    truth = torch.tensor([0.8, 0.4], dtype=torch.float64).view(1, 1, 1, 2)
    batch = Batch(alpha=truth, trimap=torch.full(truth.shape, 128, dtype=torch.uint8))
    options = {"form": form} if term == "lovasz" else {"form": form, "smooth": 0}
    found = [
        float(
            LOSSES[term].function(
                Matte(torch.tensor(p, dtype=torch.float64).view(1, 1, 1, 2)), batch, **options
            )
        )
        for p in ((0.8, 0.4), (1.0, 0.0), (0.0, 0.0), (0.9, 0.5))
    ]
    assert found == pytest.approx(TWO_PIXELS[term, form], abs=6e-7)


@pytest.mark.parametrize(
    ("form", "gamma"), [("proper", 0.0), ("proper", 1.0), ("textbook", 0.5), ("exponential", 0.5)]
)
def test_focal_of_every_permitted_gamma_has_a_bounded_gradient_near_the_truth(form, gamma):
    batch, _ = random_batch(3)
    LossTable({"focal": {"weight": 1, "form": form, "gamma": gamma}})
    near = (batch["alpha"] + 1e-12).requires_grad_()
    LOSSES["focal"].function(Matte(near), batch, form=form, gamma=gamma).backward()
    assert near.grad.abs().max() < 10


def test_proper_focal_has_an_unbounded_gradient_near_a_fractional_truth_if_gamma_is_below_one():
    batch, _ = random_batch(3)
    slopes = []
    for distance in (1e-3, 1e-5, 1e-7):
        near = (batch["alpha"] + distance).requires_grad_()
        LOSSES["focal"].function(Matte(near), batch, gamma=0.5).backward()
        slopes.append(float(near.grad.abs().max()))
    assert slopes[2] > 8 * slopes[1] > 64 * slopes[0]


@pytest.mark.parametrize("true", [0.0, 1.0])
def test_a_saturated_wrong_pixel_without_logit_still_learns(true):
    alpha = torch.full((1, 1, 1, 1), 1 - true, requires_grad=True)
    batch = Batch(
        alpha=torch.full((1, 1, 1, 1), true), trimap=torch.full((1, 1, 1, 1), 128, dtype=torch.uint8)
    )
    LOSSES["bce"].function(Matte(alpha), batch).backward()
    assert float(alpha.grad.sign()) == 1 - 2 * true
    assert alpha.grad.isfinite().all()
