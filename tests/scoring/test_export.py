"""Networks in files for other programs: the same mattes as the network's own, at any size, and bad input."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tiny_run import compose
from torch import Tensor

from deepmatte.batch import Batch, Matte
from deepmatte.cli.main import call
from deepmatte.models import MattingModel
from deepmatte.models.weights import read_weights
from deepmatte.ops.padding import pad_to_multiple, reflection
from deepmatte.ops.zones import impose_trimap
from deepmatte.scoring.export import export_network
from deepmatte.scoring.photographs.predictors import TrainedNetwork
from deepmatte.training.building.from_config import build_model

pytestmark = pytest.mark.filterwarnings("ignore")

FAMILIES = {
    "dim": ("model=dim", "model.width=0.125"),
    "dim_small": ("model=dim_small", "model.width=0.0625"),
    "vgg_segnet": ("model=vgg_segnet", "model.width=0.0625", "model.norm=group"),
    "encoder_decoder": ("model=encoder_decoder", "model.width=0.25", "model.decoder_width=0.25"),
    "encoder_decoder_resnet": ("model=encoder_decoder", "model.encoder=resnet50", "model.width=0.0625"),
    "vitmatte": ("model=vitmatte", "model.size=tiny"),
    "alphagan": ("model=alphagan_small", "model.pooling=overlapping"),
    "alphagan_2x2": ("model=alphagan_small",),
    "bgmv2": ("model=bgmv2_small", "model.refine_mode=sampling"),
    "bgmv2_replace": ("model=bgmv2_small", "model.backbone=mobilenetv2", "model.refinement=replace"),
}
"""What is exported of each family: published weights differ from these in their width alone."""

SIZES = ((1, 64, 96), (2, 45, 70), (1, 250, 33))
"""One whose sides need no padding, one of two pictures, and one with several windows of a transformer."""


def network_of(*overrides: str) -> TrainedNetwork:
    """Return a network whose weights are all random, also those that start at zero."""
    settings = compose("train", overrides)
    torch.manual_seed(0)
    model = build_model(settings)
    with torch.no_grad():
        for weights in model.parameters():
            if not weights.any():
                weights.normal_(0, 0.05)
        for name, values in model.named_buffers():
            if name.endswith("running_mean"):
                values.uniform_(-0.2, 0.2)  # far from 0 they leave nothing of features that are small
            if name.endswith("running_var"):
                values.uniform_(0.5, 1.5)
    guide = "trimap" if "trimap" in model.reads else "captured_background"
    return TrainedNetwork(model.eval(), guide, True, guide == "trimap", settings)


def own(network: TrainedNetwork, image: Tensor, guide: Tensor) -> tuple[np.ndarray, ...]:
    """Return what the network itself gives: `MattingModel.forward`, with its own padding and attention."""
    with torch.no_grad():
        matte = network.model(cast(Batch, {"image": image, network.guide: guide}), refine=network.refine)
    alpha = impose_trimap(matte.alpha, guide) if network.impose else matte.alpha
    return (alpha.numpy(), *([] if matte.foreground is None else [matte.foreground.numpy()]))


def pictures(network: TrainedNetwork, num: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return smooth colours with noise, and a trimap with all zones or a plate."""
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 5, width), indexing="ij")
    colours = torch.stack([torch.sin(x + y), torch.cos(x), torch.sin(2 * y)])[None] / 2 + 0.5
    noise = torch.rand(num, 3, height, width, generator=torch.Generator().manual_seed(1))
    image = (0.7 * colours + 0.3 * noise).contiguous()
    if network.guide != "trimap":
        return image, image.flip(-1).contiguous()
    trimap = torch.full((num, 1, height, width), 128, dtype=torch.uint8)
    trimap[..., : width // 4], trimap[..., -width // 4 :] = 0, 255
    return image, trimap


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_exported_networks_are_the_network_at_any_size(family: str, tmp_path: Path) -> None:
    """ONNX Runtime and torch.export's program against `MattingModel.forward`, to 1e-4 in every pixel."""
    runtime, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    network = network_of(*FAMILIES[family])
    reference = copy.deepcopy(network)
    if hasattr(reference.model, "refiner") and hasattr(reference.model.refiner, "mode"):
        reference.model.refiner.mode = "full"
    export_network(network, {"onnx": tmp_path / "n.onnx", "torch": tmp_path / "n.pt2"}, {})
    onnx.checker.check_model(onnx.load(tmp_path / "n.onnx"), full_check=True)
    session = runtime.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
    program = torch.export.load(tmp_path / "n.pt2").module()
    names = [found.name for found in session.get_inputs()]
    assert names == ["image", network.guide]
    for size in SIZES:
        given = pictures(network, *size)
        true = own(reference, *given)
        assert true[0].std() > 0.01, "a constant matte would prove nothing"
        found = session.run(None, dict(zip(names, (picture.numpy() for picture in given), strict=True)))
        for one, two, three in zip(found, program(*given), true, strict=True):
            assert np.abs(one - three).max() < 1e-4
            assert np.abs(two.detach().numpy() - three).max() < 1e-4


@pytest.mark.parametrize("multiple", [8, 32])
def test_the_padding_of_graphs_is_that_of_networks(multiple: int) -> None:
    for height, width in ((2, 3), (5, 31), (16, 33), (45, 64), (1, 1), (1, 64)):
        picture = torch.rand(1, 1, height, width)
        rows, columns = reflection(height, multiple), reflection(width, multiple)
        found = picture.index_select(2, rows).index_select(3, columns)
        assert torch.equal(found, pad_to_multiple(picture, multiple))


def test_a_model_with_a_forward_of_its_own_is_refused_in_one_line(tmp_path: Path) -> None:
    class Whole(MattingModel):
        def forward(self, batch: Batch, refine: bool = True) -> Matte:
            return Matte(batch["image"][:, :1])

    from deepmatte.errors import RunError

    network = TrainedNetwork(Whole(), "trimap", True, True, compose("train", ()))
    with pytest.raises(RunError, match=r"Whole can't be traced .*--to safetensors writes its weights"):
        export_network(network, {"torch": tmp_path / "n.pt2"}, {})
    assert not list(tmp_path.iterdir())


def test_weights_alone_are_the_checkpoints_and_a_run_starts_from_them(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("export", [str(trained), "--to", "safetensors", "--out", "tiny.safetensors"]) == 0
    first, use = capsys.readouterr().out.splitlines()
    assert first.startswith("exported  DeepImageMatting (")
    assert use.startswith("train     deepmatte train ")
    stored = torch.load(trained / "checkpoints/best.ckpt", map_location="cpu", weights_only=True)[
        "state_dict"
    ]
    found = read_weights(tmp_path / "tiny.safetensors")
    assert {f"model.{name}" for name in found} == {name for name in stored if name.startswith("model.")}
    assert all(torch.equal(values, stored[f"model.{name}"]) for name, values in found.items())
    with safe_open(tmp_path / "tiny.safetensors", "pt") as file:
        about = file.metadata()
    assert about["config_hash"] == json.loads((trained / "result.json").read_text())["config_hash"]
    assert json.loads(about["settings"])["width"] == 0.0625


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "--to", "onxn"], "--to onxn: there is no such format; did you mean `--to onnx`?"),
        (["RUN", "--to", "tflite"], "--to tflite: there is no such format; choose one of onnx, torch"),
        (["RUN", "--to", "torch", "--out", "n.onnx"], "--out n.onnx: give a name that ends in .pt2"),
        (["EMPTY", "--to", "safetensors"], "best.ckpt: there is no such checkpoint"),
        (["DAMAGED", "--to", "safetensors"], "best.ckpt: not a readable checkpoint"),
        (["nowhere", "--to", "safetensors"], "nowhere: not a run directory"),
    ],
)
def test_what_can_not_be_exported_is_one_line(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("EMPTY", "DAMAGED"):
        shutil.copytree(trained / ".hydra", tmp_path / name / ".hydra")
    (tmp_path / "DAMAGED/checkpoints").mkdir()
    (tmp_path / "DAMAGED/checkpoints/best.ckpt").write_bytes(b"PK nothing")
    assert call("export", [str(trained) if word == "RUN" else word for word in words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said
    assert {file.name for file in tmp_path.iterdir()} == {"EMPTY", "DAMAGED"}


@pytest.mark.slow
def test_an_exported_run_mattes_as_the_run_does_and_imports_no_torch(trained: Path, tmp_path: Path) -> None:
    """`predict --onnx` in a process of its own, beside `predict RUN`: the files differ by a step at most."""
    pytest.importorskip("onnxruntime")
    import cv2

    generator = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "photo.png"), generator.integers(0, 256, (75, 110, 3), np.uint8))
    trimap = np.full((75, 110), 128, np.uint8)
    trimap[:, :20], trimap[:, -20:] = 0, 255
    cv2.imwrite(str(tmp_path / "trimap.png"), trimap)
    file, arguments = (
        tmp_path / "n.onnx",
        [str(tmp_path / "photo.png"), "--trimap", str(tmp_path / "trimap.png")],
    )
    assert call("export", [str(trained), "--to", "onnx", "--out", str(file)]) == 0
    assert call("predict", [str(trained), *arguments, "--out", str(tmp_path / "run"), "--bits", "16"]) == 0
    words = [*arguments, "--onnx", str(file), "--out", str(tmp_path / "onnx"), "--bits", "16"]
    code = (
        "import sys; from deepmatte.cli.main import call; "
        f"assert call('predict', {words!r}) == 0; assert 'onnxruntime' in sys.modules; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=300).returncode == 0
    one, two = (cv2.imread(str(tmp_path / of / "photo_alpha.png"), -1).astype(int) for of in ("run", "onnx"))
    assert one.std() > 0
    assert np.abs(one - two).max() <= 7  # 1e-4 of 65535
