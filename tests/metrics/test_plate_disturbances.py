"""The robustness curve of models that read a plate: what each disturbance does, and that it ends in files."""

from __future__ import annotations

import csv

import pytest
import torch

from deepmatte.batch import Matte, example_batch
from deepmatte.metrics.diagnostics import plates_figure
from deepmatte.metrics.functional.plates import DISTURBANCES, Disturbance
from deepmatte.models import MattingModel
from deepmatte.training.module import MattingModule


def with_plate():
    batch = example_batch(size=40)
    batch["captured_background"] = batch["background"].clone()
    return batch


def test_without_amount_nothing_is_disturbed():
    batch = with_plate()
    for kind, amount in (("shift", 0), ("gain", 1), ("shadow", 0)):
        assert Disturbance(kind, amount) in DISTURBANCES
        found = Disturbance(kind, amount)(batch)
        for key in ("image", "captured_background", "alpha", "trimap"):
            assert torch.equal(found[key], batch[key])


def test_a_shift_moves_the_plate_alone():
    batch = with_plate()
    for pixels in (1, 8):
        found = Disturbance("shift", pixels)(batch)
        moved = batch["captured_background"][..., :-pixels, :-pixels]
        assert torch.equal(found["captured_background"][..., pixels:, pixels:], moved)
        assert torch.equal(found["image"], batch["image"])


def test_a_shadow_darkens_the_background_of_the_image_alone():
    batch = with_plate()
    loss = batch["image"] - Disturbance("shadow", 0.2)(batch)["image"]
    assert loss.min() >= 0
    assert 0 < loss.max() <= 0.2 + 1e-6
    half = batch["image"] - Disturbance("shadow", 0.1)(batch)["image"]
    torch.testing.assert_close(loss, 2 * half, rtol=0, atol=1e-6)
    assert not loss[(batch["alpha"] == 1).expand_as(loss)].any()


class Keyed(MattingModel):
    """Alpha is how far image and plate differ."""

    reads = ("image", "captured_background")

    def predict(self, inputs, refine):
        difference = (inputs["image"] - inputs["captured_background"]).abs().amax(1, keepdim=True)
        return Matte((3 * difference).clamp(0, 1))


def test_the_curve_is_scored_and_drawn(tmp_path):
    module = MattingModule(Keyed(), disturbances=DISTURBANCES)
    logged = {}
    module.log = lambda name, value, **_: logged.update({name: value})
    module.test_step(with_plate(), 0)
    module.on_test_epoch_end()
    sad = {each.name: logged[f"disturbed/{each.name}/test/sad"] for each in DISTURBANCES}
    for kind, neutral, worst in (("shift", "0", "8"), ("gain", "1", "0.7"), ("shadow", "0", "0.3")):
        assert sad[f"{kind}/{neutral}"] == pytest.approx(logged["test/sad"])
        assert sad[f"{kind}/{worst}"] > sad[f"{kind}/{neutral}"]
    from deepmatte.training.score import _disturbed, _write_table

    rows = _disturbed(module.exact, DISTURBANCES, ["sad", "mse"])
    _write_table(rows, tmp_path / "plates.csv")
    read = list(csv.DictReader((tmp_path / "plates.csv").open()))
    assert [row["disturbance"] for row in read] == [each.kind for each in DISTURBANCES]
    assert float(read[4]["sad"]) == pytest.approx(sad["shift/8"], rel=1e-5)
    assert len(plates_figure({"keyed": rows}).axes) == 3
