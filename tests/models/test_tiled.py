"""Any model in tiles: the same matte where it sees nearby pixels alone, and never a seam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deepmatte.batch import Batch, Matte
from deepmatte.errors import InputError
from deepmatte.metrics.functional.seams import seams
from deepmatte.models import DeepImageMatting, MattingModel
from deepmatte.models.tiled import TiledModel
from deepmatte.ops.tiling import borders, tiled

HEIGHT, WIDTH = 300, 420


def batch_of(height: int = HEIGHT, width: int = WIDTH, num: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(0)
    trimap = torch.full((num, 1, height, width), 128, dtype=torch.uint8)
    trimap[..., :20, :], trimap[..., -20:, :] = 0, 255
    return Batch(image=torch.rand(num, 3, height, width, generator=generator), trimap=trimap)


class Pixelwise(MattingModel):
    """Sees a pixel alone, and gives colours, too."""

    gives = ("foreground", "error")

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        self.sizes.append(tuple(batch["image"].shape))
        alpha = batch["image"].mean(1, keepdim=True) * (0.5 if refine else 0.25) + batch["trimap"] / 1000
        return Matte(alpha, foreground=batch["image"].sqrt(), error=alpha)


class Exposure(MattingModel):
    """Judges a pixel by the mean of all that it sees, which differs from tile to tile."""

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        return Matte((batch["image"].mean((1, 2, 3), keepdim=True) * 20 - 9).expand_as(batch["trimap"]) / 2)


class Convolutional(MattingModel):
    """Sees 8 pixels to each side, a quarter of the overlap of tiles of 128 pixels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 9, padding=4), nn.ReLU(), nn.Conv2d(4, 1, 9, padding=4))

    def forward(self, batch: Batch, refine: bool = True) -> Matte:
        return Matte(self.layers(batch["image"]).sigmoid())


@pytest.mark.parametrize("tile", [128, 256, 512])
@pytest.mark.parametrize("refine", [False, True])
def test_a_model_that_sees_single_pixels_gives_the_very_same_matte(tile: int, refine: bool) -> None:
    model, batch = Pixelwise(), batch_of(num=2)
    whole = model(batch, refine=refine)
    found = TiledModel(model, tile)(batch, refine=refine)
    assert torch.equal(found.alpha, whole.alpha)
    assert torch.equal(found.foreground, whole.foreground)


def test_no_more_than_a_tile_is_ever_computed_at_once() -> None:
    model = Pixelwise()
    TiledModel(model, 128)(batch_of(900, 300))
    assert len(model.sizes) > 20
    assert all(height <= 128 and width <= 128 for *_, height, width in model.sizes)


def test_a_network_that_sees_nearby_pixels_gives_the_same_matte_and_no_seam() -> None:
    model, batch = Convolutional().eval(), batch_of()
    with torch.inference_mode():
        whole, found = model(batch).alpha, TiledModel(model, 128)(batch).alpha
    assert (found - whole).abs().max() < 1e-5


def lines() -> tuple[list[int], list[int]]:
    return borders(HEIGHT, 128, 32, 32), borders(WIDTH, 128, 32, 32)


def test_what_differs_from_tile_to_tile_goes_over_without_a_seam() -> None:
    batch = batch_of()
    batch["image"] *= torch.linspace(0.5, 1, WIDTH)  # a gradient, so that tiles disagree
    whole, found = (model(batch).alpha[0, 0].numpy() for model in (Exposure(), TiledModel(Exposure(), 128)))
    assert np.ptp(found) > 1  # they do
    assert seams(found, whole, *lines()) < 1 / 510


def test_the_measure_of_seams_sees_tiles_that_are_put_side_by_side() -> None:
    batch = batch_of()
    batch["image"] *= torch.linspace(0.5, 1, WIDTH)

    def alpha_of(image: Tensor, trimap: Tensor) -> Tensor:
        return Exposure()(Batch(image=image, trimap=trimap)).alpha

    whole = alpha_of(batch["image"], batch["trimap"])[0, 0].numpy()
    found = tiled(alpha_of, batch["image"], batch["trimap"], tile=128, overlap=0)[0, 0].numpy()
    assert seams(found, whole, borders(HEIGHT, 128, 0, 32), borders(WIDTH, 128, 0, 32)) > 0.05


def test_the_measure_of_seams_does_not_mind_what_is_wrong_everywhere() -> None:
    rng = np.random.default_rng(0)
    whole = rng.random((HEIGHT, WIDTH))
    noisy = whole + 0.1 * rng.standard_normal(whole.shape) + np.linspace(0, 1, WIDTH)
    assert seams(noisy, whole, *lines()) < 0.01
    noisy[:, 96:] += 0.1
    assert seams(noisy, whole, *lines()) > 0.02


def test_a_tile_as_large_as_the_picture_is_the_picture() -> None:
    torch.manual_seed(0)
    model, batch = DeepImageMatting(width=1 / 16).eval(), batch_of(60, 90)
    with torch.inference_mode():
        assert torch.equal(TiledModel(model, 128)(batch).alpha, model(batch).alpha)


def test_tiles_without_unknown_pixels_are_left_out_where_known_zones_are_imposed() -> None:
    class Counting(Convolutional):
        calls = 0

        def forward(self, batch: Batch, refine: bool = True) -> Matte:
            self.calls += 1
            return super().forward(batch, refine)

    batch = batch_of()
    batch["trimap"][..., 100:] = 255
    every, some = Counting(), Counting()
    with torch.inference_mode():
        whole = TiledModel(every, 128)(batch).alpha
        found = TiledModel(some, 128, skip_known=True)(batch).alpha
    assert some.calls < every.calls
    unknown = batch["trimap"] == 128
    unknown[..., 96:] = False  # where a tile that was left out is blended in
    assert torch.equal(found[unknown], whole[unknown])


def test_it_reads_and_gives_what_its_model_does() -> None:
    wrapped = TiledModel(Pixelwise(), 128)
    assert wrapped.reads == ("image", "trimap")
    assert wrapped.gives == ("foreground",)
    with pytest.raises(InputError, match="tile=100: give 0, or a multiple of 128 pixels"):
        TiledModel(Pixelwise(), 100)


def test_a_mean_of_equal_values_is_kept_to_the_bit() -> None:
    picture = torch.rand(1, 2, 300, 210, generator=torch.Generator().manual_seed(1))
    for tile, overlap in ((64, 32), (96, 64), (64, 0)):
        assert torch.equal(tiled(torch.clone, picture, tile=tile, overlap=overlap), picture)
