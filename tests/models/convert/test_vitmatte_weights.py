"""Other people's ViTMatte: layouts of hustvl and of transformers, and files that are neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from model_cases import assert_as_published, formula_pictures, formula_trimap, formula_weights
from torch import Tensor

from deepmatte.errors import InputError
from deepmatte.models import ViTMatte, vitmatte
from deepmatte.models.convert import CONVERTERS
from deepmatte.models.weights import read_weights

CASE = json.loads((Path(__file__).parents[2] / "reference" / "vitmatte.json").read_text(encoding="utf-8"))

OF_TRANSFORMERS = {
    "backbone.embeddings.position_embeddings": "backbone.pos_embed",
    "backbone.embeddings.projection.weight": "backbone.patch_embed.proj.weight",
    "backbone.encoder.layer.0.attention.rel_pos_h": "backbone.blocks.0.attn.rel_pos_h",
    "backbone.encoder.layer.2.residual.conv1.weight": "backbone.blocks.2.residual.conv1.weight",
    "backbone.encoder.layer.5.mlp.fc1.bias": "backbone.blocks.5.mlp.fc1.bias",
    "decoder.convstream.convs.0.batch_norm.running_mean": "decoder.convstream.convs.0.bn.running_mean",
    "decoder.convstream.convs.0.conv.weight": "decoder.convstream.convs.0.conv.weight",
    "decoder.fusion_blocks.3.conv.batch_norm.bias": "decoder.fusion_blks.3.conv.bn.bias",
    "decoder.matting_head.matting_convs.3.weight": "decoder.matting_head.matting_convs.3.weight",
}
"""Names that a state dict of transformers 5.24 has, and ours."""


def hustvl() -> dict[str, Tensor]:
    return formula_weights(CASE["state_dict"])


def transformers() -> dict[str, Tensor]:
    """The names as transformers' modules make them: `VitDetEncoder.layer`, `VitMatteFusionBlock.conv`, …."""
    names = {}
    for name, values in hustvl().items():
        theirs = name.replace("pos_embed", "embeddings.position_embeddings")
        theirs = theirs.replace("patch_embed.proj", "embeddings.projection").replace(".bn.", ".batch_norm.")
        theirs = theirs.replace("blocks", "encoder.layer").replace(".attn.", ".attention.")
        names[theirs.replace("fusion_blks", "fusion_blocks")] = values
    return names


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ViTMatte:
    monkeypatch.setitem(vitmatte.SIZES, "tiny", vitmatte.Size(48, 3, 6))
    return ViTMatte("tiny").eval()


@pytest.mark.parametrize(("name", "make"), [("vitmatte", hustvl), ("vitmatte_transformers", transformers)])
def test_a_converted_network_computes_what_transformers_does(name, make, model, tmp_path: Path) -> None:
    """From a file as detectron2 writes it, with the buffers of a loss."""
    extra = {"criterion.kernel": torch.ones(1), "pixel_mean": torch.ones(3, 1, 1)}
    torch.save({"model": make() | extra, "iteration": 7}, tmp_path / "theirs.pth")
    theirs = read_weights(tmp_path / "theirs.pth")
    assert CONVERTERS[name].overrides(theirs) == ["model=vitmatte", "model.size=tiny"]
    state, absent = CONVERTERS[name](theirs, model)
    model.load_state_dict(state)
    assert absent == []
    inputs = {"image": formula_pictures(2, 272, 336)[0], "trimap": formula_trimap(2, 272, 336)}
    with torch.no_grad():
        assert_as_published(model.predict(inputs).alpha, CASE["alpha"])


def test_names_of_transformers() -> None:
    assert set(OF_TRANSFORMERS) <= set(transformers())
    found = {theirs: CONVERTERS["vitmatte_transformers"].name(theirs) for theirs in OF_TRANSFORMERS}
    assert found == OF_TRANSFORMERS


@pytest.mark.parametrize(("channels", "size"), [(384, "S"), (768, "B")])
def test_the_size_is_read_from_the_positions(channels: int, size: str) -> None:
    theirs = {"backbone.pos_embed": torch.zeros(1, 197, channels)}
    assert CONVERTERS["vitmatte"].overrides(theirs) == ["model=vitmatte", f"model.size={size}"]


def converted(theirs: dict[str, Tensor], model: ViTMatte) -> dict[str, Tensor]:
    """Convert as the command does, which first finds the model."""
    CONVERTERS["vitmatte"].overrides(theirs)
    return CONVERTERS["vitmatte"](theirs, model)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("backbone.pos_embed"), r"pos_embed: is missing in the file; give one of ViTMatte"),
        (
            lambda s: s.update({"backbone.pos_embed": torch.zeros(1, 197, 64)}),
            r"has 64 channels; the models have 384 \(S\)",
        ),
        (
            lambda s: s.update({"head.weight": torch.ones(4)}),
            r"^head\.weight: no entry of ViTMatte of hustvl",
        ),
        (
            lambda s: s.pop("backbone.blocks.5.residual.norm3.bias"),
            r"norm3\.bias: is missing in the file, 48",
        ),
    ],
)
def test_files_of_other_networks_are_refused_in_one_line(model, change, message) -> None:
    theirs = hustvl()
    change(theirs)
    with pytest.raises(InputError, match=message) as error:
        converted(theirs, model)
    assert "\n" not in str(error.value)
