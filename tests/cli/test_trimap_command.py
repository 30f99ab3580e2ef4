"""`deepmatte trimap`, and `deepmatte predict` with a hint in place of a trimap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepmatte.cli.main import call

y, x = np.mgrid[:48, :64]
DISC = np.hypot(y - 24, x - 32) < 14


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place where a user works: photographs of a disc, their masks, and strokes on a layer."""
    monkeypatch.chdir(tmp_path)
    for kind in ("photos", "masks"):
        Path(kind).mkdir()
    image = np.where(DISC[..., None], (220, 150, 30), (20, 60, 160)).astype(np.uint8)
    for name in ("cat", "dog"):
        Image.fromarray(image).save(f"photos/{name}.png")
        Image.fromarray(DISC).save(f"masks/{name}.png")
    layer = np.zeros((48, 64, 4), np.uint8)
    layer[22:26, 28:36], layer[:3] = 255, (0, 0, 0, 255)
    Image.fromarray(layer).save("strokes.png")
    return tmp_path


def trimap(*arguments: object) -> int:
    return call("trimap", [str(argument) for argument in arguments])


def read(file: str) -> np.ndarray:
    return np.asarray(Image.open(file))


def test_a_mask_a_box_and_strokes_give_the_same_trimap_of_a_clear_cut(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = "photos/cat.png"
    for out, hint in (
        ("mask", ("--mask", "masks/cat.png")),
        ("box", ("--box", "10,5,44,38")),
        ("strokes", ("--scribbles", "strokes.png")),
    ):
        assert trimap(photo, *hint, "--out", out, "--width", 3) == 0
    # Three pixels to either side of the edge, which lies at a distance of 14.
    distance = np.hypot(y - 24, x - 32)
    for out in ("mask", "box", "strokes"):
        found = read(f"{out}/cat_trimap.png")
        assert set(np.unique(found)) == {0, 128, 255}
        assert (found[distance < 10] == 255).all()
        assert (found[distance > 18] == 0).all()
        assert (found[np.abs(distance - 14) < 2] == 128).all()
    share = 100 * (read("mask/cat_trimap.png") == 128).mean()
    assert f"photos/cat.png: mask/cat_trimap.png, {share:.1f} % unknown" in capsys.readouterr().out


def test_folders_are_matched_by_name_and_outputs_lie_where_the_user_is(folder: Path) -> None:
    assert trimap("photos", "--mask", "masks") == 0
    for name in ("cat", "dog"):
        assert read(f"{name}_trimap.png")[24, 32] == 255


def test_predict_makes_the_trimap_and_the_matte_in_one_go(folder: Path) -> None:
    assert call("predict", ["photos/cat.png", "--mask", "masks/cat.png", "--method", "grabcut"]) == 0
    assert sorted(file.name for file in folder.glob("cat_*")) == [
        "cat_alpha.png",
        "cat_cutout.png",
        "cat_trimap.png",
    ]
    assert np.array_equal(read("cat_alpha.png") == 255, DISC)
    assert trimap("photos/cat.png", "--mask", "masks/cat.png", "--out", "alone") == 0
    assert np.array_equal(read("alone/cat_trimap.png"), read("cat_trimap.png"))


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (("--mask", "nowhere.png"), "nowhere.png: there is no such file"),
        (("--mask", "photos/cat.png"), "photos/cat.png: this is a colour picture"),
        (("--mask", "small.png"), "small.png: has 30x20 pixels, but photos/cat.png has 64x48"),
        (("--mask", "white.png"), "white.png: this mask is light everywhere"),
        (("--box", "0,0,0,5"), "photos/cat.png: box 0,0,0,5: is empty"),
        (("--box", "60,0,9,9"), "photos/cat.png: box 60,0,9,9: reaches beyond the picture of 64x48 pixels"),
        (("--box", "0,0,64,48"), "is all of the picture"),
        (("--box", "1,1,5,5"), "photos/cat.png: GrabCut finds no foreground: draw another box"),
        (("--scribbles", "white.png"), "white.png: has no black ones beside it"),
        (("--mask", "masks/cat.png", "--width", 40), "photos/cat.png: width=40.0 leaves no foreground known"),
    ],
)
def test_what_can_not_be_used_is_named_in_one_line_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str], hint: tuple[object, ...], message: str
) -> None:
    Image.new("L", (30, 20), 255).save("small.png")
    Image.new("L", (64, 48), 255).save("white.png")
    for verb, out in (("trimap", "out"), ("predict", "out")):
        assert call(verb, ["photos/cat.png", *map(str, hint), "--out", out]) == 2
        captured = capsys.readouterr()
        lines = [line for line in captured.err.splitlines() if not line.startswith("matted by ")]
        assert len(lines) == 1
        assert message in lines[0]
        assert not Path(out).exists()


def test_photographs_that_can_not_be_used_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("CMYK", (64, 48)).save("photos/ink.jpg")
    assert trimap("photos/ink.jpg", "--box", "1,1,5,5") == 2
    assert "ink.jpg: pixels of type CMYK are not read" in capsys.readouterr().err
    Image.new("RGB", (1, 1)).save("dot.png")
    assert trimap("dot.png", "--box", "0,0,1,1") == 2
    assert "dot.png: box 0,0,1,1: is all of the picture of 1x1 pixels" in capsys.readouterr().err
    monkeypatch.setenv("DEEPMATTE_MAX_PIXELS", "1000")
    assert trimap("photos/cat.png", "--mask", "masks/cat.png") == 2
    assert "cat.png: unpacks to too many pixels" in capsys.readouterr().err
    assert not list(folder.glob("*_trimap.png"))


@pytest.mark.parametrize(
    "more", [("--box", "1,2,3"), ("--mask", "a", "--box", "1,2,3,4"), (), ("--mask", "a", "--width", "wide")]
)
def test_options_that_do_not_fit_end_in_the_usage(
    capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        trimap("photo.png", *more)
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("usage: deepmatte trimap")
