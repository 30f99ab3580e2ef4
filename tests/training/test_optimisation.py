"""Learning rates by part and layer, schedules as factors of them; clipping and averaging with a critic."""

from __future__ import annotations

import functools
import math
from typing import ClassVar

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from deepmatte.errors import InputError
from deepmatte.models import MattingModel
from deepmatte.training.building.optimisation import Optimisation, build_optimisation, clip, schedule
from deepmatte.training.building.stages import Stage
from deepmatte.training.checkpoints.callbacks import AveragedWeights
from deepmatte.training.module import MattingModule

ADAM = functools.partial(torch.optim.Adam, lr=1e-3)


class Players(MattingModel):
    """A transformer of three blocks, a decoder, and a network that judges mattes."""

    parts: ClassVar[tuple[str, ...]] = ("backbone", "decoder", "discriminator")
    critics: ClassVar[tuple[str, ...]] = ("discriminator",)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(3)))
        self.decoder = nn.Linear(2, 1)
        self.discriminator = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))

    def layers_above(self, parameter: str) -> int:
        part, _, rest = parameter.partition(".")
        return 2 - int(rest[0]) if part == "backbone" else 0


def stage_of(lr, decay=None) -> tuple[Optimisation, Stage]:
    config = OmegaConf.create(
        {
            "stages": {"joint": {"lr": lr, "layer_decay": decay}},
            "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 1e-3},
            "schedule": {"name": "constant"},
        }
    )
    stage = Stage(learn=Players.parts)
    return build_optimisation(config, stage), stage


def rates(optimizer) -> dict[str, float]:
    return {group["name"]: group["lr"] for group in optimizer.param_groups}


def test_parts_learn_at_rates_of_their_own_and_the_rest_at_the_optimiser_s() -> None:
    model = Players()
    optimizer = stage_of({"backbone": 1e-4, "discriminator": 5e-4})[0].build(model)
    assert rates(optimizer) == {"backbone": 1e-4, "others": 1e-3, "discriminator": 5e-4}
    held = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert {id(weight) for weight in held} == {id(weight) for weight in model.parameters()}
    assert len(held) == len(list(model.parameters()))


def test_layers_learn_the_slower_the_deeper_they_are() -> None:
    optimizer = stage_of({"backbone": 0.01, "decoder": 0.1}, 0.5)[0].build(Players())
    found = rates(optimizer)
    assert found["backbone"] == pytest.approx(0.01)  # the last block
    assert [found["backbone/1"], found["backbone/2"]] == pytest.approx([0.005, 0.0025])
    assert found["decoder"] == pytest.approx(0.1)


def test_one_rate_is_one_group_without_a_name_as_ever() -> None:
    for lr, wanted in ((None, 1e-3), (0.25, 0.25)):
        [group] = stage_of(lr)[0].build(Players()).param_groups
        assert group["lr"] == wanted
        assert "name" not in group


def test_what_does_not_learn_has_no_group() -> None:
    model = Players()
    Stage(learn=("decoder",)).freeze_others(model)
    optimizer = Optimisation(ADAM, rates={"decoder": 0.5}).build(model)
    assert rates(optimizer) == {"decoder": 0.5}


@pytest.mark.parametrize(
    ("lr", "decay", "message"),
    [
        ({"encoder": 1}, None, r"^stages\.joint\.lr\.encoder: does not learn in this stage; it learns back"),
        ({"decoder": "fast"}, None, r"^stages\.joint\.lr\.decoder=fast: has to be a number"),
        ({"decoder": -1.0}, None, r"^stages\.joint\.lr\.decoder=-1\.0: has to be a number, 0 or more"),
        ("fast", None, r"^stages\.joint\.lr=fast: has to be a number, a number for each part, or null"),
        (None, 1.5, r"^stages\.joint\.layer_decay=1\.5: has to be a number above 0, at most 1"),
    ],
)
def test_bad_rates_are_named_with_their_key(lr, decay, message) -> None:
    with pytest.raises(InputError, match=message):
        stage_of(lr, decay)


def test_a_decay_over_layers_that_the_model_has_not_is_refused() -> None:
    model = MattingModel()
    model.net = nn.Linear(1, 1)
    with pytest.raises(InputError, match=r"^stages\.joint\.layer_decay: MattingModel has no stack of layers"):
        Optimisation(ADAM, layer_decay=0.5).check(model, "stages.joint")


@pytest.mark.parametrize("name", ["cosine", "step", "constant"])
def test_a_schedule_is_one_factor_on_the_rates_of_all_groups(name: str) -> None:
    """Against the closed form, and against one group alone."""
    options = {"name": name, "warmup": 0.2, "final": 0.1, "milestones": (0.5,), "gamma": 0.25}
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 0.01)]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    alone = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    both, one = schedule(optimizer, 20, **options), schedule(alone, 20, **options)
    for step in range(20):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert first == alone.param_groups[0]["lr"]
        assert second == pytest.approx(0.01 * first, rel=1e-9)
        if name == "cosine" and step >= 4:
            share = (step - 4) / 16
            assert first == pytest.approx(0.1 + 0.9 * (0.5 + 0.5 * math.cos(math.pi * share)), rel=1e-9)
        for each in (optimizer, alone):
            each.step()
        both.step()
        one.step()


def test_a_critic_s_gradient_does_not_shorten_that_of_what_it_judges() -> None:
    """A thousand times the critic's gradient leaves the step of the rest as it was, to the bit."""
    clipped = {}
    for factor in (1.0, 1000.0):
        model = Players()
        for name, weight in model.named_parameters():
            weight.grad = torch.ones_like(weight) * (factor if name.startswith("discriminator") else 1.0)
        module = MattingModule(model)
        module.configure_gradient_clipping(torch.optim.SGD(model.parameters(), lr=1), 0.5)
        clipped[factor] = model
    for (name, one), (_, other) in zip(
        clipped[1.0].named_parameters(), clipped[1000.0].named_parameters(), strict=True
    ):
        if not name.startswith("discriminator"):
            assert torch.equal(one.grad, other.grad)
    for model in clipped.values():
        norms = [torch.stack([weight.grad.norm() for weight in part]).norm() for part in model.players()]
        assert [float(norm) for norm in norms] == pytest.approx([0.5, 0.5], rel=1e-4)


def test_clipping_by_value_bounds_every_component() -> None:
    weight = nn.Parameter(torch.zeros(3))
    weight.grad = torch.tensor([-3.0, 0.1, 2.0])
    clip([[weight]], 0.5, by_value=True)
    torch.testing.assert_close(weight.grad, torch.tensor([-0.5, 0.1, 0.5]))


def test_averaged_weights_leave_the_critic_as_it_is() -> None:
    module = MattingModule(Players(), stage=Stage(learn=Players.parts))
    callback = AveragedWeights(decay=0.9)
    trainer = type("Trainer", (), {"global_step": 1, "strategy": None})()
    callback.setup(type("T", (), {"strategy": None})(), module, "fit")
    with torch.no_grad():
        for weight in module.model.parameters():
            weight += 1
    trainer.global_step = 1
    callback.on_train_batch_end(trainer, module, None, None, 0)
    trainer.global_step = 2
    with torch.no_grad():
        for weight in module.model.parameters():
            weight += 1
    callback.on_train_batch_end(trainer, module, None, None, 1)
    averaged = callback._average_model.module.model
    for (name, own), (_, kept) in zip(
        module.model.named_parameters(), averaged.named_parameters(), strict=True
    ):
        same = torch.equal(own, kept)
        assert same == name.startswith("discriminator"), name
