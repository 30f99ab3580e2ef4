"""Adversarial training: one loss and one optimiser are as two that alternate; runs resume to the bit."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
from test_resume import assert_same_end, checkpoint, command, killed
from tiny_run import TINY, compose

from deepmatte.batch import Batch, example_batch
from deepmatte.errors import InputError
from deepmatte.losses import LOSSES, LossTable
from deepmatte.models import AlphaGAN
from deepmatte.ops.freezing import frozen
from deepmatte.training.building.from_config import build_losses
from deepmatte.training.building.optimisation import Optimisation
from deepmatte.training.building.stages import plan_stages
from deepmatte.training.run import train

RATE, WEIGHT, DECAY = 2e-3, 0.1, 5e-4
ADVERSARIAL = (
    *(override for override in TINY if not override.startswith("stages.")),
    "model=alphagan_small",
    "model.discriminator_width=0.0625",
    "loss=alphagan",
    f"loss.adversarial.weight.end={WEIGHT}",
    "loss.adversarial.weight.until=1",  # so that it rises all through its stage
    "optimizer.lr=0.001",
    "stages.generator.epochs=1",
    "stages.adversarial.epochs=1",
    "stages.adversarial.lr={discriminator: 0.0005}",
)
"""A tiny run with both stages."""


def network() -> AlphaGAN:
    torch.manual_seed(0)
    return AlphaGAN(width=1 / 16, pooling="2x2", field=34, discriminator_width=1 / 16)


def batches(num: int) -> list[Batch]:
    return [example_batch(num=2, size=32, seed=seed) for seed in range(num)]


def test_one_loss_and_one_adam_are_two_alternating_adams_to_the_bit() -> None:
    """The other way: the generator's step with the discriminator frozen, then that of the discriminator.

    It learns from the mattes of before the generator's step, as in CDOTAD's training.
    """
    adam = functools.partial(torch.optim.Adam, lr=RATE, weight_decay=DECAY)
    joined, alternating = network(), network()
    table = LossTable(
        {"alpha": {"weight": 1}, "adversarial": {"weight": WEIGHT}, "discriminator": {"weight": 1}}
    )
    optimizer = Optimisation(adam, rates={"discriminator": RATE / 4}).build(joined)
    assert [group["name"] for group in optimizer.param_groups] == ["others", "discriminator"]
    judge = alternating.discriminator
    first = adam([p for name, p in alternating.named_parameters() if not name.startswith("discriminator")])
    second = adam(judge.parameters(), lr=RATE / 4)
    for batch in batches(8):
        optimizer.zero_grad()
        table(joined(batch), Batch(**{**batch, "discriminator": joined.discriminator})).total.backward()
        optimizer.step()

        matte, judged = alternating(batch), Batch(**{**batch, "discriminator": judge})
        first.zero_grad()
        with frozen(judge):
            loss = LOSSES["alpha"].function(matte, batch) + WEIGHT * LOSSES["adversarial"].function(
                matte, judged
            )
        loss.backward()
        first.step()
        second.zero_grad()
        LOSSES["discriminator"].function(matte, judged).value.backward()
        second.step()
    start, other = network().state_dict(), alternating.state_dict()
    for name, value in joined.state_dict().items():
        assert torch.equal(value, other[name]), name
    moved = [name for name, value in start.items() if not torch.equal(value, other[name])]
    assert any(name.startswith("discriminator") for name in moved)
    assert any(name.startswith("encoder") for name in moved)


def test_at_weight_0_the_discriminator_changes_nothing_for_the_generator() -> None:
    """So the study's runs of weight 0 are those without a discriminator, at the same cost as the others."""
    ends = []
    for rows in ({"discriminator": {"weight": 1}}, {}):
        model = network()
        table = LossTable({"alpha": {"weight": 1}, "adversarial": {"weight": 0}, **rows})
        optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
        for batch in batches(3):
            optimizer.zero_grad()
            table(model(batch), Batch(**{**batch, "discriminator": model.discriminator})).total.backward()
            optimizer.step()
        ends.append({k: v for k, v in model.state_dict().items() if not k.startswith("discriminator")})
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_the_lengths_that_the_model_s_page_gives_are_those_of_the_stages() -> None:
    """It says: the laptop's budget leaves the generator's stage out, and which words bring it back."""
    said = " ".join((AlphaGAN.__doc__ or "").split())
    for words, generator, adversarial in (
        ("budget=full", 20, 20),
        ("budget=laptop", 0, 6),
        ("length.shares=last", 0, 6),
        ("length.shares=null", 3, 3),
        ("length.shares={generator: 4, adversarial: 2}", 4, 2),
    ):
        assert f"``{words}``" in said
        config = compose("train", ("model=alphagan_small", "loss=alphagan", words))
        stages = {stage.name: stage.epochs for stage in plan_stages(config, network())}
        assert (stages.get("generator", 0), stages["adversarial"]) == (generator, adversarial)


@pytest.mark.parametrize(
    "length",
    [
        ("budget=full",),
        ("length.shares={generator: 4, adversarial: 2}",),
        ("length.shares={generator: 1, adversarial: 5}",),
        ("length.shares=null", "laptop.epochs=2"),
        (),  # the adversarial stage alone
    ],
)
def test_the_adversarial_weight_rises_from_0_over_a_fifth_of_its_stage_whatever_the_lengths(
    length: tuple[str, ...],
) -> None:
    config = compose("train", ("model=alphagan_small", "loss=alphagan", *length))
    model = network()
    stages = plan_stages(config, model)
    for stage in stages[:-1]:  # the generator's
        weights = [build_losses(config, stage.name).weights_at(*stage.progress(e)) for e in (0, 0.5)]
        assert weights == [{"alpha": 0.5, "composition": 0.5}] * 2
    last, table = stages[-1], build_losses(config, "adversarial")
    assert last.name == "adversarial"
    reached = [
        table.weights_at(*last.progress(last.first_epoch + share * last.epochs)).get("adversarial", 0)
        for share in (0, 0.05, 0.1, 0.2, 0.5, 1)
    ]
    assert reached == pytest.approx([0, 0.00025, 0.0005, 0.001, 0.001, 0.001])
    assert reached[0] == 0


@pytest.mark.slow
def test_a_run_reads_the_schedule_at_the_place_where_it_is_in_the_stage(
    tmp_path: Path, procedural_cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches an epoch, two epochs a stage: of the adversarial one a quarter is over after each."""
    seen: list[float] = []

    def weights_at(self: LossTable, run: float, stage: float | None = None) -> dict[str, float]:
        weights = {row.name: row.weight(run if stage is None else stage) for row in self.rows}
        if stage is not None and "adversarial" in {row.name for row in self.rows}:
            seen.append(weights["adversarial"])
        return {name: weight for name, weight in weights.items() if weight > 0}

    monkeypatch.setattr(LossTable, "weights_at", weights_at)
    words = (
        *ADVERSARIAL,
        f"data.source.cache_dir={procedural_cache}",
        "stages.generator.epochs=2",
        "stages.adversarial.epochs=2",
        "wandb.mode=disabled",
    )
    train(compose("train", words), tmp_path / "run", list(words))
    assert seen == pytest.approx([0, WEIGHT / 4, WEIGHT / 2, WEIGHT * 3 / 4])
    curves = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert set(curves.loc[curves["val/loss"].notna(), "epoch"]) == {0, 1, 2, 3}  # in both stages


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("model=dim_small", "loss=alphagan", "stages.encoder_decoder.epochs=1", "stages.joint.epochs=0"),
            r"^loss\.adversarial reads a discriminator, which this model does not have: set loss",
        ),
        (
            ("model=alphagan_small", "loss=alphagan", "loss.discriminator.weight=0"),
            r"^loss\.adversarial: in stage adversarial no discriminator has learned yet; set loss\.disc",
        ),
        (
            ("model=alphagan_small", "loss=alphagan", "objective=val/loss"),
            r"^objective=val/loss: loss\.(adversarial|discriminator) is what a network that learns says",
        ),
    ],
)
def test_what_can_not_be_trained_is_refused_in_one_line_before_the_run(
    tmp_path: Path, procedural_cache, overrides: tuple[str, ...], message: str
) -> None:
    tiny = [override for override in TINY if not override.startswith("stages.")]
    words = (*tiny, f"data.source.cache_dir={procedural_cache}", *overrides)
    with pytest.raises(InputError, match=message) as error:
        train(compose("train", words), tmp_path / "run", list(words))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_breaks_off_in_mid_epoch_ends_in_the_bits_of_one_that_did_not(
    tmp_path: Path, procedural_cache, processes: int
) -> None:
    """With averaged weights, accumulation and clipping; two processes search for no unused weights."""
    ddp = ("trainer=ddp", "trainer.accelerator=cpu", f"trainer.devices={processes}") if processes > 1 else ()
    words = (
        *ADVERSARIAL,
        *ddp,
        f"data.source.cache_dir={procedural_cache}",
        "data.samples_per_epoch=32",
        "trainer.accumulate_grad_batches=2",
        "trainer.gradient_clip_val=0.5",
        "ema=0.9",
        "save_every.steps=1",
        "wandb.mode=disabled",
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(whole, *words), check=True, capture_output=True, timeout=900)
    killed(broken, words, wait_for_step=4 + 1)
    assert checkpoint(broken)["deepmatte"]["stage"] == "adversarial"
    assert json.loads((broken / "result.json").read_text())["status"] != "finished"
    subprocess.run(command(broken, *words), check=True, capture_output=True, timeout=900)
    assert_same_end(whole, broken)
    optimizer = checkpoint(whole)["optimizer_states"][0]
    assert [group["name"] for group in optimizer["param_groups"]] == ["others", "discriminator"]
    assert all(state["exp_avg"].any() for state in optimizer["state"].values())
    assert json.loads((whole / "result.json").read_text())["status"] == "finished"
    averaged, trained = checkpoint(whole)["state_dict"], checkpoint(whole)["current_model_state"]
    for name, value in averaged.items():
        if name.startswith("model.discriminator."):
            assert torch.equal(value, trained[name]), name  # judged, not averaged
