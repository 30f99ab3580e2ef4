"""`matte`, `cutout` and `load`: any form of a picture gives the same numbers, in its own form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deepmatte import cutout, matte, trimap
from deepmatte.classical import FastInformationFlow
from deepmatte.errors import InputError
from deepmatte.scoring.photographs.forms import Picture

y, x = np.mgrid[:12, :20]
ALPHA = np.clip((x - 6) / 8, 0, 1)
"""A ramp from left to right, which closed-form matting finds: alpha is linear in the colours."""
WARM, COLD = np.array([0.9, 0.6, 0.1]), np.array([0.1, 0.2, 0.7])
IMAGE = np.rint(255 * (ALPHA[..., None] * WARM + (1 - ALPHA[..., None]) * COLD)).astype(np.uint8)
TRIMAP = np.where(ALPHA >= 1, 255, np.where(ALPHA <= 0, 0, 128)).astype(np.uint8)


def forms_of(picture: np.ndarray, folder: Path) -> dict[str, Picture]:
    """Return an 8-bit picture in every form."""
    channels_first = picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1)
    file = folder / f"{picture.ndim}.png"
    Image.fromarray(picture).save(file)
    return {
        "bytes": picture,
        "floats": picture / 255,
        "single": (picture / 255).astype(np.float32),
        "deep": picture.astype(np.uint16) * np.uint16(257),
        "pil": Image.fromarray(picture),
        "tensor": torch.from_numpy(channels_first) / 255,
        "byte tensor": torch.from_numpy(channels_first.copy()),
        "batch": torch.from_numpy(channels_first)[None] / 255,
        "file": file,
        "text": str(file),
    }


def numbers(result: Picture) -> np.ndarray:
    """Return what came back as (H, W) or (H, W, 4) in [0, 1]."""
    if isinstance(result, torch.Tensor):
        result = result.reshape(result.shape[-3:]).permute(1, 2, 0).numpy()
    values = np.asarray(result)
    full = {"uint8": 255, "uint16": 65535}.get(values.dtype.name, 1)
    return (values / full).squeeze()


def test_information_flow_is_the_default_and_finds_a_linear_matte() -> None:
    alpha = matte(IMAGE, TRIMAP)
    assert alpha.dtype == np.float32
    assert alpha.shape == (12, 20)
    assert np.abs(alpha - ALPHA).max() < 0.02
    assert np.array_equal(alpha, matte(IMAGE, TRIMAP, method=FastInformationFlow()))


def test_any_form_of_image_and_trimap_gives_the_same_matte_in_the_images_form(tmp_path: Path) -> None:
    images, trimaps = forms_of(IMAGE, tmp_path), forms_of(TRIMAP, tmp_path)
    expected = matte(IMAGE, TRIMAP, method="closed_form")
    for name, image in images.items():
        found = matte(image, trimaps[name], method="closed_form")
        rounding = 0.5 / 255 if name == "pil" else 1e-3  # the image in single precision
        assert np.abs(numbers(found) - expected).max() <= rounding + 1e-6, name
        mixed = matte(image, TRIMAP if name == "batch" else trimaps["pil"], method="closed_form")
        assert np.array_equal(numbers(mixed), numbers(found)), name
    assert isinstance(matte(images["pil"], TRIMAP), Image.Image)
    assert matte(images["pil"], TRIMAP).mode == "L"
    assert matte(images["tensor"], trimaps["tensor"]).shape == (1, 12, 20)
    assert matte(images["byte tensor"], trimaps["tensor"]).dtype == torch.float32
    assert matte(images["batch"], trimaps["batch"]).shape == (1, 1, 12, 20)


def test_cutouts_have_the_true_colours_and_the_images_type(tmp_path: Path) -> None:
    mattes = forms_of(np.rint(255 * ALPHA).astype(np.uint8), tmp_path)
    seen = ALPHA > 0.3
    for name, image in forms_of(IMAGE, tmp_path).items():
        result = cutout(image, mattes[name])
        values = numbers(result)
        assert values.shape == (12, 20, 4), name
        assert np.abs(values[..., 3] - ALPHA).max() < 0.5 / 255 + 1e-6, name
        # The image itself is off by up to 0.6 there: the cold background shines through.
        assert np.abs(values[seen][:, :3] - WARM).max() < 0.15, name
        if name not in ("pil", "file", "text"):
            assert result.dtype == image.dtype, name
    assert cutout(Image.fromarray(IMAGE), ALPHA).mode == "RGBA"


def test_grey_pictures_and_unusual_greys_of_trimaps_are_understood() -> None:
    other = np.where(TRIMAP == 128, 102, TRIMAP).astype(np.uint8)
    grey = IMAGE[..., 0]
    assert np.array_equal(matte(grey, other), matte(np.repeat(grey[..., None], 3, 2), TRIMAP))
    assert np.array_equal(matte(grey, torch.from_numpy(TRIMAP)), matte(grey, TRIMAP))


@pytest.mark.parametrize(
    ("image", "trimap", "method", "message"),
    [
        (IMAGE * 1.0, TRIMAP, "knn", "image has values from .*: give floats in"),
        (np.full((12, 20, 3), np.nan), TRIMAP, "knn", "image has values from nan to nan"),
        (IMAGE.astype(int), TRIMAP, "knn", "image has values of type int64: give uint8"),
        (IMAGE[None], TRIMAP, "knn", r"image has shape \(1, 12, 20, 3\): give \(height, width, channels\)"),
        (torch.from_numpy(IMAGE), TRIMAP, "knn", r"image has shape \(12, 20, 3\): give \(channels, height"),
        (np.zeros((0, 3, 3), np.uint8), TRIMAP, "knn", "image has shape"),
        (Image.new("CMYK", (20, 12)), TRIMAP, "knn", "image has pixels of type CMYK: convert it to RGB"),
        (IMAGE, TRIMAP[:, :19], "knn", "trimap has 19x12 pixels, but image 20x12: give one size"),
        (IMAGE, TRIMAP > 0, "knn", "trimap: this trimap has no unknown pixels"),
        (IMAGE, IMAGE, "knn", "trimap: this is a colour picture"),
        (IMAGE, "nowhere.png", "knn", "nowhere.png: there is no such file"),
        (
            IMAGE,
            TRIMAP,
            "closed_from",
            "method=closed_from: there is no such method; did you mean `closed_form`",
        ),
        (IMAGE, TRIMAP, 3, "method is a int: give a name such as"),
        (None, TRIMAP, "knn", "image is a NoneType: give an array"),
        (torch.zeros(2, 3, 12, 20), TRIMAP, "knn", "trimap has 1 pictures, but image 2: give as many"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(
    image: Picture, trimap: Picture, method: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        matte(image, trimap, method=method)
    assert "\n" not in str(refusal.value)


def test_the_matte_of_a_cutout_has_one_channel_and_the_images_size() -> None:
    with pytest.raises(InputError, match=r"alpha has shape \(12, 20, 3\): give one channel"):
        cutout(IMAGE, IMAGE / 255)
    with pytest.raises(InputError, match="alpha has 20x11 pixels"):
        cutout(IMAGE, ALPHA[1:])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1)])
def test_pictures_of_a_few_pixels_have_a_matte_and_a_cutout(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 90, np.uint8)
    with pytest.warns(UserWarning, match="no known foreground"):
        alpha = matte(image, np.full(shape, 128, np.uint8))
    assert (alpha == 0.5).all()
    assert cutout(image, alpha).shape == (*shape, 4)


def test_a_trimap_of_a_mask_or_box_or_scribbles_fits_matte_in_any_form(tmp_path: Path) -> None:
    mask = np.hypot(y - 6, x - 9) < 4
    image = np.where(mask[..., None], np.uint8(200), np.uint8(40)) * np.ones(3, np.uint8)
    expected = trimap(image, mask, width=1)
    assert expected.dtype == np.uint8
    assert np.array_equal(expected == 255, np.hypot(y - 6, x - 9) < 3)
    strokes = np.full(mask.shape, 128, np.uint8)
    strokes[6, 8:11], strokes[0] = 255, 0
    for name, form in forms_of(image, tmp_path).items():
        found = trimap(form, Image.fromarray(mask), width=1)
        assert np.array_equal(np.rint(255 * numbers(found)), expected), name
        assert (numbers(matte(form, found, method="closed_form"))[mask] > 0.99).all(), name
    for hint in ({"box": (4, 1, 11, 11)}, {"scribbles": strokes}, {"scribbles": strokes / 255}):
        assert np.array_equal(trimap(image, **hint, width=1), expected)


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        ({}, "give one of mask, box and scribbles"),
        ({"mask": TRIMAP > 0, "box": (1, 1, 5, 5)}, "give one of"),
        ({"mask": TRIMAP[1:] > 0}, "mask has 20x11 pixels, but image 20x12"),
        ({"mask": np.ones((12, 20))}, "this mask is light everywhere"),
        ({"box": (1, 1, 50, 5)}, "reaches beyond the picture of 20x12"),
        ({"box": (1, 1, 5)}, "box=.*: give left, top, width and height"),
        ({"box": (1.5, 1, 5, 5)}, "box=.*: give left, .* in whole pixels"),
        ({"box": ("1", 1, 5, float("nan"))}, "box=.*: give left, .* in whole pixels"),
        ({"scribbles": np.full((12, 20), 128, np.uint8)}, "has no white strokes on the foreground"),
        ({"scribbles": np.where(TRIMAP > 200, TRIMAP, 128)}, "has no black ones beside it"),
        ({"mask": TRIMAP > 0, "width": "wide"}, "width=wide: give auto or a number of pixels above 0"),
        ({"mask": TRIMAP > 0, "width": -3}, "width=-3: give auto or"),
    ],
)
def test_a_hint_that_can_not_be_is_named(hint: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        trimap(IMAGE, **hint)
