"""Photographs and videos beside plates: matched, compared, matted frame by frame, refused in one line."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from small_pictures import photograph

from deepmatte.cli.main import call
from deepmatte.data.sources.plates import agreement, check_plate
from deepmatte.errors import InputError
from deepmatte.scoring.photographs.plates import find_captures
from deepmatte.scoring.photographs.predict import Output, predict
from deepmatte.scoring.photographs.predictors import Prediction, network_predictor
from deepmatte.scoring.photographs.video import VideoOutput, check_video, predict_video

SIZE = (48, 64)


def scene(num: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frame ``num`` of a disc that moves over a photograph, the photograph, and the disc's mask."""
    plate = photograph(*SIZE, seed=seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    mask = np.hypot(y - 24, x - 20 - 4 * num) < 12
    return np.where(mask[..., None], np.uint8([220, 40, 60]), plate), plate, mask


def keyed(image: np.ndarray, plate: np.ndarray) -> Prediction:
    """Stand in for a network: alpha is 1 where the image differs from the plate, its colours the image's."""
    difference = np.abs(image.astype(int) - plate).max(-1)
    return Prediction((difference > 60).astype(np.float32), image / np.float32(255))


def save(file: Path, pixels: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file


def film(file: Path, frames: list[np.ndarray]) -> Path:
    """Write a video without loss."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"FFV1"), 12, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return file


def test_one_plate_serves_all_photographs_or_each_has_its_own(tmp_path):
    for num in range(3):
        save(tmp_path / "frames" / f"{num}.png", scene(num)[0])
        save(tmp_path / "plates" / f"{num}.png", scene(num)[1])
    plate = save(tmp_path / "plate.png", scene(0)[1])
    for place, names in ((plate, ["plate"] * 3), (tmp_path / "plates", ["0", "1", "2"])):
        photos, warnings = find_captures([tmp_path / "frames"], place)
        assert [photo.guide.stem for photo in photos] == names
        assert not warnings
    done = list(predict(photos, keyed, Output(tmp_path / "out")))
    assert done == photos
    for num in range(3):
        alpha = np.asarray(Image.open(tmp_path / "out" / f"{num}_alpha.png"))
        truth = 255 * (scene(num)[2] & (np.abs(scene(num)[0].astype(int) - scene(num)[1]).max(-1) > 60))
        assert np.array_equal(alpha, truth)
        cutout = np.asarray(Image.open(tmp_path / "out" / f"{num}_cutout.png"))
        assert np.array_equal(cutout[..., :3], scene(num)[0])  # predicted colours, not estimated ones
    (tmp_path / "plates" / "1.png").unlink()
    with pytest.raises(InputError, match=r"1\.png: there is no plate of the same name in "):
        find_captures([tmp_path / "frames"], tmp_path / "plates")


def test_the_same_background_agrees_at_another_exposure_and_another_one_does_not():
    image, plate, _ = scene(0)
    assert agreement(image, plate) > 0.4
    assert agreement(image, np.clip(plate * 0.8, 0, 255).astype(np.uint8)) > 0.4
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    assert agreement(image, noise) < 0.005
    assert not check_plate(image, plate, Path("a.jpg"), Path("b.jpg"))
    with pytest.raises(InputError, match=r"^b\.jpg: agrees with a\.jpg in 0\.0 % of the picture"):
        check_plate(image, noise, Path("a.jpg"), Path("b.jpg"))
    with pytest.raises(InputError, match=r"^b\.jpg: has 60x48 pixels, but a\.jpg 64x48; photograph both"):
        check_plate(image, plate[:, :60], Path("a.jpg"), Path("b.jpg"))
    close = np.where(np.arange(SIZE[1])[None, :, None] < 61, noise, plate)
    (warning,) = check_plate(close, plate, Path("a.jpg"), Path("b.jpg"))
    assert "if it shows another background, or the camera has moved, the matte is wrong" in warning


@pytest.mark.parametrize("frames", [False, True])
def test_a_video_is_matted_frame_by_frame(tmp_path, frames):
    pictures = [scene(num)[0] for num in range(5)]
    video = film(tmp_path / "walk.avi", pictures)
    plate = save(tmp_path / "plate.png", scene(0)[1])
    assert not check_video(video, plate)
    output = VideoOutput(tmp_path / "out", frames=frames, colour=(0, 0, 255))
    output.check([video])
    assert list(predict_video(video, plate, keyed, output)) == [5, 1, 1, 1, 1, 1]
    if frames:
        names = sorted(file.name for file in (tmp_path / "out/walk").iterdir())
        assert names[:2] == ["000000_alpha.png", "000000_cutout.png"]
        assert len(names) == 10
        wanted = keyed(pictures[3], scene(0)[1]).alpha
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out/walk/000003_alpha.png")), 255 * wanted)
        return
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["walk_alpha.mp4", "walk_cutout.mp4"]
    for kind in ("alpha", "cutout"):
        read = cv2.VideoCapture(str(tmp_path / "out" / f"walk_{kind}.mp4"))
        assert read.get(cv2.CAP_PROP_FPS) == pytest.approx(12)
        found = []
        while (frame := read.read())[0]:
            found.append(cv2.cvtColor(frame[1], cv2.COLOR_BGR2RGB))
        assert len(found) == 5
        for num, frame in enumerate(found):
            alpha = keyed(pictures[num], scene(0)[1]).alpha[..., None]
            wanted = 255 * alpha if kind == "alpha" else alpha * pictures[num] + (1 - alpha) * [0, 0, 255]
            assert np.abs(frame - wanted).mean() < 12  # the codec loses some


def test_a_video_that_breaks_off_leaves_nothing_under_its_name(tmp_path):
    video = film(tmp_path / "walk.avi", [scene(num)[0] for num in range(3)])
    plate = save(tmp_path / "plate.png", scene(0)[1])
    calls = []

    def fails(image, plate):
        calls.append(0)
        if len(calls) == 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return keyed(image, plate)

    with pytest.raises(RuntimeError, match=r"walk\.avi: not enough memory for 64x48 pixels"):
        list(predict_video(video, plate, fails, VideoOutput(tmp_path / "out")))
    assert not list((tmp_path / "out").iterdir())


def test_what_can_not_be_matted_is_named_before_any_work(tmp_path, capsys):
    save(tmp_path / "plate.png", scene(0)[1])
    (tmp_path / "empty.mp4").write_bytes(b"no video")
    film(tmp_path / "walk.avi", [scene(0)[0]])
    out = ["--out", str(tmp_path / "out")]

    def refused(*arguments: str) -> str:
        assert call("predict", [*(str(tmp_path / a) if a[0] != "-" else a for a in arguments), *out]) == 2
        return capsys.readouterr().err

    assert "empty.mp4: OpenCV finds no frames in it" in refused("run", "empty.mp4", "--captured", "plate.png")
    assert "walk.avi: a trimap fits one frame" in refused("run", "walk.avi", "--trimap", "plate.png")
    save(tmp_path / "small.png", scene(0)[1][:40])
    assert "small.png: has 64x40 pixels" in refused("run", "walk.avi", "--captured", "small.png")
    assert "run: not a run directory" in refused("run", "walk.avi", "--captured", "plate.png")
    assert call("predict", [str(tmp_path / "plate.png"), "--method", "trivial", "--captured", "x", *out]) == 2
    assert "--captured: methods read trimaps; give --trimap T, or a run" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_network_gets_the_plate_and_gives_its_colours_whole_or_in_tiles():
    import torch

    from deepmatte.models import BackgroundMattingV2

    torch.manual_seed(0)
    model = BackgroundMattingV2("mobilenetv2", 0.125, refine_mode="full").eval()
    image, plate = photograph(60, 90, seed=1), photograph(60, 90, seed=2)
    whole = network_predictor(model, refine=True, impose=True)(image, plate)
    batch = {
        key: torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        for key, pixels in (("image", image), ("captured_background", plate))
    }
    with torch.inference_mode():
        matte = model(batch)
    assert np.array_equal(whole.alpha, matte.alpha[0, 0])
    assert np.array_equal(whole.foreground, matte.foreground[0].permute(1, 2, 0))
    tiled = network_predictor(model, refine=True, impose=True, tile=128)(image, plate)
    assert np.array_equal(whole.alpha, tiled.alpha)


class Calls:
    """Stand in for what loads a network: `keyed`, and how often it was asked for."""

    def __init__(self) -> None:
        self.num = 0

    def __call__(self, *_: object) -> object:
        self.num += 1
        return keyed


@pytest.fixture
def call_predict(tmp_path, monkeypatch, capsys):
    """Call `deepmatte predict` with a stand-in for the network; return code, lines, and loads so far."""
    loads = Calls()
    monkeypatch.setattr("deepmatte.cli.photographs.predict.predictor_of", loads)

    def run(*arguments: str) -> tuple[int, str, int]:
        words = [str(tmp_path / word) if (tmp_path / word).exists() else word for word in arguments]
        code = call("predict", ["run", *words, "--out", str(tmp_path / "out")])
        out, err = capsys.readouterr()
        return code, out + err, loads.num

    film(tmp_path / "walk.avi", [scene(num)[0] for num in range(3)])
    save(tmp_path / "plate.png", scene(0)[1])
    save(tmp_path / "still.png", scene(1)[0])
    return run


def frames_of(file: Path) -> np.ndarray:
    """Return the frames of a video as OpenCV reads them, in RGB."""
    read, found = cv2.VideoCapture(str(file)), []
    while (frame := read.read())[0]:
        found.append(cv2.cvtColor(frame[1], cv2.COLOR_BGR2RGB))
    return np.array(found)


@pytest.mark.parametrize("frames", [False, True])
def test_a_video_is_kept_until_an_input_changes(tmp_path, call_predict, frames):
    words = ["walk.avi", "--captured", "plate.png", *["--frames"] * frames]
    code, text, loads = call_predict(*words)
    assert (code, loads) == (0, 1), text
    times = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*.*")}
    assert len(times) == (6 if frames else 2)
    code, text, loads = call_predict(*words)
    assert (code, loads) == (0, 1)
    assert text.endswith("walk.avi: is done already, by the same weights; --overwrite mattes again\n")
    assert times == {file: file.stat().st_mtime_ns for file in times}
    assert call_predict(*words, "--overwrite")[2] == 2
    list(times)[-1].unlink()
    assert call_predict(*words)[2] == 3
    save(tmp_path / "plate.png", np.clip(scene(0)[1], 1, 255))
    assert call_predict(*words)[2] == 4
    assert call_predict(*words)[2] == 4


def test_a_new_background_is_behind_each_frame(tmp_path, call_predict):
    save(tmp_path / "beach.png", photograph(*SIZE, seed=9))
    words = ["walk.avi", "--captured", "plate.png", "--background", "beach.png"]
    assert call_predict(*words)[0] == call_predict(*words, "--frames")[0] == 0
    video = frames_of(tmp_path / "out" / "walk_composite.mp4")
    assert len(video) == 3
    for num, frame in enumerate(video):
        alpha = keyed(scene(num)[0], scene(0)[1]).alpha[..., None]
        wanted = alpha * scene(num)[0] + (1 - alpha) * photograph(*SIZE, seed=9)
        file = tmp_path / "out" / "walk" / f"{num:06d}_composite.png"
        assert np.array_equal(np.asarray(Image.open(file)), wanted)
        assert np.abs(frame - wanted).mean() < 12  # the codec loses some


def test_each_video_has_its_plate_in_a_folder(tmp_path, call_predict):
    save(tmp_path / "plates" / "other.png", scene(0)[1])
    code, text, loads = call_predict("walk.avi", "--captured", "plates")
    assert (code, loads) == (2, 0)
    assert "walk.avi: there is no plate of the same name in " in text
    save(tmp_path / "plates" / "walk.png", scene(0)[1])
    assert call_predict("walk.avi", "--captured", "plates")[0] == 0
    assert len(frames_of(tmp_path / "out" / "walk_alpha.mp4")) == 3


def test_options_that_would_change_nothing_are_refused(tmp_path, call_predict):
    for file, options, message in (
        ("still.png", ["--frames"], "--frames: is for videos, but none is given; leave it out"),
        ("still.png", ["--colour", "0,255,0"], "--colour: is for videos, but none is given; leave it out"),
        ("walk.avi", ["--frames", "--colour", "1,2,3"], "--colour: --frames writes transparent PNG files"),
        ("walk.avi", ["--bits", "16"], "--bits 16: a video has 8; add --frames, which writes PNG files"),
    ):
        code, text, loads = call_predict(file, "--captured", "plate.png", *options)
        assert (code, loads, text.count("\n")) == (2, 0, 1)
        assert message in text
    code, text, _ = call_predict("still.png", "--trimap", "plate.png", "--frames")
    assert code == 2
    assert "--frames: is for videos" in text
    assert not (tmp_path / "out").exists()
