"""No matte is in two splits, under whatever name, and an evaluation says what its run was trained on."""

import io
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from layout_trees import pair, save
from PIL import Image
from small_pictures import photograph, refused, soft_matte
from tiny_run import TINY, compose

from deepmatte.cli.data import main
from deepmatte.data import Composition, FolderData, Mixture
from deepmatte.data.inspection.fingerprints import as_record, fingerprint, fingerprints, from_record
from deepmatte.data.inspection.leaks import find_leaks, joined_records, matches, trained_on
from deepmatte.data.inspection.verify import verify
from deepmatte.data.sources.images import read_alpha
from deepmatte.errors import InputError
from deepmatte.training.datamodule import MattingData

SIZE = (96, 120)
NAMES = [f"n{i:02d}" for i in range(12)]
RECIPE = Composition(crop_sizes=[32], size=32, flip=0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def opened(root, **options) -> FolderData:
    return FolderData(root, name="pets", **{"val_fraction": 0.2, "test_fraction": 0, **options})


def checked(source) -> MattingData:
    data = MattingData(source, RECIPE)
    data.check(("train", "val", "test"))
    return data


def names(source, split="train") -> set[str]:
    return set(source.foregrounds(split).names)


def flat_folder(root: Path) -> dict:
    """Set D: NAME_fg.png, NAME_rgb.png and NAME_alpha.png in one folder, and backgrounds in another."""
    for i, name in enumerate(NAMES):
        pair(root / f"{name}_fg.png", root / f"{name}_alpha.png", seed=i, size=SIZE)
        save(root / f"{name}_rgb.png", photograph(*SIZE, seed=50 + i))
    for i in range(12):
        save(root / "bg" / f"b{i}.png", photograph(40, 40, seed=200 + i))
    return {"foreground": "*_fg.png", "alpha": "*_alpha.png"}


def scenes(root: Path) -> dict:
    """Set C: a folder for each photograph, over its own background."""
    for i, name in enumerate(NAMES):
        pair(root / f"scene {name}" / "rgb.jpg", root / f"scene {name}" / "gt.png", seed=i, size=SIZE)
    return {"foreground": "scene */rgb.jpg", "alpha": "scene */gt.png", "background": "own"}


def folders(root: Path, test_seeds=range(40, 43)) -> dict:
    """Foregrounds and mattes in train/, finished images and their mattes in test/."""
    for i, name in enumerate(NAMES):
        pair(
            root / "train" / "fg" / f"{name}.png", root / "train" / "alpha" / f"{name}.png", seed=i, size=SIZE
        )
    for k, seed in enumerate(test_seeds):
        save(root / "test" / "image" / f"t{k}.png", photograph(*SIZE, seed=300 + seed))
        save(root / "test" / "alpha" / f"t{k}.png", soft_matte(*SIZE, seed=seed))
    for i in range(12):
        save(root / "bg" / f"b{i}.png", photograph(40, 40, seed=200 + i))
    return {
        "foreground": "train/fg",
        "alpha": "train/alpha",
        "background": "bg",
        "test": {"image": "test/image", "alpha": "test/alpha"},
    }


def test_pictures_whose_finished_images_are_the_test_are_not_trained_on(tmp_path, capsys):
    keys = flat_folder(tmp_path)
    source = opened(tmp_path, **keys, test={"image": "n0[0-4]_rgb.png", "alpha": "n0[0-4]_alpha.png"})
    assert names(source) | names(source, "val") == set(NAMES[5:])
    checked(source)
    (line,) = source.notes
    assert "the test split" in line
    assert "5 of the foregrounds" in line
    assert "n00_fg.png (same matte as " in line
    assert "and 2 more" in line
    everywhere = opened(tmp_path, **keys, test={"image": "*_rgb.png", "alpha": "*_alpha.png"})
    refused(
        lambda: everywhere.foregrounds("train"),
        "data.source.test: shows all 12 foregrounds",
        "none is left to train on",
    )
    words = [
        "data=folder",
        f"data.root={tmp_path}",
        *(f"data.source.{key}={value}" for key, value in keys.items()),
    ]
    test = "data.source.test={image: 'n0[0-4]_rgb.png', alpha: 'n0[0-4]_alpha.png'}"
    small = [
        "composition.crop_sizes=[32]",
        "composition.size=32",
        "data.source.val_fraction=0.2",
        "--processes",
        "1",
    ]
    assert main(["verify", *words, test, *small]) == 0
    assert (
        "data=folder: 5 of the foregrounds are not trained on, since the test split shows the same: "
        in capsys.readouterr().out
    )


def test_photographs_over_their_own_background_that_are_the_test_are_not_trained_on(tmp_path):
    keys = scenes(tmp_path)
    whole = opened(tmp_path, **keys, test={"image": "scene */rgb.jpg", "alpha": "scene */gt.png"})
    refused(lambda: whole.foregrounds("train"), "data.source.test: shows all 12 foregrounds")
    source = opened(
        tmp_path, **keys, test={"image": "scene n0*/rgb.jpg", "alpha": "scene n0*/gt.png"}, val_fraction=0
    )
    assert names(source) == {"n10", "n11"}


def test_a_training_split_with_a_place_of_its_own_that_shows_the_test_is_refused(tmp_path):
    keys = flat_folder(tmp_path)
    source = opened(
        tmp_path, background="bg", train=keys, test={"image": "n0[3]_rgb.png", "alpha": "n0[3]_alpha.png"}
    )
    refused(
        lambda: source.foregrounds("train"),
        "n03_fg.png: shows what the test split shows, too",
        "n03_rgb.png, same matte",
        "remove it",
    )


def test_what_shows_the_foreground_of_a_test_image_is_not_trained_on(tmp_path):
    """Frames of clips; the test has one frame of each of two clips, and its pattern spells other names."""
    for clip in "abcdef":
        for frame in range(3):
            pair(
                tmp_path / "fg" / f"{clip}_{frame}.png",
                tmp_path / "alpha" / f"{clip}_{frame}.png",
                seed=ord(clip) * 5 + frame,
                size=SIZE,
            )
            save(tmp_path / "rgb" / f"{clip}_{frame}.png", photograph(*SIZE, seed=ord(clip) * 9 + frame))
    for test in (
        {"image": "rgb/[bc]_2.png", "alpha": "alpha/[bc]_2.png"},
        {"image": "rgb", "alpha": "alpha", "names": "test.txt"},
    ):
        (tmp_path / "test.txt").write_text("b_2.png\nc_1.png\n")
        source = opened(tmp_path, identity=r"(.)_\d", val_fraction=0, test=test)
        assert {name[0] for name in names(source)} == set("adef")
        assert len(source.foregrounds("train")) == 12
        assert "same foreground" in source.notes[0]


def test_a_foreground_that_is_composited_many_times_in_the_test_is_found_by_its_one_matte(tmp_path):
    """As in Composition-1k: merged/NAME_0.png … of the matte NAME.png."""
    for i, clip in enumerate("abcdef"):
        pair(tmp_path / "fg" / f"{clip}_0.png", tmp_path / "alpha" / f"{clip}_0.png", seed=i, size=SIZE)
    for i in range(12):
        save(tmp_path / "bg" / f"b{i}.png", photograph(40, 40, seed=i))
    for k in range(4):
        save(tmp_path / "merged" / f"b_{k}.png", photograph(*SIZE, seed=700 + k))
    keys = {"identity": r"(.)_\d", "val": {"names": "val.txt"}, "test": {"image": "merged", "alpha": "truth"}}
    (tmp_path / "val.txt").write_text("f_0.png\n")
    save(tmp_path / "truth" / "b.png", soft_matte(*SIZE, seed=1))
    assert names(opened(tmp_path, **keys)) == {
        "a_0",
        "c_0",
        "d_0",
        "e_0",
    }  # the same file by name, identity and bytes
    save(tmp_path / "truth" / "b.png", again(soft_matte(*SIZE, seed=1), "mirrored"))
    message = refused(
        lambda: checked(opened(tmp_path, **keys)), "one matte is in two splits", "alpha/b_0.png (train)"
    )
    assert "truth/b.png (test): same matte, mirrored;" in message


def test_equal_names_in_two_places_are_no_leak(tmp_path):
    """As train/0001.png and test/0001.png of many sets."""
    keys = folders(tmp_path)
    for folder in ("image", "alpha"):
        for k in range(3):
            (tmp_path / "test" / folder / f"t{k}.png").rename(tmp_path / "test" / folder / f"{NAMES[k]}.png")
    source = opened(tmp_path, **keys)
    assert len(checked(source).trained_on) == len(names(source))
    assert names(source) | names(source, "val") == set(NAMES)
    assert not source.notes


def again(matte: np.ndarray, how: str) -> np.ndarray:
    """The same matte as somebody else stored it."""
    picture = Image.fromarray(matte)
    if how == "twice the size":
        return np.asarray(picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC))
    if how == "two thirds":
        return np.asarray(
            picture.resize((picture.width * 2 // 3, picture.height * 2 // 3), Image.Resampling.LANCZOS)
        )
    if how == "mirrored":
        return np.ascontiguousarray(matte[:, ::-1])
    if how == "16 bits":
        return matte.astype(np.uint16) * 257
    if how == "JPEG":
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=75)
        return np.asarray(Image.open(buffer))
    return matte


HOW = [
    "the same bytes",
    "another encoder",
    "RGB",
    "16 bits",
    "twice the size",
    "two thirds",
    "JPEG",
    "mirrored",
]


@pytest.mark.parametrize("how", HOW)
def test_a_matte_of_the_test_under_another_name_is_refused(tmp_path, how, capsys):
    keys = folders(tmp_path)
    matte = again(soft_matte(*SIZE, seed=7), how)
    pixels = np.dstack([matte] * 3) if how == "RGB" else matte
    save(
        tmp_path / "test" / "alpha" / "t1.png",
        pixels,
        **({"compress_level": 1} if how == "another encoder" else {}),
    )
    save(tmp_path / "test" / "image" / "t1.png", photograph(*matte.shape, seed=900))
    expected = (
        "same matte, mirrored"
        if how == "mirrored"
        else "same matte at another size"
        if how in HOW[4:]
        else "same matte;"
    )
    message = refused(
        lambda: checked(opened(tmp_path, **keys)), "data=pets: one matte is in two splits", expected
    )
    for words in ("alpha/n07.png", "test/alpha/t1.png (test)", "data.source.identity", "data verify"):
        assert words in message
    (problem,) = verify(opened(tmp_path, on_error="skip", **keys), processes=1).problems
    assert "test/alpha/t1.png: is in test and shows the matte of " in problem
    assert "alpha/n07.png, which is in " in problem


def test_copies_in_one_folder_that_the_hash_puts_apart_are_refused(tmp_path):
    keys = {key: value for key, value in folders(tmp_path).items() if key != "test"}
    source = opened(tmp_path, val_fraction=0.3, test_fraction=0.2, **keys)
    assert checked(source)
    train, val = sorted(names(source))[0], sorted(names(source, "val"))[0]
    save(
        tmp_path / "train" / "alpha" / f"{val}.png",
        np.asarray(Image.open(tmp_path / "train" / "alpha" / f"{train}.png"))[:, ::-1],
    )
    source = opened(tmp_path, val_fraction=0.3, test_fraction=0.2, **keys)
    refused(lambda: checked(source), f"{train}.png (train)", f"{val}.png (val)", "mirrored")


def test_cut_outs_with_an_alpha_channel_are_compared_too(tmp_path):
    keys = folders(tmp_path)
    for i, name in enumerate(NAMES):
        save(
            tmp_path / "rgba" / f"{name}.png",
            np.dstack([photograph(*SIZE, seed=i), soft_matte(*SIZE, seed=i)]),
        )
    save(tmp_path / "test" / "alpha" / "t2.png", soft_matte(*SIZE, seed=3))
    keys |= {"foreground": "rgba", "alpha": None, "test": {"image": "test/image", "alpha": "test/alpha"}}
    refused(lambda: checked(opened(tmp_path, **keys)), "rgba/n03.png", "test/alpha/t2.png")


def test_the_parts_of_a_mixture_are_compared_with_one_another(tmp_path):
    first = folders(tmp_path / "one")
    second = {key: value for key, value in folders(tmp_path / "two").items() if key != "test"}
    for i, name in enumerate(NAMES):
        pair(
            tmp_path / "two/train/fg" / f"{name}.png",
            tmp_path / "two/train/alpha" / f"{name}.png",
            seed=100 + i,
            size=SIZE,
        )

    def mixture() -> Mixture:
        parts = {
            "one": opened(tmp_path / "one", **first),
            "two": opened(tmp_path / "two", **{**second, "test_fraction": 0.2}),
        }
        return Mixture({name: {"source": source} for name, source in parts.items()}, {"one": 3})

    assert len(checked(mixture()).trained_on) == sum(
        len(names(source)) for source in mixture().sources.values()
    )
    shown = sorted(names(mixture().sources["two"]))[0]
    save(
        tmp_path / "one/test/alpha/t0.png",
        np.asarray(Image.open(tmp_path / "two/train/alpha" / f"{shown}.png")),
    )
    refused(
        lambda: checked(mixture()), f"two/train/alpha/{shown}.png (train)", "one/test/alpha/t0.png (test)"
    )
    assert (
        sum(
            "one/test/alpha/t0.png: is in test" in problem
            for problem in verify(mixture(), processes=1).problems
        )
        == 1
    )


def test_validation_and_test_may_be_the_same_finished_images(tmp_path):
    keys = folders(tmp_path)
    checked(opened(tmp_path, **{**keys, "val": keys["test"]}))
    save(tmp_path / "other" / "image" / "x.png", photograph(*SIZE, seed=1))
    save(tmp_path / "other" / "alpha" / "x.png", soft_matte(*SIZE, seed=41))
    val = {"image": "other/image", "alpha": "other/alpha"}
    refused(
        lambda: checked(opened(tmp_path, **{**keys, "val": val})), "x.png (val)", "t1.png (test): same matte"
    )


def test_mattes_with_next_to_nothing_in_them_are_not_taken_for_one_another():
    blank, full = np.zeros(SIZE, np.uint8), np.full(SIZE, 255, np.uint8)
    dots, specks = blank.copy(), blank.copy()
    dots[40:42, 50:53], specks[41:43, 51:54] = 255, 255
    prints = [
        fingerprint(alpha, str(i))
        for i, alpha in enumerate((blank, full, dots, specks, 255 - dots, 255 - specks))
    ]
    assert find_leaks({"train": prints, "val": [], "test": [fingerprint(blank), fingerprint(full)]}) == []
    assert all(not matches([one], [other]) for one, other in combinations(prints, 2))
    assert matches([prints[2]], [fingerprint(dots)])  # its very pixels are


@pytest.mark.parametrize("num", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_drawn_mattes_are_all_different(num):
    from deepmatte.data.procedural import render

    prints = [
        fingerprint(render.foreground(0, split, i, 64)[1], f"{split} {i}")
        for split in ("train", "test")
        for i in range(num // 2)
    ]
    assert sum(bool(one.thumbnail) for one in prints) > 0.9 * num
    for place, one in enumerate(prints):
        assert matches([one], prints[:place]) == {}
    # And each is known again at twice its size.
    larger = [
        np.asarray(Image.fromarray(render.foreground(0, "train", i, 64)[1]).resize((128, 128)))
        for i in range(5)
    ]
    found = matches([fingerprint(alpha) for alpha in larger], prints)
    assert {place: twin for place, (twin, _) in found.items()} == {i: i for i in range(5)}


@pytest.mark.slow
def test_real_mattes_are_all_different_and_known_again(real_data):
    files = sorted(
        [*(real_data / "alphamatting" / "alpha").iterdir(), *(real_data / "cutouts" / "alpha").iterdir()]
    )
    assert len(files) == 35
    prints = [fingerprint(read_alpha(file), file.name) for file in files]
    for place, one in enumerate(prints):
        assert matches([one], prints[:place]) == {}
    for how in ("mirrored", "JPEG", "two thirds"):
        others = [
            fingerprint(again(read_alpha(file), how))
            for file, one in zip(files, prints, strict=True)
            if one.thumbnail
        ]
        assert len(others) >= 34
        assert len(matches(others, prints)) == len(others)


def test_fingerprints_are_kept_until_a_file_changes(tmp_path, monkeypatch):
    keys = folders(tmp_path)
    items = opened(tmp_path, **keys).images("test")
    first = fingerprints(items, "test")
    monkeypatch.setattr(type(items), "alpha", lambda *_: pytest.fail("a matte was read twice"))
    assert fingerprints(items, "test") == first
    assert from_record(json.loads(json.dumps(as_record(first)))) == [
        fingerprint(soft_matte(*SIZE, seed=40 + k), f"t{k}") for k in range(3)
    ]
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save(tmp_path / "test" / "alpha" / "t1.png", soft_matte(*SIZE, seed=77), compress_level=0)
    changed = fingerprints(opened(tmp_path, **keys).images("test"), "test")
    assert [one.exact == other.exact for one, other in zip(first, changed, strict=True)] == [
        True,
        False,
        True,
    ]
    (kept,) = (tmp_path / "cache" / "deepmatte" / "fingerprints").iterdir()
    for content in (
        "",
        "[]",
        '{"format": 1, "mattes": 3}',
        '{"format": 1, "mattes": {"a\\nb": [1]}}',
        "[" * 100_000,
    ):
        kept.write_text(content)
        assert fingerprints(items, "test") == changed
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # can't be written to
    assert fingerprints(items, "test") == changed


def test_a_matte_that_can_not_be_read_is_named_or_passed_over(tmp_path):
    keys = folders(tmp_path)
    file = tmp_path / "train" / "alpha" / "n05.png"
    content = file.read_bytes()
    file.write_bytes(content[:60] + bytes(40) + content[100:])
    refused(lambda: checked(opened(tmp_path, **keys)), "n05.png", "damaged")
    assert (
        len(
            fingerprints(
                opened(tmp_path, **{**keys, "val_fraction": 0}).foregrounds("train"), "train", skip=True
            )
        )
        == 11
    )


@pytest.mark.slow
def test_a_run_says_what_it_was_trained_on_and_its_evaluation_warns(tmp_path, capsys):
    from deepmatte.scoring.evaluate import evaluate
    from deepmatte.training.run import train

    keys = folders(tmp_path)
    place = "{image: test/image, alpha: test/alpha}"
    data = [
        "data=folder",
        f"data.root={tmp_path}",
        "data.source.foreground=train/fg",
        "data.source.alpha=train/alpha",
    ]
    tiny = [override for override in TINY if not override.startswith("data.source.")]
    overrides = [*data, f"data.source.test={place}", "data.source.val_fraction=0.2", *tiny]
    run = tmp_path / "run"
    train(compose("train", overrides), run, overrides)
    source = opened(tmp_path, **keys)
    assert {entry[0] for entry in json.loads((run / "trained_on.json").read_text())["mattes"]} == names(
        source
    )

    def evaluated(**more) -> dict:
        capsys.readouterr()
        settings = [
            f"{key}={value}"
            for key, value in {"run": run, "num_pictures": 1, "data.num_workers": 0, **more}.items()
        ]
        return evaluate(compose("evaluate", settings))

    assert evaluated()["trained_on"] == []
    assert "warning" not in capsys.readouterr().out
    shown = sorted(names(source))[0]
    matte = np.asarray(Image.open(tmp_path / "train/alpha" / f"{shown}.png").resize((240, 192)))
    for folder, pixels in (("image", photograph(*matte.shape, seed=5)), ("alpha", matte)):
        save(tmp_path / "photos" / folder / "GT01.png", pixels)
        save(
            tmp_path / "photos" / folder / "GT02.png",
            photograph(96, 96, seed=5) if folder == "image" else soft_matte(96, 96, seed=60),
        )
    more = {"data": "ppm100", "data.root": tmp_path / "photos", "data.source.alpha": "alpha"}
    assert evaluated(**more)["trained_on"] == ["GT01"]
    assert f"was trained on mattes of ppm100 test, 1 in all: GT01 (as {shown})" in capsys.readouterr().out
    assert json.loads((run / "evaluations" / "ppm100_test" / "result.json").read_text())["trained_on"] == [
        "GT01"
    ]
    for content, words in (
        ("{", "not readable as JSON"),
        ("[1]", "not a record of mattes"),
        ('{"format": 1}', "not a record of mattes"),
    ):
        (run / "trained_on.json").write_text(content)
        with pytest.raises(InputError, match=words):
            evaluated()
    (run / "trained_on.json").unlink()
    assert evaluated()["trained_on"] is None  # as of runs that were made before there was such a file


def test_a_run_on_drawn_pictures_is_known_by_their_digest(trained, tiny):
    from deepmatte.training.building.from_config import build_data

    record = json.loads((trained / "trained_on.json").read_text())
    assert record["mattes"] == []
    assert [entry[0] for entry in record["drawn"]] == ["procedural"]
    source = build_data(compose("train", tiny())).source
    assert list(trained_on(record, source, "train", [])) == source.foregrounds("train").names
    assert trained_on(record, source, "test", []) == {}


def test_a_resumed_run_remembers_what_it_was_trained_on_before():
    one, two = ([[name, 3, 4, name * 2, ""]] for name in "ab")
    earlier, now = ({"format": 1, "mattes": mattes, "drawn": []} for mattes in (one, two))
    assert joined_records(earlier, now)["mattes"] == two + one
    assert joined_records(now, now) == now
    for strange in (None, 3, {"format": 7}, {"format": 1, "mattes": 3}):
        assert joined_records(strange, now) == now
