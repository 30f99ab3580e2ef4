"""`predict --onnx` with graphs that were written by hand, so that their mattes are known; bad files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from deepmatte.cli.main import call
from deepmatte.scoring.photographs.onnx_file import predictor_of_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def write(file: Path, reads: str = "image,trimap", second: str = "trimap") -> Path:
    """Write a graph whose alpha is the mean of the colours; of a plate, also the plate as the foreground."""
    number = onnx.TensorProto.FLOAT
    helper, plate = onnx.helper, second != "trimap"
    guide = [number, ["N", 3, "H", "W"]] if plate else [onnx.TensorProto.UINT8, ["N", 1, "H", "W"]]
    inputs = [
        helper.make_tensor_value_info("image", number, ["N", 3, "H", "W"]),
        helper.make_tensor_value_info(second, *guide),
    ]
    nodes = [helper.make_node("ReduceMean", ["image", "axes"], ["alpha"], keepdims=1)]
    outputs = [helper.make_tensor_value_info("alpha", number, ["N", 1, "H", "W"])]
    if plate:
        nodes.append(helper.make_node("Identity", [second], ["foreground"]))
        outputs.append(helper.make_tensor_value_info("foreground", number, ["N", 3, "H", "W"]))
    axes = onnx.numpy_helper.from_array(np.array([1]), "axes")
    graph = helper.make_graph(nodes, "mean", inputs, outputs, [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"reads": reads} if reads else {})
    onnx.save(model, file)
    return file


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A photograph whose red rises, its trimap, and a plate."""
    photo = np.zeros((6, 9, 3), np.uint8)
    photo[..., 2] = 28 * np.arange(9)  # OpenCV's order: red is last
    cv2.imwrite(str(tmp_path / "photo.png"), photo)
    cv2.imwrite(str(tmp_path / "trimap.png"), np.full((6, 9), 128, np.uint8))
    cv2.imwrite(str(tmp_path / "plate.png"), photo)
    return tmp_path


def test_the_matte_is_what_the_graph_makes_of_colours_between_0_and_1(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    write(place / "mean.onnx")
    words = ["photo.png", "--trimap", "trimap.png", "--onnx", "mean.onnx", "--out", "out", "--bits", "16"]
    assert call("predict", words) == 0
    alpha = cv2.imread(str(place / "out/photo_alpha.png"), cv2.IMREAD_UNCHANGED)
    assert np.abs(alpha[0] / 65535 - 28 * np.arange(9) / 255 / 3).max() < 1e-5


def test_colours_that_a_graph_gives_are_the_foregrounds(place: Path) -> None:
    predict = predictor_of_onnx(
        write(place / "plate.onnx", "image,captured_background", "captured_background"), "captured_background"
    )
    image, plate = np.full((4, 5, 3), 51, np.uint8), np.full((4, 5, 3), 204, np.uint8)
    alpha, foreground = predict(image, plate)
    assert foreground is not None
    assert alpha.shape == (4, 5)
    np.testing.assert_allclose(alpha, 0.2, rtol=1e-6)
    np.testing.assert_allclose(foreground, 0.8, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("none", [], "--onnx none.onnx: there is no such file"),
        ("damaged", [], "--onnx damaged.onnx: not readable as ONNX"),
        ("cut", [], "--onnx cut.onnx: not readable as ONNX"),
        (
            "foreign",
            [],
            "--onnx foreign.onnx: not a network that `deepmatte export RUN --to onnx` has written",
        ),
        ("plate", [], "reads another guide; give --captured PLATE in place of --trimap T"),
        ("good", ["--tile", "128"], "--tile: goes with a run, not with --onnx"),
        ("good", ["--trimap", "small.png"], "small.png: has 5x5 pixels, but photo.png has 9x6"),
    ],
)
def test_what_can_not_be_used_is_one_line(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(place)
    cv2.imwrite("small.png", np.full((5, 5), 128, np.uint8))
    good = write(place / "good.onnx").read_bytes()
    (place / "damaged.onnx").write_bytes(b"no graph")
    (place / "cut.onnx").write_bytes(good[: len(good) // 2])
    write(place / "foreign.onnx", reads="")
    write(place / "plate.onnx", "image,captured_background", "captured_background")
    trimap = [] if "--trimap" in words else ["--trimap", "trimap.png"]
    assert call("predict", ["photo.png", *trimap, "--onnx", f"{name}.onnx", *words, "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said
    assert not (place / "out").exists()
