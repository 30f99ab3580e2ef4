"""`deepmatte predict`: matching photographs and trimaps, what it prints, one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from deepmatte.cli.main import call

SIZE = (20, 30)


def picture(file: Path, values: object = 90, size: tuple[int, int] = SIZE) -> Path:
    """Write a picture of one colour (three numbers) or grey (one)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    channels = np.atleast_1d(np.array(values, np.uint8))
    Image.fromarray(np.broadcast_to(channels, (*size, len(channels))).squeeze()).save(file)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs of cat and dog with trimaps, and a trimap of nobody."""
    for name in ("cat", "dog"):
        picture(tmp_path / "photos" / f"{name}.jpg", (90, 60, 30))
    for name in ("cat", "dog", "nobody"):
        picture(tmp_path / "trimaps" / f"{name}.png", 128)
    picture(tmp_path / "background.png", (1, 2, 3))
    return tmp_path


def predict(folder: Path, *arguments: object) -> int:
    return call("predict", [*map(str, arguments), "--out", str(folder / "out")])


def written(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "out").iterdir())


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the one line that a call ends with, which writes nothing and returns 2."""
    assert predict(folder, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert not (folder / "out").exists()
    return captured.err


def left_out(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the line about the dog that a call ends with, which mattes the cat and returns 1."""
    assert predict(folder, *arguments) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{folder}/photos/cat.jpg: ")
    assert captured.out.count("\n") == 1
    assert [name for name in written(folder) if name.startswith("dog")] == []
    head, line = captured.err.splitlines()
    assert head == "could not be matted: 1"
    return line


# ---- what works --------------------------------------------------------------------------------


def test_folders_are_matched_by_name_and_each_photograph_gets_a_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(folder, folder / "photos", "--trimap", folder / "trimaps", "--method", "trivial") == 0
    assert written(folder) == ["cat_alpha.png", "cat_cutout.png", "dog_alpha.png", "dog_cutout.png"]
    captured = capsys.readouterr()
    out = folder / "out"
    assert captured.out.splitlines() == [
        f"{folder}/photos/{name}.jpg: {out}/{name}_alpha.png, {out}/{name}_cutout.png"
        for name in ("cat", "dog")
    ]
    assert captured.err == ""


def test_one_photograph_takes_one_trimap_of_any_name(folder: Path) -> None:
    arguments = (folder / "photos/cat.jpg", "--trimap", folder / "trimaps/nobody.png", "--method", "trivial")
    assert predict(folder, *arguments, "--background", folder / "background.png", "--bits", 16) == 0
    assert written(folder) == ["cat_alpha.png", "cat_composite.png", "cat_cutout.png"]
    assert (
        np.asarray(Image.open(folder / "out/cat_alpha.png")).max() == 32768
    )  # half of 65535, to the even number
    assert cv2.imread(str(folder / "out/cat_cutout.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    assert cv2.imread(str(folder / "out/cat_composite.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint8


def test_many_photographs_are_summarised_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(11):
        picture(folder / "many" / f"{number}.png", (90, 60, 30))
        picture(folder / "many_trimaps" / f"{number}.png", 128)
    assert predict(folder, folder / "many", "--trimap", folder / "many_trimaps", "--method", "trivial") == 0
    assert capsys.readouterr().out == f"11 photographs: NAME_alpha.png, NAME_cutout.png in {folder}/out\n"
    assert len(written(folder)) == 22


# ---- what is refused ---------------------------------------------------------------------------


def test_a_photograph_without_trimap_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "trimaps/dog.png").unlink()
    line = left_out(folder, capsys, folder / "photos", "--trimap", folder / "trimaps", "--method", "trivial")
    assert "dog.jpg: there is no trimap of the same name" in line


def test_one_trimap_is_not_enough_for_two_photographs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(
        folder, capsys, folder / "photos", "--trimap", folder / "trimaps/cat.png", "--method", "trivial"
    )
    assert "cat.png: is not a folder, but there are 2 photographs" in line


def test_two_photographs_of_one_name_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = picture(folder / "others/cat.png", (1, 1, 1))
    line = refused(
        folder, capsys, folder / "photos", other, "--trimap", folder / "trimaps", "--method", "trivial"
    )
    assert "others/cat.png: has the same name as" in line


@pytest.mark.parametrize(
    ("file", "values", "size", "message"),
    [
        ("trimaps/dog.png", 128, (30, 20), "dog.png: has 20x30 pixels, but"),
        ("trimaps/dog.png", 255, SIZE, "dog.png: this trimap has no unknown pixels"),
        ("trimaps/dog.png", (90, 60, 30), SIZE, "dog.png: this is a colour picture, not an alpha matte"),
    ],
)
def test_a_trimap_that_can_not_be_used_does_not_stop_the_others(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    values: object,
    size: tuple[int, int],
    message: str,
) -> None:
    picture(folder / file, values, size)
    arguments = ("--trimap", folder / "trimaps", "--method", "trivial")
    assert message in left_out(folder, capsys, folder / "photos", *arguments)


@pytest.mark.parametrize("file", ["photos/dog.jpg", "trimaps/dog.png", "background.png"])
@pytest.mark.parametrize("content", ["empty", "text", "cut"])
def test_a_damaged_file_does_not_stop_the_others_unless_it_is_for_all(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, content: str
) -> None:
    damaged = folder / file
    whole = damaged.read_bytes()
    damaged.write_bytes({"empty": b"", "text": b"not a picture", "cut": whole[: len(whole) // 2]}[content])
    arguments = (
        folder / "photos",
        "--trimap",
        folder / "trimaps",
        "--background",
        folder / "background.png",
        "--method",
        "trivial",
    )
    fault = refused if file == "background.png" else left_out
    assert str(damaged) in fault(folder, capsys, *arguments)


@pytest.mark.parametrize("file", ["photos/dog.jpg", "trimaps/dog.png"])
def test_of_one_photograph_a_damaged_file_is_the_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    (folder / file).write_bytes(b"not a picture")
    arguments = (folder / "photos/dog.jpg", "--trimap", folder / "trimaps/dog.png", "--method", "trivial")
    assert str(folder / file) in refused(folder, capsys, *arguments)


# ---- what is done already ----------------------------------------------------------------------


def times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in (folder / "out").iterdir()}


def test_what_is_done_is_skipped_until_an_input_an_option_or_a_file_of_it_changes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [folder / "photos", "--trimap", folder / "trimaps", "--method", "trivial"]

    def again(*more: object) -> tuple[set[str], str]:
        """Return the names of the files that a repeated call has written anew, and what it says first."""
        before = times(folder)
        assert predict(folder, *arguments, *more) == 0
        said = capsys.readouterr().out.splitlines()[0]
        return {name for name, time in times(folder).items() if before.get(name) != time}, said

    assert predict(folder, *arguments) == 0
    capsys.readouterr()
    cat, dog = ({f"{name}_alpha.png", f"{name}_cutout.png"} for name in ("cat", "dog"))
    assert again() == (set(), "2 photographs are done already, by the same weights; --overwrite mattes again")
    picture(folder / "photos/dog.jpg", (30, 60, 90))
    assert again()[0] == dog
    picture(folder / "trimaps/cat.png", 100)
    assert again()[0] == cat
    picture(folder / "out/cat_alpha.png", 7)  # by somebody else's hand
    (folder / "out/dog_cutout.png").unlink()
    assert again()[0] == cat | dog
    assert again("--bits", 16)[0] == cat | dog
    assert again("--bits", 16)[0] == set()
    assert again("--bits", 16, "--overwrite")[0] == cat | dog
    arguments[-1] = "closed_form"
    assert again("--bits", 16)[0] == cat | dog


def test_trimaps_as_the_trimap_verb_names_them_are_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cat", "dog"):
        (folder / f"trimaps/{name}.png").rename(folder / f"trimaps/{name}_trimap.png")
    assert predict(folder, folder / "photos", "--trimap", folder / "trimaps", "--method", "trivial") == 0
    assert len(written(folder)) == 4


@pytest.mark.parametrize("missing", ["photo", "trimap", "background", "folder"])
def test_what_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str], missing: str) -> None:
    places = {
        "photo": folder / "photos/cat.jpg",
        "trimap": folder / "trimaps/cat.png",
        "background": folder / "background.png",
    }
    if missing == "folder":
        (folder / "empty").mkdir()
        places["photo"] = folder / "empty"
    else:
        places[missing] = folder / "nowhere.png"
    arguments = (
        places["photo"],
        "--trimap",
        places["trimap"],
        "--background",
        places["background"],
        "--method",
        "trivial",
    )
    assert (
        "empty: no pictures there" if missing == "folder" else "nowhere.png: there is no such"
    ) in refused(folder, capsys, *arguments)


def test_files_that_are_read_are_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trimap = (folder / "trimaps/cat.png").rename(folder / "cat_alpha.png")
    arguments = [
        str(folder / "photos/cat.jpg"),
        "--trimap",
        str(trimap),
        "--method",
        "trivial",
        "--out",
        str(folder),
    ]
    before = trimap.read_bytes()
    assert call("predict", arguments) == 2
    assert "cat_alpha.png: would be overwritten" in capsys.readouterr().err
    assert trimap.read_bytes() == before


def test_a_file_in_the_place_of_the_folder_to_write_to_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(folder / "photos"), "--trimap", str(folder / "trimaps"), "--method", "trivial"]
    assert call("predict", [*arguments, "--out", str(folder / "background.png" / "below")]) == 2
    assert "background.png: is a file" in capsys.readouterr().err


def test_an_unknown_method_is_answered_with_the_known_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(folder, capsys, folder / "photos", "--trimap", folder / "trimaps", "--method", "magic")
    assert "--method magic: there is no such method; choose one of" in line
    assert "trivial" in line


def test_the_run_comes_first_and_its_old_option_gets_a_hint(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trimaps = ("--trimap", folder / "trimaps")
    assert predict(folder, folder / "photos", *trimaps, "--run", folder / "run") == 2
    hint, refusal = capsys.readouterr().err.splitlines()
    assert f"write `deepmatte predict {folder / 'run'} PHOTO …`" in hint
    assert "run: not a run directory" in refusal
    assert "which photographs?" in refused(folder, capsys, folder / "run", *trimaps)


@pytest.mark.filterwarnings("ignore:the trimap has no known")
def test_without_a_run_and_without_weights_the_default_method_mattes_and_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepmatte.models.shipped.FOLDER", folder / "nowhere")
    assert predict(folder, folder / "photos", "--trimap", folder / "trimaps") == 0
    assert "matted by method fast_information_flow" in capsys.readouterr().err
    assert written(folder) == ["cat_alpha.png", "cat_cutout.png", "dog_alpha.png", "dog_cutout.png"]


def test_a_run_that_can_not_predict_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (folder / "run", folder / "photos", "--trimap", folder / "trimaps")
    assert "run: not a run directory" in refused(folder, capsys, *arguments)
    (folder / "run/.hydra").mkdir(parents=True)
    (folder / "run/.hydra/config.yaml").write_text(
        "model: {_target_: deepmatte.models.DeepImageMatting, width: 0.0625}\nimpose_trimap: true\n"
    )
    assert "best.ckpt: there is no such checkpoint" in refused(folder, capsys, *arguments)
    assert "mine.ckpt: there is no such checkpoint" in refused(
        folder, capsys, *arguments, "--checkpoint", folder / "mine.ckpt"
    )
    (folder / "foreign.ckpt").write_bytes(b"PK")
    assert "foreign.ckpt: not a readable checkpoint" in refused(
        folder, capsys, *arguments, "--checkpoint", folder / "foreign.ckpt"
    )
    own = {"stage": "joint", "refine": True, "scores": {}}
    torch.save({"state_dict": {"model.x": torch.zeros(1)}, "deepmatte": own}, folder / "other.ckpt")
    assert "other.ckpt: holds weights of another model" in refused(
        folder, capsys, *arguments, "--checkpoint", folder / "other.ckpt"
    )


@pytest.mark.parametrize(
    "more",
    [
        ("--run", "runs/x", "--method", "trivial"),
        ("--method", "trivial", "--bits", "12"),
        ("--run", "x", "--tile", "100"),
    ],
)
def test_options_that_do_not_fit_together_end_in_the_usage(
    folder: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        predict(folder, folder / "photos", "--trimap", folder / "trimaps", *more)
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith("usage: deepmatte predict")
