import shutil
from itertools import chain

import numpy as np
import pytest
from PIL import Image
from small_pictures import ALL_TRAIN, refused

from deepmatte.data.cache.memory import ArrayCache
from deepmatte.data.sources.files import find_pictures
from deepmatte.data.sources.folder import FolderData
from deepmatte.data.sources.protocols import (
    BackgroundSet,
    CompositionSource,
    ForegroundSet,
    ImageSet,
    ImageSource,
    KnowsSizes,
)
from deepmatte.data.sources.splits import split_of


def opened(root, **options) -> FolderData:
    source = FolderData(root, **{**ALL_TRAIN, **options})
    source.prepare(("train",))
    return source


def photographs(root, **options):
    return FolderData(root, image="image", **{"trimap": "trimap", **options}).images("test")


def test_layers_are_the_stored_pixels(tree):
    root = tree()
    source = FolderData(root, **ALL_TRAIN)
    foregrounds, backgrounds = source.foregrounds("train"), source.backgrounds("train")
    assert foregrounds.names == ["cat", "dog", "fern", "glass"]
    assert backgrounds.names == ["sea", "wall", "wood"]
    for i, name in enumerate(foregrounds.names):
        colours, alpha = foregrounds.load(i)
        np.testing.assert_array_equal(colours, np.asarray(Image.open(root / "fg" / f"{name}.jpg")))
        np.testing.assert_array_equal(alpha, np.asarray(Image.open(root / "alpha" / f"{name}.png")))
        assert foregrounds.size(i) == alpha.shape
    np.testing.assert_array_equal(backgrounds.load(1), np.asarray(Image.open(root / "bg" / "wall.png")))


def test_sources_and_sets_keep_the_protocols(tree):
    source = FolderData(tree(), **ALL_TRAIN)
    assert isinstance(source, CompositionSource)
    assert isinstance(source, ImageSource)
    assert source.images("test") is None
    assert isinstance(source.foregrounds("train"), ForegroundSet)
    assert isinstance(source.foregrounds("train"), KnowsSizes)
    assert isinstance(source.backgrounds("train"), BackgroundSet)


def test_rgba_cutouts_need_no_alpha_folder(tree):
    root = tree()
    (root / "rgba").mkdir()
    for file in (root / "fg").iterdir():
        matte = np.asarray(Image.open(root / "alpha" / f"{file.stem}.png"))
        Image.fromarray(np.dstack([np.asarray(Image.open(file)), matte])).save(
            root / "rgba" / f"{file.stem}.png"
        )
    two, one = FolderData(root, **ALL_TRAIN), FolderData(root, foreground="rgba", alpha=None, **ALL_TRAIN)
    for i in range(4):
        for expected, found in zip(
            two.foregrounds("train").load(i), one.foregrounds("train").load(i), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
    refused(
        lambda: opened(root, alpha=None),
        str(root / "fg" / "cat.jpg"),
        "no alpha channel",
        "data.source.alpha",
    )


def test_glob_patterns_and_full_paths_find_nested_pictures(tree):
    root = tree()
    nested = root / "people [all]" / "a" / "b"
    nested.mkdir(parents=True)
    shutil.copy(root / "bg" / "sea.png", nested / "One.PNG")
    shutil.copy(root / "bg" / "sea.png", nested.parent / "two.png")
    (nested / "notes.txt").write_text("no picture")
    assert list(find_pictures(root / "people [all]", "**/*", "k")) == ["a/b/One", "a/two"]
    assert list(find_pictures(root, "people [all]/a", "k")) == ["two"]
    assert FolderData(root, background=str(root / "bg"), **ALL_TRAIN).backgrounds("train").names == [
        "sea",
        "wall",
        "wood",
    ]


def test_missing_root_missing_and_empty_folders_are_named(tree):
    root = tree()
    (root / "empty").mkdir()
    refused(lambda: FolderData(None), "data.root")
    refused(lambda: opened(root / "nowhere"), str(root / "nowhere"), "no such folder", "data.root")
    refused(
        lambda: opened(root, foreground="people"),
        str(root / "people"),
        "no such folder",
        "data.source.foreground",
    )
    refused(lambda: opened(root, alpha="mattes"), str(root / "mattes"), "data.source.alpha")
    refused(
        lambda: opened(root, background="empty"), str(root / "empty"), "no pictures", "data.source.background"
    )
    refused(lambda: opened(root, background="gone/**/*.png"), str(root / "gone"), "no such folder")


def test_a_folder_of_folders_is_told_from_an_empty_one(tree):
    root = tree()
    (root / "nested").mkdir()
    shutil.copytree(root / "bg", root / "nested" / "walls")
    refused(lambda: opened(root, background="nested"), "set data.source.background to nested/**/*, to take")
    assert len(opened(root, background="nested/**/*").backgrounds("train")) > 0


def test_first_unmatched_file_is_named_on_either_side(tree):
    root = tree()
    (root / "alpha" / "dog.png").unlink()
    refused(lambda: opened(root), str(root / "fg" / "dog.jpg"), "no alpha matte of the same name")
    shutil.copy(root / "alpha" / "cat.png", root / "alpha" / "dog.png")
    shutil.copy(root / "alpha" / "cat.png", root / "alpha" / "extra.png")
    refused(lambda: opened(root), str(root / "alpha" / "extra.png"), "no foreground of the same name")


def test_two_files_of_one_name_are_refused(tree):
    root = tree()
    shutil.copy(root / "alpha" / "cat.png", root / "fg" / "cat.png")
    refused(lambda: opened(root), "cat.jpg", "cat.png", "same name")


def test_different_sizes_are_refused_with_both_sizes(tree):
    root = tree()
    Image.fromarray(np.zeros((96, 127), np.uint8)).save(root / "alpha" / "fern.png")
    refused(
        lambda: opened(root),
        str(root / "alpha" / "fern.png"),
        "127x96",
        "128x96",
        str(root / "fg" / "fern.jpg"),
    )


def test_sizes_are_compared_after_exif_rotation(tree):
    root = tree()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(root / "fg" / "dog.jpg").save(root / "fg" / "dog.jpg", exif=exif)
    refused(lambda: opened(root), "dog.png", "128x96", "96x128")
    upright = np.rot90(np.asarray(Image.open(root / "alpha" / "dog.png")), -1)
    Image.fromarray(np.ascontiguousarray(upright)).save(root / "alpha" / "dog.png")
    colours, alpha = FolderData(root, **ALL_TRAIN).foregrounds("train").load(1)
    assert colours.shape[:2] == alpha.shape == (128, 96)


@pytest.mark.parametrize("folder", ["fg", "alpha", "bg"])
def test_empty_files_are_found_before_anything_is_decoded(tree, folder):
    root = tree(backgrounds=["cat"])
    file = next((root / folder).glob("cat.*"))
    file.write_bytes(b"")
    refused(lambda: opened(root), str(file), "empty")


@pytest.mark.parametrize("folder", ["fg", "alpha", "bg"])
def test_truncated_files_are_found_before_training_starts(tree, folder):
    root = tree(backgrounds=["dog"])
    file = next((root / folder).glob("dog.*"))
    file.write_bytes(file.read_bytes()[:-200])
    refused(lambda: opened(root), str(file), "damaged")


def test_files_damaged_inside_are_named_when_they_are_read(tree):
    root = tree()
    file = root / "alpha" / "dog.png"
    content = file.read_bytes()
    file.write_bytes(content[:100] + content[200:])
    foregrounds = FolderData(root, **ALL_TRAIN).foregrounds("train")
    refused(lambda: foregrounds.load(1), str(file), "damaged")


@pytest.mark.parametrize("name", ["cat", "dog"])
def test_colour_pictures_as_alpha_are_refused_at_the_latest_when_they_are_read(tree, name):
    root = tree()
    shutil.copy(root / "fg" / f"{name}.jpg", root / "alpha" / f"{name}.jpg")
    (root / "alpha" / f"{name}.png").unlink()
    refused(
        lambda: FolderData(root, **ALL_TRAIN).foregrounds("train").load(1),
        str(root / "alpha" / f"{name}.jpg"),
        "colour picture",
    )


def test_splits_are_disjoint_complete_and_stable_under_added_files(tree):
    names = [f"n{i:02d}" for i in range(24)]
    fractions = {"val_fraction": 0.3, "test_fraction": 0.3}

    def splits(source):
        return {
            s: (source.foregrounds(s).names, source.backgrounds(s).names) for s in ("train", "val", "test")
        }

    few = splits(
        FolderData(
            tree(names[::2], backgrounds=[f"b{i}" for i in range(0, 18, 2)], size=(40, 40)), **fractions
        )
    )
    many = splits(
        FolderData(tree(names, backgrounds=[f"b{i}" for i in range(18)], size=(40, 40)), **fractions)
    )
    for kind, everything in ((0, names), (1, sorted(f"b{i}" for i in range(18)))):
        parts = [many[split][kind] for split in many]
        assert sorted(chain.from_iterable(parts)) == everything
        for split in many:
            assert set(few[split][kind]) <= set(many[split][kind])


def test_split_fractions_hold_for_many_names():
    counts = {"train": 0, "val": 0, "test": 0}
    for i in range(20000):
        counts[split_of(f"foreground {i}", 0.1, 0.2)] += 1
    # Four standard deviations of a binomial are 0.0113 at most.
    assert abs(counts["val"] / 20000 - 0.1) < 0.0113
    assert abs(counts["test"] / 20000 - 0.2) < 0.0113


def test_a_larger_validation_share_only_takes_from_training():
    names = [f"n{i}" for i in range(500)]
    before = {name: split_of(name, 0.1, 0.2) for name in names}
    after = {name: split_of(name, 0.3, 0.2) for name in names}
    assert {(before[n], after[n]) for n in names if before[n] != after[n]} == {("train", "val")}


def test_empty_splits_and_impossible_shares_are_refused(tree):
    root = tree()
    source = FolderData(root, **ALL_TRAIN)
    refused(
        lambda: source.foregrounds("val"),
        "data.source.val_fraction",
        "none of the 4 foregrounds",
        "val split",
    )
    refused(lambda: source.backgrounds("test"), "none of the 3 backgrounds", "test split")
    refused(lambda: FolderData(root, val_fraction=0.5, test_fraction=0.5), "val_fraction=0.5")


def test_without_a_test_split_the_pictures_of_validation_are_scored_and_a_note_says_so(tree):
    options = {"val_fraction": 0.5, "test_fraction": 0.4, "test": "val"}
    source = FolderData(tree(), **options)
    splits = {split: source.foregrounds(split).names for split in ("train", "val", "test")}
    assert splits["test"] == splits["val"]
    assert sorted(splits["train"] + splits["val"]) == ["cat", "dog", "fern", "glass"]
    assert source.foregrounds("test").digest() == source.foregrounds("val").digest()
    (note,) = source.notes
    assert "has no test split" in note
    assert "validation" in note
    refused(lambda: FolderData(tree(), test="none"), "data.source.test=none", "val to score validation")


def test_digest_follows_content_but_not_place(tree, tmp_path):
    root = tree()
    digest = FolderData(root, **ALL_TRAIN).foregrounds("train").digest()
    moved = tmp_path / "elsewhere"
    shutil.copytree(root / "fg", moved / "fg")
    shutil.copytree(root / "alpha", moved / "alpha")
    shutil.copytree(root / "bg", moved / "bg")
    assert FolderData(moved, **ALL_TRAIN).foregrounds("train").digest() == digest
    Image.fromarray(np.zeros((96, 128), np.uint8)).save(moved / "alpha" / "dog.png")
    assert FolderData(moved, **ALL_TRAIN).foregrounds("train").digest() != digest


def test_decoded_pictures_are_read_once_and_can_not_be_changed(tree):
    root = tree()
    foregrounds = FolderData(root, **ALL_TRAIN).foregrounds("train")
    first = foregrounds.load(0)
    shutil.rmtree(root / "fg")
    assert foregrounds.load(0)[0] is first[0]
    with pytest.raises(ValueError, match="read-only"):
        first[1][0, 0] = 1


def test_cache_stays_within_its_bytes_and_drops_the_oldest():
    cache = ArrayCache(max_bytes=250)
    for key in [0, 1, 0, 2, 3, 9]:
        cache.get(key, lambda key=key: {"alpha": np.zeros(100 if key != 9 else 1000, np.uint8)})
        assert sum(100 for _ in cache) <= 250
    assert list(cache) == [2, 3]


def triples(root):
    for folder in ("image", "trimap", "alpha"):
        (root / folder).mkdir()
    for i, name in enumerate(("a", "b")):
        rng = np.random.default_rng(i)
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(
            root / "image" / f"{name}.png"
        )
        Image.fromarray(rng.choice(np.array([0, 128, 255], np.uint8), (20, 30))).save(
            root / "trimap" / f"{name}.png"
        )
        Image.fromarray(rng.integers(0, 256, (20, 30), dtype=np.uint8)).save(root / "alpha" / f"{name}.png")
    return root


def test_triples_are_the_stored_pixels(tmp_path):
    images = photographs(triples(tmp_path))
    assert isinstance(images, ImageSet)
    for i, name in enumerate(images.names):
        for folder, pixels in zip(("image", "trimap", "alpha"), images.load(i)[:3], strict=True):
            np.testing.assert_array_equal(pixels, np.asarray(Image.open(tmp_path / folder / f"{name}.png")))


def test_triples_can_not_be_trained_on(tmp_path):
    refused(
        lambda: FolderData(triples(tmp_path), image="image", name="photos").foregrounds("train"),
        "data=photos",
        "choose another data=",
    )


def test_a_picture_without_a_trimap_gets_one_of_its_matte_where_that_is_asked_for(tmp_path):
    root = triples(tmp_path)
    given = np.asarray(Image.open(root / "trimap" / "a.png"))
    (root / "trimap" / "b.png").unlink()
    matte = np.zeros((20, 30), np.uint8)
    matte[:, 15:] = 255
    Image.fromarray(matte).save(root / "alpha" / "b.png")
    place = {"image": "image", "alpha": "alpha", "trimap": "trimap", "missing_trimap": "made"}
    source = FolderData(root, test=place, trimap_kernel=5)
    images = source.images("test")
    np.testing.assert_array_equal(images.load(0).trimap, given)
    made = images.load(1).trimap
    assert [int(value) for value in made[10, 10:20]] == [0, 0, 0, 128, 128, 128, 128, 255, 255, 255]
    refused(
        lambda: FolderData(root, test=place | {"missing_trimap": "yes"}), "missing_trimap=yes", "give made"
    )


def test_bad_triples_are_refused_by_name(tmp_path):
    root = triples(tmp_path)
    refused(lambda: photographs(root, trimap="loose"), str(root / "loose"), "data.source.trimap")
    Image.fromarray(np.full((20, 30), 255, np.uint8)).save(root / "trimap" / "a.png")
    refused(lambda: photographs(root), str(root / "trimap" / "a.png"), "no unknown pixels")
    Image.fromarray(np.full((30, 20), 128, np.uint8)).save(root / "trimap" / "a.png")
    refused(lambda: photographs(root), str(root / "trimap" / "a.png"), "20x30", "30x20")
    (root / "trimap" / "b.png").unlink()
    refused(lambda: photographs(root), str(root / "image" / "b.png"), "no trimap of the same name")
