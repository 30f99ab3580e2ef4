"""ViTMatte: published sizes, outputs of an independent implementation, pretrained weights, rates by layer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from model_cases import (
    assert_as_published,
    formula_pictures,
    formula_trimap,
    formula_weights,
    model_cases,
)

from deepmatte.batch import example_batch
from deepmatte.errors import InputError
from deepmatte.models import ViTMatte, vitmatte
from deepmatte.models.encoders.vit import VisionTransformer, positions_between

CASE = json.loads((Path(__file__).parents[1] / "reference" / "vitmatte.json").read_text(encoding="utf-8"))


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("size", ["S", "B"])
def test_parameters_count_as_published(size: str) -> None:
    expected = model_cases()["vitmatte"][size]
    with torch.device("meta"):
        model = ViTMatte(size)
    assert count(model) == expected["total"]
    assert count(model.backbone) == expected["vit"]
    assert count(model.decoder) == expected["detail_capture"]
    if size == "S":
        parts = model_cases()["vitmatte"]["detail_capture_S"]
        assert count(model.decoder.convstream) == parts["convstream"]
        assert [count(block) for block in model.decoder.fusion_blks] == parts["fusion"]
        assert count(model.decoder.matting_head) == parts["head"]


def test_keys_are_those_of_the_published_layout() -> None:
    with torch.device("meta"):
        keys = set(ViTMatte("S").state_dict())
    block = "backbone.blocks.2."
    assert {
        "backbone.pos_embed",
        "backbone.patch_embed.proj.weight",
        f"{block}norm1.weight",
        f"{block}attn.qkv.bias",
        f"{block}attn.proj.weight",
        f"{block}attn.rel_pos_h",
        f"{block}mlp.fc2.weight",
        f"{block}residual.conv3.weight",
        f"{block}residual.norm3.bias",
        "decoder.convstream.convs.2.bn.running_var",
        "decoder.fusion_blks.3.conv.conv.weight",
        "decoder.matting_head.matting_convs.3.bias",
    } <= keys
    assert not [key for key in keys if key.startswith("backbone.blocks.3.residual.")]


def test_outputs_are_those_of_transformers(monkeypatch) -> None:
    """17 x 21 tokens: padded windows, and absolute and relative positions that have to be resized."""
    monkeypatch.setitem(vitmatte.SIZES, "tiny", vitmatte.Size(48, 3, 6))
    model = ViTMatte("tiny").eval()
    assert [[key, list(value.shape)] for key, value in model.state_dict().items()] == CASE["state_dict"]
    model.load_state_dict(formula_weights(CASE["state_dict"]))
    inputs = {"image": formula_pictures(2, 272, 336)[0], "trimap": formula_trimap(2, 272, 336)}
    with torch.no_grad():
        assert_as_published(model.backbone(torch.cat(list(inputs.values()), 1))[0], CASE["features"])
        assert_as_published(model.predict(inputs).alpha, CASE["alpha"])


def test_relative_positions_are_those_of_query_minus_key() -> None:
    table = torch.arange(-3.0, 4.0)[:, None]
    expected = torch.arange(4.0)[:, None] - torch.arange(4.0)
    assert torch.equal(positions_between(table, 4)[..., 0], expected)


def test_the_unknown_zone_is_read_as_a_half(monkeypatch) -> None:
    model = ViTMatte("tiny").eval()
    seen = []
    monkeypatch.setattr(
        model.decoder, "forward", lambda features, picture: seen.append(picture) or picture[:, :1]
    )
    model(example_batch(size=40))
    assert seen[0].shape[-2:] == (48, 48)
    assert seen[0][:, 3].unique().tolist() == [0, 0.5, 1]


def test_checkpointing_changes_no_bit() -> None:
    batch = example_batch(size=40)
    outputs = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = ViTMatte("tiny", checkpointing=checkpointing).train()
        matte = model(batch)
        matte.alpha.mean().backward()
        outputs.append([matte.alpha, *(p.grad for p in model.parameters())])
    assert all(torch.equal(kept, anew) for kept, anew in zip(*outputs, strict=True))


def test_layers_are_counted_as_published() -> None:
    """Against detectron2's rule: 0.65 to the power depth + 1 - id; id 0 for embeddings, i + 1 for block i."""
    model = ViTMatte("tiny")
    depth = 6
    expected = {
        "backbone.pos_embed": depth + 1,
        "backbone.patch_embed.proj.bias": depth + 1,
        "backbone.blocks.0.attn.qkv.weight": depth,
        "backbone.blocks.5.mlp.fc1.bias": 1,
        "backbone.blocks.2.residual.conv1.weight": 0,
        "decoder.fusion_blks.0.conv.conv.weight": 0,
    }
    names = dict(model.named_parameters())
    assert set(expected) <= set(names)
    assert {name: model.layers_above(name) for name in expected} == expected


def plain_transformer(network: VisionTransformer) -> dict[str, torch.Tensor]:
    """The state dict of a vision transformer for classification, as DINO publishes it."""
    layout = [
        (key, (len(value), 3, 16, 16) if key == "patch_embed.proj.weight" else value.shape)
        for key, value in network.state_dict().items()
        if "rel_pos" not in key and "residual" not in key
    ]
    return formula_weights([("cls_token", (1, 1, 96)), *layout, ("norm.weight", (96,))])


def test_weights_of_a_plain_transformer_fit_and_the_trimap_starts_without_influence(tmp_path: Path) -> None:
    state = plain_transformer(ViTMatte("tiny").backbone)
    torch.save({"model": state}, tmp_path / "mae.pth")
    backbone = ViTMatte("tiny", pretrained=str(tmp_path / "mae.pth")).backbone
    assert torch.equal(backbone.patch_embed.proj.weight[:, :3], state["patch_embed.proj.weight"])
    assert not backbone.patch_embed.proj.weight[:, 3].any()
    loaded = backbone.state_dict()
    shared = [key for key in state if key in loaded and key != "patch_embed.proj.weight"]
    assert len(shared) == len(state) - 3
    assert all(torch.equal(loaded[key], state[key]) for key in shared)


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
    with pytest.raises(InputError, match=r"another network \(at pos_embed") as error:
        ViTMatte("tiny", pretrained=str(tmp_path / "resnet.pth"))
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="no such weights for tiny"):
        ViTMatte("tiny", pretrained="imagenet")
