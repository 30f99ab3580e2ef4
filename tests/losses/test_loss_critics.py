"""Losses in which a part of the model judges: one summed loss teaches the matte and its critic apart."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from deepmatte.batch import Matte, example_batch
from deepmatte.errors import InputError
from deepmatte.losses import LossTable
from deepmatte.losses.terms import Measured
from deepmatte.ops.compositing import composite
from deepmatte.ops.freezing import frozen


def fool(matte, batch):
    """Least squares for the generator."""
    judge = batch["discriminator"]
    with frozen(judge):
        verdict = judge(composite(batch["foreground"], batch["background"], matte.alpha))
    return (verdict - 1).square().mean()


def judge(matte, batch):
    """Least squares for the discriminator."""
    found = batch["discriminator"]
    fake = found(composite(batch["foreground"], batch["background"], matte.alpha.detach()))
    real = found(batch["image"])
    means = {"fake": fake.detach().mean(), "real": real.detach().mean()}
    return Measured(0.5 * ((real - 1).square().mean() + fake.square().mean()), means)


for term in (fool, judge):
    term.reads = ("alpha", "foreground", "background", "image", "discriminator")
    term.kind = "adversarial"
judge.teaches = ("discriminator",)

TERMS = {"fool": fool, "judge": judge}
CONFIG = {
    "alpha": {"weight": 1},
    "fool": {"term": "own:fool", "weight": 0.1},
    "judge": {"term": "own:judge", "weight": 1},
}


def table(*names: str, **weights: float) -> LossTable:
    rows = {name: CONFIG[name] | {"weight": weights.get(name, CONFIG[name]["weight"])} for name in names}
    return LossTable(rows, own_terms=lambda key, name: TERMS[name.partition(":")[2]])


def step(losses: LossTable):
    """Return the gradients at alpha and at the critic's weight after one backward pass, and the result."""
    torch.manual_seed(0)
    batch = example_batch()
    batch["discriminator"] = critic = nn.Conv2d(3, 1, 4, stride=2)
    alpha = (0.1 + 0.7 * batch["alpha"]).requires_grad_()
    result = losses(Matte(alpha), batch)
    result.total.backward()
    return alpha.grad, critic.weight.grad, result


def test_one_loss_gives_the_matte_and_its_critic_each_its_own_gradient_to_the_bit():
    both, critic, result = step(table("alpha", "fool", "judge"))
    generator, untouched, _ = step(table("alpha", "fool"))
    alone, judged, _ = step(table("alpha", "judge"))
    plain, _, _ = step(table("alpha"))
    assert untouched is None
    assert torch.equal(both, generator)
    assert torch.equal(critic, judged)
    assert torch.equal(alone, plain)
    assert not torch.equal(both, plain)
    assert list(result.quantities) == ["judge/fake", "judge/real", "fool/gradient_ratio"]


def test_a_warm_up_from_zero_leaves_the_critic_s_own_term_alone():
    warming = table("alpha", "fool", "judge", fool={"schedule": "linear", "start": 0, "end": 1})
    _, critic, result = step(warming)
    assert "fool" not in result.terms
    assert torch.equal(critic, step(table("alpha", "judge"))[1])


def test_a_term_without_its_critic_is_refused_before_training_and_named():
    losses = table("alpha", "fool")
    served = ("image", "alpha", "trimap", "foreground", "background", "composite")
    with pytest.raises(
        InputError, match=r"^loss\.fool reads a discriminator, which this model does not have: set"
    ):
        losses.check(served)
    losses.check((*served, "discriminator"))
    assert not losses.fits(example_batch())
    with pytest.raises(InputError, match=r"^objective=val/loss: loss\.fool is what a network that learns"):
        losses.refuse_critics("objective=val/loss")
    table("alpha").refuse_critics("objective=val/loss")


def test_without_its_critics_a_table_is_the_sum_of_its_other_rows():
    losses, batch = table("alpha", "fool", "judge"), example_batch()
    matte = Matte(0.1 + 0.7 * batch["alpha"])
    left = losses.without_critics()
    assert left.fits(batch)
    assert torch.equal(left(matte, batch).total, table("alpha")(matte, batch).total)
    assert [row.name for row in losses.rows] == ["alpha", "fool", "judge"]  # which stays as it was


def test_adversarial_terms_alone_are_no_loss():
    with pytest.raises(InputError, match=r"such terms alone don't learn the true matte"):
        table("fool", "judge")


def test_the_norms_of_the_gradients_at_the_matte_tell_how_much_each_player_asks_for():
    rows = {name: CONFIG[name] for name in CONFIG} | {"log_cosines": True}
    _, _, result = step(LossTable(rows, own_terms=lambda key, name: TERMS[name.partition(":")[2]]))
    for name in ("alpha", "fool"):
        alone = {**CONFIG["alpha"], "weight": 1e-30} if name == "fool" else CONFIG["alpha"]
        wanted, _, _ = step(table(name) if name == "alpha" else table("alpha", "fool", alpha=alone["weight"]))
        assert float(result.quantities[f"gradient/{name}"]) == pytest.approx(float(wanted.norm()), rel=1e-5)
    assert result.quantities["gradient/judge"] == 0
