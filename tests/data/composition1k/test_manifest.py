"""Composed images and the manifest that proves them."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from layout_trees import composition1k
from PIL import Image
from test_adobe import as_the_script

from deepmatte.cli.data import main
from deepmatte.data.composition1k.adobe import Recipe, composed
from deepmatte.errors import InputError


@pytest.fixture
def adobe(tmp_path: Path) -> Path:
    composition1k(tmp_path)
    shutil.rmtree(tmp_path / "Test_set" / "merged")
    return tmp_path


def compose(root: Path, *more: str) -> int:
    places = [
        "--root",
        str(root),
        "--background",
        str(root / "VOC2008/JPEGImages"),
        "--out",
        str(root / "Test_set/merged"),
    ]
    return main(["compose", "test", *places, "--per-foreground", "2", "--processes", "1", *more])


def check(root: Path, *more: str) -> int:
    return main(
        ["verify", "--manifest", str(root / "Test_set/merged/manifest.json"), "--processes", "1", *more]
    )


def test_composed_test_images_are_the_scripts(adobe, capsys):
    assert compose(adobe) == 0
    test = adobe / "Test_set" / "Adobe-licensed images"
    for n, (stem, k) in enumerate((("dandelion", 0), ("dandelion", 1), ("light_1", 0), ("light_1", 1))):
        layers = [np.asarray(Image.open(test / kind / f"{stem}.png")) for kind in ("fg", "alpha")]
        background = Image.open(adobe / "VOC2008" / "JPEGImages" / f"2008_{n:06d}.jpg")
        made = np.asarray(Image.open(adobe / "Test_set" / "merged" / f"{stem}_{k}.png"))
        np.testing.assert_array_equal(made, as_the_script(*layers, background))
    assert "4 images composed" in capsys.readouterr().out
    assert check(adobe) == 0
    assert "all 4 images match the manifest" in capsys.readouterr().out


def test_both_folders_of_the_training_set_are_composed_over_coco_of_either_year(adobe):
    out = adobe / "merged"
    options = [
        "--root",
        str(adobe),
        "--background",
        str(adobe / "train2014"),
        "--per-foreground",
        "2",
        "--processes",
        "1",
    ]
    assert main(["compose", "train", *options, "--out", str(out)]) == 0
    images = json.loads((out / "manifest.json").read_text())["images"]
    assert [image["image"] for image in images[:3]] == ["boy-1_0.png", "boy-1_1.png", "cat_2_0.png"]
    assert len(images) == 14
    for file in (adobe / "train2014").iterdir():
        file.rename(file.with_name(file.name.removeprefix("COCO_train2014_")))
    assert main(["compose", "train", *options, "--out", str(adobe / "again")]) == 0
    assert [i["sha256"] for i in json.loads((adobe / "again" / "manifest.json").read_text())["images"]] == [
        i["sha256"] for i in images
    ]


def test_a_missing_a_foreign_and_a_damaged_image_are_named(adobe, capsys):
    compose(adobe)
    merged = adobe / "Test_set" / "merged"
    (merged / "light_1_0.png").unlink()
    (merged / "light_1_1.png").write_bytes((merged / "light_1_1.png").read_bytes()[:-300])
    shutil.copy(merged / "dandelion_0.png", merged / "dandelion_1.png")
    capsys.readouterr()
    assert check(adobe) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{merged / 'dandelion_1.png'}: differs"
    assert f"{merged / 'light_1_0.png'}: is missing" in lines
    assert any("light_1_1.png" in line and "damaged" in line for line in lines)
    assert lines[-1] == "3 of 4 images do not match the manifest"


def test_verify_says_which_deviation_made_an_image(adobe, capsys):
    compose(adobe)
    merged, test = adobe / "Test_set" / "merged", adobe / "Test_set" / "Adobe-licensed images"
    layers = [np.asarray(Image.open(test / kind / "dandelion.png")) for kind in ("fg", "alpha")]
    background = Image.open(adobe / "VOC2008" / "JPEGImages" / "2008_000001.jpg")
    Image.fromarray(composed(*layers, background, Recipe(rounding="rounded"))).save(
        merged / "dandelion_1.png"
    )
    capsys.readouterr()
    inputs = ["--root", str(adobe), "--background", str(adobe / "VOC2008/JPEGImages")]
    assert check(adobe, *inputs) == 1
    assert "composite rounded (script: truncated)" in capsys.readouterr().out
    Image.open(adobe / "VOC2008" / "JPEGImages" / "2008_000000.jpg").save(
        adobe / "VOC2008" / "JPEGImages" / "2008_000001.jpg"
    )
    assert check(adobe, *inputs) == 1
    assert "is not the one that the manifest was made of" in capsys.readouterr().out


def test_other_encoders_of_the_same_pixels_are_accepted(adobe):
    compose(adobe)
    file = adobe / "Test_set" / "merged" / "dandelion_0.png"
    before = file.read_bytes()
    Image.open(file).save(file, compress_level=9)
    assert file.read_bytes() != before
    assert check(adobe) == 0


def test_composing_goes_on_where_it_stopped_and_does_nothing_twice(adobe, capsys):
    compose(adobe)
    merged = adobe / "Test_set" / "merged"
    manifest = (merged / "manifest.json").read_text()
    records = json.loads(manifest)["images"]
    # What a kill leaves: a journal whose last line is cut, no manifest, one image that was never begun.
    (merged / "manifest.json").unlink()
    (merged / ".composing.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records[:3])[:-20])
    (merged / "light_1_0.png").unlink()
    times = {file.name: file.stat().st_mtime_ns for file in merged.glob("dandelion*.png")}
    capsys.readouterr()
    assert compose(adobe) == 0
    assert "2 images composed, 4 in" in capsys.readouterr().out
    assert (merged / "manifest.json").read_text() == manifest
    assert {file.name: file.stat().st_mtime_ns for file in merged.glob("dandelion*.png")} == times
    assert compose(adobe) == 0
    assert "0 images composed, 4 in" in capsys.readouterr().out
    assert not list(merged.glob(".*"))


@pytest.mark.slow
def test_a_killed_call_is_finished_by_the_next(adobe, tmp_path):
    """Killed for real, with its workers, at several moments; the result is that of one call."""
    names = adobe / "Test_set" / "test_bg_names.txt"
    names.write_text(names.read_text() * 50)
    places = [
        "--root",
        str(adobe),
        "--background",
        str(adobe / "VOC2008/JPEGImages"),
        "--per-foreground",
        "100",
        "--processes",
        "2",
    ]
    main(["compose", "test", *places, "--out", str(tmp_path / "whole")])
    command = [
        sys.executable,
        "-c",
        "import sys; from deepmatte.cli.data import main; main(sys.argv[1:])",
        "compose",
        "test",
    ]
    for _ in range(4):
        process = subprocess.Popen(
            [*command, *places, "--out", str(tmp_path / "killed")], start_new_session=True
        )
        before = len(list((tmp_path / "killed").glob("*.png")))
        deadline = time.monotonic() + 120
        while (
            len(list((tmp_path / "killed").glob("*.png"))) < min(before + 30, 190)
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    main(["compose", "test", *places, "--out", str(tmp_path / "killed")])
    assert (tmp_path / "killed" / "manifest.json").read_bytes() == (
        tmp_path / "whole" / "manifest.json"
    ).read_bytes()
    assert main(["verify", "--manifest", str(tmp_path / "killed" / "manifest.json")]) == 0


def test_what_does_not_fit_together_is_refused_in_one_line(adobe):
    def refused(*words: str, **changes: str) -> None:
        options = {
            "root": str(adobe),
            "background": str(adobe / "VOC2008/JPEGImages"),
            "out": str(adobe / "out"),
            "per-foreground": "2",
        }
        arguments = [word for key, value in {**options, **changes}.items() for word in (f"--{key}", value)]
        with pytest.raises(InputError) as caught:
            main(["compose", "test", *arguments, "--processes", "1"])
        assert all(word in str(caught.value) for word in words), caught.value
        assert "\n" not in str(caught.value)

    refused("/nowhere", "--background", background="/nowhere")
    refused("test_bg_names.txt", "names 4 backgrounds", "2 foregrounds x 20", **{"per-foreground": "20"})
    refused("two images the same name", name="{foreground}")
    refused("{foreground}, {k} and {n}", name="{other}")
    refused("--name", "leads out of --out", name="../{foreground}_{k}")
    (adobe / "latin.txt").write_bytes(b"caf\xe9.jpg\n" * 4)
    refused(
        "latin.txt",
        "no text in UTF-8",
        "--background-names",
        **{"background-names": str(adobe / "latin.txt")},
    )
    refused("none.txt", "no such list", "--background-names", **{"background-names": str(adobe / "none.txt")})
    refused("latin.txt", "can't be written", out=str(adobe / "latin.txt"))
    (adobe / "names.txt").write_text("dandelion\nnobody\n")
    refused("names.txt", "nobody", "no foreground", **{"foreground-names": str(adobe / "names.txt")})
    (adobe / "VOC2008/JPEGImages/2008_000003.jpg").unlink()
    refused("2008_000003.jpg", "no such background")
    with pytest.raises(InputError, match=r"manifest\.json: there is no such manifest"):
        main(["verify", "--manifest", str(adobe / "manifest.json")])
    (adobe / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="is no manifest"):
        main(["verify", "--manifest", str(adobe / "manifest.json")])


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_full_disk_is_one_line_and_the_next_call_goes_on(adobe, capsys, processes):
    out = adobe / "Test_set" / "merged"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (3000, limits[1])
    )  # Python ignores the signal, so that writing fails as on a full disk
    try:
        with pytest.raises(
            InputError,
            match=r"^[^\n]*merged/dandelion_0\.png: can't be written \(File too large\); make room",
        ):
            compose(adobe, "--processes", processes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in out.iterdir()] == [".composing.jsonl"]
    assert compose(adobe) == 0
    assert check(adobe) == 0


def test_manifests_that_lack_something_or_hold_something_else_are_refused(adobe):
    compose(adobe)
    path = adobe / "Test_set" / "merged" / "manifest.json"
    whole = json.loads(path.read_text())
    spoilt = [[1], whole | {"images": None}, whole | {"images": [1]}, whole | {"sha256": 5}]
    spoilt += [
        {key: value for key, value in whole.items() if key != missing}
        for missing in ("sha256", "images", "format")
    ]
    for key in ("image", "sha256", "foreground", "background", "bytes"):
        spoilt.append(
            whole
            | {
                "images": [
                    {name: value for name, value in line.items() if name != key} for line in whole["images"]
                ]
            }
        )
        spoilt.append(whole | {"images": [line | {key: None} for line in whole["images"]]})
    for content in spoilt:
        path.write_text(json.dumps(content))
        for act in (check, compose):
            with pytest.raises(InputError, match=r"^[^\n]*manifest\.json: is no manifest"):
                act(adobe)


def test_a_folder_of_another_composition_is_not_overwritten(adobe):
    compose(adobe)
    lines = (adobe / "Test_set" / "test_bg_names.txt").read_text().splitlines()
    (adobe / "Test_set" / "test_bg_names.txt").write_text("\n".join(reversed(lines)))
    with pytest.raises(InputError, match="images of another composition"):
        compose(adobe)
