"""Every published value that a term claims to reproduce, in double precision on the reference cases."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.losses import LOSSES

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from reference_cases import CASES, Case, reference

REGRESSION = {
    "torch.l1.mean": ("alpha", {"region": "whole", "distance": "l1"}),
    "torch.mse.mean": ("alpha", {"region": "whole", "distance": "l2"}),
    "mmagic.l1.mean": ("alpha", {"region": "whole", "distance": "l1"}),
    "mmagic.l1.mean_unknown": ("alpha", {"distance": "l1"}),
    "mmagic.mse.mean_unknown": ("alpha", {"distance": "l2"}),
    "mmagic.charbonnier.mean": ("alpha", {"region": "whole"}),
    "mmagic.charbonnier.mean_unknown": ("alpha", {}),
    "mmagic.charbonnier.eps1e-6.mean_unknown": ("alpha", {"eps": 1e-3}),
    "p3m.alpha.whole": ("alpha", {"region": "whole"}),
    "gca.l1.unknown": ("alpha", {"distance": "l1"}),
    "gca.l2.unknown": ("alpha", {"distance": "l2"}),
    "mmagic.comp_l1.mean": ("composition", {"region": "whole", "distance": "l1"}),
    "mmagic.comp_l1.mean_unknown": ("composition", {"distance": "l1"}),
    "mmagic.comp_mse.mean": ("composition", {"region": "whole", "distance": "l2"}),
    "mmagic.comp_mse.mean_unknown": ("composition", {"distance": "l2"}),
    "mmagic.comp_charbonnier.mean": ("composition", {"region": "whole"}),
    "mmagic.comp_charbonnier.mean_unknown": ("composition", {}),
    "mmagic.gradient.mean": (
        "gradient",
        {"region": "whole", "filter": "sobel", "compare": "components", "border": "zeros"},
    ),
    "mmagic.gradient.mean_unknown": (
        "gradient",
        {"filter": "sobel", "compare": "components", "border": "zeros"},
    ),
    "gca.grad.all": ("gradient", {"region": "whole", "filter": "sobel", "border": "zeros"}),
    "gca.grad.unknown": ("gradient", {"filter": "sobel", "border": "zeros"}),
    "rvm.laplacian": ("laplacian", {"region": "whole"}),
    "vitmatte.laplacian": ("laplacian", {"region": "whole"}),
}
SCALED = {  # the same formula under another scale
    "gca.comp.unknown": ("composition", {"distance": "l1"}, lambda case: 3),
    "mgm.lap.all": ("laplacian", {"region": "whole"}, lambda case: 5),
    "mgm.lap.unknown": ("laplacian", {}, lambda case: 5),
    "vitmatte.unknown_l1": ("alpha", {"distance": "l1"}, lambda case: 512**2 / num_pixels(case)),
    "vitmatte.known_l1": (
        "alpha",
        {"region": "known", "distance": "l1"},
        lambda case: 512**2 / num_pixels(case),
    ),
    "vitmatte.gradient_penalty": (
        "gradient_penalty",
        {"border": "zeros"},
        lambda case: 512**2 / num_pixels(case),
    ),
    "canonical_f64_float.grad.raw_whole": ("grad_metric", {"region": "whole"}, lambda case: num_pixels(case)),
    "canonical_f64_float.grad.raw_unknown": (
        "grad_metric",
        {},
        lambda case: int((case.arrays["trimap"] == 128).sum()),
    ),
}
TVERSKY = {"alpha": 0.3, "beta": 0.7}
CLASSIFICATION = {
    "torch.bce_logits": ("bce", {}),
    "torch.bce_logits.pos2.5": ("bce", {"form": "textbook", "positive_weight": 2.5}),
    "torch.bce_logits.weight_unknown": ("bce", {"region": "unknown", "per": "image"}),
    "torchvision.focal.a-1.g2": ("focal", {"form": "textbook"}),
    "torchvision.focal.a0.25.g2": ("focal", {"form": "textbook", "balance": 0.25}),
    "smp.focal.aNone.g2": ("focal", {"form": "exponential"}),
    "smp.focal.a0.25.g2": ("focal", {"form": "exponential", "balance": 0.25}),
    "smp.dice": ("dice", {"smooth": 0}),
    "smp.dice.smooth1": ("dice", {"smooth": 1}),
    "smp.jaccard": ("jaccard", {"smooth": 0}),
    "smp.tversky.a0.3.b0.7": ("tversky", {**TVERSKY, "smooth": 0}),
    "smp_old.dice": ("dice", {"form": "textbook", "smooth": 0}),
    "smp_old.dice.smooth1": ("dice", {"form": "textbook", "smooth": 0.5}),  # it adds s to 2 TP, we to TP
    "smp_old.jaccard": ("jaccard", {"form": "textbook", "smooth": 0}),
    "smp_old.tversky.a0.3.b0.7": ("tversky", {**TVERSKY, "form": "textbook", "smooth": 0}),
    "jdt.dice.norm1.smooth0": ("dice", {"smooth": 0}),
    "jdt.dice.norm1.smooth0.001": ("dice", {"smooth": 0.001}),
    "jdt.jaccard.norm1.smooth0": ("jaccard", {"smooth": 0}),
    "jdt.jaccard.norm1.smooth0.001": ("jaccard", {"smooth": 0.001}),
    "jdt.tversky37.norm1.smooth0": ("tversky", {**TVERSKY, "smooth": 0}),
    "jdt.tversky37.norm1.smooth0.001": ("tversky", {**TVERSKY, "smooth": 0.001}),
}
LOVASZ = {
    "berman.lovasz_hinge.frac.float64": {"form": "textbook"},
    "berman.lovasz_hinge.hard.float64": {"form": "textbook"},
    "smp.lovasz_hinge.hard.float64": {"form": "textbook", "reduction": "batch"},
    "berman.lovasz_sigmoid.hard.float64": {},
    "own.soft_lovasz.frac": {},
    "own.soft_lovasz.hard": {},
}


def num_pixels(case: Case) -> int:
    return case.spec["H"] * case.spec["W"]


def image(array) -> Tensor:
    return (
        torch.from_numpy(array)[None, None]
        if array.ndim == 2
        else torch.from_numpy(array).permute(2, 0, 1)[None]
    )


def batch_of(case: Case, hard: bool = False) -> Batch:
    alpha = image(case.arrays["alpha"])
    batch = Batch(alpha=(alpha >= 0.5).double() if hard else alpha, trimap=image(case.arrays["trimap"]))
    if case.spec["color"]:
        foreground, background = image(case.arrays["fg"]), image(case.arrays["bg"])
        batch |= Batch(
            foreground=foreground,
            background=background,
            composite=alpha * foreground + (1 - alpha) * background,
        )
    return batch


def predicted(case: Case) -> Matte:
    return Matte(image(case.arrays["pred"]))


def classified(case: Case) -> Matte:
    logit = image(case.arrays["logit"])
    return Matte(torch.sigmoid(logit), logit=logit)


def compare(name: str, cases: list[Case], compute: Callable[[Case], Tensor | float]) -> None:
    num = 0
    for case in cases:
        wanted = (
            float(case.values[name]) if name in case.values and case.values[name] != "error" else math.nan
        )
        if not math.isnan(wanted):  # the source raised, or divided by an empty region
            num += 1
            assert float(compute(case)) == pytest.approx(wanted, rel=1e-6, abs=1e-12), case.name
    assert num >= 3


@pytest.mark.parametrize("name", REGRESSION)
def test_regression_term_gives_the_published_value(name):
    term, options = REGRESSION[name]
    cases = [case for case in CASES.values() if term != "composition" or case.spec["color"]]
    compare(name, cases, lambda case: LOSSES[term].function(predicted(case), batch_of(case), **options))


@pytest.mark.parametrize("name", SCALED)
def test_term_gives_the_published_value_under_the_published_scale(name):
    term, options, scale = SCALED[name]
    cases = [case for case in CASES.values() if term != "composition" or case.spec["color"]]
    compare(
        name,
        cases,
        lambda case: scale(case) * LOSSES[term].function(predicted(case), batch_of(case), **options),
    )


@pytest.mark.parametrize("target", ["frac", "hard"])
@pytest.mark.parametrize("name", CLASSIFICATION)
def test_classification_or_overlap_term_gives_the_published_value(name, target):
    term, options = CLASSIFICATION[name]
    # For an empty truth smp sets its overlap losses to 0 by hand.
    cases = [
        case
        for case in CASES.values()
        if batch_of(case, target == "hard")["alpha"].sum() > 0 or not name.startswith("smp")
    ]
    options = {"region": "whole", **options}
    compare(
        f"{name}.{target}",
        cases,
        lambda case: LOSSES[term].function(classified(case), batch_of(case, target == "hard"), **options),
    )


@pytest.mark.parametrize("name", LOVASZ)
def test_lovasz_gives_the_published_value(name):
    hard = ".hard" in name
    compare(
        name,
        list(CASES.values()),
        lambda case: LOSSES["lovasz"].function(
            classified(case), batch_of(case, hard), region="whole", **LOVASZ[name]
        ),
    )


BATCH = {
    ("mmagic.l1.mean_unknown", None): ("alpha", {"distance": "l1"}),
    ("mmagic.l1.mean_unknown.sample_wise", None): ("alpha", {"distance": "l1", "reduction": "sample"}),
    ("mmagic.charbonnier.mean_unknown.sample_wise", None): ("alpha", {"reduction": "sample"}),
    ("gca.l1.unknown", None): ("alpha", {"distance": "l1"}),
    ("rvm.laplacian", None): ("laplacian", {"region": "whole"}),
    ("smp.dice.frac", "frac"): ("dice", {"region": "whole", "smooth": 0}),
    ("smp.jaccard.frac", "frac"): ("jaccard", {"region": "whole", "smooth": 0}),
    ("smp.dice.hard", "hard"): ("dice", {"region": "whole", "smooth": 0}),
    ("jdt.dice.mIoUI.frac", "frac"): ("dice", {"region": "whole", "smooth": 0, "reduction": "sample"}),
    ("jdt.jaccard.mIoUI.hard", "hard"): ("jaccard", {"region": "whole", "smooth": 0, "reduction": "sample"}),
    ("berman.lovasz_hinge.per_image_True", "hard"): (
        "lovasz",
        {"region": "whole", "form": "textbook", "reduction": "sample"},
    ),
    ("berman.lovasz_hinge.per_image_False", "hard"): (
        "lovasz",
        {"region": "whole", "form": "textbook", "reduction": "batch"},
    ),
}


@pytest.mark.parametrize(("name", "target"), BATCH)
def test_reduction_over_a_batch_gives_the_published_value(name, target):
    term, options = BATCH[name, target]
    entry = next(entry for entry in reference()["batch"] if entry["id"] == name)
    cases = [CASES[case.split("_")[0]] for case in entry["params"]["batch"]]
    parts = [batch_of(case, target == "hard") for case in cases]
    batch = Batch(**{key: torch.cat([part[key] for part in parts]) for key in ("alpha", "trimap")})
    mattes = [classified(case) if target else predicted(case) for case in cases]
    matte = Matte(
        torch.cat([m.alpha for m in mattes]), logit=torch.cat([m.logit for m in mattes]) if target else None
    )
    assert float(LOSSES[term].function(matte, batch, **options)) == pytest.approx(entry["value"], rel=1e-6)
