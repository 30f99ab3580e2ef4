"""AlphaGAN's generator as CDOTAD/AlphaGAN-Matting saves it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

RATES = (1, 6, 12, 18)

PLACES = {
    "encoder.resnet50.conv_1": "encoder.conv1",
    "encoder.resnet50": "encoder",
    **{f"encoder.aspp.aspp_{rate}.atrous_conv": f"aspp.convs.{row}.0" for row, rate in enumerate(RATES)},
    **{f"encoder.aspp.aspp_{rate}.bn": f"aspp.convs.{row}.1" for row, rate in enumerate(RATES)},
    "encoder.aspp.image_pooling": f"aspp.convs.{len(RATES)}",
    "encoder.aspp.conv1": "aspp.project",
    "decoder.skip_3": "decoder.skip_quarter",
    "decoder.deconv1_x": "decoder.at_quarter",
    "decoder.skip_2": "decoder.skip_half",
    "decoder.deconv2_x": "decoder.at_half",
    "decoder.deconv3_x": "decoder.at_full",
    "decoder.deconv4_x.0": "decoder.alpha",
}
"""Modules there and here; the first that fits a key counts."""


def converted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the parts of `AlphaGAN` from a state dict of its generator; the discriminator is left out."""
    return {_renamed(key): value for key, value in state.items()}


def _renamed(key: str) -> str:
    there = next((place for place in PLACES if key.startswith(f"{place}.")), "")
    return PLACES[there] + key.removeprefix(there)
