"""`deepmatte colours`: clean colours for anybody's matte, in every format as its readers expect it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from deepmatte.cli.main import call
from deepmatte.errors import InputError
from deepmatte.scoring.photographs.cutouts import CutoutFormat

y, x = np.mgrid[:30, :44]
ALPHA = np.clip((14 - np.hypot(y - 15, x - 22)) / 8, 0, 1)
WARM, COLD = np.array([0.9, 0.5, 0.1]), np.array([0.1, 0.3, 0.8])
CUTOUT = np.dstack([np.broadcast_to(WARM, (30, 44, 3)), ALPHA])
"""What everybody wants of the photograph: its foreground's one colour."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    image = ALPHA[..., None] * WARM + (1 - ALPHA[..., None]) * COLD
    Image.fromarray(np.rint(255 * image).astype(np.uint8)).save("photo.png")
    cv2.imwrite("deep.png", np.rint(65535 * image[..., ::-1]).astype(np.uint16))
    cv2.imwrite("alpha.png", np.rint(65535 * ALPHA).astype(np.uint16))
    return tmp_path


def colours(*arguments: object) -> int:
    return call("colours", [str(argument) for argument in arguments])


def read(file: str) -> np.ndarray:
    """Return a file's RGBA pixels as they are stored, by another library than ours."""
    if file.endswith("tiff"):
        return tifffile.imread(file)
    return cv2.cvtColor(cv2.imread(file, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


def test_the_cutout_has_the_foregrounds_colour_where_the_photograph_has_a_fringe(folder: Path) -> None:
    assert colours("photo.png", "--alpha", "alpha.png") == 0
    found = read("photo_cutout.png") / 255
    seen = ALPHA > 0.2
    fringe = np.abs(np.asarray(Image.open("photo.png")) / 255 - WARM)[seen].mean()
    assert np.abs(found[seen][:, :3] - WARM).mean() < fringe / 5
    assert np.abs(found[..., 3] - ALPHA).max() <= 0.5 / 255 + 1e-5


def test_a_cutout_of_another_program_serves_as_matte_and_keeps_only_its_alpha(folder: Path) -> None:
    other = np.zeros((30, 44, 4), np.uint8)
    other[..., 3] = np.rint(255 * ALPHA)
    Image.fromarray(other).save("removed.png")
    assert colours("photo.png", "--alpha", "removed.png", "--out", "one") == 0
    Image.fromarray(other[..., 3]).save("grey.png")
    assert colours("photo.png", "--alpha", "grey.png", "--out", "two") == 0
    assert np.array_equal(read("one/photo_cutout.png"), read("two/photo_cutout.png"))


def test_sixteen_bits_of_photograph_and_matte_arrive(folder: Path) -> None:
    assert colours("deep.png", "--alpha", "alpha.png", "--bits", 16) == 0
    found = read("deep_cutout.png")
    assert found.dtype == np.uint16
    assert np.array_equal(found[..., 3], np.rint(65535 * ALPHA).astype(np.uint16))
    opaque = ALPHA == 1
    assert (found[opaque][:, :3] == np.rint(65535 * WARM)).all()


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("premultiplied", [False, True])
def test_a_tiff_says_whether_its_colours_are_multiplied_by_alpha(
    tmp_path: Path, bits: int, premultiplied: bool
) -> None:
    file = tmp_path / "cutout.tiff"
    file.write_bytes(CutoutFormat("tiff", bits, premultiplied).encoded(CUTOUT))
    expected = np.dstack([CUTOUT[..., :3] * (ALPHA[..., None] if premultiplied else 1), ALPHA])
    found = read(str(file))
    assert found.dtype == {8: np.uint8, 16: np.uint16, 32: np.float32}[bits]
    full = 1 if bits == 32 else 2**bits - 1
    assert np.abs(found / full - expected).max() <= (1e-7 if bits == 32 else 0.5001 / full)
    with tifffile.TiffFile(file) as stored:
        (meaning,) = stored.pages[0].extrasamples
    assert meaning.name == ("ASSOCALPHA" if premultiplied else "UNASSALPHA")
    if bits == 8 and not premultiplied:  # Pillow shows the colours as they are meant
        assert np.array_equal(np.asarray(Image.open(file)), found)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_premultiplied_png_adds_up_with_a_background_that_is_dimmed(bits: int) -> None:
    stored = np.frombuffer(CutoutFormat("png", bits, premultiplied=True).encoded(CUTOUT), np.uint8)
    found = cv2.cvtColor(cv2.imdecode(stored, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA) / (2**bits - 1)
    image = ALPHA[..., None] * WARM + (1 - ALPHA[..., None]) * COLD
    assert np.abs(found[..., :3] + (1 - found[..., 3:]) * COLD - image).max() < 1.5 / (2**bits - 1)


def test_linear_light_of_a_grey_of_188_is_one_half_before_alpha_multiplies_it(tmp_path: Path) -> None:
    grey = np.full((2, 2, 4), 188 / 255)
    grey[..., 3] = 0.5
    for premultiplied, expected in ((False, 0.5), (True, 0.25)):
        file = tmp_path / "grey.tiff"
        file.write_bytes(CutoutFormat("tiff", 32, premultiplied, linear=True).encoded(grey))
        found = read(str(file))
        assert found[..., :3] == pytest.approx(expected, abs=0.003)
        assert found[..., 3] == pytest.approx(0.5)


def test_an_exr_holds_floats_or_is_refused_before_any_work(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether OpenCV has the format depends on how it was built."""
    code = colours("photo.png", "--alpha", "alpha.png", "--format", "exr")
    if code == 0:
        found = read("photo_cutout.exr")
        assert found.dtype == np.float32
        assert np.abs(found[..., 3] - ALPHA).max() < 1e-4
    else:
        assert "--format exr: the OpenCV that is installed can't write it" in capsys.readouterr().err
        assert not list(folder.glob("*_cutout*"))


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (CutoutFormat("png", 32), "--format png --bits 32: png has 8 or 16 bits; give --format tiff or exr"),
        (CutoutFormat("exr", 16), "exr has 32 bits; give --format png or tiff for 16"),
        (CutoutFormat("png", 8, linear=True), "--linear: 8 bits show steps"),
    ],
)
def test_what_a_format_does_not_have_is_refused(stored: CutoutFormat, message: str) -> None:
    with pytest.raises(InputError, match=message):
        stored.check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("photo.png", "--alpha", "nowhere.png"), "nowhere.png: there is no such file"),
        (("photo.png", "--alpha", "small.png"), "small.png: has 9x8 pixels, but photo.png has 44x30"),
        (("photo.png", "--alpha", "photo.png"), "photo.png: this is a colour picture, not an alpha matte"),
        (("ink.jpg", "--alpha", "alpha.png"), "ink.jpg: pixels of type CMYK are not read"),
        (("photo.png", "deep.png", "--alpha", "alpha.png"), "alpha.png: is not a folder, but there are 2"),
        (
            ("a_cutout/a.png", "--alpha", "a_cutout.png"),
            "a_cutout.png: would be overwritten, but is an input",
        ),
    ],
)
def test_bad_files_end_in_one_line_and_write_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    Image.new("L", (9, 8)).save("small.png")
    Image.new("CMYK", (44, 30)).save("ink.jpg")
    Path("a_cutout").mkdir()
    for file in ("a_cutout/a.png", "a_cutout.png"):
        Image.new("L", (44, 30)).save(file)
    before = sorted(folder.rglob("*"))
    assert colours(*arguments) == 2
    captured = capsys.readouterr().err
    assert captured.count("\n") == 1
    assert message in captured
    assert sorted(folder.rglob("*")) == before


def test_a_picture_of_one_pixel_is_cut_out(folder: Path) -> None:
    Image.new("RGB", (1, 1), (90, 60, 30)).save("dot.png")
    Image.new("L", (1, 1), 128).save("dot_alpha.png")
    assert colours("dot.png", "--alpha", "dot_alpha.png") == 0
    assert read("dot_cutout.png").tolist() == [[[90, 60, 30, 128]]]
