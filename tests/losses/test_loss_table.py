"""The table: values, own terms, refusals, schedules."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from deepmatte.batch import Matte, example_batch
from deepmatte.config.build import loss_function
from deepmatte.errors import InputError
from deepmatte.losses import LOSSES, LossTable
from deepmatte.losses.regression import alpha_loss
from deepmatte.losses.table.schedule import parse_weight

sys.path.insert(0, str(Path(__file__).parent))
OWN = partial(loss_function, packages=["loss_own"])


def prediction(batch):
    return Matte((0.1 + 0.7 * batch["alpha"]).requires_grad_())


def test_total_is_the_weighted_sum_in_the_order_of_the_table():
    batch = example_batch()
    result = LossTable(
        {"dice": {"weight": 0.25}, "alpha": {"weight": 2, "distance": "l1"}, "bce": {"weight": 0}}
    )(prediction(batch), batch)
    assert list(result.terms) == ["alpha", "dice"]
    assert result.weights == {"alpha": 2, "dice": 0.25}
    torch.testing.assert_close(result.total, 2 * result.terms["alpha"] + 0.25 * result.terms["dice"])
    torch.testing.assert_close(result.terms["alpha"], alpha_loss(prediction(batch), batch, distance="l1"))


def test_a_term_of_weight_zero_is_never_computed():
    batch = example_batch()
    config = {"alpha": {"weight": 1}, "off": {"term": "loss_own:never_loss", "weight": 0}}
    late = {"term": "loss_own:never_loss", "weight": {"schedule": "constant", "value": 1, "from": 0.5}}
    for table in (LossTable(config, OWN), LossTable({**config, "late": late}, OWN)):
        assert list(table(prediction(batch), batch, progress=0.25).terms) == ["alpha"]
    with pytest.raises(AssertionError, match="was computed"):
        table(prediction(batch), batch, progress=0.5)


def test_a_term_can_be_used_twice_under_two_names():
    batch = example_batch()
    config = {
        "alpha": {"weight": 1, "distance": "l1"},
        "alpha_known": {"term": "alpha", "weight": 1, "distance": "l1", "region": "known"},
    }
    result = LossTable(config)(prediction(batch), batch)
    assert list(result.terms) == ["alpha", "alpha_known"]
    assert result.terms["alpha"] != result.terms["alpha_known"]


def test_a_users_own_function_works_like_a_term():
    batch = example_batch()
    config = {"mine": {"term": "loss_own:square_loss", "weight": 3, "power": 2}}
    total = LossTable(config, own_terms=OWN)(prediction(batch), batch).total
    torch.testing.assert_close(total, 3 * (prediction(batch).alpha - batch["alpha"]).square().mean())


@pytest.mark.parametrize(("options", "power"), [({}, 3), ({"power": 2}, 2)])
def test_options_of_an_own_term_need_not_be_keyword_only(options, power):
    batch = example_batch()
    table = LossTable({"cubic": {"term": "loss_own:cubic", "weight": 1, **options}}, own_terms=OWN)
    expected = (prediction(batch).alpha - batch["alpha"]).abs().pow(power).mean()
    torch.testing.assert_close(table(prediction(batch), batch).total, expected)


def test_every_term_says_formula_source_aim_properness_use_and_cost():
    for term in LOSSES.values():
        for part in ("Formula:", "Source:", "Optimises:", "Proper:", "Use:", "Cost:"):
            assert part in term.function.__doc__


# ---- what is refused ---------------------------------------------------------------------------------------

BAD = {
    "unknown term": ({"dize": {"weight": 1}}, "loss.dize: unknown loss; choose among alpha, composition,"),
    "unknown option": (
        {"alpha": {"weight": 1, "gamma": 2}},
        "loss.alpha.gamma: this term has no such option; choose among weight, term, output, region",
    ),
    "option of the wrong kind": (
        {"alpha": {"weight": 1, "eps": "small"}},
        "loss.alpha.eps=small: has to be a number",
    ),
    "option out of range": (
        {"tversky": {"weight": 1, "alpha": -1}},
        "loss.tversky.alpha=-1: has to be 0 or more",
    ),
    "no levels": (
        {"laplacian": {"weight": 1, "levels": 0}},
        "loss.laplacian.levels=0: has to be from 1 to 16",
    ),
    "balance out of range": (
        {"focal": {"weight": 1, "balance": 2.0}},
        "loss.focal.balance=2.0: has to be from 0 to 1",
    ),
    "focal with an unbounded gradient": (
        {"focal": {"weight": 1, "gamma": 0.5}},
        "loss.focal.gamma=0.5: the gradient of form: proper is unbounded for 0 < gamma < 1; "
        "set 0, or at least 1",
    ),
    "share of no pixel": (
        {"alpha": {"weight": 1, "hardest": 0.0}},
        "loss.alpha.hardest=0.0: has to be above 0 and 1 or less",
    ),
    "share of a ratio": (
        {"dice": {"weight": 1, "hardest": 0.5}},
        "loss.dice.hardest: this term has no such option",
    ),
    "unknown output": (
        {"alpha": {"weight": 1, "output": "first"}},
        "loss.alpha.output='first' is none of final, coarse",
    ),
    "unknown form": (
        {"dice": {"weight": 1, "form": "soft"}},
        "loss.dice.form=soft: is none of proper, textbook",
    ),
    "unknown region": (
        {"alpha": {"weight": 1, "region": "edge"}},
        "loss.alpha.region=edge: is none of unknown, known",
    ),
    "band of no width": (
        {"alpha": {"weight": 1, "region": "band:0"}},
        "loss.alpha.region=band:0: is none of unknown",
    ),
    "negative weight": ({"alpha": {"weight": -1}}, "loss.alpha.weight=-1: expected a finite number >= 0"),
    "weight that is a word": (
        {"alpha": {"weight": "one"}},
        "loss.alpha.weight='one': expected a finite number >= 0",
    ),
    "infinite weight": (
        {"alpha": {"weight": float("inf")}},
        "loss.alpha.weight=inf: expected a finite number >= 0",
    ),
    "all zero": ({"alpha": {"weight": 0}}, "all loss weights are 0: set one"),
    "nothing": ({}, "all loss weights are 0"),
    "regularisers alone": (
        {"smoothness": {"weight": 1}, "gradient_penalty": {"weight": 1}},
        "loss.smoothness, loss.gradient_penalty: regularisers alone",
    ),
    "own regulariser alone": (
        {"own": {"weight": 1, "term": "loss_own:wish_loss"}},
        "loss.own: regularisers alone",
    ),
    "regulariser alone later": (
        {
            "smoothness": {"weight": 1},
            "alpha": {"weight": {"schedule": "constant", "value": 1, "until": 0.5}},
        },
        "from 0.5 to 1 of the run only regularisers are on",
    ),
    "schedule outside the run": (
        {"alpha": {"weight": {"schedule": "linear", "start": 0, "end": 1, "until": 1.5}}},
        "loss.alpha.weight runs from 0 until 1.5: expected 0 <= from",
    ),
    "regulariser alone at the end of a stage": (
        {
            "smoothness": {"weight": 1},
            "alpha": {"weight": {"schedule": "constant", "value": 1, "until": 0.5, "over": "stage"}},
        },
        "from 0.5 to 1 of the stage only regularisers are on",
    ),
    "regularisers alone where the gaps of run and stage meet": (
        {
            "smoothness": {"weight": 1},
            "alpha": {"weight": {"schedule": "constant", "value": 1, "from": 0.25}},
            "dice": {"weight": {"schedule": "constant", "value": 1, "until": 0.5, "over": "stage"}},
        },
        "from 0 to 0.25 of the run only regularisers are on",
    ),
    "unknown span": (
        {"alpha": {"weight": {"schedule": "linear", "start": 0, "end": 1, "over": "epoch"}}},
        "loss.alpha.weight.over='epoch': choose run or stage",
    ),
    "unknown schedule": (
        {"alpha": {"weight": {"schedule": "step", "start": 0}}},
        "loss.alpha.weight.schedule='step': choose among constant",
    ),
    "key of another schedule": (
        {"alpha": {"weight": {"schedule": "linear", "value": 1}}},
        "loss.alpha.weight.value: a linear schedule has no such key",
    ),
    "schedule without end": (
        {"alpha": {"weight": {"schedule": "linear", "start": 1}}},
        "loss.alpha.weight.end is missing",
    ),
    "number instead of a row": ({"alpha": 1}, "loss.alpha=1: write loss.alpha.weight=1"),
    "unknown balance": (
        {"balance": "mean", "alpha": {"weight": 1}},
        "loss.balance='mean': choose none or gradient",
    ),
    "no balance steps": (
        {"balance_steps": 0, "alpha": {"weight": 1}},
        "loss.balance_steps=0: expected a number of steps, at least 1",
    ),
    "unknown row term": (
        {"mine": {"term": "alfa", "weight": 1}},
        "loss.mine.term='alfa': choose among alpha",
    ),
    "module not allowed": (
        {"mine": {"term": "os:system", "weight": 1}},
        "loss.mine.term='os:system': module os is not allowed; allowed are loss_own",
    ),
    "function not there": (
        {"mine": {"term": "loss_own:none", "weight": 1}},
        "loss.mine.term='loss_own:none': can't be imported",
    ),
    "own option of the wrong kind": (
        {"mine": {"term": "loss_own:cubic", "weight": 1, "power": "three"}},
        "loss.mine.power=three: has to be a number",
    ),
    "own option missing": (
        {"mine": {"term": "loss_own:colour_loss", "weight": 1}},
        "loss.mine.scale is missing",
    ),
    "own option unknown": (
        {"mine": {"term": "loss_own:cubic", "weight": 1, "pwr": 2}},
        "loss.mine.pwr: this term has no such option; choose among weight, term, output, power",
    ),
    "no function": ({"mine": {"term": "loss_own:not_a_function", "weight": 1}}, "expected a function"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_configuration_is_one_line_that_names_the_key(case):
    config, message = BAD[case]
    with pytest.raises(InputError) as caught:
        LossTable(config, own_terms=OWN)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_tensors_are_one_line_that_names_them():
    batch = example_batch()
    table = LossTable({"alpha": {"weight": 1}})
    with pytest.raises(
        InputError, match=r"predicted alpha has shape \(2, 1, 16, 16\), batch\['alpha'\] \(2, 1, 32, 32\)"
    ):
        table(Matte(batch["alpha"][..., ::2, ::2]), batch)
    with pytest.raises(InputError, match=r"'trimap' has shape \(2, 1, 16, 32\)"):
        table(Matte(batch["alpha"]), {**batch, "trimap": batch["trimap"][..., ::2, :]})
    with pytest.raises(InputError, match=r"predicted alpha has values from 0 to 255: scale it to \[0, 1\]"):
        table(Matte(255 * batch["alpha"]), batch)
    with pytest.raises(InputError, match=r"batch\['alpha'\] has values from -1 to 0"):
        table(Matte(batch["alpha"]), {**batch, "alpha": batch["alpha"] - 1})
    with pytest.raises(
        InputError, match=r"loss\.composition reads foreground, which this batch does not have"
    ):
        LossTable({"composition": {"weight": 1}})(
            Matte(batch["alpha"]), {key: batch[key] for key in ("alpha", "trimap")}
        )


def test_a_nan_reaches_the_total_so_that_the_run_can_name_the_samples():
    batch = example_batch()
    broken = batch["alpha"].clone()
    broken[0, 0, 16, 6] = torch.nan
    assert batch["trimap"][0, 0, 16, 6] == 128
    assert LossTable({"alpha": {"weight": 1}})(Matte(broken), batch).total.isnan()


# ---- schedules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "expected"),  # at 0, 1/4, 1/2, 3/4 and 1 of the run
    [
        (0.7, [0.7, 0.7, 0.7, 0.7, 0.7]),
        ({"schedule": "linear", "start": 0, "end": 1}, [0, 0.25, 0.5, 0.75, 1]),
        ({"schedule": "linear", "start": 2, "end": 1, "from": 0.25, "until": 0.75}, [2, 2, 1.5, 1, 1]),
        ({"schedule": "cosine", "start": 0, "end": 1}, [0, 0.5 - 0.125**0.5, 0.5, 0.5 + 0.125**0.5, 1]),
        ({"schedule": "constant", "value": 3, "from": 0.25, "until": 0.75}, [0, 3, 3, 0, 0]),
        ({"schedule": "constant", "value": 3, "from": 0.5}, [0, 0, 3, 3, 3]),
    ],
)
def test_schedule_gives_the_weight_at_the_progress_of_the_run(weight, expected):
    schedule = parse_weight("loss.alpha.weight", weight)
    assert [schedule(quarter / 4) for quarter in range(5)] == pytest.approx(expected, abs=1e-12)


def test_a_schedule_over_the_stage_counts_there_and_one_over_the_run_does_not():
    """Without a stage both count the same: a run of one stage."""
    ramp = {"schedule": "linear", "start": 0, "end": 1, "until": 0.5}
    table = LossTable({"alpha": {"weight": ramp}, "dice": {"weight": {**ramp, "over": "stage"}}})
    for run, stage, alpha, dice in ((0.1, 0.4, 0.2, 0.8), (0.4, 0.1, 0.8, 0.2), (0.9, 0.25, 1, 0.5)):
        assert table.weights_at(run, stage) == pytest.approx({"alpha": alpha, "dice": dice})
    assert table.weights_at(0.9, 0) == {"alpha": 1}
    assert table.weights_at(0.3) == table.weights_at(0.3, 0.3)


def test_total_is_differentiable_where_a_schedule_starts_at_zero():
    batch = example_batch()
    matte = prediction(batch)
    result = LossTable({"alpha": {"weight": {"schedule": "linear", "start": 0, "end": 1}}})(
        matte, batch, progress=0.0
    )
    result.total.backward()
    assert result.terms == {}
    assert not matte.alpha.grad.any()
