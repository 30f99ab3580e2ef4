"""Bad files: one line that names the file, or with on_error=skip the same line and a count."""

import logging
import os
import shutil
import struct
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from layout_trees import trimap
from PIL import Image
from small_pictures import ALL_TRAIN, refused

from deepmatte.cli.data import main
from deepmatte.data import Composition, CompositionDataset, FolderData, Mixture, StreamSampler, collate
from deepmatte.data.inspection.verify import verify
from deepmatte.data.sources.decoding import read_header
from deepmatte.data.sources.images import read_alpha, read_image

RECIPE = Composition(crop_sizes=[48], size=24, flip=0.0)


def bomb(path: Path, width: int, height: int) -> Path:
    """A whole PNG of a few kilobytes whose header promises a picture that no memory holds."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(10**6), 9)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("side", [13_040, 20_000, 2**31 - 1])
def test_decompression_bombs_are_refused_before_they_are_unpacked(tmp_path, side):
    path = bomb(tmp_path / "bomb.png", side, side)
    assert path.stat().st_size < 5000
    for read in (read_header, read_image, read_alpha):
        refused(
            lambda read=read: read(path), str(path), "too many pixels" if side < 2**31 - 1 else "bomb.png"
        )


def test_large_pictures_that_memory_holds_are_no_bombs(tmp_path, recwarn):
    path = bomb(tmp_path / "large.png", 12_000, 12_000)
    assert read_header(path).width == 12_000
    assert not recwarn.list


def test_cmyk_and_16_bit_files_that_can_not_be_read_exactly_say_what_to_do(tmp_path):
    Image.new("CMYK", (9, 9), (10, 20, 30, 40)).save(tmp_path / "print.jpg")
    refused(lambda: read_image(tmp_path / "print.jpg"), "print.jpg", "CMYK", "convert the file to 8-bit RGB")
    Image.fromarray(np.arange(81, dtype=np.uint16).reshape(9, 9)).save(tmp_path / "deep.tif")
    refused(
        lambda: read_alpha(tmp_path / "deep.tif"),
        "deep.tif",
        "16 bits are read from PNG files only",
        "save it as PNG",
    )
    Image.fromarray(np.zeros((9, 9), np.float32)).save(tmp_path / "float.tif")
    refused(lambda: read_alpha(tmp_path / "float.tif"), "float.tif", "pixels of type F")


def test_the_matte_is_read_from_the_channel_that_is_asked_for(tmp_path):
    """An opaque portrait fills its picture: an alpha channel of 255 everywhere is its matte."""
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(np.dstack([colours, np.full((5, 6), 255, np.uint8)])).save(tmp_path / "full.png")
    Image.fromarray(colours).save(tmp_path / "rgb.png")
    assert (read_alpha(tmp_path / "full.png", "alpha") == 255).all()
    np.testing.assert_array_equal(read_alpha(tmp_path / "rgb.png", "red"), colours[..., 0])
    refused(lambda: read_alpha(tmp_path / "full.png"), "colour picture")
    refused(lambda: read_alpha(tmp_path / "rgb.png", "alpha"), "rgb.png", "no alpha channel")
    grey = np.repeat(colours[..., :1], 3, axis=2)
    Image.fromarray(np.dstack([grey, colours[..., 1]])).save(tmp_path / "both.png")
    np.testing.assert_array_equal(read_alpha(tmp_path / "both.png", "grey"), colours[..., 0])
    np.testing.assert_array_equal(read_alpha(tmp_path / "both.png"), colours[..., 1])


@pytest.mark.parametrize(
    "name", ["two words", "line\nbreak", "Grüße 猫", "tab\tquote'\"", "dot.in.name", "[brackets]"]
)
def test_odd_names_are_read_and_named_in_one_line(tree, name):
    root = tree([name], backgrounds=["b"])
    source = FolderData(root, **ALL_TRAIN)
    assert source.foregrounds("train").names == [unicodedata.normalize("NFC", name)]
    assert source.foregrounds("train").load(0)[1].shape == (96, 128)
    (root / "alpha" / f"{name}.png").write_bytes(b"")
    refused(lambda: FolderData(root, **ALL_TRAIN).foregrounds("train"), "empty")


def test_names_in_either_unicode_form_belong_together(tree):
    root = tree(["café"], backgrounds=["b"])
    file = root / "alpha" / f"{unicodedata.normalize('NFC', 'café')}.png"
    file.rename(root / "alpha" / f"{unicodedata.normalize('NFD', 'café')}.png")
    assert FolderData(root, **ALL_TRAIN).foregrounds("train").names == [unicodedata.normalize("NFC", "café")]


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system refuses such names")
def test_names_that_are_no_text_are_read(tree):
    root = tree(["cat", "dog"], backgrounds=["b"])
    for folder, suffix in (("fg", "jpg"), ("alpha", "png")):
        renamed = os.fsencode(root / folder) + b"/cat\xff." + suffix.encode()
        os.rename(root / folder / f"cat.{suffix}", renamed)  # noqa: PTH104
    source = FolderData(root, **ALL_TRAIN)
    assert source.foregrounds("train").names == ["cat\\udcff", "dog"]  # text that can be written into tables
    assert source.foregrounds("train").load(0)[1].shape == (96, 128)
    Path(root / "alpha" / os.fsdecode(b"cat\xff.png")).unlink()
    refused(
        lambda: FolderData(root, **ALL_TRAIN).foregrounds("train"),
        "no alpha matte of the same name",
        "\\udcff",
    )


def test_links_out_of_the_root_are_refused_and_can_be_allowed(tree, tmp_path):
    root = tree()
    outside = tmp_path.parent / f"{tmp_path.name}_outside"
    shutil.copytree(root / "bg", outside / "bg")
    (root / "bg" / "linked.png").symlink_to(outside / "bg" / "sea.png")
    refused(
        lambda: FolderData(root, **ALL_TRAIN).backgrounds("train"),
        str(root / "bg" / "linked.png"),
        str(outside),
        "links: follow",
    )
    assert len(FolderData(root, links="follow", **ALL_TRAIN).backgrounds("train")) == 4
    assert len(FolderData(root, background=str(outside / "bg"), **ALL_TRAIN).backgrounds("train")) == 3
    shutil.rmtree(root / "bg")
    (root / "bg").symlink_to(outside / "bg", target_is_directory=True)
    refused(
        lambda: FolderData(root, **ALL_TRAIN).backgrounds("train"),
        str(root / "bg" / "sea.png"),
        "link out of",
    )


def test_links_inside_the_root_and_a_linked_root_are_followed_loops_are_not(tree, tmp_path):
    root = tree()
    (root / "bg" / "again.png").symlink_to(root / "fg" / "cat.jpg")
    (root / "bg" / "loop").symlink_to(root, target_is_directory=True)
    link = tmp_path.parent / f"{tmp_path.name}_link"
    link.symlink_to(root, target_is_directory=True)
    assert len(FolderData(link, background="bg/**/*.png", **ALL_TRAIN).backgrounds("train")) == 4


def test_links_that_lead_nowhere_pipes_and_folders_named_like_pictures(tree):
    root = tree()
    (root / "bg" / "album.png").mkdir()
    os.mkfifo(root / "bg" / "pipe.png")  # opening it would wait for ever
    assert len(FolderData(root, **ALL_TRAIN).backgrounds("train")) == 3
    for target in ("nothing.png", "lost.png"):  # the second leads to itself
        (root / "bg" / "lost.png").symlink_to(root / "bg" / target)
        refused(
            lambda: FolderData(root, **ALL_TRAIN).backgrounds("train"),
            str(root / "bg" / "lost.png"),
            "leads nowhere",
        )
        (root / "bg" / "lost.png").unlink()


def test_folders_that_may_not_be_listed_are_named(tree, monkeypatch):
    root = tree()
    original = os.scandir

    def scandir(folder):  # root may list every folder
        if Path(folder).name == "bg":
            raise PermissionError(13, "Permission denied")
        return original(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    refused(
        lambda: FolderData(root, **ALL_TRAIN).backgrounds("train"),
        str(root / "bg"),
        "can't be listed (Permission denied)",
    )


def broken(root: Path) -> dict[str, str]:
    """Spoil half of twelve foregrounds in as many ways; return what is said of each."""
    fg, alpha = root / "fg", root / "alpha"
    (fg / "n0.jpg").write_bytes(b"")
    (alpha / "n1.png").write_bytes((alpha / "n1.png").read_bytes()[:-150])
    Image.fromarray(np.zeros((96, 127), np.uint8)).save(alpha / "n2.png")
    (alpha / "n3.png").unlink()
    Image.new("CMYK", (128, 96)).save(fg / "n4.jpg")
    content = (alpha / "n5.png").read_bytes()
    (alpha / "n5.png").write_bytes(content[:100] + content[160:])  # found by decoding alone
    Image.fromarray(np.full((96, 128), 255, np.uint8)).save(alpha / "n6.png")  # nothing to learn from
    return {
        "n0": "is empty",
        "n1": "damaged",
        "n2": "127x96",
        "n3": "no alpha matte of the same name",
        "n4": "CMYK",
        "n5": "damaged",
        "n6": "is constant",
    }


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_verify_lists_every_problem_with_its_file(tree, capsys, processes):
    root = tree([f"n{i}" for i in range(12)], backgrounds=[f"b{i}" for i in range(20)])
    expected = broken(root)
    recipe = ["composition.crop_sizes=[48]", "composition.size=24"]
    shares = ["data.source.val_fraction=0.1", "data.source.test_fraction=0.1"]
    assert (
        main(["verify", "data=folder", f"data.root={root}", *recipe, *shares, "--processes", str(processes)])
        == 1
    )
    lines = capsys.readouterr().out.splitlines()
    for name, words in expected.items():
        assert any(f"/{name}." in line and words in line for line in lines), (name, lines)
    assert lines[-1].endswith(f"{len(expected)} problems")


def test_verify_reads_each_picture_of_a_mixture_once_and_names_its_file(tree):
    """In training the foregrounds of a heavy part come several times a pass."""
    root = tree(backgrounds=["a", "b", "c", "d"])
    Image.fromarray(np.full((96, 128), 255, np.uint8)).save(root / "alpha" / "dog.png")
    sources = {part: {"source": FolderData(root, **ALL_TRAIN)} for part in ("light", "heavy")}
    mixed = Mixture(sources, {"light": 1, "heavy": 3})
    assert len(mixed.foregrounds("train")) == 16
    verdict = verify(mixed, RECIPE, processes=1)
    assert verdict.num_items == 2 * (4 + 4)
    assert [problem.split(": ")[0] for problem in verdict.problems] == [str(root / "alpha" / "dog.png")] * 2


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_describe_draws_what_can_be_drawn_and_names_the_rest(tree, tmp_path, on_error, capsys):
    root = tree()
    shutil.copy(
        root / "fg" / "dog.jpg", root / "alpha" / "dog.jpg"
    )  # a colour picture, which no header tells
    (root / "alpha" / "dog.png").unlink()
    shares = ["data.source.val_fraction=0", "data.source.test_fraction=0", f"data.on_error={on_error}"]
    assert (
        main(["describe", "data=folder", f"data.root={root}", *shares, "--out", str(tmp_path / "sheet.png")])
        == 0
    )
    printed = capsys.readouterr().out
    assert next(line for line in printed.splitlines() if "foregrounds" in line).split("│")[3].strip() == "4"
    assert f"train: {root / 'alpha' / 'dog.jpg'}: this is a colour picture" in printed
    assert read_image(tmp_path / "sheet.png").std() > 20


def test_what_is_scored_is_read_before_training_starts(tree, tmp_path):
    """A matte or trimap that can't be scored would else be met after the last epoch."""
    root = tree()
    for name in ("cat", "dog", "fern", "glass"):
        trimap(root / "trimap" / f"{name}.png", seed=0, size=(96, 128))
    places = {
        "train": {"foreground": "fg", "alpha": "alpha"},
        "test": {"image": "fg", "alpha": "alpha", "trimap": "trimap"},
    }
    Image.fromarray(np.full((96, 128), 255, np.uint8)).save(root / "trimap" / "fern.png")
    refused(
        lambda: FolderData(root, **places, val_fraction=0).prepare(["test"]),
        str(root / "trimap" / "fern.png"),
        "no unknown pixels",
    )
    assert FolderData(root, **places, val_fraction=0, on_error="skip").images("test").names == [
        "cat",
        "dog",
        "glass",
    ]
    Image.fromarray(np.zeros((96, 128), np.uint8)).save(root / "alpha" / "fern.png")
    places["test"] = {"image": "fg", "alpha": "alpha"}
    refused(
        lambda: FolderData(root, **places, val_fraction=0).prepare(["test"]),
        str(root / "alpha" / "fern.png"),
        "is constant",
    )
    composites = {
        "foreground": str(root / "fg"),
        "alpha": str(root / "alpha"),
        "background": str(root / "bg"),
    }
    refused(
        lambda: FolderData(root, test=composites).prepare(["test"]),
        str(root / "alpha" / "fern.png"),
        "is constant",
    )


def test_skipped_files_are_left_out_counted_and_said(tree, caplog):
    root = tree([f"n{i}" for i in range(12)])
    expected = broken(root)
    with caplog.at_level(logging.WARNING):
        source = FolderData(root, on_error="skip", **ALL_TRAIN)
        names = source.foregrounds("train").names
    assert names == ["n10", "n11", "n5", "n6", "n7", "n8", "n9"]
    assert len(source.problems) == 5
    assert all(
        any(f"/{name}." in problem for problem in source.problems) for name in ("n0", "n1", "n2", "n3", "n4")
    )
    assert "skipped (5): " in caplog.text
    dataset = CompositionDataset(
        source.foregrounds("train"), source.backgrounds("train"), RECIPE, seed=0, on_error="skip"
    )
    samples = [dataset[(0, i)] for i in range(28)]
    assert dataset.num_skipped == 8  # n5 and n6 come four times each
    assert not any(sample["name"].startswith(("n5", "n6")) for sample in samples)
    assert len(verify(source, RECIPE, processes=1).problems) == len(expected)


def test_nothing_usable_is_an_error_also_when_skipping(tree):
    root = tree()
    for file in (root / "alpha").iterdir():
        file.write_bytes(b"")
    refused(
        lambda: FolderData(root, on_error="skip", **ALL_TRAIN).foregrounds("train"),
        "none of the 4 foregrounds",
        "data verify",
    )
    refused(lambda: FolderData(root, on_error="sometimes"), "data.on_error=sometimes")


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_files_that_vanish_while_training_are_skipped_and_counted_over_all_workers(tree, workers):
    root = tree()
    source = FolderData(root, on_error="skip", cache_mb=0, **ALL_TRAIN)
    dataset = CompositionDataset(
        source.foregrounds("train"), source.backgrounds("train"), RECIPE, seed=0, on_error="skip"
    )
    whole = [dataset[(0, i)] for i in range(16)]
    assert dataset.num_skipped == 0
    (root / "fg" / "dog.jpg").unlink()
    loader = torch.utils.data.DataLoader(
        dataset, 4, sampler=StreamSampler(16, 4), num_workers=workers, collate_fn=collate
    )
    batches = list(loader)
    names = [name for batch in batches for name in batch["name"]]
    assert not any(name.startswith("dog") for name in names)
    lost = [i for i, sample in enumerate(whole) if sample["name"].startswith("dog")]
    assert dataset.num_skipped == len(lost) == 4
    for i, sample in enumerate(whole):  # what could be read is as it was
        if i not in lost:
            assert torch.equal(sample["image"], batches[i // 4]["image"][i % 4])


def test_a_vanished_file_stops_evaluation_even_when_skipping(tree):
    from deepmatte.data import FixedCompositionDataset

    root = tree()
    source = FolderData(root, on_error="skip", cache_mb=0, **ALL_TRAIN)
    fixed = FixedCompositionDataset(
        source.foregrounds("train"), source.backgrounds("train"), RECIPE, name="x", version="1", split="val"
    )
    (root / "fg" / "cat.jpg").unlink()
    refused(lambda: fixed[0], "cat.jpg", "no such file")


def test_two_files_of_one_name_are_both_left_out(tree):
    root = tree()
    shutil.copy(root / "alpha" / "cat.png", root / "fg" / "cat.png")
    assert FolderData(root, on_error="skip", **ALL_TRAIN).foregrounds("train").names == [
        "dog",
        "fern",
        "glass",
    ]


def test_other_formats_under_the_suffix_of_a_picture_are_refused(tmp_path, monkeypatch):
    """Pillow gives PostScript to Ghostscript, whatever the file is called."""
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    for name, content in {
        "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch canary) (w) file\n",
        "animation.jpg": b"GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D;",
        "plain.tif": b"P6 1 1 255\n\x00\x00\x00",
    }.items():
        (tmp_path / name).write_bytes(content)
        refused(lambda name=name: read_image(tmp_path / name), name, "is no picture that can be read")


def test_the_limit_of_pixels_can_be_set(tmp_path, monkeypatch):
    path = bomb(tmp_path / "large.png", 14_000, 14_000)
    refused(lambda: read_header(path), "large.png", "170 million", "DEEPMATTE_MAX_PIXELS")
    monkeypatch.setenv("DEEPMATTE_MAX_PIXELS", "400000000")
    assert read_header(path).width == 14_000
    monkeypatch.setenv("DEEPMATTE_MAX_PIXELS", "100")
    refused(lambda: read_header(path), "more than 0.0001 million")
    for wrong in ("many", "0", "-3", "1e9"):
        monkeypatch.setenv("DEEPMATTE_MAX_PIXELS", wrong)
        refused(lambda: read_header(path), f"DEEPMATTE_MAX_PIXELS={wrong}", "a number of pixels")
