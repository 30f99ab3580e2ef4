"""Photographs with every quirk of published files, read from DEEPMATTE_REAL_DATA."""

import logging
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from deepmatte.cli.data import main
from deepmatte.data import Composition, CompositionDataset, FolderData, ImageDataset, collate
from deepmatte.data.sources import images
from deepmatte.data.sources.decoding import read_header
from deepmatte.data.sources.images import read_alpha, read_image, read_trimap
from deepmatte.ops.trimap import trimap_from_alpha
from deepmatte.ops.zones import trivial_matte

JITTER = {"brightness": 0.125, "contrast": 0.125, "saturation": 0.125}


def photographs(folder, trimap: str) -> ImageDataset:
    source = FolderData(folder / "alphamatting", image="image", trimap=trimap, name="alphamatting")
    return ImageDataset(source.images("test"), name=source.name, version=source.version, split="test")


@pytest.mark.parametrize(
    ("trimap", "sad", "mse"), [("trimap_tight", 33.778, 198.34), ("trimap_loose", 50.617, 213.44)]
)
def test_trivial_matte_scores_as_published_on_the_alphamatting_photographs(real_data, trimap, sad, mse):
    dataset = photographs(real_data, trimap)
    assert len(dataset) == 13
    scores = []
    for i in range(13):
        sample = dataset[i]
        unknown = sample["trimap"] == 128
        # Published scores are of 8-bit mattes, so 0.5 counts as 128.
        error = (torch.floor(trivial_matte(sample["trimap"]) * 255 + 0.5) / 255 - sample["alpha"]).double()[
            unknown
        ]
        scores.append((error.abs().sum() / 1000, error.square().mean() * 1000))
    means = np.mean(scores, axis=0)
    # One unit of the last digit that was published.
    assert means[0] == pytest.approx(sad, abs=0.001)
    assert means[1] == pytest.approx(mse, abs=0.01)


def test_true_mattes_agree_with_their_trimaps_where_known(real_data):
    for trimap in ("trimap_tight", "trimap_loose"):
        for sample in map(photographs(real_data, trimap).__getitem__, range(0, 13, 4)):
            assert sample["alpha"][sample["trimap"] == 0].mean() < 0.01
            assert sample["alpha"][sample["trimap"] == 255].mean() > 0.99


def test_rgba_trimaps_with_another_grey_are_read_as_trimaps(real_data, caplog, monkeypatch):
    monkeypatch.setattr(images, "_reported_greys", set())
    with caplog.at_level(logging.WARNING):
        for name in ("lemur_trimap.png", "lemur_trimap_fba.png"):
            stored = np.asarray(Image.open(real_data / "lemur" / name))
            trimap = read_trimap(real_data / "lemur" / name)
            assert stored.shape == (440, 680, 4)
            np.testing.assert_array_equal(trimap == 0, stored[..., 0] == 0)
            np.testing.assert_array_equal(trimap == 255, stored[..., 0] == 255)
            assert set(np.unique(trimap)) == {0, 128, 255}
    assert [record.getMessage() for record in caplog.records if "grey 102" in record.getMessage()]
    assert read_image(real_data / "lemur" / "lemur.png").shape == (440, 680, 3)
    assert read_alpha(real_data / "lemur" / "lemur_alpha.png").shape == (440, 680)


def test_every_file_has_the_size_that_its_header_says(real_data):
    for folder in ("cutouts/fg", "cutouts/alpha", "backgrounds", "alphamatting/trimap_loose"):
        for file in sorted((real_data / folder).iterdir())[:4]:
            header = read_header(file)
            assert read_image(file).shape == (header.height, header.width, 3)


def test_cutouts_over_backgrounds_make_batches_that_compose(real_data):
    source = FolderData(real_data, foreground="cutouts/fg", alpha="cutouts/alpha", background="backgrounds")
    assert sum(len(source.foregrounds(split)) for split in ("train", "val", "test")) == 22
    assert sum(len(source.backgrounds(split)) for split in ("train", "val", "test")) == 24
    recipe = Composition(foreground_jitter=JITTER, background_jitter=JITTER)
    dataset = CompositionDataset(source.foregrounds("train"), source.backgrounds("train"), recipe, seed=0)
    batch = collate([dataset[(0, index)] for index in range(8)])
    a, f, b = (batch[key].double() for key in ("alpha", "foreground", "background"))
    assert (batch["composite"] - (a * f + (1 - a) * b)).abs().max() <= 1e-6
    assert batch["image"].shape == (8, 3, 320, 320)
    assert ((batch["trimap"] == 128).flatten(1).any(1)).all()


def test_trimaps_of_real_mattes_are_known_only_where_alpha_is_certain(real_data):
    for file in sorted((real_data / "cutouts" / "alpha").iterdir())[:3]:
        alpha = read_alpha(file)
        trimap = trimap_from_alpha(alpha, 15, 15)
        assert (alpha[trimap == 0] == 0).all()
        assert (alpha[trimap == 255] == 255).all()
        assert 0 < (trimap == 128).mean() < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "counts"),
    [
        (["data=alphamatting", "data.root={root}/alphamatting"], {"val images 13", "test images 13"}),
        (
            [
                *(
                    "data=folder",
                    "data.root={root}",
                    "data.source.foreground=cutouts/fg",
                    "data.source.alpha=cutouts/alpha",
                ),
                *(
                    "data.source.background=backgrounds",
                    "data.source.val_fraction=0.2",
                    "data.source.test_fraction=0.2",
                ),
            ],
            {"foregrounds 22", "backgrounds 24"},
        ),
    ],
)
def test_real_folders_are_described_and_verified_without_a_problem(
    real_data, tmp_path, capsys, overrides, counts
):
    overrides = [override.format(root=real_data) for override in overrides]
    assert main(["describe", *overrides, "--out", str(tmp_path / "sheet.png"), "--num", "1"]) == 0
    found: Counter[str] = Counter()
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("│"):
            split, what, count, *_ = (cell.strip() for cell in line.strip("│").split("│"))
            found[f"{split} {what}" if what == "images" else what] += int(count)
    assert {f"{what} {count}" for what, count in found.items()} == counts
    assert read_image(tmp_path / "sheet.png").std() > 20
    assert main(["verify", *overrides, "--processes", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(", 0 problems")
