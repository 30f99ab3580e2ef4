"""Presets and the table compose, match the signatures, and nothing is missing from them or from the page."""

from __future__ import annotations

import sys
from functools import cache, partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

from deepmatte.batch import Matte, example_batch
from deepmatte.config.compose import compose
from deepmatte.losses import LOSSES, LossTable
from deepmatte.losses.page import page
from deepmatte.losses.table.loss_table import SHARED
from deepmatte.losses.terms import FITS
from deepmatte.models.alphagan import PatchDiscriminator

sys.path.insert(0, str(Path(__file__).parent))
from whole_mattes import whole_matte

ROOT = Path(__file__).parents[2]
PRESETS = sorted(path.stem for path in (ROOT / "conf" / "loss").glob("*.yaml") if path.stem != "table")


@cache
def section(name: str, *overrides: str) -> dict:
    return OmegaConf.to_container(compose(f"loss/{name}", overrides).loss, resolve=True)


def test_table_lists_every_term_off_with_exactly_its_options_and_defaults():
    table = section("table")
    assert {key: table.pop(key) for key in SHARED} == SHARED
    assert list(table) == list(LOSSES)
    assert table == {name: {"weight": 0, "output": "final", **term.defaults} for name, term in LOSSES.items()}


@pytest.mark.parametrize("name", PRESETS)
def test_preset_makes_a_loss_with_a_gradient(name):
    batch = example_batch()
    batch["discriminator"] = PatchDiscriminator(34, width=1 / 16)
    coarse = whole_matte((0.2 + 0.6 * batch["alpha"]).requires_grad_())
    matte = whole_matte((0.1 + 0.7 * batch["alpha"]).requires_grad_(), coarse=coarse)
    result = LossTable(section(name))(matte, batch, progress=0.5)
    result.total.backward()
    assert matte.alpha.grad.any()
    assert set(result.terms) == set(LossTable(section(name)).weights_at(0.5))


def test_every_term_has_a_preset_of_its_name_or_a_part_in_another_if_it_can_not_be_used_alone():
    for name, term in LOSSES.items():
        if term.kind not in FITS:
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


def test_alphagan_is_half_alpha_half_composition_and_a_thousandth_of_the_adversarial_term():
    table = LossTable(section("alphagan"))
    for run in (0, 0.5, 0.9):  # the term rises over the first fifth of its stage, wherever that begins
        assert table.weights_at(run, 0) == {"alpha": 0.5, "composition": 0.5, "discriminator": 1}
        assert table.weights_at(run, 0.1)["adversarial"] == pytest.approx(0.0005)
    assert table.weights_at(0.5) == table.weights_at(0.1, 0.5)
    assert table.weights_at(0.1, 0.5) == {
        "alpha": 0.5,
        "composition": 0.5,
        "adversarial": 0.001,
        "discriminator": 1,
    }


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


def test_vitmatte_is_l1_unknown_l1_known_laplacian_and_gradient_penalty_at_equal_weight():
    weights = LossTable(section("vitmatte")).weights_at(0)
    assert weights == dict.fromkeys(("alpha", "laplacian", "gradient_penalty", "alpha_known"), 1)


def test_birefnet_is_its_formula():
    """30 BCE + 100 L1 + 10 SSIM of the whole image, and 0.5 (1 - IoU) of each of the 4 samples, summed."""
    batch = example_batch(num=4, size=24, dtype=torch.float64)
    p, t = 0.1 + 0.7 * batch["alpha"], batch["alpha"]
    x = torch.arange(11, dtype=torch.float64) - 5
    window = torch.outer(*2 * [torch.exp(-(x**2) / 4.5)])
    blur = partial(F.conv2d, weight=(window / window.sum())[None, None], padding=5)
    m, n = blur(p), blur(t)
    v, w, c = blur(p * p) - m * m, blur(t * t) - n * n, blur(p * t) - m * n
    ssim = ((2 * m * n + 1e-4) * (2 * c + 9e-4)) / ((m * m + n * n + 1e-4) * (v + w + 9e-4))
    both = (p * t).sum((1, 2, 3))
    iou = both / ((p + t).sum((1, 2, 3)) - both)
    wanted = 30 * F.binary_cross_entropy(p, t) + 100 * F.l1_loss(p, t) + 10 * (1 - ssim.mean())
    wanted = wanted + 0.5 * (1 - iou).sum()
    total = LossTable(section("birefnet"))(Matte(p), batch).total
    torch.testing.assert_close(total, wanted, rtol=1e-10, atol=0)


def test_every_term_is_in_the_sweep_of_the_losses():
    path = ROOT / "experiments" / "loss_combinations.yaml"
    if not path.exists():
        pytest.skip("experiments/ is not beside this test")
    swept = str(OmegaConf.load(path).hydra.sweeper.params.loss).replace(" ", "").split(",")
    rows = [row for preset in swept for row in LossTable(section(preset)).rows]
    # No data has clips, not all models have a discriminator, and the sweep's predicts alpha alone.
    special = {"previous", "discriminator"}
    served = {name for name, term in LOSSES.items() if not special & set(term.reads) and not term.predicted}
    assert served - {row.name for row in rows} == set()
    for row in rows:
        assert not special & set(row.reads)
