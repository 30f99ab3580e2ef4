import csv
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from deepmatte.cli.main import call
from deepmatte.cli.score import main
from deepmatte.errors import InputError
from deepmatte.metrics.functional import PROTOCOLS

ERROR = {"a": 51, "b": 102, "c": 0}
"""The constant prediction for a black truth: errors of 0.2, 0.4 and 0."""


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def folder(tmp_path):
    """Three images of 20 x 50 pixels whose left half is unknown."""
    for name, level in ERROR.items():
        trimap = np.zeros((20, 50), np.uint8)
        trimap[:, :25] = 128
        write(tmp_path / "pred" / f"{name}.png", np.full((20, 50), level, np.uint8))
        write(tmp_path / "alpha" / f"{name}.png", np.zeros((20, 50), np.uint8))
        write(tmp_path / "trimap" / f"{name}.png", trimap)
    return tmp_path


def arguments(folder, *more):
    return ["--pred", f"{folder}/pred", "--alpha", f"{folder}/alpha", "--trimap", f"{folder}/trimap", *more]


def scored(folder, *more):
    assert main(arguments(folder, "--processes", "1", "--json", f"{folder}/out.json", *more)) == 0
    return json.loads((folder / "out.json").read_text())


def test_json_has_the_words_of_the_house_and_the_right_numbers(folder):
    found = scored(folder)
    assert (found["protocol"], found["num_images"], found["num_images_without_unknown"]) == ("adobe", 3, 0)
    assert [image["image"] for image in found["images"]] == ["a", "b", "c"]
    assert [image["sad"] for image in found["images"]] == pytest.approx(
        [0.1, 0.2, 0]
    )  # 500 pixels x 0.2 / 1000
    assert [image["mse"] for image in found["images"]] == pytest.approx([40, 160, 0])
    assert found["mean"]["sad"] == pytest.approx(0.1)
    assert found["mean"]["mse"] == pytest.approx(200 / 3)
    assert set(found["mean"]) == {"sad", "mse", "grad", "conn", "miou"}


def test_csv_has_a_line_an_image_and_names_the_protocol(folder):
    main(
        arguments(
            folder,
            "--processes",
            "1",
            "--csv",
            f"{folder}/out.csv",
            "--protocol",
            "whole",
            "--scores",
            "sad,mad",
        )
    )
    rows = list(csv.DictReader((folder / "out.csv").open()))
    assert [(row["image"], row["protocol"]) for row in rows] == [
        ("a", "whole"),
        ("b", "whole"),
        ("c", "whole"),
    ]
    assert [float(row["sad"]) for row in rows] == pytest.approx([0.2, 0.4, 0])
    assert [float(row["mad"]) for row in rows] == pytest.approx([200, 400, 0])


def test_two_processes_score_as_one(folder):
    one = scored(folder, "--protocol", "all")
    main(arguments(folder, "--processes", "2", "--protocol", "all", "--json", f"{folder}/two.json"))
    assert json.loads((folder / "two.json").read_text()) == one
    assert [record["protocol"] for record in one["protocols"]] == list(PROTOCOLS)
    sad = {record["protocol"]: record["mean"]["sad"] for record in one["protocols"]}
    assert sad["adobe"] == pytest.approx(sad["whole"] / 2)  # half of each image is unknown
    assert sad["mmagic"] == pytest.approx(sad["adobe"])  # the known half is imposed


def test_the_table_shows_means_protocol_and_what_was_noticed(folder, capsys):
    write(folder / "trimap" / "a.png", np.where(np.arange(50) < 25, 102, 0) * np.ones((20, 1), np.uint8))
    write(folder / "trimap" / "b.png", np.zeros((20, 50), np.uint8))
    found = scored(folder)
    shown = " ".join(capsys.readouterr().out.split())
    assert "protocol adobe, 3 images" in shown
    assert "Unknown is marked by 102 in 1 of 3 trimaps" in shown
    assert "No pixel is unknown in 1 of 3 trimaps" in shown
    assert found["num_images_without_unknown"] == 1
    assert [image["sad"] for image in found["images"]] == pytest.approx([0.1, 0, 0])


def test_many_images_show_their_worst_and_keep_all_in_the_file(folder, capsys):
    for i in range(21):
        for kind, level in (("pred", 3 * i), ("alpha", 0), ("trimap", 128)):
            write(folder / kind / f"more{i:02}.png", np.full((4, 4), level, np.uint8))
    assert len(scored(folder)["images"]) == 24
    shown = capsys.readouterr().out
    assert "the ten worst by sad" in shown
    assert "more20" in shown
    assert "more00" not in shown


def test_mattes_of_16_bit_and_of_three_equal_channels_are_read(folder):
    write(folder / "pred" / "a.png", np.full((20, 50), 51 * 257, np.uint16))
    write(folder / "alpha" / "b.png", np.zeros((20, 50, 3), np.uint8))
    assert [image["sad"] for image in scored(folder)["images"]] == pytest.approx([0.1, 0.2, 0])


def test_whole_needs_no_trimap(folder):
    options = ["--pred", f"{folder}/pred", "--alpha", f"{folder}/alpha", "--processes", "1"]
    assert main([*options, "--protocol", "whole"]) == 0
    with pytest.raises(InputError, match=r"--trimap: missing; .* --protocol whole"):
        main(options)


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])


BAD = {
    "a prediction of another size": (
        lambda d: write(d / "pred" / "b.png", np.zeros((20, 49), np.uint8)),
        "b.png: has 50x20 pixels, but",
    ),
    "a trimap of another size": (
        lambda d: write(d / "trimap" / "b.png", np.full((21, 50), 128, np.uint8)),
        "trimap/b.png: has 50x21",
    ),
    "a missing truth": (
        lambda d: (d / "alpha" / "b.png").unlink(),
        "pred/b.png: there is no true matte of the same name",
    ),
    "a missing prediction": (
        lambda d: (d / "pred" / "c.png").unlink(),
        "alpha/c.png: there is no prediction of the same name",
    ),
    "a missing trimap": (
        lambda d: (d / "trimap" / "a.png").unlink(),
        "pred/a.png: there is no trimap of the same name",
    ),
    "an empty folder": (
        lambda d: [file.unlink() for file in (d / "alpha").iterdir()],
        "alpha: no pictures there",
    ),
    "a truncated file": (lambda d: truncate(d / "alpha" / "b.png"), "alpha/b.png: "),
    "a colour matte": (
        lambda d: write(d / "pred" / "b.png", np.eye(20, 50, dtype=np.uint8)[..., None] * [1, 2, 3]),
        "pred/b.png: this is a colour",
    ),
    "a smooth trimap": (
        lambda d: write(d / "trimap" / "b.png", np.arange(250, dtype=np.uint8).reshape(5, 50)),
        "trimap/b.png: a trimap has the",
    ),
}


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("fault", BAD)
def test_bad_files_are_named_in_one_line_and_nothing_is_written(folder, fault, processes, capsys):
    spoil, message = BAD[fault]
    spoil(folder)
    assert call("score", arguments(folder, "--processes", processes, "--json", f"{folder}/out.json")) == 2
    printed = capsys.readouterr().err.strip().splitlines()[-1]
    assert printed.startswith("deepmatte: ")
    assert message in printed
    assert not (folder / "out.json").exists()


def test_an_output_that_cannot_be_written_is_refused_before_scoring(folder):
    with pytest.raises(InputError, match=r"nowhere/out.json: is a folder, or its folder does not exist"):
        main(arguments(folder, "--json", f"{folder}/nowhere/out.json"))


def test_scoring_loads_no_torch(folder):
    script = "import sys; from deepmatte.cli.main import call; call('score', sys.argv[1:]); "
    script += "assert 'torch' not in sys.modules"
    subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            *arguments(folder, "--processes", "2", "--json", f"{folder}/out.json"),
        ],
        check=True,
    )
    assert json.loads((folder / "out.json").read_text())["num_images"] == 3


def test_names_that_are_markup_or_codes_of_a_terminal_are_shown_as_they_are(folder, capsys):
    for name, bad in (("a", "[red]a"), ("c", "x\x1b[2Jy")):
        for kind in ("pred", "alpha", "trimap"):
            (folder / kind / f"{name}.png").rename(folder / kind / f"{bad}.png")
    scored(folder)
    shown = capsys.readouterr().out
    assert "[red]a" in shown
    assert r"x\x1b[2Jy" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((10**9, 10**9), np.dtype(float)),
        cv2.error("OpenCV: (-4:Insufficient memory) Failed to allocate 9 bytes"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_memory_that_runs_out_is_said_in_one_line(folder, monkeypatch, capsys, error):
    def lack(*_):
        raise error

    monkeypatch.setattr("deepmatte.cli.score.score_all", lack)
    assert call("score", arguments(folder)) == 2
    assert capsys.readouterr().err.startswith("deepmatte: out of memory; give smaller pictures")


def test_other_errors_of_a_verb_are_defects_and_are_raised(folder, monkeypatch):
    monkeypatch.setattr("deepmatte.cli.score.score_all", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call("score", arguments(folder))
