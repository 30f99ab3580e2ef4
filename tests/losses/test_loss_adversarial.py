"""The adversarial terms: their formulas, and who learns from which of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.errors import InputError
from deepmatte.losses import LOSSES, LossTable
from deepmatte.models.alphagan import PatchDiscriminator

GAME = {
    "alpha": {"weight": 0.5},
    "adversarial": {"weight": 0.1},
    "discriminator": {"weight": 1},
}


class Linear(nn.Module):
    """Judges single pixels by a weighted sum of their colours."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64).reshape(1, 3, 1, 1))

    def forward(self, colours: Tensor, trimap: Tensor) -> Tensor:
        return (self.weight * colours).sum(1, keepdim=True)


def judged(discriminator: nn.Module, **options) -> Batch:
    return Batch(**{**example_batch(**options), "discriminator": discriminator})


def patches() -> PatchDiscriminator:
    """A discriminator that does not start at 0."""
    torch.manual_seed(0)
    network = PatchDiscriminator(34, width=1 / 16)
    nn.init.normal_(network.layers[-1].weight, std=0.1)
    return network


def prediction(batch: Batch) -> Matte:
    return Matte((0.1 + 0.7 * batch["alpha"]).requires_grad_())


@pytest.mark.parametrize("objective", ["least_squares", "bce"])
def test_both_terms_are_their_formulas(objective: str) -> None:
    """For a linear discriminator; the gradient at alpha is w (F - B) times the slope of the distance."""
    batch = judged(Linear(), dtype=torch.float64)
    matte = prediction(batch)
    weight = batch["discriminator"].weight.detach()
    inside = batch["trimap"] == 128
    alpha = torch.where(inside, matte.alpha.detach(), (batch["trimap"] == 255).double())
    colours = alpha * batch["foreground"] + (1 - alpha) * batch["background"]
    fake, real = ((weight * c).sum(1, keepdim=True) for c in (colours, batch["composite"]))
    if objective == "least_squares":
        wanted = {"adversarial": ((fake - 1) ** 2).mean()}
        wanted["discriminator"] = ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2
        slope = 2 * (fake - 1)
    else:
        wanted = {"adversarial": -torch.sigmoid(fake).log().mean()}
        wanted["discriminator"] = -(torch.sigmoid(real).log() + (1 - torch.sigmoid(fake)).log()).mean() / 2
        slope = torch.sigmoid(fake) - 1
    value = LOSSES["adversarial"].function(matte, batch, objective=objective)
    measured = LOSSES["discriminator"].function(matte, batch, objective=objective)
    torch.testing.assert_close(value, wanted["adversarial"], rtol=1e-12, atol=0)
    torch.testing.assert_close(measured.value, wanted["discriminator"], rtol=1e-12, atol=0)
    torch.testing.assert_close(
        measured.quantities, {"real": real.mean(), "fake": fake.mean()}, rtol=1e-12, atol=0
    )
    (gradient,) = torch.autograd.grad(value, matte.alpha)
    pull = slope * (weight * (batch["foreground"] - batch["background"])).sum(1, keepdim=True) / alpha.numel()
    torch.testing.assert_close(gradient, torch.where(inside, pull, 0), rtol=1e-10, atol=0)


def test_the_true_matte_is_no_fake() -> None:
    """Its composite is the true one, so that nothing tells them apart."""
    batch = judged(patches())
    quantities = LOSSES["discriminator"].function(Matte(batch["alpha"]), batch).quantities
    assert quantities["real"] == pytest.approx(float(quantities["fake"]), abs=1e-6)


def gradients(*names: str, objective: str = "least_squares") -> tuple[Tensor | None, list[Tensor | None]]:
    """Return the gradients at alpha, and at the discriminator's weights, of the rows of those names."""
    batch = judged(patches())
    matte = prediction(batch)
    rows = {name: {**GAME[name], **({} if name == "alpha" else {"objective": objective})} for name in names}
    LossTable({"alpha": {"weight": 1e-30}, **rows})(matte, batch).total.backward()
    return matte.alpha.grad, [p.grad for p in batch["discriminator"].parameters()]


@pytest.mark.parametrize("objective", ["least_squares", "bce"])
def test_each_player_learns_from_its_own_term_alone_to_the_bit(objective: str) -> None:
    generator, untouched = gradients("adversarial", objective=objective)
    assert generator.any()
    assert untouched == [None] * len(untouched)
    still, discriminator = gradients("discriminator", objective=objective)
    assert float(still.abs().max()) < 1e-30
    assert all(gradient.any() for gradient in discriminator)
    both, together = gradients("adversarial", "discriminator", objective=objective)
    assert torch.equal(both, generator)
    assert all(torch.equal(one, other) for one, other in zip(together, discriminator, strict=True))


def test_the_logged_ratio_is_that_of_the_gradients_at_alpha() -> None:
    batch = judged(patches(), dtype=torch.float32)
    matte = prediction(batch)
    result = LossTable(GAME)(matte, batch)
    assert set(result.quantities) == {
        "adversarial/gradient_ratio",
        "discriminator/real",
        "discriminator/fake",
    }
    norms = {}
    for name in ("alpha", "adversarial"):
        value = GAME[name]["weight"] * LOSSES[name].function(matte, batch)
        norms[name] = float(torch.autograd.grad(value, matte.alpha)[0].norm())
    ratio = float(result.quantities["adversarial/gradient_ratio"])
    assert ratio == pytest.approx(norms["adversarial"] / norms["alpha"], rel=1e-5)


def test_in_half_precision_the_discriminator_judges_in_single() -> None:
    batch = judged(patches())
    alpha = (0.1 + 0.7 * batch["alpha"]).bfloat16()
    results = []
    for given in (alpha, alpha.float()):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=given is alpha):
            results.append(LossTable(GAME)(Matte(given.clone().requires_grad_()), batch))
    assert results[0].total.dtype == torch.float32
    for name in GAME:
        assert torch.equal(results[0].terms[name], results[1].terms[name])


def test_a_model_without_a_discriminator_is_refused_in_one_line() -> None:
    served = list(example_batch())
    with pytest.raises(
        InputError, match=r"^loss\.adversarial reads a discriminator, which this model does not have: set"
    ):
        LossTable(GAME).check(served)


@pytest.mark.parametrize("name", ["adversarial", "discriminator"])
def test_an_unknown_objective_is_refused(name: str) -> None:
    rows = {"alpha": {"weight": 1}, name: {"weight": 1, "objective": "wasserstein"}}
    with pytest.raises(InputError, match=rf"^loss\.{name}\.objective=wasserstein"):
        LossTable(rows)


def test_a_discriminator_that_is_trained_tells_a_matte_of_noise_from_the_true_one() -> None:
    batch = judged(patches(), num=4)
    noise = torch.rand(batch["alpha"].shape, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(batch["discriminator"].parameters(), lr=2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        found = LOSSES["discriminator"].function(Matte(noise), batch)
        found.value.backward()
        optimizer.step()
    assert float(found.quantities["real"] - found.quantities["fake"]) > 0.2
    assert float(found.value) < 0.2  # 0.25 says the same to everything
