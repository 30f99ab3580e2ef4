"""Common misconceptions about these losses, corrected."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepmatte.batch import Batch, Matte
from deepmatte.losses import LOSSES

alphas = st.lists(st.floats(0.01, 1), min_size=6, max_size=6)


def cost(name, predicted, true, **options):
    predicted, true = (
        torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1) for values in (predicted, true)
    )
    batch = Batch(alpha=true, trimap=torch.full(true.shape, 128, dtype=torch.uint8))
    return float(LOSSES[name].function(Matte(predicted), batch, **options))


@pytest.mark.parametrize("form", ["proper", "textbook"])
def test_dice_loss_of_zero_is_a_perfect_match_and_one_is_none(form):
    assert cost("dice", [1, 0, 1], [1, 0, 1], form=form, smooth=0) == 0
    assert cost("dice", [0, 1, 0], [1, 0, 1], form=form, smooth=0) == 1


@settings(max_examples=20, deadline=None, derandomize=True)
@given(predicted=alphas, true=alphas, form=st.sampled_from(["proper", "textbook"]))
def test_dice_is_not_the_iou_but_twice_the_iou_over_one_plus_the_iou(predicted, true, form):
    dice, iou = (1 - cost(name, predicted, true, form=form, smooth=0) for name in ("dice", "jaccard"))
    assert dice == pytest.approx(2 * iou / (1 + iou), rel=1e-12)


def test_second_term_of_weighted_cross_entropy_has_log_of_one_minus_p():
    weight, p, t = 2.5, 0.9, 0.3
    textbook = -weight * t * math.log(p) - (1 - t) * math.log(1 - p)
    assert cost("bce", [p], [t], form="textbook", positive_weight=weight) == pytest.approx(
        textbook, rel=1e-12
    )
    proper = (1 + (weight - 1) * t) * (-t * math.log(p) - (1 - t) * math.log(1 - p))
    assert cost("bce", [p], [t], positive_weight=weight) == pytest.approx(proper, rel=1e-12)


@pytest.mark.parametrize("form", ["proper", "textbook", "exponential"])
def test_focal_factor_at_95_percent_and_gamma_2_is_0_0025(form):
    assert cost("focal", [0.95], [1], form=form) / cost("bce", [0.95], [1]) == pytest.approx(0.0025, rel=1e-9)


def test_positive_weight_moves_the_minimum_of_the_textbook_form_to_where_its_docstring_says():
    weight, t = 2.5, 0.4
    grid = [i / 1000 for i in range(1, 1000)]
    least = min(grid, key=lambda p: cost("bce", [p], [t], form="textbook", positive_weight=weight))
    assert least == pytest.approx(weight * t / (weight * t + 1 - t), abs=1e-3)
    assert min(grid, key=lambda p: cost("bce", [p], [t], positive_weight=weight)) == t


def test_automatic_weight_is_background_over_foreground_within_its_limits():
    assert cost("bce", [0.3, 0.6], [0.1, 0.3], positive_weight="auto") == pytest.approx(
        cost("bce", [0.3, 0.6], [0.1, 0.3], positive_weight=1.6 / 0.4), rel=1e-12
    )
    for empty, limit in (([0, 0], 100), ([1, 1], 0.01)):
        assert cost("bce", [0.3, 0.6], empty, positive_weight="auto") == pytest.approx(
            cost("bce", [0.3, 0.6], empty, positive_weight=limit), rel=1e-12
        )
