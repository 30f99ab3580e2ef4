"""What the base class does for every network: colours, padding, cropping; and that files name its stages."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
import yaml

from deepmatte import models
from deepmatte.batch import Batch, Matte, example_batch
from deepmatte.config.places import conf_dir
from deepmatte.models.base import IMAGENET, SIGNED, UNSCALED, Inputs, MattingModel


class Plate(MattingModel):
    """Passes on what it reads: alpha is the trimap, the coarse matte a quarter of it in each direction."""

    reads: ClassVar[tuple[str, ...]] = ("image", "trimap", "captured_background")
    multiple = 16

    def predict(self, inputs: Inputs, refine: bool) -> Matte:
        self.seen = dict(inputs)
        small = Matte(F.avg_pool2d(inputs["trimap"], 4), foreground=F.avg_pool2d(inputs["image"], 4))
        return Matte(inputs["trimap"], foreground=inputs["image"], error=1 - inputs["trimap"], coarse=small)


def batch_of(height: int, width: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    image, plate = torch.rand(2, 2, 3, height, width, generator=generator)
    trimap = torch.randint(0, 256, (2, 1, height, width), generator=generator, dtype=torch.uint8)
    return Batch(image=image, captured_background=plate, trimap=trimap)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47), (5, 7)])
def test_inputs_are_padded_at_the_right_and_below_and_every_output_is_cropped(height, width) -> None:
    model, batch = Plate(UNSCALED), batch_of(height, width)
    matte = model(batch)
    sides = {tuple(values.shape[-2:]) for values in model.seen.values()}
    assert sides == {(-(-height // 16) * 16, -(-width // 16) * 16)}
    assert torch.equal(matte.alpha, batch["trimap"] / 255)
    assert torch.equal(matte.foreground, batch["image"])
    assert matte.error.shape == matte.alpha.shape
    assert matte.coarse.alpha.shape[-2:] == (-(-height // 4), -(-width // 4))
    assert matte.coarse.foreground.shape[-2:] == matte.coarse.alpha.shape[-2:]


def test_each_network_has_its_own_colours() -> None:
    levels = torch.tensor([0.0, 127.0, 255.0])
    batch = Batch(
        image=(levels / 255).reshape(1, 3, 1, 1).expand(-1, -1, 16, 16),
        captured_background=torch.zeros(1, 3, 16, 16),
        trimap=torch.full((1, 1, 16, 16), 128, dtype=torch.uint8),
    )
    published = {
        UNSCALED: levels / 255,
        SIGNED: (levels - 127) / 128,
        IMAGENET: (levels / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225]),
    }
    for normalisation, colours in published.items():
        model = Plate(normalisation)
        model(batch)
        torch.testing.assert_close(model.seen["image"][0, :, 0, 0], colours, rtol=0, atol=1e-6)
        black = model.seen["captured_background"][0, 0, 0, 0]
        assert float(black) == pytest.approx(-normalisation.mean[0] / normalisation.std[0])
        assert float(model.seen["trimap"][0, 0, 0, 0]) == pytest.approx(128 / 255)
        assert not model.state_dict()


def test_the_file_of_a_model_chooses_the_stages_that_its_class_names() -> None:
    for file in sorted((conf_dir() / "model").glob("*.yaml")):
        config = yaml.safe_load(file.read_text())
        chosen = [
            entry["override /stages@_global_.stages"]
            for entry in config.get("defaults", [])
            if isinstance(entry, dict) and "override /stages@_global_.stages" in entry
        ]
        found = getattr(models, config.get("_target_", "MattingModel").rpartition(".")[2])
        assert (chosen or ["joint"])[-1] == found.stages or "_target_" not in config, file.name


def test_a_model_of_its_own_may_still_take_the_batch_as_it_is() -> None:
    class Own(MattingModel):
        def forward(self, batch: Batch, refine: bool = True) -> Matte:
            return Matte(batch["alpha"])

    batch = example_batch(size=9)
    assert torch.equal(Own()(batch).alpha, batch["alpha"])


def test_the_colours_that_a_model_predicts_are_scored_by_both_protocols() -> None:
    from deepmatte.metrics import functional
    from deepmatte.training.module import MattingModule

    batch = example_batch(num=2, size=32)
    batch["captured_background"] = batch["background"]
    module = MattingModule(Plate(UNSCALED), colours=True)
    module.test_step(batch, 0)
    rows = module.colours.per_image()
    for i, row in enumerate(rows):
        images = batch["image"][i], batch["foreground"][i], batch["alpha"][i]  # what Plate predicts
        assert row["foreground_mse"] == functional.foreground_mse(*images) > 0
        assert row["foreground_mse_unknown"] == functional.foreground_mse(*images, batch["trimap"][i])


def test_zones_are_imposed_only_on_a_matte_whose_model_reads_a_trimap() -> None:
    from deepmatte.training.module import MattingModule

    class Blind(MattingModel):
        reads: ClassVar[tuple[str, ...]] = ("image",)

        def predict(self, inputs: Inputs, refine: bool) -> Matte:
            return Matte(torch.full_like(inputs["image"][:, :1], 0.25))

    class Seeing(Blind):
        reads: ClassVar[tuple[str, ...]] = ("image", "trimap")

    batch = example_batch(size=16)
    assert (MattingModule(Blind())(batch).alpha == 0.25).all()
    seen = MattingModule(Seeing())(batch).alpha
    assert torch.equal(seen == 0.25, batch["trimap"] == 128)
    assert (MattingModule(Seeing(), impose=False)(batch).alpha == 0.25).all()
