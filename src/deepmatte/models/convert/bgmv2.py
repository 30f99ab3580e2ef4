"""Background Matting V2 as published by its authors: flat state dicts, under the names of our model."""

from __future__ import annotations

from deepmatte.models.convert.converter import Converter
from deepmatte.models.weights import State


def _overrides(theirs: State) -> list[str]:
    """Return the overrides: which backbone, and a refiner whose patches replace the coarse matte."""
    names = list(theirs)
    if any(name.startswith("backbone.features.") for name in names):
        backbone = "mobilenetv2"
    else:
        deep = any(name.startswith("backbone.layer3.22.") for name in names)
        backbone = "resnet101" if deep else "resnet50"
    return ["model=bgmv2", f"model.backbone={backbone}", "model.refinement=replace"]


BGMV2 = Converter(
    source="Background Matting V2 (PeterL1n, PyTorch weights)",
    overrides=_overrides,
    names=[(r"((backbone|aspp|decoder|refiner)\..+)", r"\1")],
    optional=["refiner"],
)
