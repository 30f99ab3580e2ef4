import io
import logging
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from deepmatte.data.sources import images
from deepmatte.data.sources.decoding import check_complete, read_header
from deepmatte.data.sources.images import read_alpha, read_cutout, read_image, read_trimap, write_png
from deepmatte.errors import InputError

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
LARGE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
TRIMAP = np.array([[0, 128, 255], [255, 128, 0]], np.uint8)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def encoded_png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG written by hand from its specification: the oracle for bit depths that Pillow can't write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def deep_png(path, pixels, kind: int):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    path.write_bytes(encoded_png(pixels.shape[1], pixels.shape[0], 16, kind, rows))
    return path


def test_colours_of_rgb_rgba_grey_and_palette_files(tmp_path):
    rgba = np.dstack([COLOURS, GREY])
    np.testing.assert_array_equal(read_image(save(tmp_path / "rgb.png", COLOURS)), COLOURS)
    np.testing.assert_array_equal(read_image(save(tmp_path / "rgba.png", rgba)), COLOURS)
    np.testing.assert_array_equal(read_image(save(tmp_path / "grey.png", GREY)), np.dstack([GREY] * 3))
    np.testing.assert_array_equal(
        read_image(save(tmp_path / "la.png", np.dstack([GREY, 255 - GREY]))), np.dstack([GREY] * 3)
    )
    palette = Image.fromarray(COLOURS).quantize(64)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), np.asarray(palette.convert("RGB")))


def test_palette_with_transparency_gives_its_colours_without_a_warning(tmp_path):
    palette = Image.fromarray(COLOURS).quantize(16)
    palette.save(tmp_path / "p.png", transparency=bytes(range(0, 160, 10)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_image(tmp_path / "p.png"), np.asarray(palette.convert("RGB")))
    assert read_header(tmp_path / "p.png").has_alpha


def test_jpeg_is_decoded_as_opencv_does(tmp_path):
    smooth = cv2.resize(COLOURS, (90, 60), interpolation=cv2.INTER_CUBIC)
    save(tmp_path / "photo.jpg", smooth, quality=95)
    reference = cv2.imread(str(tmp_path / "photo.jpg"))[..., ::-1].astype(int)
    assert np.abs(read_image(tmp_path / "photo.jpg") - reference).max() <= 2


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_as_pillow_does(tmp_path, suffix, orientation):
    smooth = cv2.resize(COLOURS, (48, 32), interpolation=cv2.INTER_LINEAR)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(smooth).save(path, exif=exif)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)
    header = read_header(path)
    assert (header.height, header.width) == expected.shape[:2] == ((32, 48) if orientation < 5 else (48, 32))


def test_exif_rotation_is_applied_to_16_bit_files(tmp_path):
    deep = RNG.integers(0, 65536, (4, 7), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(deep).save(tmp_path / "deep.png", exif=exif)
    np.testing.assert_array_equal(read_alpha(tmp_path / "deep.png"), np.rot90(deep, -1))


@pytest.mark.parametrize(
    "pixels",
    [
        GREY,
        np.dstack([GREY] * 3),
        np.dstack([GREY] * 3 + [np.full_like(GREY, 255)]),
        np.dstack([GREY, np.full_like(GREY, 255)]),
    ],
    ids=["grey", "rgb", "opaque rgba", "opaque la"],
)
def test_alpha_is_read_from_grey_however_it_is_stored(tmp_path, pixels):
    np.testing.assert_array_equal(read_alpha(save(tmp_path / "a.png", pixels)), GREY)


def test_alpha_is_the_alpha_channel_where_there_is_one(tmp_path):
    np.testing.assert_array_equal(read_alpha(save(tmp_path / "rgba.png", np.dstack([COLOURS, GREY]))), GREY)
    np.testing.assert_array_equal(read_alpha(save(tmp_path / "la.png", np.dstack([255 - GREY, GREY]))), GREY)


def test_alpha_of_palette_and_one_bit_files(tmp_path):
    palette = Image.fromarray(GREY // 64).convert("P")
    palette.putpalette([channel for level in (0, 90, 200, 255) for channel in (level,) * 3])
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(
        read_alpha(tmp_path / "p.png"), np.array([0, 90, 200, 255], np.uint8)[GREY // 64]
    )
    Image.fromarray(GREY > 128).save(tmp_path / "bit.png")
    np.testing.assert_array_equal(read_alpha(tmp_path / "bit.png"), np.where(GREY > 128, 255, 0))


def test_16_bit_alpha_keeps_all_its_bits(tmp_path):
    deep = RNG.integers(0, 65536, (5, 8), dtype=np.uint16)
    opaque, colours = np.full_like(deep, 65535), RNG.integers(0, 65536, (5, 8, 3), dtype=np.uint16)
    stored = {
        "grey": (deep, 0),
        "rgb": (np.dstack([deep] * 3), 2),
        "opaque": (np.dstack([deep] * 3 + [opaque]), 6),
        "la": (np.dstack([opaque, deep]), 4),
        "rgba": (np.dstack([colours, deep]), 6),
    }
    for name, (pixels, kind) in stored.items():
        alpha = read_alpha(deep_png(tmp_path / f"{name}.png", pixels, kind))
        assert alpha.dtype == np.uint16, name
        np.testing.assert_array_equal(alpha, deep, err_msg=name)


def test_16_bit_colours_are_rounded_to_the_nearest_of_8_bit(tmp_path):
    deep = RNG.integers(0, 65536, (5, 8, 3), dtype=np.uint16)
    expected = np.floor(deep / 257 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(read_image(deep_png(tmp_path / "rgb.png", deep, 2)), expected)
    rgba = np.dstack([deep, deep[..., 0]])
    colours, alpha = read_cutout(deep_png(tmp_path / "rgba.png", rgba, 6))
    np.testing.assert_array_equal(colours, expected)
    np.testing.assert_array_equal(alpha, deep[..., 0])


def test_colour_picture_is_no_alpha(tmp_path):
    path = save(tmp_path / "photo.png", COLOURS)
    with pytest.raises(InputError, match=r"photo\.png: this is a colour picture"):
        read_alpha(path)
    with pytest.raises(InputError, match="colour picture"):
        read_alpha(save(tmp_path / "opaque.png", np.dstack([COLOURS, np.full_like(GREY, 255)])))


def test_cutout_without_alpha_channel_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"c\.png: this cut-out has no alpha channel"):
        read_cutout(save(tmp_path / "c.png", COLOURS))


@pytest.mark.parametrize("form", ["grey", "rgb", "rgba", "palette", "16 bit"])
def test_trimaps_are_read_in_every_form(tmp_path, form):
    path = tmp_path / "t.png"
    if form == "palette":
        palette = Image.fromarray(np.searchsorted([0, 128, 255], TRIMAP).astype(np.uint8)).convert("P")
        palette.putpalette([0, 0, 0, 128, 128, 128, 255, 255, 255])
        palette.save(path)
    else:
        opaque = np.full_like(TRIMAP, 255)
        forms = {
            "grey": TRIMAP,
            "rgb": np.dstack([TRIMAP] * 3),
            "rgba": np.dstack([TRIMAP] * 3 + [opaque]),
            "16 bit": TRIMAP.astype(np.uint16) * 257,
        }
        save(path, forms[form])
    np.testing.assert_array_equal(read_trimap(path), TRIMAP)


def test_another_grey_for_unknown_is_accepted_and_reported_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(images, "_reported_greys", set())
    paths = [
        save(tmp_path / f"{i}.png", np.where(TRIMAP == 128, 102, TRIMAP).astype(np.uint8)) for i in range(3)
    ]
    with caplog.at_level(logging.WARNING):
        for path in paths:
            np.testing.assert_array_equal(read_trimap(path), TRIMAP)
    assert len(caplog.records) == 1
    assert "0.png: grey 102" in caplog.text


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.where(TRIMAP == 128, 0, TRIMAP), "no unknown pixels"),
        (GREY, "0, 128 and 255"),
        (COLOURS, "colour picture"),
    ],
)
def test_pictures_that_are_no_trimap_are_refused_by_name(tmp_path, pixels, reason):
    with pytest.raises(InputError, match=rf"t\.png: .*{reason}"):
        read_trimap(save(tmp_path / "t.png", pixels.astype(np.uint8)))


def broken_files(folder):
    noise = RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    for suffix in ("png", "jpg", "webp"):
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, suffix.replace("jpg", "jpeg"))
        yield folder / f"truncated.{suffix}", buffer.getvalue()[: len(buffer.getvalue()) // 2]
    yield (
        folder / "deep.png",
        deep_png(folder / "deep.png", RNG.integers(0, 65536, (99, 99), dtype=np.uint16), 0).read_bytes()[
            :9000
        ],
    )
    yield folder / "empty.png", b""
    yield folder / "text.png", b"this is no picture"


def test_damaged_files_are_refused_in_one_line_by_name(tmp_path):
    for path, content in broken_files(tmp_path):
        path.write_bytes(content)
        for reader in (read_image, read_alpha, read_trimap, read_cutout):
            with pytest.raises(InputError) as caught:
                reader(path)
            assert str(caught.value).startswith(f"{path}: "), path
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_cut_off_files_are_told_from_whole_ones_and_from_those_with_data_behind_the_end(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", RNG.integers(0, 256, (99, 99, 3), dtype=np.uint8))
    whole = path.read_bytes()
    for content in (whole, whole + b"appended", whole + bytes(9999)):
        path.write_bytes(content)
        check_complete(path)
    for length in (len(whole) - 30, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=rf"a\.{suffix}: .*damaged"):
            check_complete(path)


def test_missing_files_folders_and_colour_spaces_are_refused_by_name(tmp_path):
    Image.fromarray(COLOURS).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(GREY.astype(np.uint16)).save(tmp_path / "deep.tif")
    (tmp_path / "folder.png").mkdir()
    reasons = {
        "none.png": "no such file",
        "cmyk.jpg": "CMYK",
        "float.tif": "type F",
        "deep.tif": "16 bits",
        "folder.png": "can't be read",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=reason) as caught:
            read_image(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_names_with_line_ends_and_other_scripts_stay_one_line(tmp_path):
    path = tmp_path / "two\nlines ü 猫.png"
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(read_image(save(path, COLOURS)), COLOURS)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_give_a_picture_or_an_input_error(tmp_path, data):
    kind = data.draw(st.sampled_from(["png", "jpeg", "webp", "bmp", "tiff"]))
    buffer = io.BytesIO()
    Image.fromarray(COLOURS).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "fuzz.png"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    for reader in (read_image, read_alpha, read_cutout, read_trimap, read_header):
        message = refusal(reader, path)
        assert message is None or (message.startswith(f"{path}: ") and "\n" not in message)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_off_files_of_every_kind_are_refused_or_have_all_their_pixels(tmp_path, data):
    kind = data.draw(st.sampled_from(["png", "jpeg", "webp", "bmp", "tiff"]))
    buffer, path = io.BytesIO(), tmp_path / "cut.png"
    Image.fromarray(LARGE).save(buffer, kind)
    path.write_bytes(buffer.getvalue())
    whole = read_image(path)
    path.write_bytes(buffer.getvalue()[: data.draw(st.integers(0, len(buffer.getvalue()) - 1))])
    if refusal(read_image, path) is None:
        np.testing.assert_array_equal(read_image(path), whole)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    magic=st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\1\0WEBPVP8 ", b"BM", b"II*\0", b"MM\0*"]
    ),
    rest=st.binary(),
)
def test_random_bytes_are_refused_in_one_line(tmp_path, magic, rest):
    path = tmp_path / "random.jpg"
    path.write_bytes(magic + rest)
    for reader in (read_image, read_alpha, read_cutout, read_trimap, read_header):
        message = refusal(reader, path)
        assert message is not None
        assert message.startswith(f"{path}: ")
        assert "\n" not in message


def refusal(reader, path) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader(path)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [0, 3, 4])
def test_written_png_is_what_opencv_reads_back(tmp_path, dtype, channels):
    pixels = RNG.integers(0, np.iinfo(dtype).max, (5, 7, channels) if channels else (5, 7)).astype(dtype)
    path = tmp_path / "new" / "folder" / "ü.png"
    write_png(path, pixels)
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == dtype
    order = {0: ..., 3: (..., [2, 1, 0]), 4: (..., [2, 1, 0, 3])}[channels]
    np.testing.assert_array_equal(stored[order], pixels)
    assert [file.name for file in path.parent.iterdir()] == ["ü.png"]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_png(path, GREY)
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(InputError, match=r"^[^\n]*a\.png: can.t be written"):
        write_png(path, 255 - GREY)
    np.testing.assert_array_equal(read_alpha(path), GREY)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]


def test_floats_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="float64"):
        write_png(tmp_path / "a.png", GREY / 255)
