"""The common scale of terms: factors by gradient norms, and cosines between gradients."""

from __future__ import annotations

import pytest
import torch

from deepmatte.batch import Matte, example_batch
from deepmatte.losses import LossTable
from deepmatte.losses.regression import alpha_loss


def prediction(batch):
    return Matte((0.1 + 0.7 * batch["alpha"]).requires_grad_())


BALANCED = {
    "balance": "gradient",
    "balance_steps": 2,
    "composition": {"weight": 0.5},
    "dice": {"weight": 0.5},
    "bce": {"weight": 1},
}


def gradient_norm(value, root):
    return float(torch.autograd.grad(value, root, retain_graph=True)[0].norm())


def test_balanced_terms_pull_with_equal_force_and_as_strongly_as_plain_l1():
    batch = example_batch()
    matte = prediction(batch)
    result = LossTable(BALANCED)(matte, batch)
    unit = gradient_norm(alpha_loss(matte, batch, distance="l1"), matte.alpha)
    for name in ("composition", "dice", "bce"):
        assert result.factors[name] * gradient_norm(result.terms[name], matte.alpha) == pytest.approx(
            unit, rel=1e-5
        )
    torch.testing.assert_close(
        result.total,
        sum(result.weights[name] * result.factors[name] * value for name, value in result.terms.items()),
    )


def test_balance_is_measured_at_the_logit_where_there_is_one():
    batch = example_batch()
    logit = torch.logit((0.1 + 0.7 * batch["alpha"]).clamp(0.01, 0.99)).requires_grad_()
    matte = Matte(torch.sigmoid(logit), logit=logit)
    result = LossTable(BALANCED)(matte, batch)
    unit = gradient_norm(alpha_loss(matte, batch, distance="l1"), logit)
    assert result.factors["bce"] * gradient_norm(result.terms["bce"], logit) == pytest.approx(unit, rel=1e-5)


def test_balance_and_cosines_do_not_depend_on_how_the_model_wires_logit_and_alpha():
    batch = example_batch()
    raw = torch.logit((0.1 + 0.7 * batch["alpha"]).clamp(0.01, 0.99)).requires_grad_()
    chained = Matte(torch.sigmoid(raw), logit=raw)
    siblings = Matte(
        torch.sigmoid(raw)[..., :32, :32], logit=raw[..., :32, :32]
    )  # alpha does not hang on the cropped logit
    config = {**BALANCED, "log_cosines": True}
    first, second = (LossTable(config)(matte, batch) for matte in (chained, siblings))
    assert first.factors == pytest.approx(second.factors)
    assert all(factor != 1 for factor in second.factors.values())
    assert {k: float(v) for k, v in first.cosines.items()} == pytest.approx(
        {k: float(v) for k, v in second.cosines.items()}
    )


def test_factors_freeze_after_the_first_steps_and_live_in_the_state_dict():
    table, batches = LossTable(BALANCED), [example_batch(seed=seed) for seed in range(4)]
    factors = [table(prediction(batch), batch).factors for batch in batches]
    assert factors[0] != factors[1]
    assert factors[1] == factors[2] == factors[3]
    other = LossTable(BALANCED)
    other.load_state_dict(table.state_dict())
    assert other(prediction(batches[0]), batches[0]).factors == factors[3]
    with torch.no_grad():
        assert LossTable(BALANCED)(prediction(batches[0]), batches[0]).factors == dict.fromkeys(
            factors[0], 1.0
        )


def test_without_balance_nothing_is_kept_in_the_checkpoint_and_factors_are_one():
    batch = example_batch()
    table = LossTable({"alpha": {"weight": 1}})
    assert not table.state_dict()
    assert table(prediction(batch), batch).factors == {"alpha": 1.0}


def test_cosines_are_those_of_the_gradients_at_the_prediction():
    batch = example_batch()
    matte = prediction(batch)
    result = LossTable(
        {"log_cosines": True, "alpha": {"weight": 1}, "dice": {"weight": 1}, "smoothness": {"weight": 1}}
    )(matte, batch)
    gradients = {
        name: torch.autograd.grad(value, matte.alpha, retain_graph=True)[0].flatten()
        for name, value in result.terms.items()
    }
    assert list(result.cosines) == ["alpha_vs_smoothness", "alpha_vs_dice", "smoothness_vs_dice"]
    for pair, cosine in result.cosines.items():
        first, second = pair.split("_vs_")
        assert float(cosine) == pytest.approx(
            float(torch.cosine_similarity(gradients[first], gradients[second], dim=0)), abs=1e-5
        )


def test_a_checkpoint_that_is_older_than_some_terms_keeps_its_factors():
    batch = example_batch()
    table = LossTable(BALANCED)
    factors = table(prediction(batch), batch).factors
    table(prediction(batch), batch)
    newer = LossTable({**BALANCED, "ddc": {"weight": 0}, "ssim": {"weight": 0}})
    newer.load_state_dict(table.state_dict())
    with torch.no_grad():
        assert newer(prediction(batch), batch).factors == pytest.approx(factors)
