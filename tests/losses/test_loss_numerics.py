"""Finite value and gradient wherever a batch can be extreme, in every precision."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.losses import LOSSES, LossTable
from deepmatte.losses.terms import WITHOUT_CRITIC

sys.path.insert(0, str(Path(__file__).parent))
from whole_mattes import whole_matte

VARIANTS = [
    *((name, {}) for name in WITHOUT_CRITIC),
    ("alpha", {"reduction": "sample", "per": "image", "region": "known"}),
    ("composition", {"distance": "l2", "region": "band:3"}),
    ("gradient", {"filter": "sobel", "compare": "components", "border": "reflect"}),
    ("laplacian", {"reduction": "sample", "region": "whole"}),
    ("smoothness", {"edge_scale": 10.0, "reduction": "sample"}),
    ("bce", {"form": "textbook", "positive_weight": "auto"}),
    ("focal", {"form": "textbook", "gamma": 0.5, "balance": 0.25}),
    ("focal", {"form": "exponential", "gamma": 0.5}),
    ("dice", {"form": "textbook", "smooth": 0}),
    ("dice", {"reduction": "sample", "smooth": 0}),
    ("tversky", {"alpha": 0.0, "beta": 0.0, "smooth": 0}),
    *((name, {"hardest": 0.3}) for name, term in LOSSES.items() if "hardest" in term.defaults),
    ("composition", {"hardest": 1.0, "reduction": "sample", "region": "whole"}),
    ("bce", {"hardest": 0.01, "per": "image", "reduction": "sample", "region": "known"}),
    ("ddc", {"region": "whole", "radius": 2, "neighbours": 25}),
    ("ssim", {"region": "whole", "border": "reflect"}),
    ("temporal", {"region": "whole", "distance": "charbonnier"}),
    ("lovasz", {"form": "textbook"}),
    ("lovasz", {"reduction": "batch"}),
    ("lovasz", {"form": "textbook", "reduction": "batch", "region": "foreground"}),
]
LOGIT_TERMS = ("bce", "focal", "lovasz")


def region_of(case):
    return case[1].get("region", LOSSES[case[0]].defaults["region"])


def variant_id(case):
    return "-".join([case[0], *map(str, case[1].values())])


def situations(dtype: torch.dtype) -> dict[str, tuple[torch.Tensor, Batch]]:
    """Return predictions with their batches at the ends of what can happen."""
    plain = example_batch(size=9, dtype=dtype)
    truth = plain["alpha"]
    small = Batch(
        **{
            key: value[..., :1, :1] if isinstance(value, torch.Tensor) and value.ndim == 4 else value
            for key, value in plain.items()
        }
    )
    no_unknown = torch.where(truth >= 0.5, 255, 0).to(torch.uint8)
    one_empty = plain["trimap"].clone()
    one_empty[0] = 0
    zeros, ones, half = torch.zeros_like(truth), torch.ones_like(truth), torch.full_like(truth, 0.5)
    return {
        "prediction 0": (zeros, plain),
        "prediction 1": (ones, plain),
        "prediction constant": (half, plain),
        "equal to the truth": (truth.clone(), plain),
        "truth 0": (half, Batch(**{**plain, "alpha": zeros})),
        "truth 1": (half, Batch(**{**plain, "alpha": ones})),
        "both 0": (zeros, Batch(**{**plain, "alpha": zeros})),
        "both 1": (ones, Batch(**{**plain, "alpha": ones})),
        "wrong everywhere": (zeros, Batch(**{**plain, "alpha": ones})),
        "empty region": (half, Batch(**{**plain, "trimap": no_unknown})),
        "one sample empty": (half, Batch(**{**plain, "trimap": one_empty})),
        "one pixel": (half[..., :1, :1], small),
        "one row": (
            half[..., :1, :],
            Batch(
                **{
                    k: v[..., :1, :] if isinstance(v, torch.Tensor) and v.ndim == 4 else v
                    for k, v in plain.items()
                }
            ),
        ),
        "no sample": (half[:0], Batch(**{key: value[:0] for key, value in plain.items()})),
    }


def value_and_gradient(case, alpha, batch, with_logit=False):
    term, options = case
    alpha = alpha.clone().requires_grad_()
    logit = (torch.logit(alpha.detach().clamp(1e-6, 1 - 1e-6)) * 1.5).requires_grad_() if with_logit else None
    value = LOSSES[term].function(whole_matte(alpha, logit), batch, **options)
    value.backward()
    return value, [x.grad for x in (alpha, logit) if x is not None and x.grad is not None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", VARIANTS, ids=variant_id)
def test_value_and_gradient_are_finite_at_the_extremes(case, dtype):
    for name, (alpha, batch) in situations(dtype).items():
        for with_logit in (False, True)[: 1 + (case[0] in LOGIT_TERMS)]:
            value, gradients = value_and_gradient(case, alpha, batch, with_logit)
            assert value.dtype == dtype
            assert value.isfinite(), name
            assert gradients, name
            assert all(gradient.isfinite().all() for gradient in gradients), name


@pytest.mark.parametrize("case", [case for case in VARIANTS if region_of(case) == "unknown"], ids=variant_id)
def test_empty_region_costs_nothing_and_moves_nothing(case):
    alpha, batch = situations(torch.float32)["empty region"]
    value, gradients = value_and_gradient(case, alpha, batch)
    assert value.item() == 0
    assert all(not gradient.any() for gradient in gradients)


@pytest.mark.parametrize(
    "case",
    [c for c in VARIANTS if region_of(c) not in ("known", "foreground", "whole")],
    ids=variant_id,
)
def test_a_sample_without_region_changes_nothing_for_the_others(case):
    alone = example_batch(num=1, size=9, dtype=torch.float64)
    empty = {
        key: torch.zeros_like(value) if isinstance(value, torch.Tensor) else value
        for key, value in alone.items()
    }
    joined = Batch(
        **{
            key: torch.cat([value, empty[key]]) if isinstance(value, torch.Tensor) else value * 2
            for key, value in alone.items()
        }
    )
    value = [
        LOSSES[case[0]].function(whole_matte(0.3 + 0.4 * batch["alpha"]), batch, **case[1])
        for batch in (alone, joined)
    ]
    torch.testing.assert_close(value[1], value[0], rtol=1e-12, atol=0)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_under_autocast_gives_the_single_precision_loss_of_the_rounded_matte(half):
    config = {name: {"weight": 1} for name in WITHOUT_CRITIC}
    batch = example_batch(size=16)
    rounded = (0.05 + 0.9 * batch["alpha"]).to(half)
    results = []
    for alpha in (rounded, rounded.float()):
        logit = torch.logit(alpha.float()).to(alpha.dtype).requires_grad_()
        alpha = alpha.clone().requires_grad_()
        with torch.autocast("cpu", dtype=half, enabled=alpha.dtype == half):
            result = LossTable(config)(whole_matte(alpha, logit), batch)
        result.total.backward()
        assert result.total.dtype == torch.float32
        assert alpha.grad.isfinite().all()
        assert logit.grad.isfinite().all()
        results.append(result)
    for name in (
        "alpha",
        "composition",
        "gradient",
        "laplacian",
        "dice",
        "grad_metric",
    ):  # these read no (rounded) logit
        torch.testing.assert_close(results[0].terms[name], results[1].terms[name], rtol=0, atol=0)


@pytest.mark.parametrize("term", ["dice", "jaccard", "lovasz"])
def test_single_precision_is_enough_for_a_large_region(term):
    generator = torch.Generator().manual_seed(0)
    truth, predicted = torch.rand(2, 2, 1, 256, 256, generator=generator, dtype=torch.float64)
    batch = Batch(alpha=truth, trimap=torch.full(truth.shape, 128, dtype=torch.uint8))
    exact = float(LOSSES[term].function(Matte(predicted), batch))
    single = float(
        LOSSES[term].function(Matte(predicted.float()), Batch(**{**batch, "alpha": truth.float()}))
    )
    assert single == pytest.approx(exact, rel=1e-5)
