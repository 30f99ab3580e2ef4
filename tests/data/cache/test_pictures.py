"""The cache of decoded pictures: the same samples with and without it, and faults of its folder and files."""

import gc
import mmap
import multiprocessing
import os
import resource
import shutil
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from small_pictures import photograph

from deepmatte.data import Composition, FolderData, PictureCache
from deepmatte.data.cache.arrays import ArrayFolder
from deepmatte.data.cache.cached_sets import CachedForegrounds, picture_key
from deepmatte.data.sources.protocols import Origin
from deepmatte.errors import InputError
from deepmatte.training.datamodule import MattingData

RECIPE = {"crop_sizes": (32, 48), "size": 32, "erode": (1, 7), "dilate": (1, 7)}


def data(root: Path, folder: Path | None = None, max_gb: float = 1.0, **options) -> MattingData:
    source = FolderData(root, val_fraction=0, test_fraction=0)
    cache = {"dir": str(folder), "max_gb": max_gb} if folder else None
    return MattingData(
        source, Composition(**RECIPE), batch_size=4, samples_per_epoch=24, cache=cache, **options
    )


def stream(made: MattingData) -> list[dict]:
    return [made.train_dataset()[(epoch, index)] for epoch in range(2) for index in range(8)]


def same(one: list[dict], two: list[dict]) -> bool:
    return all(
        torch.equal(a[key], b[key]) if torch.is_tensor(a[key]) else a[key] == b[key]
        for a, b in zip(one, two, strict=True)
        for key in a
    )


def whole(file: Path) -> bool:
    return ArrayFolder(file.parent, "").read(file.name) is not None


def test_samples_are_the_same_with_the_cache_without_it_and_with_a_part_of_it(tree, tmp_path):
    root = tree()
    expected = stream(data(root))
    whole, part = data(root, tmp_path / "a"), data(root, tmp_path / "b", max_gb=120_000 / 1e9)
    for made in (whole, part):
        made.check(["train"])
        assert same(stream(made), expected)
    assert len(list((tmp_path / "a").iterdir())) == 4 + 3
    assert 0 < len(list((tmp_path / "b").iterdir())) < 4


def test_pictures_are_decoded_once_and_mapped(tree, tmp_path, monkeypatch):
    root = tree()
    data(root, tmp_path / "cache").check(["train"])
    made = data(root, tmp_path / "cache")
    made.check(["train"])
    items = made.train_dataset().foregrounds
    assert isinstance(items, CachedForegrounds)
    monkeypatch.setattr(type(items.items), "load", lambda *_: pytest.fail("decoded again"))
    colours, alpha = items.load(0)
    np.testing.assert_array_equal(alpha, np.asarray(Image.open(root / "alpha" / "cat.png")))
    np.testing.assert_array_equal(colours, np.asarray(Image.open(root / "fg" / "cat.jpg")))
    assert not colours.flags.writeable


def test_cached_pictures_are_npy_files_that_numpy_opens_and_maps(tree, tmp_path):
    root = tree()
    data(root, tmp_path / "cache").check(["train"])
    matte = np.asarray(Image.open(root / "alpha" / "cat.png"))
    records = [np.load(file, mmap_mode="r") for file in (tmp_path / "cache").glob("*.npy")]
    mattes = [record["alpha"] for record in records if "alpha" in record.dtype.names]
    assert len(mattes) == 4
    assert any(np.array_equal(matte, found) for found in mattes)
    items = data(root, tmp_path / "cache").train_dataset().foregrounds
    bases = [items.load(0)[1]]
    while getattr(bases[-1], "base", None) is not None:
        bases.append(bases[-1].base)
    assert isinstance(bases[-1], mmap.mmap)


def test_a_changed_file_is_decoded_again_and_its_old_pixels_are_removed(tree, tmp_path):
    root = tree()
    data(root, tmp_path / "cache").check(["train"])
    before = set((tmp_path / "cache").iterdir())
    matte = np.asarray(Image.open(root / "alpha" / "dog.png"))
    Image.fromarray(255 - matte).save(root / "alpha" / "dog.png")
    made = data(root, tmp_path / "cache")
    made.check(["train"])
    np.testing.assert_array_equal(made.train_dataset().foregrounds.load(1)[1], 255 - matte)
    after = set((tmp_path / "cache").iterdir())
    assert len(before - after) == len(after - before) == 1


def test_damaged_cache_files_are_not_believed(tree, tmp_path):
    root = tree()
    data(root, tmp_path / "cache").check(["train"])
    for i, file in enumerate(sorted((tmp_path / "cache").iterdir())):
        content = file.read_bytes()
        file.write_bytes((b"", content[:-100], b"not numpy", content[:60] + bytes(9) + content[69:])[i % 4])
    assert same(stream(data(root, tmp_path / "cache")), stream(data(root)))


def test_what_vanishes_while_a_run_trains_is_read_from_the_cache(tree, tmp_path):
    root = tree()
    expected = stream(data(root))
    made = data(root, tmp_path / "cache")
    made.check(["train"])
    for folder in ("fg", "alpha", "bg"):
        shutil.rmtree(root / folder)
    assert same(stream(made), expected)


@pytest.mark.parametrize("max_gb", [0, 1e-9])
def test_what_vanishes_and_is_not_kept_is_named_or_skipped(tree, tmp_path, max_gb):
    root = tree()
    stopping, skipping = (
        data(root, tmp_path / "cache", max_gb),
        data(root, tmp_path / "cache", max_gb, on_error="skip"),
    )
    for made in (stopping, skipping):
        made.check(["train"])
    for item in ("cat", "dog"):
        (root / "alpha" / f"{item}.png").unlink()
    stopping.source._cache.max_bytes = skipping.source._cache.max_bytes = 0
    stopping.source._cache._kept.clear()
    skipping.source._cache._kept.clear()
    with pytest.raises(InputError, match=r"^[^\n]*(cat|dog)\.png: there is no such file"):
        stream(stopping)
    names = {sample["name"].split()[0] for sample in stream(skipping)}
    assert names == {"fern", "glass"}
    assert skipping.train_dataset().num_skipped > 0


def test_a_full_disk_is_one_line_that_names_the_file_and_leaves_nothing_half_written(tree, tmp_path):
    made = data(tree(size=(300, 300)), tmp_path / "cache")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(
            InputError,
            match=r"^[^\n]*\.decoded\.npy: .*File too large.*data\.cache\.dir or data\.cache\.max_gb=0$",
        ):
            made.check(["train"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert all(whole(file) for file in (tmp_path / "cache").iterdir())


def test_a_disk_without_room_is_refused_before_anything_is_decoded(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(
        InputError, match=r"/cache: decoded pictures would take .* GB, the disk has .*data\.cache\.max_gb"
    ):
        data(tree(), tmp_path / "cache").check(["train"])
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_can_not_be_written_is_refused_unless_it_has_all(tree, tmp_path, monkeypatch):
    root = tree()
    data(root, tmp_path / "cache").check(["train"])
    (tmp_path / "file").write_text("no folder")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)  # root may write into every folder
    monkeypatch.setattr(os, "utime", refuse)
    made = data(root, tmp_path / "cache")
    made.check(["train"])
    assert same(stream(made), stream(data(root)))
    with pytest.raises(
        InputError, match=r"^[^\n]*/other/.*: .*Permission denied.*make it writable, or set data\.cache\.dir"
    ):
        data(root, tmp_path / "other").check(["train"])
    with pytest.raises(InputError, match=r"^[^\n]*/file/cache/.*: .*Not a directory"):
        data(root, tmp_path / "file" / "cache").check(["train"])


def test_files_that_can_not_be_decoded_stop_the_preparation_by_name_or_are_skipped(tree, tmp_path):
    root = tree()
    whole = (root / "bg" / "wall.png").read_bytes()
    (root / "bg" / "wall.png").write_bytes(whole[:200] + bytes(300) + whole[500:])
    with pytest.raises(InputError, match=r"^[^\n]*wall\.png: .*damaged"):
        data(root, tmp_path / "cache").check(["train"])
    data(root, tmp_path / "cache", on_error="skip").check(["train"])
    assert len(list((tmp_path / "cache").iterdir())) == 4 + 2


def test_a_matte_without_an_edge_is_named_before_training_or_skipped(tree, tmp_path):
    root = tree()
    Image.fromarray(np.full((96, 128), 255, np.uint8)).save(root / "alpha" / "dog.png")
    for _ in range(2):  # it is not kept, so it is met again
        with pytest.raises(InputError, match=r"^[^\n]*alpha/dog\.png: this matte is constant"):
            data(root, tmp_path / "cache").check(["train"])
    made = data(root, tmp_path / "cache", on_error="skip")
    made.check(["train"])
    assert {sample["name"].split()[0] for sample in stream(made)} == {"cat", "fern", "glass"}
    assert made.train_dataset().num_skipped == 4  # two passes in each of two epochs


def test_pictures_of_other_data_older_versions_and_killed_writers_make_room_the_oldest_first(tmp_path):
    cache = PictureCache(tmp_path, max_gb=30_000 / 1e9)
    for i, name in enumerate(
        [".a-0.decoded.npy.0.part", "b-0.decoded", "c-0.decoded.npy", "d-0.decoded.npy"]
    ):
        (tmp_path / name).write_bytes(bytes(4000))
        os.utime(tmp_path / name, (i, i))
    (tmp_path / ".now-0.decoded.npy.0.part").write_bytes(bytes(4000))  # is being written
    (tmp_path / "notes.npy").write_bytes(bytes(9000))  # a user's own file
    cache.folder.make_room(["own-0"], 9_000)
    left = {"c-0.decoded.npy", "d-0.decoded.npy", ".now-0.decoded.npy.0.part", "notes.npy"}
    assert {file.name for file in tmp_path.iterdir()} == left


def test_processes_that_prepare_one_folder_at_once_leave_whole_files_and_nothing_else(tree, tmp_path):
    root = tree(size=(300, 400))
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=lambda: data(root, tmp_path / "cache").check(["train"])) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    files = sorted((tmp_path / "cache").iterdir())
    assert len(files) == 4 + 3
    assert all(whole(file) for file in files)
    assert same(stream(data(root, tmp_path / "cache")), stream(data(root)))


def test_an_item_that_is_replaced_while_it_is_read_is_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    """numpy's own function opens the file twice, and would take the new data for the old header."""
    folder = ArrayFolder(tmp_path)
    folder.write("a", {"alpha": np.full((40, 40), 1, np.uint8)})
    original = np.lib.format.read_array_header_2_0

    def header(file):
        found = original(file)
        folder.write("a", {"alpha": np.full((90, 90), 2, np.uint8)})
        return found

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "read_array_header_2_0", header)
        found = folder.read("a")
    assert found is not None
    np.testing.assert_array_equal(found["alpha"], np.full((40, 40), 1, np.uint8))
    assert folder.read("a")["alpha"].shape == (90, 90)


def test_threads_that_write_the_same_picture_at_once_leave_one_whole_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    folder, seen = ArrayFolder(tmp_path), []

    def work():
        for _ in range(10):
            folder.write("a-b", {"foreground": pixels, "alpha": pixels[..., 0]})
            seen.append(folder.read("a-b"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 40
    assert all(
        np.array_equal(kept["foreground"], pixels) and np.array_equal(kept["alpha"], pixels[..., 0])
        for kept in seen
    )
    assert [file.name for file in tmp_path.iterdir()] == ["a-b.npy"]


class _Cycle:
    """Garbage whose end runs Python code, where a thread may have to give way to another."""

    def __init__(self):
        self.me = self

    def __del__(self):
        sum(range(50))


def test_threads_that_read_at_once_get_the_picture_whatever_a_garbage_collection_lets_in_between(tmp_path):
    folder, seen = ArrayFolder(tmp_path), []
    folder.write("a", {"alpha": np.eye(3, dtype=np.uint8)})

    def work():
        for _ in range(400):
            _Cycle()
            seen.append(folder.read("a"))

    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    threads = [threading.Thread(target=work) for _ in range(4)]
    try:
        sys.setswitchinterval(1e-6)
        gc.set_threshold(20)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
    assert len(seen) == 1600
    assert all(kept is not None and np.array_equal(kept["alpha"], np.eye(3)) for kept in seen)


def test_names_of_cache_files_tell_apart_paths_states_and_ways_of_reading(tmp_path):
    file = tmp_path / "two\nlines é.png"
    file.write_bytes(b"1")
    os.utime(file, ns=(0, 10**9))
    keys = [picture_key(Origin((file,))), picture_key(Origin((file,), "estimated"))]
    os.utime(file, ns=(0, 10**9 + 1))
    keys.append(picture_key(Origin((file,))))
    assert len(set(keys)) == 3
    assert keys[0].split("-")[0] == keys[2].split("-")[0] != keys[1].split("-")[0]
    with pytest.raises(InputError, match=r"^'[^\n]*two\\nlines é\.png': there is no such file"):
        file.unlink() or picture_key(Origin((file,)))


def test_a_negative_size_is_refused():
    for size in (-1, "all"):
        with pytest.raises(InputError, match=rf"^data\.cache\.max_gb={size}: a size in GB"):
            PictureCache(max_gb=size)


@pytest.mark.parametrize(
    ("height", "width", "scale"), [(40, 900, 1), (80, 81, 2), (159, 700, 2), (160, 170, 4), (420, 330, 8)]
)
def test_jpeg_backgrounds_are_decoded_at_the_smallest_scale_that_keeps_both_sides(
    tree, tmp_path, height, width, scale
):
    """The pixels are those of OpenCV's own reduced decoding, also with a cache; PNG files keep their size."""
    root = tree()
    for suffix in ("jpg", "png"):
        Image.fromarray(photograph(height, width, 5)).save(root / "bg" / f"large.{suffix}")
        source = FolderData(
            root, background="bg/larg*." + suffix, background_side=40, val_fraction=0, test_fraction=0
        )
        backgrounds = source.backgrounds("train")
        expected = photograph(height, width, 5)
        if suffix == "jpg":
            flags = {
                1: cv2.IMREAD_COLOR,
                2: cv2.IMREAD_REDUCED_COLOR_2,
                4: cv2.IMREAD_REDUCED_COLOR_4,
                8: cv2.IMREAD_REDUCED_COLOR_8,
            }
            expected = cv2.imread(str(root / "bg" / "large.jpg"), flags[scale])[..., ::-1]
        np.testing.assert_array_equal(backgrounds.load(0), expected)
        assert backgrounds.size(0) == expected.shape[:2]
        plain = FolderData(
            root, background="bg/larg*." + suffix, val_fraction=0, test_fraction=0
        ).backgrounds("train")
        assert plain.digest() != backgrounds.digest()
        cached = PictureCache(tmp_path / "cache", 1.0).keep(backgrounds, with_edges=False)
        assert cached.num_bytes(0) == expected.size
        for _ in range(2):
            np.testing.assert_array_equal(cached.load(0), expected)
            cached.build(0)
        assert PictureCache(tmp_path / "cache", 1.0).keep(plain, with_edges=False).load(0).shape == (
            height,
            width,
            3,
        )


def test_a_background_side_that_is_none_is_refused(tree):
    with pytest.raises(InputError, match=r"^data\.source\.background_side=0: "):
        FolderData(tree(), background_side=0)
