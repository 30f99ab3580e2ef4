"""Other people's Deep Image Matting: their networks, written anew from their names, give what ours gives."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from deepmatte.batch import Batch
from deepmatte.errors import InputError
from deepmatte.models import DeepImageMatting
from deepmatte.models.convert import CONVERTERS
from deepmatte.models.convert.dim import HUOCHAITIANTANG, MMAGIC

WIDTHS = (4, 8, 16, 32, 32)
LAYERS = (2, 2, 3, 3, 3)


def filled(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return tensors whose entries are hashes of their places: no two alike, and of a network's size."""
    state = {}
    for number, (name, shape) in enumerate(shapes.items()):
        index = np.arange(int(np.prod(shape)), dtype=np.uint64)
        value = (index * 2654435761 + np.uint64(number * 805459861 + 12345)) % 2**32
        value ^= value >> np.uint64(15)
        value = value * np.uint64(2246822519) % 2**32
        value ^= value >> np.uint64(13)
        uniform = 2 * value / 2**32 - 1
        scale = np.sqrt(3 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
        state[name] = torch.from_numpy((scale * uniform).astype(np.float32).reshape(shape))
    return state


def huochaitiantang(conv6: int = 1, refiner: bool = True) -> dict[str, Tensor]:
    """Return a state dict as core/net.py of pytorch-deep-image-matting has it, at 1/16 of the width."""
    channels, sizes = 4, {}
    for block, (width, layers) in enumerate(zip(WIDTHS, LAYERS, strict=True), 1):
        for layer in range(1, layers + 1):
            sizes[f"conv{block}_{layer}"] = (width, channels, 3, 3)
            channels = width
    sizes |= {"conv6_1": (32, 32, conv6, conv6), "deconv6_1": (32, 32, 1, 1)}
    outs = (32, 16, 8, 4, 4)
    for level, (i, o) in enumerate(zip(reversed(WIDTHS), outs, strict=True)):
        sizes[f"deconv{5 - level}_1"] = (o, i, 5, 5)
    sizes["deconv1"] = (1, 4, 5, 5)
    if refiner:
        sizes |= {"refine_conv1": (4, 4, 3, 3), "refine_conv2": (4, 4, 3, 3)}
        sizes |= {"refine_conv3": (4, 4, 3, 3), "refine_pred": (1, 4, 3, 3)}
    return filled(
        {
            f"{n}.{end}": s if end == "weight" else s[:1]
            for n, s in sizes.items()
            for end in ("weight", "bias")
        }
    )


def mmagic() -> dict[str, Tensor]:
    """Return the same weights under the names of mmagic's DIM, whose layers are counted with the ReLUs."""

    def name(theirs: str) -> str:
        theirs = re.sub(
            r"^conv([1-5])_(\d)", lambda m: f"backbone.encoder.layer{m[1]}.{2 * (int(m[2]) - 1)}", theirs
        )
        theirs = theirs.replace("conv6_1", "backbone.encoder.conv6", 1) if theirs[:5] == "conv6" else theirs
        theirs = re.sub(r"^deconv", "backbone.decoder.deconv", theirs)
        return re.sub(r"^refine_", "refiner.refine_", theirs)

    return {name(theirs): values for theirs, values in huochaitiantang().items()}


def published(state: dict[str, Tensor], x: Tensor, skips: bool) -> tuple[Tensor, Tensor]:
    """Return coarse and refined alpha of (N, 4, H, W), as core/net.py computes them."""

    def conv(name: str, x: Tensor) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    image, features, indices = x[:, :3], [], []
    for block, layers in enumerate(LAYERS, 1):
        for layer in range(1, layers + 1):
            x = F.relu(conv(f"conv{block}_{layer}", x))
        features.append(x)
        x, index = F.max_pool2d(x, 2, 2, return_indices=True)
        indices.append(index)
    x = F.relu(conv("deconv6_1", F.relu(conv("conv6_1", x))))
    for level in (5, 4, 3, 2, 1):
        x = F.max_unpool2d(x, indices[level - 1], 2, 2)
        x = F.relu(conv(f"deconv{level}_1", x + features[level - 1] if skips else x))
    raw = conv("deconv1", x)
    refined = torch.cat([image, raw.sigmoid()], 1)
    for name in ("refine_conv1", "refine_conv2", "refine_conv3"):
        refined = F.relu(conv(name, refined))
    return raw.sigmoid(), torch.sigmoid(raw + conv("refine_pred", refined))


def batch_of() -> Batch:
    generator = torch.Generator().manual_seed(0)
    trimap = torch.randint(0, 3, (1, 1, 64, 96), generator=generator) * 128
    return Batch(image=torch.rand(1, 3, 64, 96, generator=generator), trimap=trimap.clamp(max=255).byte())


@pytest.mark.parametrize(
    ("converter", "make", "options"),
    [
        (MMAGIC, mmagic, {}),
        (HUOCHAITIANTANG, huochaitiantang, {}),
        (HUOCHAITIANTANG, lambda: huochaitiantang(conv6=3), {"conv6": 3}),
        (HUOCHAITIANTANG, lambda: huochaitiantang(conv6=3), {"conv6": 3, "skips": "sum"}),
    ],
)
def test_a_converted_network_computes_what_the_published_one_does(converter, make, options) -> None:
    model = DeepImageMatting(width=1 / 16, **options)
    state, absent = converter(make(), model)
    model.load_state_dict(state)
    assert absent == []
    batch = batch_of()
    layers = torch.cat([model.normalise(batch["image"]), batch["trimap"] / 255], 1)
    with torch.no_grad():
        matte = model(batch)
        coarse, refined = published(huochaitiantang(options.get("conv6", 1)), layers, "skips" in options)
    torch.testing.assert_close(matte.coarse.alpha, coarse, rtol=2e-4, atol=2e-4)
    torch.testing.assert_close(matte.alpha, refined, rtol=2e-4, atol=2e-4)
    assert float(coarse.std()) > 1e-3
    assert not torch.allclose(coarse, refined, atol=1e-3)


def test_the_model_of_the_weights_is_read_from_their_shapes() -> None:
    assert HUOCHAITIANTANG.overrides(huochaitiantang(conv6=3)) == ["model=dim", "model.conv6=3"]
    assert HUOCHAITIANTANG.overrides(huochaitiantang()) == ["model=dim", "model.conv6=1"]
    assert MMAGIC.overrides(mmagic()) == ["model=dim"]


def test_a_checkpoint_of_the_first_stage_lacks_the_refiner_and_says_so() -> None:
    model = DeepImageMatting(width=1 / 16)
    state, absent = HUOCHAITIANTANG(huochaitiantang(refiner=False), model)
    assert absent == ["refiner"]
    assert set(model.state_dict()) - set(state) == {n for n in model.state_dict() if n.startswith("refiner.")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update({"bn11.weight": torch.ones(4)}), r"^bn11\.weight: no entry of pytorch-deep"),
        (
            lambda s: s.pop("deconv3_1.bias"),
            r"deconvs\.2\.0\.bias: is missing in the file, 8; give a whole file of pytorch-",
        ),
        (lambda s: s.pop("refine_conv2.bias"), r"^refiner\.convs\.2\.bias: is missing in the file, 4; give"),
        (
            lambda s: s.update({"conv2_1.weight": torch.zeros(8, 5, 3, 3)}),
            r"is 8x5x3x3 of conv2_1\.weight, the model has 8x4x3x3; give .*as wide as published.*--list`$",
        ),
    ],
)
def test_strange_missing_and_misshapen_entries_are_named(change, message) -> None:
    theirs = huochaitiantang()
    change(theirs)
    with pytest.raises(InputError, match=message):
        HUOCHAITIANTANG(theirs, DeepImageMatting(width=1 / 16))


def test_a_file_becomes_weights_that_a_run_can_start_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from deepmatte.cli.convert import main
    from deepmatte.models.weights import read_weights

    small = replace(MMAGIC, overrides=lambda theirs: ["model=dim", "model.width=0.0625"])
    monkeypatch.setitem(CONVERTERS, "dim_mmagic", small)
    file, out = tmp_path / "dim.pth", tmp_path / "out.safetensors"
    torch.save({"meta": {"epoch": 1}, "state_dict": mmagic() | {"loss_alpha.kernel": torch.ones(1)}}, file)
    assert main(["dim_mmagic", str(file), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"train     deepmatte train model=dim model.width=0.0625 init={out}" in said
    model = DeepImageMatting(width=1 / 16)
    model.load_state_dict(read_weights(out))
    assert torch.equal(model.refiner.convs[6].bias, mmagic()["refiner.refine_pred.bias"])

    with pytest.raises(InputError, match=r"dim\.pth: conv6_1\.weight: is missing in the file; give one of"):
        main(["dim_huochaitiantang", str(file)])
    with pytest.raises(InputError, match=r"^dim_mmagik: there is no such converter.*dim_mmagic"):
        main(["dim_mmagik", str(file)])
