"""Presets and the table compose, match the signatures, and nothing is missing from them or from the page."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from deepmatte.batch import Matte, example_batch
from deepmatte.config.compose import compose
from deepmatte.losses import LOSSES, LossTable
from deepmatte.losses.page import page
from deepmatte.losses.table import SHARED

ROOT = Path(__file__).parents[2]
PRESETS = sorted(path.stem for path in (ROOT / "conf" / "loss").glob("*.yaml") if path.stem != "table")


@cache
def section(name: str, *overrides: str) -> dict:
    return OmegaConf.to_container(compose(f"loss/{name}", overrides).loss, resolve=True)


def test_table_lists_every_term_off_with_exactly_its_options_and_defaults():
    table = section("table")
    assert {key: table.pop(key) for key in SHARED} == SHARED
    assert list(table) == list(LOSSES)
    assert table == {name: {"weight": 0, **term.defaults} for name, term in LOSSES.items()}


@pytest.mark.parametrize("name", PRESETS)
def test_preset_makes_a_loss_with_a_gradient(name):
    batch = example_batch()
    matte = Matte((0.1 + 0.7 * batch["alpha"]).requires_grad_())
    result = LossTable(section(name))(matte, batch, progress=0.5)
    result.total.backward()
    assert matte.alpha.grad.any()
    assert set(result.terms) == set(LossTable(section(name)).weights_at(0.5))


def test_every_term_has_a_preset_of_its_name_or_a_part_in_another_if_it_can_not_be_used_alone():
    for name, term in LOSSES.items():
        if term.kind == "regulariser":
            assert any(section(preset)[name]["weight"] for preset in PRESETS)
        else:
            assert [row for row, options in section(name).items() if row in LOSSES and options["weight"]] == [
                name
            ]


@pytest.mark.parametrize("name", PRESETS)
def test_weights_and_options_are_overridden_on_top_of_any_preset(name):
    changed = section(
        name,
        "loss.dice.weight=0.5",
        "loss.alpha.weight={schedule:cosine,start:0,end:1,until:0.5}",
        "loss.alpha.region=band:15",
    )
    weights = LossTable(changed).weights_at(0.25)
    assert weights["dice"] == 0.5
    assert weights["alpha"] == pytest.approx(0.5)


def test_dim_is_half_alpha_and_half_composition():
    assert LossTable(section("dim")).weights_at(0) == {"alpha": 0.5, "composition": 0.5}


def test_dim_region_is_its_formula():
    """One weight per pixel: alpha loss in the unknown zone, composition outside, one N of all pixels."""
    batch = example_batch(dtype=torch.float64)
    p, t = 0.1 + 0.7 * batch["alpha"], batch["alpha"]
    w = (batch["trimap"] == 128).double()
    alpha = ((p - t) ** 2 + 1e-12).sqrt()
    colour = p * batch["foreground"] + (1 - p) * batch["background"] - batch["composite"]
    composition = (colour**2 + 1e-12).sqrt().mean(1, keepdim=True)
    wanted = (w * alpha + (1 - w) * composition).sum() / w.numel()
    torch.testing.assert_close(
        LossTable(section("dim_region"))(Matte(p), batch).total, wanted, rtol=1e-12, atol=0
    )


def test_alpha_laplacian_is_l1_known_l1_unknown_laplacian_and_composition():
    result = LossTable(section("alpha_laplacian"))(Matte(0.5 * example_batch()["alpha"]), example_batch())
    assert list(result.terms) == ["alpha", "composition", "laplacian", "alpha_known"]


def test_page_is_current_and_has_every_term():
    text = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    assert text == page(ROOT / "tests" / "losses"), (
        "run: python -m deepmatte.losses.page tests/losses > docs/losses.md"
    )
    for name in LOSSES:
        assert f"## {name}\n" in text


def test_every_term_is_in_the_sweep_of_the_losses():
    path = ROOT / "experiments" / "loss_combinations.yaml"
    if not path.exists():
        pytest.skip("experiments/ is not beside this test")
    swept = str(OmegaConf.load(path).hydra.sweeper.params.loss).replace(" ", "").split(",")
    rows = [row for preset in swept for row in LossTable(section(preset)).rows]
    assert set(LOSSES) - {row.name for row in rows} == set()
