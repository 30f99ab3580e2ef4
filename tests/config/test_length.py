"""How a total of epochs is shared out among a model's stages, whatever they are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from tiny_run import compose

from deepmatte.config.length import check_length, epochs_of_stages, shared_out
from deepmatte.errors import InputError
from deepmatte.runs.identity import config_hash

THREE = {"base": {"learn": ["a"], "share": 3}, "refine": {"learn": ["b"]}, "joint": {"learn": "all"}}
ONE = {"adversarial": {"learn": ["generator", "discriminator"]}}


@given(st.integers(1, 200), st.lists(st.floats(0, 100, allow_subnormal=False), min_size=1, max_size=5))
def test_shares_add_up_and_are_within_an_epoch_of_the_quota(epochs: int, shares: list[float]) -> None:
    named = {str(number): share for number, share in enumerate(shares)}
    positive = [share for share in shares if share > 0]
    if not 0 < len(positive) <= epochs:
        return
    taken = shared_out(epochs, named)
    assert sum(taken.values()) == epochs
    assert all((taken[name] > 0) == (share > 0) for name, share in named.items())
    if len(positive) <= 2 and epochs * min(positive) / sum(positive) >= 1:
        assert all(abs(taken[name] - epochs * share / sum(shares)) <= 1 for name, share in named.items())


@pytest.mark.parametrize("total", [40, 80, 8])
def test_whole_quotas_are_kept(total: int) -> None:
    shares = {"encoder_decoder": 30, "refine": 5, "joint": 5}
    assert shared_out(total, shares) == {name: share * total // 40 for name, share in shares.items()}


@pytest.mark.parametrize(
    ("stages", "shares", "epochs"),
    [
        (ONE, "last", {"adversarial": 10}),
        (ONE, "first", {"adversarial": 10}),
        (ONE, "each", {"adversarial": 10}),
        (ONE, None, {"adversarial": 10}),
        (ONE, {"adversarial": 7}, {"adversarial": 10}),
        (THREE, "last", {"base": 0, "refine": 0, "joint": 10}),
        (THREE, "first", {"base": 10, "refine": 0, "joint": 0}),
        (THREE, "each", {"base": 10, "refine": 10, "joint": 10}),
        (THREE, None, {"base": 6, "refine": 2, "joint": 2}),
        (THREE, {"refine": 1, "base": 4}, {"base": 8, "refine": 2, "joint": 0}),
        (THREE | {"elsewhere": {"loss": {}}}, "last", {"base": 0, "refine": 0, "joint": 10}),
    ],
)
def test_the_same_words_fit_models_of_one_stage_and_of_several(
    stages: dict[str, Any], shares: Any, epochs: dict[str, int]
) -> None:
    assert epochs_of_stages(stages, {"epochs": 10, "shares": shares}) == epochs


@pytest.mark.parametrize(
    ("stages", "length", "message"),
    [
        (THREE, {"epochs": 0}, "length.epochs=0: give the epochs of all stages together"),
        (THREE, {"epochs": "six"}, "length.epochs=six: give"),
        (THREE, {"epochs": 2}, "length.epochs=2: too few for 3 stages (base, refine, joint)"),
        (THREE, {"epochs": 9, "shares": "some"}, "length.shares=some: choose among first, last, each, null"),
        (
            THREE,
            {"epochs": 9, "shares": {"joit": 1}},
            "length.shares.joit: is no stage of the model; it has base,",
        ),
        (THREE, {"epochs": 9, "shares": {"joint": "one"}}, "length.shares.joint=one: has to be a number"),
        (THREE, {"epochs": 9, "shares": {"joint": 0}}, "every stage has a share of 0"),
        (
            THREE | {"joit": {"loss": {}}},
            {"epochs": 9},
            "stages.joit: is no stage of the model; did you mean `stages.joint`?",
        ),
        ({"joint": {"loss": {}}}, {"epochs": 9}, "stages: none says which parts of the model `learn`"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_the_key(
    stages: dict[str, Any], length: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        epochs_of_stages(stages, length)
    assert "\n" not in str(error.value)


def test_a_plan_of_the_first_edition_says_where_it_went() -> None:
    config = compose("train", ["+plan={encoder_decoder: 7, refine: 1, joint: 0}"])
    with pytest.raises(InputError, match=r"plan: is now called length\.shares"):
        check_length(config)


def test_only_what_a_length_makes_of_the_stages_counts_in_the_hash() -> None:
    hashes = [
        config_hash(compose("train", words))
        for words in (
            ["length.epochs=8"],
            ["length={epochs: 8, shares: {joint: 3}}"],
            ["stages.joint.epochs=8", "stages.joint.share=2"],
            ["length={epochs: 8, shares: {refine: 1, joint: 3}}"],
        )
    ]
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]


@pytest.mark.parametrize(("budget", "epochs"), [("laptop", 6), ("full", 40)])
def test_a_model_that_names_no_stages_trains_all_of_its_parts_in_one(
    tmp_path, monkeypatch, budget, epochs
) -> None:
    """Its file is a target alone, in the working folder of a user."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: mine.UNet\n")
    monkeypatch.chdir(tmp_path)
    config = compose("train", ["model=mine", f"budget={budget}"])
    stages = OmegaConf.to_container(config.stages, resolve=True)
    assert {name: (keys["epochs"], keys["learn"]) for name, keys in stages.items()} == {
        "joint": (epochs, "all")
    }
